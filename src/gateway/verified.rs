//! The cache of verified tokens, one per worker.
//!
//! Guarantees: only a token that passed the full check is remembered, under its whole text, which is compared in full,
//! so no collision can admit another; time and revocation are asked again on every hit (the judge does); bounded, and
//! a flood of distinct tokens displaces only what is not in use.
//! Does not know: how tokens are verified.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
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

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Rc<Admitted>>,
    old: HashMap<Box<str>, Rc<Admitted>>,
}

impl VerifiedTokens {
    /// Remembers at most `capacity` tokens; none if it is below two.
    pub fn new(capacity: usize) -> Self {
        Self { half: capacity / 2, generations: RefCell::default() }
    }

    pub fn find(&self, token: &str) -> Option<Rc<Admitted>> {
        let mut generations = self.generations.borrow_mut();
        if let Some(admitted) = generations.young.get(token) {
            return Some(Rc::clone(admitted));
        }
        let (token, admitted) = generations.old.remove_entry(token)?;
        generations.remember(token, &admitted, self.half);
        Some(admitted)
    }

    pub fn remember(&self, token: &str, admitted: &Rc<Admitted>) {
        if self.half > 0 {
            self.generations.borrow_mut().remember(token.into(), admitted, self.half);
        }
    }

    pub fn forget(&self, token: &str) {
        let mut generations = self.generations.borrow_mut();
        generations.young.remove(token);
        generations.old.remove(token);
    }
}

impl Generations {
    fn remember(&mut self, token: Box<str>, admitted: &Rc<Admitted>, half: usize) {
        if self.young.len() >= half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, Rc::clone(admitted));
    }
}
