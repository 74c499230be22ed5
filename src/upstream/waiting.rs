//! How long a connection to the upstream has been kept waiting for the first byte of an answer.
//!
//! Guarantees: an exchange costs a few stores and no timer: somebody looks now and then, and a deadline that begins with
//! the first look is at most one round late; a request body that still moves starts it anew.
//! Does not know: requests, answers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Rc<State>);

#[derive(Debug, Default)]
struct State {
    waiting: Cell<bool>,
    /// When the wait was first looked at.
    since: Cell<Option<Instant>>,
    in_vain: Cell<bool>,
    over: Cell<bool>,
    driver: RefCell<Option<Waker>>,
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

    /// Whether the wait was given up; asked by the connection's driver, which is woken then.
    pub(super) fn in_vain(&self, context: &Context<'_>) -> bool {
        // The driver is one task for life, so its first waker stays the right one.
        if self.0.driver.borrow().is_none() {
            *self.0.driver.borrow_mut() = Some(context.waker().clone());
        }
        self.0.in_vain.get()
    }

    /// Whether the wait was given up.
    pub(super) fn was_in_vain(&self) -> bool {
        self.0.in_vain.get()
    }

    /// The connection has ended.
    pub(super) fn over(&self) {
        self.0.over.set(true);
        self.0.driver.take();
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.over.get()
    }

    /// Looks: a wait that has lasted `patience` is given up.
    pub(super) fn give_up(&self, now: Instant, patience: Duration) {
        if !self.0.waiting.get() {
            return;
        }
        match self.0.since.get() {
            None => self.0.since.set(Some(now)),
            Some(since) if now >= since + patience => {
                self.0.in_vain.set(true);
                if let Some(driver) = &*self.0.driver.borrow() {
                    driver.wake_by_ref();
                }
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(4);

    #[track_caller]
    fn given_up(waiting: &Waiting, after: Duration, expected: bool) {
        let start = Instant::now();
        waiting.give_up(start, PATIENCE);
        waiting.give_up(start + after, PATIENCE);
        assert_eq!(waiting.was_in_vain(), expected);
    }

    #[test]
    fn only_a_wait_can_be_in_vain() {
        let waiting = Waiting::default();
        given_up(&waiting, PATIENCE * 2, false);
        waiting.begin();
        given_up(&waiting, PATIENCE, true);
    }

    #[test]
    fn a_wait_that_has_ended_is_not() {
        let waiting = Waiting::default();
        waiting.begin();
        waiting.end();
        given_up(&waiting, PATIENCE * 2, false);
    }

    #[test]
    fn a_body_that_moves_starts_the_wait_anew() {
        let (waiting, start) = (Waiting::default(), Instant::now());
        waiting.begin();
        waiting.give_up(start, PATIENCE);
        waiting.moved();
        waiting.give_up(start + PATIENCE, PATIENCE);
        assert!(!waiting.was_in_vain());
    }
}
