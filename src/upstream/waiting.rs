//! How long a connection to the upstream has been kept waiting for the first byte of an answer.
//!
//! Guarantees: an exchange costs two stores and no timer: the connection's driver looks now and then, and a deadline
//! that begins with the first look is at most one interval late; a request body that still moves starts it anew.
//! Does not know: requests, answers.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Rc<State>);

#[derive(Debug, Default)]
struct State {
    waiting: Cell<bool>,
    /// When the wait was first looked at.
    since: Cell<Option<Instant>>,
    in_vain: Cell<bool>,
}

impl Waiting {
    pub(super) fn begin(&self) {
        self.0.waiting.set(true);
        self.0.since.set(None);
    }

    /// Something moved: the wait starts anew.
    pub(super) fn moved(&self) {
        self.0.since.set(None);
    }

    pub(super) fn end(&self) {
        self.0.waiting.set(false);
    }

    /// Whether the wait was given up.
    pub(super) fn in_vain(&self) -> bool {
        self.0.in_vain.get()
    }

    /// Looks: whether the wait has lasted `patience` and is given up now.
    pub(super) fn give_up(&self, now: Instant, patience: Duration) -> bool {
        if !self.0.waiting.get() {
            return false;
        }
        match self.0.since.get() {
            None => self.0.since.set(Some(now)),
            Some(since) if now >= since + patience => self.0.in_vain.set(true),
            Some(_) => {}
        }
        self.0.in_vain.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(4);

    #[test]
    fn only_a_wait_can_be_in_vain() {
        let (waiting, start) = (Waiting::default(), Instant::now());
        assert!(!waiting.give_up(start, PATIENCE));
        assert!(!waiting.give_up(start + PATIENCE * 2, PATIENCE));
        waiting.begin();
        assert!(!waiting.give_up(start, PATIENCE));
        assert!(waiting.give_up(start + PATIENCE, PATIENCE) && waiting.in_vain());
    }

    #[test]
    fn a_body_that_moves_starts_the_wait_anew() {
        let (waiting, start) = (Waiting::default(), Instant::now());
        waiting.begin();
        assert!(!waiting.give_up(start, PATIENCE));
        waiting.moved();
        assert!(!waiting.give_up(start + PATIENCE, PATIENCE));
        assert!(!waiting.in_vain());
    }
}
