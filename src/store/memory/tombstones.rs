//! What is left of ended sessions: their ids, until their last access token has expired.
//!
//! Guarantees: 21 bytes a slot; a lock is held for one entry, or for copying or sweeping one shard (a thousandth of all).
//! Does not know: why a session ended.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;

use crate::token::{SessionId, Timestamp};

use super::shards::{self, SHARDS};

pub(super) struct Tombstones {
    shards: Box<[RwLock<HashTable<Tombstone>>]>,
    count: AtomicUsize,
}

struct Tombstone {
    id: SessionId,
    /// Bytes, because an aligned number would add four.
    until: [u8; 8],
}

impl Tombstones {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), count: AtomicUsize::new(0) }
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn holds(&self, id: &SessionId) -> bool {
        self.read(shards::of_id(id)).find(shards::bits(id), |tombstone| tombstone.id == *id).is_some()
    }

    /// Of two ends of one session the later one stands. Returns whether anything changed.
    pub(super) fn put(&self, id: SessionId, until: Timestamp) -> bool {
        let mut shard = self.write(shards::of_id(&id));
        if let Some(known) = shard.find_mut(shards::bits(&id), |tombstone| tombstone.id == id) {
            let later = until > known.until();
            if later {
                known.until = until.as_micros().to_ne_bytes();
            }
            return later;
        }
        let tombstone = Tombstone { id, until: until.as_micros().to_ne_bytes() };
        shard.insert_unique(shards::bits(&id), tombstone, Tombstone::hash);
        self.count.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Forgets one. Returns whether it was there.
    pub(super) fn remove(&self, id: &SessionId) -> bool {
        let mut shard = self.write(shards::of_id(id));
        let found = shard.find_entry(shards::bits(id), |tombstone| tombstone.id == *id);
        let there = found.map(|found| found.remove()).is_ok();
        self.count.fetch_sub(usize::from(there), Ordering::Relaxed);
        there
    }

    /// Forgets those that have served.
    pub(super) fn sweep(&self, now: Timestamp) {
        for shard in 0..SHARDS {
            let mut shard = self.write(shard);
            let before = shard.len();
            shard.retain(|tombstone| now < tombstone.until());
            self.count.fetch_sub(before - shard.len(), Ordering::Relaxed);
            // A wave of revocations does not keep its memory for good.
            if shard.len() < shard.num_buckets() / 8 {
                let room = shard.len() * 2;
                shard.shrink_to(room, Tombstone::hash);
            }
        }
    }

    /// A copy of one of the [`SHARDS`].
    pub(super) fn piece(&self, shard: usize) -> Vec<(SessionId, Timestamp)> {
        self.read(shard).iter().map(|tombstone| (tombstone.id, tombstone.until())).collect()
    }

    fn read(&self, shard: usize) -> RwLockReadGuard<'_, HashTable<Tombstone>> {
        self.shards[shard].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, HashTable<Tombstone>> {
        self.shards[shard].write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tombstone {
    fn until(&self) -> Timestamp {
        Timestamp::from_micros(u64::from_ne_bytes(self.until))
    }

    fn hash(&self) -> u64 {
        shards::bits(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> SessionId {
        let mut bytes = [0; SessionId::BYTES];
        bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        SessionId::from_bytes(bytes)
    }

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn a_tombstone_stands_to_the_microsecond() {
        let tombstones = Tombstones::new();
        assert!(tombstones.put(id(1), at(1000)));
        tombstones.sweep(at(999));
        assert!(tombstones.holds(&id(1)));
        tombstones.sweep(at(1000));
        assert!(!tombstones.holds(&id(1)));
        assert_eq!(tombstones.count(), 0);
    }

    #[test]
    fn the_later_end_stands() {
        let tombstones = Tombstones::new();
        let outcomes = [5, 9, 7, 9].map(|until| tombstones.put(id(1), at(until)));
        assert_eq!((outcomes, tombstones.count()), ([true, true, false, false], 1));
        tombstones.sweep(at(8));
        assert!(tombstones.holds(&id(1)));
    }

    #[test]
    fn one_is_removed_and_no_other() {
        let tombstones = Tombstones::new();
        tombstones.put(id(1), at(5));
        tombstones.put(id(2), at(5));
        assert_eq!([tombstones.remove(&id(1)), tombstones.remove(&id(1))], [true, false]);
        assert_eq!([tombstones.holds(&id(1)), tombstones.holds(&id(2))], [false, true]);
        assert_eq!(tombstones.count(), 1);
    }

    #[test]
    fn all_are_copied_once_and_counted() {
        let tombstones = Tombstones::new();
        for n in 0..10_000 {
            tombstones.put(id(n), at(n));
        }
        let mut all: Vec<_> = (0..SHARDS).flat_map(|shard| tombstones.piece(shard)).collect();
        all.sort_by_key(|(_, until)| *until);
        assert_eq!(all, (0..10_000).map(|n| (id(n), at(n))).collect::<Vec<_>>());
        tombstones.sweep(at(9_990));
        assert_eq!((tombstones.count(), tombstones.holds(&id(9_991))), (9, true));
    }
}
