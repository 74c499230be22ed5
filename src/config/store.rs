//! `[store]`: how sessions are kept.
//!
//! Guarantees: the interval is not so short that snapshots chase each other.
//! Does not know: files, formats and sessions.

use std::time::Duration;

use super::kind::Choice;
use super::reader::Reader;

#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Between two snapshots while sessions change.
    pub snapshot_interval: Duration,
    pub record_addresses: RecordAddresses,
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
        let interval = Duration::from_secs(1)..=Duration::from_hours(24);
        Self {
            snapshot_interval: r.duration("store.snapshot_interval", Duration::from_secs(60), interval),
            record_addresses: r.choice("store.record_addresses", RecordAddresses::Full),
        }
    }
}

impl Choice for RecordAddresses {
    const NAMES: &'static [(&'static str, Self)] =
        &[("full", Self::Full), ("prefix", Self::Prefix), ("off", Self::Off)];
}
