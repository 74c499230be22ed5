//! The store in figures, for those who operate it.
//!
//! Guarantees: asking waits for nothing that a snapshot may hold.
//! Does not know: what the figures are called.

use std::time::Duration;

use crate::metrics::Observed;
use crate::token::Timestamp;

use super::redis::Counts;
use super::{Source, Store};

impl Store {
    /// How many records a restart would have to replay over the snapshot; `None` without files of its own.
    pub fn uncovered(&self) -> Option<u64> {
        match &self.source {
            Source::Own(own) => Some(own.journal.uncovered()),
            Source::Files(_) | Source::Redis(_) => None,
        }
    }

    /// How long ago this process began the last snapshot that it finished.
    pub fn snapshot_age(&self, now: Timestamp) -> Option<Duration> {
        let Source::Own(own) = &self.source else { return None };
        own.journal.snapshot_at().map(|at| now.saturating_since(at))
    }

    /// What has happened between this gate and an engine, if it has one.
    pub fn engine(&self) -> Option<Counts> {
        self.redis().map(super::redis::Redis::counts)
    }

    /// Adds how long the disk has taken for each sync of the journal.
    pub fn observe_syncs(&self, observed: &mut Observed) {
        if let Source::Own(own) = &self.source {
            observed.add(own.journal.syncs());
        }
    }
}
