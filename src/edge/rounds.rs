//! The rounds of one worker: every now and then each of its connections is asked for its pulse.
//!
//! Guarantees: one timer serves all connections; a connection hears of the end of its patience, or that it is time to
//! go, even if it joined a moment ago.
//! Does not know: what a connection does with the word.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::Deadlines;
use super::pulse::{Pulse, Word};

#[derive(Default)]
pub(super) struct Rounds {
    connections: RefCell<Vec<Weak<Pulse>>>,
    draining: Cell<bool>,
}

impl Rounds {
    pub(super) fn join(&self, pulse: &Rc<Pulse>) {
        self.connections.borrow_mut().push(Rc::downgrade(pulse));
        if self.draining.get() {
            pulse.tell(Word::Drain);
        }
    }

    /// Asks every connection, and tells those whose patience has ended. With `hurry`, handshakes have no more than that.
    pub(super) fn go(&self, now: Instant, deadlines: &Deadlines, hurry: Option<Duration>) {
        self.each(|pulse| {
            if let Some(word) = pulse.overdue(now, deadlines, hurry) {
                pulse.tell(word);
            }
        });
    }

    /// Sends clients of HTTP/2 away, as can be done without losing a request. In HTTP/1.1 only an answer can say so.
    pub(super) fn leave(&self) {
        self.each(|pulse| {
            if pulse.is_multiplexed() {
                pulse.tell(Word::Drain);
            }
        });
    }

    /// Tells every connection, and all that join from now on, to finish.
    pub(super) fn drain(&self) {
        self.draining.set(true);
        self.each(|pulse| pulse.tell(Word::Drain));
    }

    fn each(&self, visit: impl Fn(&Pulse)) {
        self.connections.borrow_mut().retain(|connection| match connection.upgrade() {
            Some(pulse) => {
                visit(&pulse);
                true
            }
            None => false,
        });
    }
}
