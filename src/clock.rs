//! The one place that reads the wall clock.
//!
//! Guarantees: time never runs behind the newest record that was loaded from disk, nor noticeably backwards while we
//! run, so a session cannot seem to be rotated before it was made.
//! Does not know: what the time is used for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::token::Timestamp;

/// How far time must have moved on before the shared floor is raised: workers would otherwise write one cache line on
/// every request.
const STEP_MICROS: u64 = 1_000;

#[derive(Debug, Default)]
pub struct Clock {
    floor: AtomicU64,
}

impl Clock {
    /// A clock that starts no earlier than `floor`.
    pub fn starting_at(floor: Timestamp) -> Self {
        Self { floor: AtomicU64::new(floor.as_micros()) }
    }

    /// From now on it does not run behind `at`.
    pub fn reach(&self, at: Timestamp) {
        self.floor.fetch_max(at.as_micros(), Ordering::Relaxed);
    }

    pub fn now(&self) -> Timestamp {
        let wall = wall().as_micros();
        let floor = self.floor.load(Ordering::Relaxed);
        if wall < floor {
            return Timestamp::from_micros(floor);
        }
        if wall - floor > STEP_MICROS {
            self.floor.fetch_max(wall, Ordering::Relaxed);
        }
        Timestamp::from_micros(wall)
    }
}

/// The machine's own time, unguarded. A clock before 1970 reads as 1970.
#[expect(clippy::disallowed_methods, reason = "this is where time enters")]
pub fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_run_behind_the_newest_record() {
        let future = Timestamp::from_micros(wall().as_micros() + 3_600_000_000);
        assert_eq!(Clock::starting_at(future).now(), future);
    }

    #[test]
    fn time_reaches_what_it_is_told_and_never_falls_back() {
        let clock = Clock::default();
        let future = Timestamp::from_micros(wall().as_micros() + 3_600_000_000);
        clock.reach(future);
        clock.reach(Timestamp::from_secs(1));
        assert_eq!(clock.now(), future);
    }

    #[test]
    fn time_moves_on_from_an_old_record() {
        let clock = Clock::starting_at(Timestamp::from_secs(1));
        assert!(clock.now() > Timestamp::from_secs(1_600_000_000));
    }
}
