//! Kills: clients sign in, refresh, revoke and replay in a storm, the gate is killed at a random instant, and what it
//! had acknowledged is asked for after its next start.
//!
//! Guarantees: a few kills of each kind here; `make crash-test` kills some hundred times and prints a summary. The seed is
//! printed, so that a storm can be repeated in kind.
//! Does not know: files.

mod chance;
mod client;
mod shared;
mod storm;

use storm::{Storm, survives};

#[test]
fn what_was_acknowledged_outlives_kills() {
    survives(&Storm::named("plain"));
}

#[test]
fn with_a_retry_window_no_kill_logs_anybody_out() {
    survives(&Storm { retry_window: true, ..Storm::named("retry window") });
}

#[test]
fn a_mode_that_does_not_wait_for_the_disk_loses_nothing_to_a_kill() {
    survives(&Storm {
        settings: &[("store.fsync", "interval"), ("store.fsync_interval", "50ms")],
        ..Storm::named("interval")
    });
}

#[test]
fn kills_between_and_during_snapshots_lose_nothing() {
    survives(&Storm {
        settings: &[("store.snapshot_interval", "100ms")],
        crowd: 300,
        during_snapshots: true,
        ..Storm::named("snapshots")
    });
}

#[test]
fn kills_of_starts_that_are_not_done_lose_nothing() {
    survives(&Storm { crowd: 100, starts: 4, ..Storm::named("starts") });
}

#[test]
#[cfg(target_os = "linux")]
fn kills_on_a_disk_that_comes_and_goes_lose_nothing() {
    let settings: &[_] = &[("store.snapshot_interval", "100ms")];
    survives(&Storm { settings, outages: true, ..Storm::named("outages") });
}
