//! How long an exchange with the upstream has been kept waiting, and whether it may go on at all.
//!
//! Guarantees: an exchange costs a few stores and no timer: somebody looks now and then, and a deadline that begins with
//! the first look is at most one round late; whatever moves starts it anew; one that was cut stays cut.
//! Does not know: requests, answers, what is waited for, why a bond holds.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::token::Timestamp;

use super::headers::Identity;

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
    /// Whom it is for, while it has to end with them.
    bound: RefCell<Option<Rc<Identity>>>,
    cut: Cell<bool>,
}

/// Whoever looks at it now and then.
pub(super) struct Lookout(Weak<State>);

/// The waits of one worker.
#[derive(Default)]
pub(super) struct Lookouts(RefCell<Vec<Lookout>>);

/// Tells whether the exchange behind an answer was cut, without holding on to it.
#[derive(Clone, Debug)]
pub struct Tether(Weak<State>);

impl Waiting {
    pub(super) fn lookout(&self) -> Lookout {
        Lookout(Rc::downgrade(&self.0))
    }

    pub(super) fn tether(&self) -> Tether {
        Tether(Rc::downgrade(&self.0))
    }

    /// From now on it ends with the bond of `identity`.
    pub(super) fn bind(&self, identity: Rc<Identity>) {
        *self.0.bound.borrow_mut() = Some(identity);
    }

    /// The same bond as the other's.
    pub(super) fn bound_like(self, other: &Self) -> Self {
        *self.0.bound.borrow_mut() = other.0.bound.borrow().clone();
        self
    }

    /// It is nobody's any more.
    pub(super) fn release(&self) {
        *self.0.bound.borrow_mut() = None;
    }

    /// Whether the bond has ended.
    pub(super) fn is_cut(&self) -> bool {
        self.0.cut.get()
    }

    /// Nothing can be done now. Ready once that has been so for `patience`, or the bond has ended; until then the task is
    /// woken for it.
    pub(super) fn poll(&self, patience: Duration, context: &Context<'_>) -> Poll<()> {
        if self.0.in_vain.get() || self.0.cut.get() {
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
    /// Looks: a wait that has lasted too long is given up, and an exchange whose bond has ended is cut. Whether there is
    /// still a connection to look after.
    pub(super) fn look(&self, now: Instant, time: Timestamp) -> bool {
        let Some(state) = self.0.upgrade() else { return false };
        let ended = state.bound.borrow().as_ref().is_some_and(|identity| !identity.holds(time));
        if ended
            && !state.cut.replace(true)
            && let Some(task) = state.task.take()
        {
            task.wake();
        }
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

impl Lookouts {
    /// A wait that is looked after.
    pub(super) fn watched(&self) -> Waiting {
        let waiting = Waiting::default();
        self.0.borrow_mut().push(waiting.lookout());
        waiting
    }

    /// Whether there is none left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().iter().all(|lookout| lookout.0.strong_count() == 0)
    }

    /// Looks at all that are still there.
    pub(super) fn look(&self, now: Instant, time: Timestamp) {
        self.0.borrow_mut().retain(|lookout| lookout.look(now, time));
    }
}

impl Tether {
    pub fn is_cut(&self) -> bool {
        self.0.upgrade().is_some_and(|state| state.cut.get())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Bond;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(4);
    const TIME: Timestamp = Timestamp::from_secs(1);

    fn wait(waiting: &Waiting) -> Poll<()> {
        waiting.poll(PATIENCE, &Context::from_waker(Waker::noop()))
    }

    #[track_caller]
    fn given_up(waiting: &Waiting, after: Duration, expected: bool) {
        let (lookout, start) = (waiting.lookout(), Instant::now());
        assert!(lookout.look(start, TIME));
        assert!(lookout.look(start + after, TIME));
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
        waiting.lookout().look(start, TIME);
        waiting.moved();
        assert!(wait(&waiting).is_pending());
        waiting.lookout().look(start + PATIENCE, TIME);
        assert!(wait(&waiting).is_pending());
    }

    #[test]
    fn what_had_come_unseen_was_not_waited_for_in_vain() {
        let waiting = Waiting::default();
        assert!(wait(&waiting).is_pending());
        let (lookout, start) = (waiting.lookout(), Instant::now());
        lookout.look(start, TIME);
        lookout.look(start + PATIENCE, TIME);
        waiting.moved();
        assert!(wait(&waiting).is_pending());
    }

    #[test]
    fn a_closed_connection_need_not_be_looked_at() {
        let waiting = Waiting::default();
        let lookout = waiting.lookout();
        drop(waiting);
        assert!(!lookout.look(Instant::now(), TIME));
    }

    #[test]
    fn an_exchange_is_cut_when_its_bond_ends_and_stays_so() {
        struct Until(Timestamp);
        impl Bond for Until {
            fn holds(&self, now: Timestamp) -> bool {
                now < self.0
            }
        }
        let (waiting, start) = (Waiting::default(), Instant::now());
        let identity = Identity::of_user("anna", "").unwrap().bound(Box::new(Until(Timestamp::from_secs(2))));
        waiting.bind(Rc::new(identity));
        let other = Waiting::default().bound_like(&waiting);
        for lookout in [waiting.lookout(), other.lookout()] {
            lookout.look(start, TIME);
        }
        assert!(!waiting.is_cut() && wait(&waiting).is_pending());
        waiting.lookout().look(start, Timestamp::from_secs(2));
        assert!(waiting.is_cut() && waiting.tether().is_cut());
        waiting.moved();
        assert!(wait(&waiting).is_ready());
        other.release();
        other.lookout().look(start, Timestamp::from_secs(2));
        assert!(!other.is_cut() && wait(&other).is_pending());
    }
}
