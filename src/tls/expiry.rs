//! When certificates expire, and when to say so.
//!
//! Guarantees: it is said 30 days, 7 days and one day ahead, and when it has happened; each once. Not so early that it would
//! be said of every certificate that is renewed in time: what lives for three months is renewed after two.
//! Does not know: the clock, where it is said.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

const DAY: i64 = 86_400;
/// In days.
const WARNINGS: [i64; 4] = [30, 7, 1, 0];

/// A certificate's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    pub path: PathBuf,
    /// In seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
}

impl Expiry {
    /// How urgent it is at `now`: nothing if it is far away.
    pub(super) fn urgency(&self, now: i64) -> Option<usize> {
        let lifetime = self.not_after.saturating_sub(self.not_before);
        let is_due = |days: &i64| self.not_after.saturating_sub(now) <= days * DAY && 3 * days * DAY < lifetime.max(1);
        WARNINGS.iter().rposition(is_due)
    }

    pub(super) fn has_passed(&self, now: i64) -> bool {
        self.not_after < now
    }

    /// What is to be said of it at `now`.
    pub(super) fn words(&self, now: i64) -> String {
        let days = self.not_after.saturating_sub(now) / DAY;
        match self.has_passed(now) {
            true => format!("{self} has expired"),
            false if days < 1 => format!("{self} expires in less than a day"),
            false => format!("{self} expires in {days} days"),
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match Timestamp::from_second(self.not_after) {
            Ok(when) => write!(f, "{path} (valid until {when})"),
            Err(_) => write!(f, "{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_ahead_of_time_and_ever_more_urgently() {
        let expiry = Expiry { path: "a.pem".into(), not_before: 0, not_after: 100 * DAY };
        for (now, urgency, words) in [
            (69 * DAY, None, "a.pem (valid until 1970-04-11T00:00:00Z) expires in 31 days"),
            (70 * DAY, Some(0), "a.pem (valid until 1970-04-11T00:00:00Z) expires in 30 days"),
            (93 * DAY, Some(1), "a.pem (valid until 1970-04-11T00:00:00Z) expires in 7 days"),
            (99 * DAY, Some(2), "a.pem (valid until 1970-04-11T00:00:00Z) expires in 1 days"),
            (99 * DAY + 1, Some(2), "a.pem (valid until 1970-04-11T00:00:00Z) expires in less than a day"),
            (100 * DAY + 1, Some(3), "a.pem (valid until 1970-04-11T00:00:00Z) has expired"),
        ] {
            assert_eq!((expiry.urgency(now), expiry.words(now).as_str()), (urgency, words));
        }
    }

    #[test]
    fn what_lives_for_a_short_time_is_not_spoken_of_all_the_time() {
        for (lifetime, left, urgency) in [
            (90 * DAY, 30 * DAY, None),
            (90 * DAY, 7 * DAY, Some(1)),
            (7 * DAY, 6 * DAY, None),
            (7 * DAY, DAY, Some(2)),
            (3600, 1, None),
            (3600, 0, Some(3)),
            (0, 0, Some(3)),
            (-5, -5, Some(3)),
        ] {
            let expiry = Expiry { path: "a.pem".into(), not_before: 1000, not_after: 1000 + lifetime };
            assert_eq!(expiry.urgency(expiry.not_after - left), urgency, "{lifetime} {left}");
        }
    }
}
