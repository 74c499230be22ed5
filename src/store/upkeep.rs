//! What a store needs now and then: sweeps, snapshots, heartbeats, and its end.
//!
//! Guarantees: nothing here holds up a request for longer than one session takes; a snapshot that fails leaves what stood.
//! Does not know: how often it is called.

use std::sync::PoisonError;
use std::time::Duration;

use crate::token::Timestamp;

use super::files::{Entry, FilesError};
use super::ledger::{Ledger, entry};
use super::{Source, Store, due, redis};

/// How far behind what it follows a gate sweeps, on top of the time after which it counts as stale. See [`Store::sweep`].
const SWEEP_MARGIN: Duration = Duration::from_secs(60);

impl Store {
    /// Forgets what has expired. Sessions whose access tokens may still be about leave a tombstone. That is not written
    /// down: it follows again from the times that are.
    ///
    /// A replica does it as the primary would have done some time ago, by the newest time in the files and not its own: an
    /// end is final, its clock may be ahead, and a session that seems expired may have been renewed in a record that has
    /// not come yet. That is also why the sessions minted with the tokens of an expired one are not its to end.
    pub fn sweep(&self, now: Timestamp) {
        match &self.source {
            Source::Own(own) => {
                for (subject, id) in self.memory.sweep(now, &self.policy.load(), &mut |_| {}) {
                    self.end_descendants(&subject, id, &mut Ledger::new(&own.journal));
                }
            }
            Source::Files(pace) => {
                let long_ago = now.min(self.newest()).before(pace.max_stale() + SWEEP_MARGIN);
                self.memory.sweep(long_ago, &self.policy.load(), &mut |_| {});
            }
            Source::Redis(redis) => {
                let long_ago = now.min(self.newest()).before(SWEEP_MARGIN);
                // Without the engine nobody knows what has been renewed.
                if redis.health().is_healthy() {
                    for (subject, id) in self.memory.sweep(long_ago, &self.policy.load(), &mut |_| {}) {
                        redis::end_orphans(self, redis, &subject, id);
                    }
                }
            }
        }
    }

    /// Tells those who follow the files that this store lives. A heartbeat is no news.
    pub fn pulse(&self, now: Timestamp) {
        if let Source::Own(own) = &self.source {
            own.journal.pulse(now);
        }
    }

    /// Whether anything has changed since the last snapshot.
    pub fn has_news(&self) -> bool {
        match &self.source {
            Source::Own(own) => own.journal.has_news(),
            Source::Files(_) | Source::Redis(_) => false,
        }
    }

    /// Whether a snapshot is worth its bytes by now: of a large store not whenever something has changed.
    pub fn snapshot_is_due(&self, now: Timestamp) -> bool {
        let Source::Own(own) = &self.source else { return false };
        let snapshots = own.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let (snapshot, journal) = snapshots.sizes();
        let age = own.journal.snapshot_at().map(|at| now.saturating_since(at));
        due::snapshot_is_due(self.has_news(), due::Files { snapshot, journal, age })
    }

    /// Writes a snapshot beside live traffic, and deletes the journal before it. Mends a broken journal. Blocks.
    ///
    /// # Errors
    /// When the disk refuses, and where no files are written. What stood before stands.
    pub fn snapshot(&self, now: Timestamp) -> Result<(), FilesError> {
        let Source::Own(own) = &self.source else {
            return Err(FilesError::Broken { why: "nothing is written here".into() });
        };
        // A round that panicked has left its files as they were.
        let mut snapshots = own.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut round = snapshots.begin(now)?;
        for restoration in
            self.restorations.load().iter().filter(|restoration| !restoration.is_spent(now, &self.policy.load()))
        {
            round.put(Entry::Restored(restoration));
        }
        self.memory.visit(|change| {
            round.put(entry(change));
            round.drain()
        })?;
        round.finish(self.memory.newest())?;
        own.journal.snapshot_finished(now);
        Ok(())
    }

    /// Has the writer write what waits, and end. From then on nothing is acknowledged.
    pub fn close(&self) {
        if let Source::Own(own) = &self.source {
            own.journal.close();
        }
    }
}
