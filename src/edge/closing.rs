//! The word that it is time to go, for the connections of one worker.
//!
//! Guarantees: asking costs a load, as every connection asks each time it is woken (a `CancellationToken` shared by all
//! workers takes a lock for each question, which a profile showed); the word is never missed.
//! Does not know: why it is given.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
pub(super) struct Closing {
    given: Cell<bool>,
    next: Cell<u64>,
    waiting: RefCell<HashMap<u64, Waker>>,
}

impl Closing {
    pub(super) fn give(&self) {
        self.given.set(true);
        for (_, waker) in self.waiting.take() {
            waker.wake();
        }
    }

    /// Ends when the word is given.
    pub(super) fn wait(self: &Rc<Self>) -> Wait {
        Wait { closing: Rc::clone(self), place: None }
    }
}

pub(super) struct Wait {
    closing: Rc<Closing>,
    /// Where our waker is kept. A connection is one task for life, so it stays the right one.
    place: Option<u64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.closing.given.get() {
            return Poll::Ready(());
        }
        if self.place.is_none() {
            let place = self.closing.next.get();
            self.closing.next.set(place + 1);
            self.closing.waiting.borrow_mut().insert(place, context.waker().clone());
            self.place = Some(place);
        }
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.closing.waiting.borrow_mut().remove(&place);
        }
    }
}
