//! How long an exchange with the upstream has been kept waiting.
//!
//! Guarantees: an exchange costs a few stores and no timer: somebody looks now and then, and a deadline that begins with
//! the first look is at most one round late; whatever moves starts it anew.
//! Does not know: requests, answers, what is waited for.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The wait of one connection.
#[derive(Debug, Default)]
pub(super) struct Waiting(Rc<State>);

#[derive(Debug, Default)]
struct State {
    /// How long it may last, while there is one.
    patience: Cell<Option<Duration>>,
    /// When it was first looked at.
    since: Cell<Option<Instant>>,
    in_vain: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

/// Whoever looks at it now and then.
pub(super) struct Lookout(Weak<State>);

impl Waiting {
    pub(super) fn lookout(&self) -> Lookout {
        Lookout(Rc::downgrade(&self.0))
    }

    /// Nothing can be done now. Ready once that has been so for `patience`; until then the task is woken for it.
    pub(super) fn poll(&self, patience: Duration, context: &Context<'_>) -> Poll<()> {
        if self.0.in_vain.get() {
            return Poll::Ready(());
        }
        self.0.patience.set(Some(patience));
        let mut task = self.0.task.borrow_mut();
        if !task.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *task = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Something moved: a wait that comes after it is a new one. That one was given up does not count any more: it may
    /// have been while nobody asked, as a client reads slowly what is long there.
    pub(super) fn moved(&self) {
        self.0.patience.set(None);
        self.0.since.set(None);
        self.0.in_vain.set(false);
    }
}

impl Lookout {
    /// Looks: a wait that has lasted too long is given up. Whether there is still a connection to look after.
    pub(super) fn look(&self, now: Instant) -> bool {
        let Some(state) = self.0.upgrade() else { return false };
        if let Some(patience) = state.patience.get() {
            match state.since.get() {
                None => state.since.set(Some(now)),
                Some(since) if now >= since + patience => {
                    state.in_vain.set(true);
                    if let Some(task) = state.task.take() {
                        task.wake();
                    }
                }
                Some(_) => {}
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(4);

    fn wait(waiting: &Waiting) -> Poll<()> {
        waiting.poll(PATIENCE, &Context::from_waker(Waker::noop()))
    }

    #[track_caller]
    fn given_up(waiting: &Waiting, after: Duration, expected: bool) {
        let (lookout, start) = (waiting.lookout(), Instant::now());
        assert!(lookout.look(start));
        assert!(lookout.look(start + after));
        assert_eq!(wait(waiting).is_ready(), expected);
    }

    #[test]
    fn a_wait_is_given_up_when_its_patience_has_ended() {
        let waiting = Waiting::default();
        assert!(wait(&waiting).is_pending());
        given_up(&waiting, PATIENCE - Duration::from_millis(1), false);
        waiting.moved();
        assert!(wait(&waiting).is_pending());
        given_up(&waiting, PATIENCE, true);
    }

    #[test]
    fn where_nobody_waits_nothing_is_in_vain() {
        let waiting = Waiting::default();
        given_up(&waiting, PATIENCE * 2, false);
        waiting.moved();
        given_up(&waiting, PATIENCE * 2, false);
    }

    #[test]
    fn what_moves_starts_the_wait_anew() {
        let (waiting, start) = (Waiting::default(), Instant::now());
        assert!(wait(&waiting).is_pending());
        waiting.lookout().look(start);
        waiting.moved();
        assert!(wait(&waiting).is_pending());
        waiting.lookout().look(start + PATIENCE);
        assert!(wait(&waiting).is_pending());
    }

    #[test]
    fn what_had_come_unseen_was_not_waited_for_in_vain() {
        let waiting = Waiting::default();
        assert!(wait(&waiting).is_pending());
        let (lookout, start) = (waiting.lookout(), Instant::now());
        lookout.look(start);
        lookout.look(start + PATIENCE);
        waiting.moved();
        assert!(wait(&waiting).is_pending());
    }

    #[test]
    fn a_closed_connection_need_not_be_looked_at() {
        let waiting = Waiting::default();
        let lookout = waiting.lookout();
        drop(waiting);
        assert!(!lookout.look(Instant::now()));
    }
}
