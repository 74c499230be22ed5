//! When an issuer's keys are fetched next.
//!
//! Guarantees: however often somebody asks, the fetches that asking causes are a cooldown apart, whatever the last one
//! has come to; after a failure the waits double up to five minutes; no two gates keep step.
//! Does not know: the clock, chance, how keys are fetched.

use std::time::{Duration, Instant};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_mins(5);

#[derive(Debug)]
pub(super) struct Pace {
    refresh: Duration,
    cooldown: Duration,
    failures: u32,
    /// When it is due unasked.
    due: Instant,
    /// The soonest that asking makes it due.
    cool: Instant,
}

impl Pace {
    /// Due at once.
    pub(super) fn new(refresh: Duration, cooldown: Duration, now: Instant) -> Self {
        Self { refresh, cooldown, failures: 0, due: now, cool: now }
    }

    /// When to fetch.
    pub(super) fn due(&self, asked: bool) -> Instant {
        if asked { self.due.min(self.cool) } else { self.due }
    }

    /// A fetch that began at `began` has ended well or not. `chance` makes the wait up to an eighth shorter.
    pub(super) fn ended(&mut self, began: Instant, well: bool, chance: u8) {
        self.failures = if well { 0 } else { self.failures.saturating_add(1) };
        let wait = match self.failures.checked_sub(1) {
            None => self.refresh,
            Some(earlier) => FIRST_RETRY.saturating_mul(1 << earlier.min(16)).min(LAST_RETRY).min(self.refresh),
        };
        self.due = began + wait - wait / 8 * u32::from(chance) / 255;
        self.cool = began + self.cooldown;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const COOLDOWN: Duration = Duration::from_secs(30);

    #[test]
    fn a_fetch_is_due_at_once_and_then_after_the_interval() {
        let begin = Instant::now();
        let mut pace = Pace::new(HOUR, COOLDOWN, begin);
        assert_eq!(pace.due(false), begin);
        pace.ended(begin, true, 0);
        assert_eq!(pace.due(false), begin + HOUR);
        pace.ended(begin, true, 255);
        assert_eq!(pace.due(false), begin + HOUR - HOUR / 8);
    }

    #[test]
    fn asking_brings_it_forward_to_the_end_of_the_cooldown_whatever_the_last_one_came_to() {
        let begin = Instant::now();
        let mut pace = Pace::new(HOUR, COOLDOWN, begin);
        for well in [true, false] {
            (0..12).for_each(|_| pace.ended(begin, well, 0));
            assert_eq!(pace.due(true), begin + COOLDOWN);
        }
        // It never puts one off.
        let mut pace = Pace::new(Duration::from_secs(10), COOLDOWN, begin);
        pace.ended(begin, true, 0);
        assert_eq!(pace.due(true), begin + Duration::from_secs(10));
    }

    #[test]
    fn failures_wait_twice_as_long_each_time() {
        let begin = Instant::now();
        let mut pace = Pace::new(HOUR, COOLDOWN, begin);
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            pace.ended(begin, false, 0);
            assert_eq!(pace.due(false), begin + Duration::from_secs(seconds));
        }
        (0..100).for_each(|_| pace.ended(begin, false, 255));
        assert!(pace.due(false) < begin + LAST_RETRY);
        pace.ended(begin, true, 0);
        pace.ended(begin, false, 0);
        assert_eq!(pace.due(false), begin + FIRST_RETRY);
    }
}
