//! Reading all files anew, into a memory that is in use.
//!
//! Guarantees: while it goes on no end is undone and no session goes back, although the files tell their old states first;
//! when it is over, memory is what the files tell: what they do not name is forgotten, and what had been known of a future
//! that the primary has lost is taken back.
//! Does not know: which files, and when.
//!
//! Mark and sweep, and no second memory that would then be exchanged: access tokens are judged meanwhile, and there may be
//! a million sessions. What it takes besides are the marks, and the sessions of which the files told less than memory knew
//! so far: in the usual case those that have changed since the snapshot.

use std::collections::HashMap;

use crate::token::{Restoration, Restorations, Session, SessionId, Timestamp};

use super::super::files::Replay;
use super::super::memory::Memory;

/// One reading. Dropped without [`Reading::settle`] it has taught memory what was news to it, and taken nothing away.
pub(super) struct Reading<'a> {
    memory: &'a Memory,
    /// What this reading has named: the highest generation, or `None` for an end. The rules of [`Replay`] hold within it.
    named: HashMap<SessionId, Option<u32>>,
    /// What memory is ahead of, by the last word so far.
    behind: HashMap<SessionId, Box<Session>>,
    pub(super) restorations: Restorations,
}

impl<'a> Reading<'a> {
    pub(super) fn of(memory: &'a Memory) -> Self {
        Self { memory, named: HashMap::new(), behind: HashMap::new(), restorations: Restorations::default() }
    }

    /// The files were read to their end, and are complete: what they do not say is not so.
    pub(super) fn settle(self) {
        for session in self.behind.into_values() {
            self.memory.revert(*session);
        }
        self.memory.retain(|id| self.named.contains_key(id));
    }

    /// Whether memory knows a later state, or the end. Scopes that were cut are one: the generation stays.
    fn is_ahead(&self, session: &Session) -> bool {
        match self.memory.find(session.id) {
            Some(known) => (known.generation, known.access_floor) > (session.generation, session.access_floor),
            None => self.memory.has_ended(session.id),
        }
    }
}

impl Replay for Reading<'_> {
    fn session(&mut self, session: Box<Session>) {
        match self.named.get(&session.id) {
            Some(None) => return,
            Some(Some(generation)) if *generation > session.generation => return,
            _ => {}
        }
        self.named.insert(session.id, Some(session.generation));
        if self.is_ahead(&session) {
            self.behind.insert(session.id, session);
        } else {
            self.behind.remove(&session.id);
            self.memory.insert(*session, &mut |_| {});
        }
    }

    fn tombstone(&mut self, id: SessionId, until: Timestamp) {
        self.named.insert(id, None);
        self.behind.remove(&id);
        self.memory.bury(id, until);
    }

    fn restored(&mut self, restoration: Restoration) {
        self.restorations.add(restoration);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::token::tests::{T0, policy, session};

    use super::*;

    const UNTIL: Timestamp = Timestamp::MAX;

    fn at(number: u64, generation: u32, access_floor: u32) -> Session {
        Session {
            generation,
            access_floor,
            answered_at: Timestamp::default(),
            ..session(number, "anna", T0, &policy())
        }
    }

    fn memory(sessions: &[Session]) -> Memory {
        let memory = Memory::new();
        for session in sessions {
            memory.insert(session.clone(), &mut |_| {});
        }
        memory
    }

    #[test]
    fn while_the_files_tell_old_states_nothing_goes_back() {
        let (rotated, cut, ended) = (at(1, 7, 0), at(2, 3, 4), at(3, 0, 0));
        let memory = memory(&[rotated.clone(), cut.clone(), ended.clone()]);
        memory.bury(ended.id, UNTIL);
        let as_known =
            || (memory.find(rotated.id), memory.find(cut.id), memory.find(ended.id), memory.has_ended(ended.id));
        let before = as_known();
        let mut reading = Reading::of(&memory);
        // As in a snapshot, and then in the journal behind it.
        for session in [at(1, 3, 0), at(2, 3, 0), ended.clone(), at(1, 4, 0), at(1, 7, 0), at(2, 3, 4)] {
            reading.session(Box::new(session));
            assert_eq!(as_known(), before);
        }
        reading.tombstone(ended.id, UNTIL);
        assert!(reading.behind.is_empty());
        reading.settle();
        assert_eq!((as_known(), memory.live(), memory.tombstones()), (before, 2, 1));
    }

    #[test]
    fn in_the_end_the_files_last_word_holds() {
        let unnamed = [at(5, 0, 0), at(6, 0, 0)];
        let memory = memory(&[at(1, 7, 0), at(2, 3, 4), at(3, 0, 0), unnamed[0].clone(), unnamed[1].clone()]);
        memory.bury(at(3, 0, 0).id, UNTIL);
        memory.bury(unnamed[1].id, UNTIL);
        let epoch = memory.epoch();
        let words = [at(1, 5, 0), at(2, 3, 0), at(3, 1, 0), at(4, 0, 0)];
        let mut reading = Reading::of(&memory);
        for word in &words {
            reading.session(Box::new(word.clone()));
        }
        // A snapshot that has seen more than it covers: within one reading the higher generation holds.
        reading.session(Box::new(Session { access_ttl: Duration::ZERO, ..at(1, 4, 0) }));
        reading.settle();
        assert_eq!(words.each_ref().map(|word| memory.find(word.id)), words.map(Some));
        assert!(unnamed.iter().all(|it| memory.find(it.id).is_none() && !memory.has_ended(it.id)));
        assert_eq!((memory.live(), memory.tombstones()), (4, 0));
        assert_ne!(memory.epoch(), epoch);
        assert_eq!(memory.of(&unnamed[0].subject).len(), 4);
    }

    #[test]
    fn a_reading_that_is_not_settled_takes_nothing_away() {
        let known = at(1, 7, 0);
        let memory = memory(&[known.clone(), at(2, 0, 0)]);
        memory.bury(at(2, 0, 0).id, UNTIL);
        let mut reading = Reading::of(&memory);
        for session in [at(1, 3, 0), at(2, 0, 0), at(3, 0, 0)] {
            reading.session(Box::new(session));
        }
        drop(reading);
        assert_eq!(memory.find(known.id), Some(known));
        assert!(memory.has_ended(at(2, 0, 0).id) && memory.find(at(3, 0, 0).id).is_some());
    }
}
