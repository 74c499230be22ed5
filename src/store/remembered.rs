//! What the files tell, before anything is written.
//!
//! Guarantees: reading changes nothing, so that a check, an offline command and a start see the same; a store comes out of
//! it only together with the writer that makes its changes last.
//! Does not know: who may write: a lock sees to that.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use arc_swap::ArcSwap;

use crate::token::{Policy, Restorations, Session, SessionId, Timestamp};

use super::files::{self, FilesError, Fsync, Notice, Recovered, Writer};
use super::ledger::Filling;
use super::memory::{Change, Memory};
use super::{Caps, Own, Source, Store};

/// What the files of a directory tell, before anything is written there.
pub struct Remembered {
    pub(super) memory: Memory,
    pub(super) restorations: Restorations,
    pub(super) recovered: Recovered,
}

impl Remembered {
    /// Reads snapshot and journal; without files that is an empty store. Changes nothing.
    ///
    /// # Errors
    /// What is damaged before its end is never half-read: the error names the file, the byte and what to do.
    pub fn read(directory: &Path) -> Result<Self, FilesError> {
        let memory = Memory::new();
        let mut restorations = Restorations::default();
        let recovered = files::read(directory, &mut Filling { memory: &memory, restorations: &mut restorations })?;
        memory.seen(recovered.newest);
        Ok(Self { memory, restorations, recovered })
    }

    /// The newest time in any record.
    pub fn newest(&self) -> Timestamp {
        self.recovered.newest
    }

    pub fn is_empty(&self) -> bool {
        self.memory.live() == 0
    }

    /// Whether any session is a user's, and not of an OAuth client itself.
    pub fn knows_users(&self) -> bool {
        self.memory.subjects().any(|subject| subject.client().is_none())
    }

    /// All of it, and what was restored.
    pub fn all(&self) -> (Vec<Session>, Vec<(SessionId, Timestamp)>, &Restorations) {
        let (mut sessions, mut ends) = (Vec::new(), Vec::new());
        let see = |change: Change<'_>| {
            match change {
                Change::Session(session) => sessions.push(session.clone()),
                Change::Tombstone { id, until } => ends.push((id, until)),
            }
            Ok::<_, std::convert::Infallible>(())
        };
        let Ok(()) = self.memory.visit(see);
        (sessions, ends, &self.restorations)
    }

    /// Writes the files of a store that remembers this, in a directory where there are none. Blocks.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(
        directory: &Path,
        sessions: Vec<Session>,
        ends: Vec<(SessionId, Timestamp)>,
        policy: Arc<Policy>,
        now: Timestamp,
    ) -> Result<(), FilesError> {
        let remembered = Self::read(directory)?;
        for (id, until) in ends {
            remembered.memory.bury(id, until);
        }
        for session in sessions {
            remembered.memory.seen(session.created_at);
            remembered.memory.insert(session, &mut |_| {});
        }
        let caps = Caps { sessions: usize::MAX, sessions_per_user: usize::MAX, tombstones: usize::MAX };
        let (store, writer) = remembered.open(Fsync::Always, caps, policy)?;
        let writer = thread::spawn(|| writer.run());
        let written = store.snapshot(now);
        store.close();
        // One that panicked has written no snapshot either.
        let _ = writer.join();
        written
    }

    /// What was left out or is worth knowing.
    pub fn notices(&self) -> &[Notice] {
        &self.recovered.notices
    }

    /// Begins to write. The writer is to be run on a thread of its own: until then no change is acknowledged.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(self, fsync: Fsync, caps: Caps, policy: Arc<Policy>) -> Result<(Store, Writer), FilesError> {
        let opened = files::open(&self.recovered, fsync)?;
        let own =
            Own { caps: ArcSwap::from_pointee(caps), journal: opened.journal, snapshots: Mutex::new(opened.snapshots) };
        let Self { memory, restorations, .. } = self;
        let store = Store {
            memory,
            restorations: ArcSwap::from_pointee(restorations),
            policy: ArcSwap::new(policy),
            source: Source::Own(own),
        };
        Ok((store, opened.writer))
    }
}
