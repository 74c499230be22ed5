//! Between memory and files: what one request changes, and whether it is written.
//!
//! Guarantees: a change is laid down under the lock under which it happens, so that memory and journal tell it in one
//! order; waiting for the last of several changes is waiting for all.
//! Does not know: what is changed, and why.

use crate::token::{Restoration, Restorations, Session, SessionId, Timestamp};

use super::StoreError;
use super::files::{Entry, Journal, Receipt, Replay};
use super::memory::{Change, Memory};

/// The changes of one request.
pub(super) struct Ledger<'a> {
    journal: &'a Journal,
    /// Of the last change. Those before it cannot be lost if it is written: between them the journal may have broken, but
    /// then the snapshot that mended it has them.
    last: Option<Receipt>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(journal: &'a Journal) -> Self {
        Self { journal, last: None }
    }

    /// Lays down what memory reports.
    pub(super) fn log(&mut self) -> impl FnMut(Change<'_>) {
        |change| self.last = Some(self.journal.append(entry(change)))
    }

    /// Waits until all of it is written. If nothing changed, until all that anybody changed before is: an answer that
    /// rests on somebody else's change must not be more certain than that.
    pub(super) async fn written(self) -> Result<(), StoreError> {
        let last = self.last.unwrap_or_else(|| self.journal.so_far());
        last.durable().await.map_err(|_| StoreError::Unwritten)
    }
}

pub(super) fn entry(change: Change<'_>) -> Entry<'_> {
    match change {
        Change::Session(session) => Entry::Session(session),
        Change::Tombstone { id, until } => Entry::Tombstone { id, until },
    }
}

/// A session as the files tell it, by the rules of [`Replay`].
pub(super) fn replay(memory: &Memory, session: Box<Session>) {
    if memory.find(session.id).is_none_or(|known| known.generation <= session.generation) {
        memory.insert(*session, &mut |_| {});
    }
}

/// Memory, as the files fill it, and what they tell beside the sessions.
pub(super) struct Filling<'a> {
    pub memory: &'a Memory,
    pub restorations: &'a mut Restorations,
}

impl Replay for Filling<'_> {
    fn session(&mut self, session: Box<Session>) {
        replay(self.memory, session);
    }

    fn tombstone(&mut self, id: SessionId, until: Timestamp) {
        self.memory.bury(id, until);
    }

    fn restored(&mut self, restoration: Restoration) {
        self.restorations.add(restoration);
    }
}
