//! How far a replica keeps up with its files.
//!
//! Guarantees: the answer turns on this process's own monotonic clock alone, so neither a wrong clock here nor one at the
//! primary makes old knowledge look new; it is right also while whoever reads the files hangs in a dead mount.
//! Does not know: files, and what follows from being stale.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether a store knows what is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    Fresh,
    /// The files have told nothing new since then.
    Stale {
        since: Instant,
        why: Arc<str>,
    },
}

impl Freshness {
    pub fn is_fresh(&self) -> bool {
        *self == Self::Fresh
    }
}

pub(in crate::store) struct Pace {
    max_stale: Duration,
    last: Mutex<Last>,
}

struct Last {
    news: Instant,
    trouble: Option<Arc<str>>,
}

impl Pace {
    pub(in crate::store) fn new(max_stale: Duration, now: Instant) -> Self {
        Self { max_stale, last: Mutex::new(Last { news: now, trouble: None }) }
    }

    pub(in crate::store) fn max_stale(&self) -> Duration {
        self.max_stale
    }

    pub(in crate::store) fn freshness(&self, now: Instant) -> Freshness {
        let last = self.last();
        if now.saturating_duration_since(last.news) <= self.max_stale {
            return Freshness::Fresh;
        }
        let why = last.trouble.clone().unwrap_or_else(|| "the primary has written nothing since".into());
        Freshness::Stale { since: last.news, why }
    }

    /// The files have told something.
    pub(in crate::store) fn news(&self, now: Instant) {
        *self.last() = Last { news: now, trouble: None };
    }

    /// They could be read, and told nothing.
    pub(super) fn quiet(&self) {
        self.last().trouble = None;
    }

    pub(in crate::store) fn trouble(&self, why: &str) {
        self.last().trouble = Some(why.into());
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        // Nothing panics while it is held.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_keeps_fresh_for_as_long_as_said() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let pace = Pace::new(second * 10, begin);
        assert!(pace.freshness(begin + second * 10).is_fresh());
        assert!(!pace.freshness(begin + second * 11).is_fresh());
        pace.news(begin + second * 11);
        pace.quiet();
        assert!(pace.freshness(begin + second * 21).is_fresh());
        let why = |pace: &Pace| match pace.freshness(begin + second * 22) {
            Freshness::Stale { since, why } if since == begin + second * 11 => why.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(why(&pace).contains("nothing"));
        pace.trouble("a file is damaged");
        assert_eq!(why(&pace), "a file is damaged");
        pace.quiet();
        assert!(why(&pace).contains("nothing"));
    }
}
