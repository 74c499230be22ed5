//! The ring in force, which commands may change beneath a running gate.
//!
//! Guarantees: whoever asks gets one whole ring, without waiting; what was verified with a ring that was asked for after
//! the epoch stays verified for as long as the epoch stays.
//! Does not know: files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::{Algorithm, KeyRing, State};

/// The keys that all workers share.
#[derive(Debug)]
pub struct Keys {
    ring: ArcSwap<KeyRing>,
    epoch: AtomicU64,
}

/// What has become of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    pub kid: Arc<str>,
    pub algorithm: Algorithm,
    /// `None`: it was not known.
    pub from: Option<State>,
    /// `None`: it is gone.
    pub to: Option<State>,
}

impl Keys {
    pub fn new(ring: KeyRing) -> Self {
        Self { ring: ArcSwap::from_pointee(ring), epoch: AtomicU64::new(0) }
    }

    pub fn ring(&self) -> Arc<KeyRing> {
        self.ring.load_full()
    }

    /// Moves whenever a key is gone: what it had signed does not count any more. Read before the ring.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Puts `ring` in force and tells what is different.
    pub fn replace(&self, ring: KeyRing) -> Vec<KeyChange> {
        let new = Arc::new(ring);
        let old = self.ring.swap(Arc::clone(&new));
        let mut changes = Vec::new();
        for (key, to) in new.iter() {
            let from = old.state(key.kid());
            if from != Some(to) {
                changes.push(KeyChange { kid: key.kid().clone(), algorithm: key.algorithm(), from, to: Some(to) });
            }
        }
        for (key, from) in old.iter().filter(|(key, _)| new.find(key.kid()).is_none()) {
            changes.push(KeyChange { kid: key.kid().clone(), algorithm: key.algorithm(), from: Some(from), to: None });
        }
        if changes.iter().any(|change| change.to.is_none()) {
            // After the swap: who sees the new epoch sees the new ring.
            self.epoch.fetch_add(1, Ordering::Release);
        }
        changes
    }
}
