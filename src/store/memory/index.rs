//! The sessions of a subject: ids, by a hash of the subject's name.
//!
//! Guarantees: 17 bytes a slot; a lock is held for one subject, or for copying one shard (a thousandth of all). All
//! sessions of a subject are in one shard.
//! Does not know: the names. Two subjects may have one mark, so whoever asks compares the sessions found.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use crate::token::SessionId;

use super::shards::{self, SHARDS};

pub(super) struct Index {
    shards: Box<[Mutex<HashTable<Listed>>]>,
    /// Keyed anew in each process: nobody can choose names that collide.
    hashes: RandomState,
}

struct Listed {
    /// Half of the name's hash. Kept so that a table can grow without asking for the names.
    mark: u32,
    id: SessionId,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hashes: RandomState::new() }
    }

    /// `id` must not be listed yet.
    pub(super) fn add(&self, subject: &str, id: SessionId) {
        let (shard, mark) = self.place(subject);
        self.lock(shard).insert_unique(hash(mark), Listed { mark, id }, |listed| hash(listed.mark));
    }

    pub(super) fn remove(&self, subject: &str, id: SessionId) {
        let (shard, mark) = self.place(subject);
        if let Ok(listed) = self.lock(shard).find_entry(hash(mark), |listed| listed.id == id) {
            listed.remove();
        }
    }

    /// The subject's sessions, and rarely one of somebody else.
    pub(super) fn of(&self, subject: &str) -> Vec<SessionId> {
        let (shard, mark) = self.place(subject);
        let shard = self.lock(shard);
        shard.iter_hash(hash(mark)).filter(|listed| listed.mark == mark).map(|listed| listed.id).collect()
    }

    /// A copy of one of the [`SHARDS`].
    pub(super) fn piece(&self, shard: usize) -> Vec<SessionId> {
        self.lock(shard).iter().map(|listed| listed.id).collect()
    }

    fn place(&self, subject: &str) -> (usize, u32) {
        let hash = self.hashes.hash_one(subject);
        (shards::shard((hash >> 32) as u16), hash as u32)
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, HashTable<Listed>> {
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Spreads a mark over all bits: a table reads its place from the low ones and its tag from the high ones.
fn hash(mark: u32) -> u64 {
    u64::from(mark).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u16) -> SessionId {
        let mut bytes = [0; SessionId::BYTES];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        SessionId::from_bytes(bytes)
    }

    #[test]
    fn each_subject_has_its_own_sessions() {
        let index = Index::new();
        for n in 0..3000 {
            index.add(&format!("user-{}", n % 1000), id(n));
        }
        index.remove("user-7", id(1007));
        index.remove("user-7", id(1008));
        index.remove("nobody", id(7));
        let of = |subject| {
            let mut ids = index.of(subject);
            ids.sort();
            ids
        };
        assert_eq!(of("user-7"), [id(7), id(2007)]);
        assert_eq!(of("user-8"), [id(8), id(1008), id(2008)]);
        assert_eq!(of("nobody"), []);
    }

    #[test]
    fn the_pieces_hold_every_session_once() {
        let index = Index::new();
        for n in 0..3000 {
            index.add(&format!("user-{}", n % 1000), id(n));
        }
        let mut all: Vec<_> = (0..SHARDS).flat_map(|shard| index.piece(shard)).collect();
        all.sort();
        assert_eq!(all, (0..3000).map(id).collect::<Vec<_>>());
    }

    #[test]
    fn one_subject_with_very_many_sessions_keeps_them_all() {
        let index = Index::new();
        for n in 0..5000 {
            index.add("anna", id(n));
        }
        for n in 0..4990 {
            index.remove("anna", id(n));
        }
        assert_eq!(index.of("anna").len(), 10);
    }
}
