//! When a snapshot is due.
//!
//! Guarantees: a start reads the snapshot and a journal of at most a quarter of that again (or [`SMALL`]), and what came
//! in since the last look; above that size, at most some five bytes of snapshot are written for each byte of journal, but
//! for one snapshot an hour.
//! Does not know: files, how often somebody looks.

use std::time::Duration;

/// A snapshot of so many bytes is cheap, and a journal of so many is read in an instant: some 20,000 sessions.
const SMALL: u64 = 4 << 20;
/// A snapshot of a store that hardly changes is never older.
const OLDEST: Duration = Duration::from_hours(1);

/// What a look at the files tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files {
    /// Bytes of the snapshot, 0 without one, and of all of the journal.
    pub snapshot: u64,
    pub journal: u64,
    /// How long ago this process wrote the snapshot; `None` if it has written none.
    pub age: Option<Duration>,
}

/// `news`: whether anything has changed since the snapshot. Without it the journal may still grow: heartbeats are in it.
pub(super) fn snapshot_is_due(news: bool, files: Files) -> bool {
    let Files { snapshot, journal, age } = files;
    // The first one of a process also ends the row of segments that starts without snapshots would make.
    let old = age.is_none_or(|age| age >= OLDEST);
    journal >= SMALL.max(snapshot / 4) || news && (old || snapshot <= SMALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MINUTE: Option<Duration> = Some(Duration::from_mins(1));

    #[track_caller]
    fn check(news: bool, snapshot: u64, journal: u64, age: Option<Duration>, expected: bool) {
        assert_eq!(snapshot_is_due(news, Files { snapshot, journal, age }), expected);
    }

    #[test]
    fn a_small_snapshot_is_written_whenever_anything_has_changed() {
        check(true, 0, 100, MINUTE, true);
        check(true, SMALL, 100, MINUTE, true);
        check(true, SMALL + 1, 100, MINUTE, false);
        check(false, SMALL, 100, MINUTE, false);
    }

    #[test]
    fn a_large_one_is_written_when_the_journal_has_a_quarter_of_its_size() {
        check(true, GIB, GIB / 4 - 1, MINUTE, false);
        check(true, GIB, GIB / 4, MINUTE, true);
        check(true, 2 * SMALL, SMALL - 1, MINUTE, false);
        check(true, 2 * SMALL, SMALL, MINUTE, true);
    }

    #[test]
    fn one_that_hardly_changes_is_written_once_an_hour_and_one_that_does_not_change_never() {
        let hour = Some(OLDEST);
        check(true, GIB, 100, hour, true);
        check(true, GIB, 100, hour.map(|hour| hour - Duration::from_nanos(1)), false);
        check(false, GIB, 100, hour, false);
    }

    #[test]
    fn the_first_one_of_a_process_is_due_as_soon_as_anything_has_changed() {
        check(true, GIB, 100, None, true);
        check(false, GIB, 100, None, false);
    }

    #[test]
    fn heartbeats_alone_make_one_due_when_there_are_very_many() {
        check(false, 0, SMALL - 1, MINUTE, false);
        check(false, 0, SMALL, MINUTE, true);
        check(false, GIB, GIB / 4 - 1, MINUTE, false);
        check(false, GIB, GIB / 4, MINUTE, true);
    }
}
