//! `[store]`: how sessions are kept.
//!
//! Guarantees: intervals are not so short that snapshots or syncs chase each other.
//! Does not know: files, formats and sessions.

use std::time::Duration;

use super::kind::Choice;
use super::reader::Reader;

#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    pub fsync: Fsync,
    /// Between two syncs with [`Fsync::Interval`].
    pub fsync_interval: Duration,
    /// Between two snapshots while sessions change.
    pub snapshot_interval: Duration,
    pub record_addresses: RecordAddresses,
}

/// When a change is certain enough to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// It is on the disk.
    Always,
    /// The system has it, and is told to write it down now and then.
    Interval,
    /// The system has it.
    Never,
}

/// How much of a client's address a session remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordAddresses {
    Full,
    /// The network only.
    Prefix,
    Off,
}

impl Store {
    pub(super) fn read(r: &mut Reader) -> Self {
        let interval = Duration::from_millis(100)..=Duration::from_hours(24);
        let syncs = Duration::from_millis(10)..=Duration::from_secs(60);
        Self {
            fsync: r.choice("store.fsync", Fsync::Always),
            fsync_interval: r.duration("store.fsync_interval", Duration::from_secs(1), syncs),
            snapshot_interval: r.duration("store.snapshot_interval", Duration::from_secs(60), interval),
            record_addresses: r.choice("store.record_addresses", RecordAddresses::Full),
        }
    }
}

impl Choice for Fsync {
    const NAMES: &'static [(&'static str, Self)] =
        &[("always", Self::Always), ("interval", Self::Interval), ("never", Self::Never)];
}

impl Choice for RecordAddresses {
    const NAMES: &'static [(&'static str, Self)] =
        &[("full", Self::Full), ("prefix", Self::Prefix), ("off", Self::Off)];
}
