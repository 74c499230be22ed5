//! One session, looked up, decided on and changed: what every change goes through.
//!
//! Guarantees: what was decided on one state replaces that state and no other; memory learns of a change when the engine has
//! it; an answer that rests on what memory believes is given only when the engine has said the same.
//! Does not know: what is decided.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::token::{Policy, Session, SessionId, Timestamp};

use super::super::files::Record;
use super::super::memory::Memory;
use super::super::{Store, StoreError};
use super::line::{Answer, Line, Trouble};
use super::{Redis, spelling};

/// For how long after a rotation at another gate its parent is taken for the loser of a race: nobody here knows when the
/// successor was let go there. Longer than [`crate::token::SETTLE`], than a gate takes to read what was sent together, and
/// than clocks that are kept right differ.
const ELSEWHERE: Duration = Duration::from_secs(2);

/// What a change needs.
#[derive(Clone)]
pub(super) struct Desk<'a> {
    pub memory: &'a Memory,
    pub policy: Arc<Policy>,
    pub redis: &'a Redis,
    /// One that is not open to everybody yet.
    pub line: Option<&'a Line>,
    pub deadline: Instant,
}

/// What is believed of a session.
pub(super) struct Belief {
    pub session: Session,
    /// What has to stand in the engine for that to be right.
    stored: Vec<u8>,
    /// It has just been read there.
    certain: bool,
    /// The engine knows less.
    ahead: bool,
}

pub(super) enum Known {
    Live(Box<Belief>),
    Ended,
    Unknown,
}

/// What is to become of a session.
pub(super) enum Decision {
    Stays,
    Becomes(Box<Session>),
    Ends,
}

pub(super) enum Outcome {
    Done,
    /// Another gate was quicker, or memory was behind: to be decided anew.
    Again(Known),
}

/// Why a change is not made, or not for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    NotDone,
    Unsure,
}

impl From<Failure> for StoreError {
    fn from(_: Failure) -> Self {
        Self::Unwritten
    }
}

impl<'a> Desk<'a> {
    pub(super) fn of(store: &'a Store, redis: &'a Redis) -> Self {
        let deadline = Instant::now() + redis.terms.timeout;
        Self { memory: &store.memory, policy: store.policy.load_full(), redis, line: None, deadline }
    }

    /// What memory believes, and where it knows nothing, what the engine says.
    pub(super) async fn believe(&self, id: SessionId) -> Result<Known, Failure> {
        match self.memory.find(id) {
            Some(session) => Ok(self.belief(session)),
            None if self.memory.has_ended(id) => Ok(Known::Ended),
            None => self.ask(id).await,
        }
    }

    /// What memory has known of it.
    pub(super) fn belief(&self, session: Session) -> Known {
        let stored = spelling::session(&session);
        Known::Live(Box::new(Belief { session, stored, certain: false, ahead: false }))
    }

    /// What the engine says.
    pub(super) async fn ask(&self, id: SessionId) -> Result<Known, Failure> {
        let stored = self.read(id).await?;
        self.heard(id, stored)
    }

    fn heard(&self, id: SessionId, stored: Vec<u8>) -> Result<Known, Failure> {
        if stored.is_empty() {
            return Ok(Known::Unknown);
        }
        // What a newer portcullis has written is not changed by an older one.
        match spelling::read(&stored).map_err(|_| Failure::NotDone)? {
            Record::Session(session) => {
                let session = *session;
                let ahead = self.memory.find(id).filter(|known| known.generation > session.generation);
                if let Some(known) = ahead {
                    return Ok(Known::Live(Box::new(Belief { session: known, stored, certain: true, ahead: true })));
                }
                let session = self.as_known(session);
                self.memory.learn(session.clone());
                Ok(Known::Live(Box::new(Belief { session, stored, certain: true, ahead: false })))
            }
            Record::Tombstone { until, .. } => {
                self.memory.bury(id, until);
                Ok(Known::Ended)
            }
            Record::Pulse { .. } | Record::Restored(_) => Err(Failure::NotDone),
        }
    }

    /// With what only this process knows of it.
    pub(super) fn as_known(&self, mut session: Session) -> Session {
        session.answered_at = match self.memory.find(session.id) {
            Some(known) if known.is_same_rotation(&session) => known.answered_at,
            _ => session.rotated_at + ELSEWHERE,
        };
        session
    }

    /// Has the engine make of a session what was decided of it.
    pub(super) async fn settle(&self, belief: Belief, decision: Decision) -> Result<Outcome, Failure> {
        let id = belief.session.id;
        let (new, needed_until) = match &decision {
            Decision::Stays if belief.ahead => self.spelled(&belief.session),
            Decision::Stays if belief.certain => return Ok(Outcome::Done),
            Decision::Stays => {
                let stored = self.read(id).await?;
                if stored == belief.stored {
                    return Ok(Outcome::Done);
                }
                return self.heard(id, stored).map(Outcome::Again);
            }
            Decision::Becomes(session) => self.spelled(session),
            Decision::Ends => {
                let until = belief.session.access_ends_at(&self.policy);
                (spelling::tombstone(id, until), until)
            }
        };
        if let Answer::Found(stored) = self.put(id, &belief.stored, &new, needed_until).await? {
            self.redis.figures.collisions.fetch_add(1, Ordering::Relaxed);
            return self.heard(id, stored).map(Outcome::Again);
        }
        match decision {
            Decision::Stays => {
                self.redis.restored();
            }
            Decision::Becomes(session) => {
                self.memory.learn(*session);
            }
            Decision::Ends => self.memory.bury(id, needed_until),
        }
        Ok(Outcome::Done)
    }

