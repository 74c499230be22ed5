//! Many stores on one engine, each under a prefix of its own, for those who need a new one again and again.

use std::cell::Cell;
use std::rc::Rc;

use super::super::super::redis::spelling;
use super::*;

pub(in super::super) struct Yards {
    engine: Rc<Engine>,
    made: Cell<u64>,
}

pub(in super::super) struct Yard {
    engine: Rc<Engine>,
    prefix: String,
    settled: Cell<u64>,
}

impl Yards {
    pub(in super::super) fn new() -> Self {
        Self { engine: Rc::new(Engine::start()), made: Cell::new(0) }
    }

    pub(in super::super) fn next(&self) -> Yard {
        self.made.set(self.made.get() + 1);
        Yard { engine: Rc::clone(&self.engine), prefix: format!("{{{}}}:", self.made.get()), settled: Cell::new(0) }
    }
}

impl Yard {
    pub(in super::super) fn open(&self, per_user: usize, policy: &Policy) -> Gate {
        let terms = Terms { prefix: self.prefix.clone(), ..self.engine.terms() };
        Gate::start(terms, Caps { sessions: 10_000, sessions_per_user: per_user, tombstones: 10_000 }, policy)
    }

    /// Until the store has followed the log to its end, and owes nothing. It follows in real time, while all else happens at
    /// times that are made up.
    pub(in super::super) fn settle(&self, store: &Store) {
        until("nothing is owed", || store.engine().unwrap().pending == 0);
        self.settled.set(self.settled.get() + 1);
        let nobody = crate::token::tests::session(u64::MAX - self.settled.get(), "", T0, &policy()).id;
        let end: String =
            spelling::tombstone(nobody, T0 + SECOND).iter().map(|byte| format!("\\x{byte:02x}")).collect();
        self.engine.ask(&format!("XADD {}log * v \"{end}\"", self.prefix));
        until("it is known", || store.access_standing(access(nobody, 0), T0) == AccessStanding::Ended);
    }
}
