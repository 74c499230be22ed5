//! What has happened here and is not in the engine yet.
//!
//! Guarantees: an end that was made while the engine was away is not forgotten; a doubt is told of one rotation and no other.
//! Does not know: how it is made good.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::token::{Scopes, SessionId, Timestamp};

#[derive(Default)]
pub(super) struct Pending {
    owed: Mutex<Owed>,
    /// Whoever makes it good is told when there is more.
    pub more: Notify,
}

#[derive(Default)]
pub(super) struct Owed {
    pub ends: HashSet<SessionId>,
    /// Rotations of which nobody can say whether they are in the engine, by what became of them: number and time.
    pub doubts: HashMap<SessionId, (u32, Timestamp)>,
    /// Of users who may have no more than that.
    pub cuts: HashMap<SessionId, Scopes>,
    /// Sessions of which memory knows more than the engine.
    pub lost: HashSet<SessionId>,
    /// Ends that the engine has lost.
    pub forgotten: HashMap<SessionId, Timestamp>,
}

impl Pending {
    pub(super) fn end(&self, id: SessionId) {
        self.owed().ends.insert(id);
        self.more.notify_one();
    }

    /// The same by whoever is about to pay it.
    pub(super) fn owe_end(&self, id: SessionId) {
        self.owed().ends.insert(id);
    }

    pub(super) fn doubt(&self, id: SessionId, generation: u32, rotated_at: Timestamp) {
        self.owed().doubts.insert(id, (generation, rotated_at));
        self.more.notify_one();
    }

    pub(super) fn cut(&self, id: SessionId, scopes: Scopes) {
        self.owed().cuts.insert(id, scopes);
        self.more.notify_one();
    }

    pub(super) fn lost(&self, id: SessionId) {
        self.owed().lost.insert(id);
    }

    pub(super) fn forgotten(&self, id: SessionId, until: Timestamp) {
        self.owed().forgotten.insert(id, until);
    }

    pub(super) fn owes_end(&self, id: SessionId) -> bool {
        self.owed().ends.contains(&id)
    }

    pub(super) fn paid_end(&self, id: SessionId) {
        self.owed().ends.remove(&id);
    }

    pub(super) fn count(&self) -> usize {
        let owed = self.owed();
        owed.ends.len() + owed.doubts.len() + owed.cuts.len() + owed.lost.len() + owed.forgotten.len()
    }

    /// All of it; what is not made good has to be put back. Ends stay until they are paid: whoever asks meanwhile is told.
    pub(super) fn take(&self) -> Owed {
        let mut owed = self.owed();
        Owed {
            ends: owed.ends.clone(),
            doubts: std::mem::take(&mut owed.doubts),
            cuts: std::mem::take(&mut owed.cuts),
            lost: std::mem::take(&mut owed.lost),
            forgotten: std::mem::take(&mut owed.forgotten),
        }
    }

    fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
