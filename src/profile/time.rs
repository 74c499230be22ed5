//! Times as the documented samples can parse them (seed S3).
//!
//! Guarantees: UTC, `Z`, whole seconds.
//! Does not know: what happens at them.

use jiff::tz::TimeZone;

use crate::token::Timestamp;

/// As in `2026-03-14T02:00:00Z`.
pub fn rfc3339(at: Timestamp) -> String {
    let secs = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_second(secs).unwrap_or(jiff::Timestamp::MAX);
    stamp.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_without_fractions_and_with_z() {
        assert_eq!(rfc3339(Timestamp::from_micros(1_773_453_600_999_999)), "2026-03-14T02:00:00Z");
    }
}
