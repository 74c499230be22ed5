//! One kind of budget, kept for everybody who has used some of it.
//!
//! Guarantees: a fixed number of rows with at most [`WAYS`] entries each; the lock of one row is held at a time, for
//! one look at it; an entry with attempts under way is never given away.
//! Does not know: what a key stands for.
//!
//! The rule is GCRA: a leaky bucket kept as one instant, the one at which it will be empty. Attempts whose outcome is
//! open are counted beside it as if they had failed; so a success takes back exactly its own charge, however long it
//! took, and no other.
//!
//! A delay that grows: where a book says so, each failure beyond the burst costs twice as much as the one before.
//!
//! Rows in place of one map: making room is then a look at eight entries, where a full map would have to be swept
//! while a flood goes on.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::token::Timestamp;

use super::guess::{Allowance, RetryAfter};

/// Entries that share a row and its lock. Eight keep a row within a few cache lines, and a random overfull row rare
/// until the whole table is mostly full.
pub(super) const WAYS: usize = 8;

/// A year in microseconds: longer than any process waits, short enough to reckon with.
const LONGEST: u64 = 365 * 24 * 3600 * 1_000_000;

/// Who is charged: a hash under a key of this process.
pub(super) type Key = u64;

/// One kind of budget for everybody who has used some of it.
pub(super) struct Book {
    /// Microseconds.
    every: u64,
    /// Microseconds that a full bucket takes to empty.
    full: u64,
    /// Failures after which further ones cost more.
    burst: u32,
    /// How many times over each of them doubles the cost.
    doublings: u32,
    hash: RandomState,
    rows: Box<[Mutex<Vec<Entry>>]>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Key,
    /// Microseconds of the wall clock.
    empty_at: u64,
    /// Attempts under way.
    open: u32,
    /// Since the bucket was last empty.
    failures: u32,
}

impl Entry {
    fn fail(&mut self, book: &Book, at: Timestamp) {
        if self.empty_at <= at.as_micros() {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let doublings = self.failures.saturating_sub(book.burst).min(book.doublings);
        let charge = book.every.saturating_mul(1 << doublings.min(16));
        self.empty_at = self.empty_at.max(at.as_micros()).saturating_add(charge);
    }

    fn wait(&self, book: &Book, now: Timestamp) -> Option<RetryAfter> {
        let level = self.empty_at.saturating_sub(now.as_micros());
        let wanted = level.saturating_add(book.every.saturating_mul(u64::from(self.open) + 1));
        (wanted > book.full).then(|| RetryAfter(Duration::from_micros(wanted - book.full)))
    }
}

impl Book {
    /// Failures beyond the burst cost twice as much each time, `doublings` times over.
    pub(super) fn new(allowance: Allowance, entries: usize, doublings: u32) -> Self {
        let every = u64::try_from(allowance.every.as_micros()).unwrap_or(u64::MAX).min(LONGEST);
        Self {
            every,
            // Far enough from the end that a level can still be seen to be above it.
            full: every.saturating_mul(u64::from(allowance.burst.max(1))).min(u64::MAX / 4),
            burst: allowance.burst.max(1),
            doublings,
            hash: RandomState::new(),
            rows: (0..(entries / WAYS).max(1)).map(|_| Mutex::default()).collect(),
        }
    }

    pub(super) fn check(&self, who: impl Hash, now: Timestamp) -> Result<(), RetryAfter> {
        let key = self.hash.hash_one(who);
        let row = self.row(key);
        row.iter().find(|entry| entry.key == key).and_then(|entry| entry.wait(self, now)).map_or(Ok(()), Err)
    }

    /// Counts an attempt as under way. `None` if there is no room to track it: all entries of its row are of attempts
    /// under way. It is let through then, as refusing would give a flood what it wants.
    pub(super) fn open(&self, who: impl Hash, now: Timestamp) -> Result<Option<Key>, RetryAfter> {
        let key = self.hash.hash_one(who);
        let mut row = self.row(key);
        let Some(entry) = entry(&mut row, key) else {
            return Ok(None);
        };
        if let Some(wait) = entry.wait(self, now) {
            return Err(wait);
        }
        entry.open = entry.open.saturating_add(1);
        Ok(Some(key))
    }

    /// Ends an attempt that was admitted `at`. Its entry is there, since no entry with open attempts is given away.
    pub(super) fn close(&self, key: Key, at: Timestamp, failed: bool) {
        let mut row = self.row(key);
        let Some(place) = row.iter().position(|entry| entry.key == key) else {
            return;
        };
        let Some(entry) = row.get_mut(place) else { return };
        entry.open = entry.open.saturating_sub(1);
        if failed {
            entry.fail(self, at);
        }
        if entry.open == 0 && entry.empty_at <= at.as_micros() {
            row.swap_remove(place);
        }
    }

    /// Charges a failure that nobody was asked about before.
    pub(super) fn charge(&self, who: impl Hash, now: Timestamp) {
        let key = self.hash.hash_one(who);
        if let Some(entry) = entry(&mut self.row(key), key) {
            entry.fail(self, now);
        }
    }

    fn row(&self, key: Key) -> MutexGuard<'_, Vec<Entry>> {
        // The remainder is smaller than the number of rows, of which there is at least one.
        let row = &self.rows[(key % self.rows.len() as u64) as usize];
        // A row is sound after each single statement above, so a panic elsewhere in a holder leaves nothing torn.
        row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Book {
    pub(super) fn entries(&self) -> usize {
        self.rows.iter().map(|row| row.lock().unwrap().len()).sum()
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("every", &self.every).field("full", &self.full).finish_non_exhaustive()
    }
}

/// The entry of `key`, made if there is room or a less charged one can go.
fn entry(row: &mut Vec<Entry>, key: Key) -> Option<&mut Entry> {
    let fresh = Entry { key, empty_at: 0, open: 0, failures: 0 };
    let known = row.iter().position(|entry| entry.key == key);
    let place = match known {
        Some(place) => place,
        None if row.len() < WAYS => {
            row.push(fresh);
            row.len() - 1
        }
        None => {
            let idle = row.iter().enumerate().filter(|(_, entry)| entry.open == 0);
            let (place, _) = idle.min_by_key(|(_, entry)| entry.empty_at)?;
            *row.get_mut(place)? = fresh;
            place
        }
    };
    row.get_mut(place)
}