    /// A change of one session that asks nothing else: `rule` changes it, or says that it ends. `None` if it does not live.
    pub(super) async fn step<T>(
        &self,
        mut known: Known,
        rule: impl Fn(&mut Session) -> (T, bool),
    ) -> Result<Option<T>, Failure> {
        loop {
            let Known::Live(belief) = known else { return Ok(None) };
            let mut next = belief.session.clone();
            let (answer, ends) = rule(&mut next);
            let decision = match ends {
                true => Decision::Ends,
                false if next == belief.session => Decision::Stays,
                false => Decision::Becomes(Box::new(next)),
            };
            match self.settle(*belief, decision).await? {
                Outcome::Done => return Ok(Some(answer)),
                Outcome::Again(now) => known = now,
            }
        }
    }

    /// Puts again what the engine has lost.
    pub(super) async fn restore(&self, id: SessionId) -> Result<(), Failure> {
        let stored = self.read(id).await?;
        let Some(session) = self.memory.find(id) else { return Ok(()) };
        if stored.is_empty() {
            let (new, needed_until) = self.spelled(&session);
            if matches!(self.put(id, b"", &new, needed_until).await?, Answer::Changed) {
                self.redis.restored();
            }
            return Ok(());
        }
        let known = self.heard(id, stored)?;
        self.step(known, |_| ((), false)).await.map(drop)
    }

    pub(super) fn spelled(&self, session: &Session) -> (Vec<u8>, Timestamp) {
        let expires_at = session.idle_expires_at.min(session.expires_at);
        (spelling::session(session), expires_at.max(session.access_ends_at(&self.policy)))
    }

    async fn read(&self, id: SessionId) -> Result<Vec<u8>, Failure> {
        let Some(line) = self.line() else { return Err(Failure::NotDone) };
        match timeout_at(self.deadline, line.read(&self.redis.places, id)).await {
            Ok(Ok(stored)) => Ok(stored),
            Ok(Err(trouble)) => {
                self.heed(&line, &trouble);
                Err(Failure::NotDone)
            }
            Err(_) => {
                self.redis.give_up(&line, "no answer within store.timeout");
                Err(Failure::NotDone)
            }
        }
    }

    /// Has `new` stand in the place of `believed`. As long as nobody can say whether it does, and there is time, it is
    /// proposed again.
    pub(super) async fn put(
        &self,
        id: SessionId,
        believed: &[u8],
        new: &[u8],
        needed_until: Timestamp,
    ) -> Result<Answer, Failure> {
        let mut sent = false;
        loop {
            let line = if sent { self.next_line().await } else { self.line() };
            let Some(line) = line else { return Err(if sent { Failure::Unsure } else { Failure::NotDone }) };
            let changed = line.change(&self.redis.places, id, believed, new, needed_until);
            match timeout_at(self.deadline, changed).await {
                // Found what was proposed before: that was it. Unless it was, somebody else has made the very same change.
                Ok(Ok(Answer::Found(there))) if !sent || there != new => return Ok(Answer::Found(there)),
                Ok(Ok(_)) => {
                    self.redis.taken();
                    return self.replicated(&line).await.map(|()| Answer::Changed);
                }
                Ok(Err(trouble)) => match self.heed(&line, &trouble) {
                    Failure::Unsure => sent = true,
                    Failure::NotDone if sent => return Err(Failure::Unsure),
                    Failure::NotDone => return Err(Failure::NotDone),
                },
                Err(_) => {
                    self.redis.give_up(&line, "no answer within store.timeout");
                    return Err(Failure::Unsure);
                }
            }
        }
    }

    /// It is in the engine, and not acknowledged until enough of its replicas have it as well.
    async fn replicated(&self, line: &Line) -> Result<(), Failure> {
        let wanted = self.redis.terms.wait_replicas;
        if wanted == 0 {
            return Ok(());
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        match timeout_at(self.deadline, line.replicated(wanted, left.as_millis().max(1))).await {
            Ok(Ok(have)) if have >= wanted => Ok(()),
            Ok(Ok(have)) => {
                self.redis.refused(&format!("{have} of {wanted} replicas have acknowledged a change in time"));
                Err(Failure::Unsure)
            }
            Ok(Err(trouble)) => {
                self.heed(line, &trouble);
                Err(Failure::Unsure)
            }
            Err(_) => Err(Failure::Unsure),
        }
    }

    fn heed(&self, line: &Line, trouble: &Trouble) -> Failure {
        match trouble {
            Trouble::Refused(why) => {
                self.redis.refused(why);
                Failure::NotDone
            }
            Trouble::Unusable(why) => {
                self.redis.give_up(line, why);
                Failure::NotDone
            }
            Trouble::Unsure(why) => {
                self.redis.give_up(line, why);
                Failure::Unsure
            }
        }
    }

    fn line(&self) -> Option<Line> {
        self.line.cloned().or_else(|| self.redis.line())
    }

    /// The next line, if one comes in time.
    async fn next_line(&self) -> Option<Line> {
        if self.line.is_some() {
            return None;
        }
        let mut state = self.redis.state.subscribe();
        let up = state.wait_for(|state| matches!(state, super::State::Up { .. }));
        let _ = timeout_at(self.deadline, up).await;
        self.redis.line()
    }
}
