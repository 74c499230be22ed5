//! The cache of verified tokens, one per worker.
//!
//! Guarantees: only a token that passed the full check is remembered, under its whole text, which is compared in full,
//! so no collision can admit another; time and revocation are asked again on every hit (the judge does); bounded, and
//! a flood of distinct tokens displaces only what is not in use.
//! Does not know: how tokens are verified.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use crate::token::{Timestamp, Verified};
use crate::upstream::headers::Identity;

/// A verified token and what follows from it, made once.
#[derive(Debug)]
pub struct Admitted {
    pub verified: std::sync::Arc<Verified>,
    pub identity: Rc<Identity>,
    /// The store's last word on it: good while the store's epoch is this, and until this time.
    pub good: Cell<Good>,
}

#[derive(Clone, Copy, Debug)]
pub struct Good {
    pub epoch: u64,
    pub until: Option<Timestamp>,
}

/// Two generations: a full young one becomes the old one, and what is used in the old one moves up. That is nearly
/// least-recently-used, without a list to maintain on every hit.
pub struct VerifiedTokens {
    half: usize,
    generations: RefCell<Generations>,
}

type Tokens = HashMap<Box<[u8]>, Rc<Admitted>, BuildHasherDefault<TailHasher>>;

#[derive(Default)]
struct Generations {
    young: Tokens,
    old: Tokens,
}

impl VerifiedTokens {
    /// Remembers at most `capacity` tokens; none if it is below two.
    pub fn new(capacity: usize) -> Self {
        Self { half: capacity / 2, generations: RefCell::default() }
    }

    pub fn find(&self, token: &[u8]) -> Option<Rc<Admitted>> {
        let mut generations = self.generations.borrow_mut();
        if let Some(admitted) = generations.young.get(token) {
            return Some(Rc::clone(admitted));
        }
        let (token, admitted) = generations.old.remove_entry(token)?;
        generations.remember(token, &admitted, self.half);
        Some(admitted)
    }

    pub fn remember(&self, token: &[u8], admitted: &Rc<Admitted>) {
        if self.half > 0 {
            self.generations.borrow_mut().remember(token.into(), admitted, self.half);
        }
    }

    pub fn forget(&self, token: &[u8]) {
        let mut generations = self.generations.borrow_mut();
        generations.young.remove(token);
        generations.old.remove(token);
    }
}

/// Hashes a token by the end of its signature, which nobody can choose without the key: only verified tokens are ever
/// inserted, so nobody can make them collide. Hashing all of a token would cost more than comparing it.
#[derive(Default)]
struct TailHasher(u64);

impl Hasher for TailHasher {
    fn write(&mut self, bytes: &[u8]) {
        // A slice hashes its length first, then its bytes.
        if let Some((rest, last)) = bytes.split_last_chunk::<8>() {
            let before = rest.last_chunk::<8>().copied().unwrap_or_default();
            // Base64 leaves bits unused in every byte: the product spreads what there is.
            let mixed = u128::from(u64::from_ne_bytes(*last) ^ u64::from_ne_bytes(before).rotate_left(31));
            let product = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            self.0 = (product >> 64) as u64 ^ product as u64;
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Generations {
    fn remember(&mut self, token: Box<[u8]>, admitted: &Rc<Admitted>, half: usize) {
        if self.young.len() >= half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, Rc::clone(admitted));
    }
}
