//! The log: one line per event on standard error, JSON for machines, text for people.
//!
//! Guarantees: whoever logs never waits for the one who reads; nothing that a client sends can forge a line or colour a
//! terminal; standard error only, so that standard output belongs to commands.
//! Does not know: what is logged. (What may not be: tokens, passwords, `Authorization`, queries, bodies.)

mod escape;
mod format;
mod levels;
mod spool;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::panic;
use std::sync::Arc;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::clock;
use crate::config::{self, LogFormat, LogLevel};

use format::Form;
use spool::Spool;

pub use levels::{Levels, NotLevels};

/// The target of what happens to sessions: kept whatever the level, as the trail must not break off because somebody
/// wanted fewer lines.
pub const AUDIT: &str = "portcullis::audit";

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("PORTCULLIS_LOG is not a log filter")]
    Filter(#[from] ParseError),
    #[error("logging has been set up already")]
    Twice(#[from] TryInitError),
    #[error("the system gives no thread for the log")]
    Thread(#[source] io::Error),
}

/// The log of this process. Dropping it writes what is not yet written; what is logged after that may be lost.
#[derive(Debug)]
#[must_use = "the last lines are lost if nobody holds the log to the end"]
pub struct Log {
    spool: Arc<Spool>,
    levels: Levels,
}

/// Starts logging for the process. `filter` (variable `PORTCULLIS_LOG`, as in `portcullis=debug`) overrides the level.
///
/// # Errors
/// When the filter cannot be read, the system gives no thread, or logging was started before.
pub fn start(log: &config::Log, filter: Option<&str>) -> Result<Log, LogError> {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let audit = if log.audit { LevelFilter::INFO } else { LevelFilter::OFF };
    let levels = match filter {
        // What is said of the trail itself stands behind, and wins.
        Some(filter) => format!("{AUDIT}={audit},{filter}").parse()?,
        None => without_filter(level, audit),
    };
    let levels = Levels::new(levels, audit);
    let terminal = io::stderr().is_terminal();
    let form = match log.format {
        LogFormat::Json => Form::Json,
        LogFormat::Auto if !terminal => Form::Json,
        LogFormat::Text | LogFormat::Auto => Form::Text { colour: terminal },
    };
    let lost = move |lines| format::lost(form, lines, clock::wall());
    let spool = Spool::start(io::stderr(), lost).map_err(LogError::Thread)?;
    let lines = Lines { form, spool: Arc::clone(&spool) };
    registry().with(levels.clone()).with(lines).try_init()?;
    flush_before_a_panic(Arc::clone(&spool));
    Ok(Log { spool, levels })
}

fn without_filter(level: LevelFilter, audit: LevelFilter) -> Targets {
    Targets::new().with_default(level).with_target(AUDIT, audit)
}

impl Log {
    /// Waits until all that was logged is written, but not for ever.
    pub fn flush(&self) {
        self.spool.flush();
    }

    /// What is kept, to be changed while the process runs.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A panic may end the process at once, and the lines before it tell how it came to that.
fn flush_before_a_panic(spool: Arc<Spool>) {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        spool.flush();
        tell(panic);
    }));
}

/// Makes events lines.
struct Lines {
    form: Form,
    spool: Arc<Spool>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Made here and not in the spool: a value may take its time to write itself, or log in turn.
        let line = format::line(self.form, event, clock::wall());
        self.spool.add(&line, *event.metadata().level() <= Level::WARN);
    }
}

/// An error and its causes on one line. To be logged in place of the error itself, of which a line shows no causes.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trail_does_not_depend_on_the_level_of_the_log() {
        for level in [LevelFilter::ERROR, LevelFilter::TRACE] {
            let kept = |audit, target, level| without_filter(level, audit).would_enable(target, &Level::INFO);
            assert!(kept(LevelFilter::INFO, AUDIT, level));
            assert!(!kept(LevelFilter::OFF, AUDIT, level));
            assert_eq!(kept(LevelFilter::INFO, "portcullis::run", level), level == LevelFilter::TRACE);
        }
    }
}
