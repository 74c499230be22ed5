//! Durations and sizes as people write them: `1h30m`, `64KiB`.
//!
//! Guarantees: every number has a unit that is written out (a size may also be plain bytes), nothing is negative,
//! fractional or silently cut, and what is shown reads back as the same value.
//! Does not know: which keys take them and how large they may be.

use std::time::Duration;

use super::mistake::quoted;

/// Units of time in descending order, in milliseconds.
const TIME: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Units of size in descending order, in bytes.
const SIZE: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `30s`, `500ms` or `1h30m`: whole numbers, each with its unit, larger units first.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err("must not be negative".into());
    }
    if text.parse::<f64>().is_ok() {
        return Err(no_unit(text));
    }
    let wrong = || format!("{} is not a duration: write `30s`, `15m`, `1h30m`, `7d` or `500ms`", quoted(text));
    let mut rest = text;
    let mut units = TIME.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        // Searching on from the last unit found keeps them in order and each used once.
        let (_, milliseconds) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*milliseconds)?.checked_add(total))
            .ok_or_else(wrong)?;
        rest = after;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(total)) }
}

/// What to say about a duration that is a bare number.
pub(super) fn no_unit(number: &str) -> String {
    format!("needs a unit: {number} of what? Write a duration such as \"30s\", \"15m\" or \"500ms\"")
}

/// The duration in its largest unit up to hours that loses nothing.
pub(super) fn show_duration(duration: &Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds == 0 {
        return "0s".into();
    }
    for (unit, size) in &TIME[1..] {
        if milliseconds.is_multiple_of(u128::from(*size)) {
            return format!("{}{unit}", milliseconds / u128::from(*size));
        }
    }
    format!("{milliseconds}ms")
}

/// Reads `64KiB`, `1MiB` or a plain number of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    if text.starts_with('-') {
        return Err("must not be negative".into());
    }
    let wrong = || format!("{} is not a size: write bytes, or `64KiB` or `1MiB`", quoted(text));
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let bytes = match unit {
        "" => 1,
        unit => SIZE.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(bytes)).ok_or_else(wrong)
}

/// The size in its largest unit that loses nothing.
pub(super) fn show_size(bytes: u64) -> String {
    match SIZE[..3].iter().find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{}{unit}", bytes / size),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, milliseconds: u64) {
        let read = duration(text).unwrap();
        assert_eq!(read, Duration::from_millis(milliseconds), "{text}");
        assert_eq!(duration(&show_duration(&read)), Ok(read), "{text} does not come back");
    }

    #[track_caller]
    fn refuses(text: &str, part: &str) {
        let text_of_mistake = duration(text).unwrap_err();
        assert!(text_of_mistake.contains(part), "{text}: {text_of_mistake}");
    }

    #[test]
    fn durations_are_whole_numbers_with_units() {
        reads("30s", 30_000);
        reads("0s", 0);
        reads("500ms", 500);
        reads("15m", 900_000);
        reads("1h30m", 5_400_000);
        reads("720h", 2_592_000_000);
        reads("7d", 604_800_000);
        reads("1d2h3m4s5ms", 93_784_005);
    }

    #[test]
    fn unclear_durations_are_refused() {
        for bare in ["900", "0", "1.5", "1e3", "+5"] {
            refuses(bare, "needs a unit");
        }
        for wrong in ["", " ", "s", "15x", "15 m", "1.5h", "30m1h", "1m1m", "1h30", "15M", "99999999999999999999s"] {
            refuses(wrong, "is not a duration");
        }
        refuses("999999999999999999d", "is not a duration");
        refuses("-5s", "negative");
    }

    #[test]
    fn durations_are_shown_in_one_unit() {
        for (text, shown) in [("75s", "75s"), ("60s", "1m"), ("365d", "8760h"), ("0ms", "0s"), ("1500ms", "1500ms")] {
            assert_eq!(show_duration(&duration(text).unwrap()), shown);
        }
    }

    #[test]
    fn sizes_are_bytes_or_binary_units() {
        for (text, bytes) in [("0", 0), ("65536", 65_536), ("64KiB", 65_536), ("1MiB", 1 << 20), ("12B", 12)] {
            assert_eq!(size(text), Ok(bytes));
            assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }
        for wrong in ["", "KiB", "64KB", "64k", "64 KiB", "1.5MiB", "99999999999999999999", "18446744073709551615KiB"] {
            assert!(size(wrong).unwrap_err().contains("is not a size"), "{wrong}");
        }
        assert!(size("-1").unwrap_err().contains("negative"));
    }
}
