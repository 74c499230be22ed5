//! Which lines are kept, and how that is changed while the process runs.
//!
//! Guarantees: a line that is not kept costs what it would if that were decided for good, as each place in the code that
//! logs remembers whether anybody listens, and is told anew when that changes; the trail of what happens to sessions is
//! not to be switched off here.
//! Does not know: what is logged, who may change it.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber, callsite};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::{Context, Layer};

use super::AUDIT;

/// What is kept of the log. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Levels(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kept: ArcSwap<Targets>,
    /// What is kept when nobody says anything else.
    configured: Targets,
    /// What somebody has said, until further notice.
    said: Mutex<Option<String>>,
    /// Of the trail, whatever is said.
    trail: LevelFilter,
}

/// As in `info` or `info,portcullis::edge=debug`.
#[derive(Debug, thiserror::Error)]
#[error("not a level (error, warn, info, debug, trace), or levels of modules such as `info,portcullis::edge=debug`")]
pub struct NotLevels(#[from] ParseError);

impl Levels {
    pub(super) fn new(configured: Targets, trail: LevelFilter) -> Self {
        let kept = ArcSwap::from_pointee(configured.clone());
        Self(Arc::new(Shared { kept, configured, said: Mutex::default(), trail }))
    }

    /// Keeps what `levels` says from now on; with `None` what the configuration does.
    ///
    /// # Errors
    /// When that cannot be read. Then nothing has changed.
    pub fn keep(&self, levels: Option<&str>) -> Result<(), NotLevels> {
        let kept = match levels {
            Some(levels) => levels.parse::<Targets>()?.with_target(AUDIT, self.0.trail),
            None => self.0.configured.clone(),
        };
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.kept.store(Arc::new(kept));
        *said = levels.map(Into::into);
        callsite::rebuild_interest_cache();
        Ok(())
    }

    /// What was said and still counts.
    pub fn said(&self) -> Option<String> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the configuration says.
    pub fn configured(&self) -> String {
        self.0.configured.to_string()
    }
}

/// Asked by each place that logs when it is first met, and when [`Levels::keep`] has changed something: never for a line.
impl<S: Subscriber> Layer<S> for Levels {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        Layer::<S>::register_callsite(&**self.0.kept.load(), metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        Layer::<S>::enabled(&**self.0.kept.load(), metadata, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Layer::<S>::max_level_hint(&**self.0.kept.load())
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn levels() -> Levels {
        Levels::new(
            Targets::new().with_default(LevelFilter::INFO).with_target(AUDIT, LevelFilter::INFO),
            LevelFilter::INFO,
        )
    }

    #[track_caller]
    fn kept(levels: &Levels, target: &str, level: Level, expected: bool) {
        assert_eq!(levels.0.kept.load().would_enable(target, &level), expected, "{target} {level}");
    }

    #[test]
    fn what_is_said_counts_until_it_is_taken_back() {
        let levels = levels();
        levels.keep(Some("warn,portcullis::edge=debug")).unwrap();
        kept(&levels, "portcullis::run", Level::INFO, false);
        kept(&levels, "portcullis::edge::worker", Level::DEBUG, true);
        assert_eq!(levels.said().as_deref(), Some("warn,portcullis::edge=debug"));
        levels.keep(None).unwrap();
        kept(&levels, "portcullis::run", Level::INFO, true);
        kept(&levels, "portcullis::edge::worker", Level::DEBUG, false);
        assert_eq!(levels.said(), None);
    }

    #[test]
    fn the_trail_does_not_break_off() {
        let levels = levels();
        for said in ["off", "error", "info,portcullis::audit=off", "portcullis=off"] {
            levels.keep(Some(said)).unwrap();
            kept(&levels, AUDIT, Level::INFO, true);
        }
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let levels = levels();
        levels.keep(Some("debug")).unwrap();
        for wrong in ["info,portcullis=loud", "portcullis=7000"] {
            assert!(levels.keep(Some(wrong)).is_err(), "{wrong}");
        }
        kept(&levels, "portcullis::run", Level::DEBUG, true);
    }
}
