//! The store as one would explain it: a list of sessions with their whole history, and no indexes.
//!
//! Guarantees: written from the contract's words, with scopes as bits and histories instead of counters, so that a slip
//! in the rules and a slip here are unlikely to be the same.
//! Does not know: the store, files, tokens.

use std::time::Duration;

use crate::token::{AccessOverlap, AccessStanding, OnReuse, Policy, Timestamp};

/// Scopes as bits: the lower three are scopes with a name, all four are `all:any`.
pub(super) type Bits = u8;
pub(super) const ALL: Bits = 0b1111;

#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    pub scopes: Bits,
    pub password: u8,
}

#[derive(Debug)]
pub(super) struct Generation {
    pub born: Timestamp,
    /// When its pair was let go; not yet if absent.
    pub let_go: Option<Timestamp>,
    pub scopes: Bits,
    /// Its access token was cut because the user lost scopes.
    pub cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Live,
    Ended,
    /// Not even a tombstone is left.
    Forgotten,
}

#[derive(Debug)]
pub(super) struct Signed {
    pub user: usize,
    pub password: u8,
    pub parent: Option<usize>,
    pub scopes: Bits,
    pub access_ttl: Duration,
    pub end: Timestamp,
    pub history: Vec<Generation>,
    pub fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Rotated,
    Retried,
    Raced,
    Reused,
    Disowned,
    Refused,
}

pub(super) struct Model {
    pub policy: Policy,
    pub per_user: usize,
    pub users: Vec<Option<User>>,
    pub sessions: Vec<Signed>,
}

impl Signed {
    pub fn newest(&self) -> usize {
        self.history.len() - 1
    }

    pub fn idle_end(&self, policy: &Policy) -> Timestamp {
        (self.history[self.newest()].born + policy.smsgate.refresh_ttl).min(self.end)
    }

    pub fn expired(&self, now: Timestamp, policy: &Policy) -> bool {
        now >= self.idle_end(policy)
    }

    /// When no access token of it can be accepted any more.
    pub fn over(&self, policy: &Policy) -> Timestamp {
        (self.history[self.newest()].born + self.access_ttl).min(self.end) + policy.leeway
    }

    pub fn standing(&self, generation: usize, now: Timestamp, policy: &Policy) -> AccessStanding {
        match self.fate {
            Fate::Forgotten => return AccessStanding::Good { until: None },
            Fate::Ended => return AccessStanding::Ended,
            Fate::Live => {}
        }
        let Some(at) = self.history.get(generation) else { return AccessStanding::Good { until: None } };
        let Some(next) = self.history.get(generation + 1).filter(|_| !at.cut) else {
            return if at.cut { AccessStanding::Superseded } else { AccessStanding::Good { until: None } };
        };
        let overlap_ends = match policy.access_overlap {
            AccessOverlap::UntilExpiry => None,
            AccessOverlap::For(span) => Some(next.born + span),
        };
        let is_parent = generation + 2 == self.history.len();
        if is_parent && overlap_ends.is_none_or(|end| now < end) {
            AccessStanding::Good { until: overlap_ends }
        } else {
            AccessStanding::Superseded
        }
    }

    fn cut_what_exceeds(&mut self, scopes: Bits) {
        if self.history[self.newest()].scopes & !scopes != 0 {
            self.history.iter_mut().for_each(|generation| generation.cut = true);
        }
    }
}

impl Model {
    pub fn live(&self) -> usize {
        self.sessions.iter().filter(|session| session.fate == Fate::Live).count()
    }

    /// Whether the session and all it descends from are neither ended nor expired.
    pub fn stands(&self, session: usize, now: Timestamp) -> bool {
        let it = &self.sessions[session];
        it.fate == Fate::Live
            && !it.expired(now, &self.policy)
            && it.parent.is_none_or(|parent| self.stands(parent, now))
    }

    fn lineage(&self, session: usize) -> Vec<usize> {
        let above = self.sessions[session].parent.map(|parent| self.lineage(parent)).unwrap_or_default();
        [vec![session], above].concat()
    }

    /// Whether the new session was taken; in any case it is the last one now, unless there was no room.
    pub fn issue(&mut self, session: Signed, now: Timestamp) -> bool {
        if session.parent.is_some_and(|parent| !self.stands(parent, now)) {
            return false;
        }
        let fits = self.users[session.user]
            .is_some_and(|user| user.password == session.password && session.scopes & !user.scopes == 0);
        let (user, new) = (session.user, self.sessions.len());
        self.sessions.push(session);
        let spared = self.lineage(new);
        if spared.len() > self.per_user {
            self.sessions.pop();
            return false;
        }
        if !fits {
            self.end(new);
            return false;
        }
        while self.of(user).len() > self.per_user {
            let others = self.of(user).into_iter().filter(|other| !spared.contains(other));
            let last_used = |other: &usize| self.sessions[*other].history.last().map(|generation| generation.born);
            let Some(idlest) = others.min_by_key(last_used) else { break };
            self.end(idlest);
        }
        true
    }

    pub fn present(&mut self, session: usize, generation: usize, arrived: Timestamp, now: Timestamp) -> Outcome {
        if !self.stands(session, now) {
            return Outcome::Refused;
        }
        let policy = self.policy.clone();
        let it = &mut self.sessions[session];
        let Some(user) = self.users[it.user].filter(|user| user.password == it.password) else {
            self.end(session);
            return Outcome::Disowned;
        };
        let newest = it.newest();
        if generation > newest {
            return Outcome::Refused;
        }
        if generation == newest {
            it.cut_what_exceeds(user.scopes);
            it.history.push(Generation { born: now, let_go: None, scopes: it.scopes & user.scopes, cut: false });
            return Outcome::Rotated;
        }
        let successor = &it.history[newest];
        let parent = generation + 1 == newest;
        let on_its_way = parent && successor.let_go.is_none_or(|let_go| arrived <= let_go);
        let in_window = parent && now < successor.born + policy.retry_window;
        if policy.retry_window > Duration::ZERO && (on_its_way || in_window) {
            return Outcome::Retried;
        }
        if on_its_way {
            return Outcome::Raced;
        }
        match policy.on_reuse {
            OnReuse::Session => self.end(session),
            OnReuse::User => self.of(self.sessions[session].user).into_iter().for_each(|it| self.end(it)),
        }
        Outcome::Reused
    }

    /// The session ends, and all that were minted with its tokens.
    pub fn end(&mut self, session: usize) {
        if self.sessions[session].fate == Fate::Live {
            self.sessions[session].fate = Fate::Ended;
        }
        for child in 0..self.sessions.len() {
            if self.sessions[child].parent == Some(session) && self.sessions[child].fate == Fate::Live {
                self.end(child);
            }
        }
    }

    pub fn users_changed(&mut self) {
        for session in 0..self.sessions.len() {
            let it = &mut self.sessions[session];
            match self.users[it.user].filter(|user| user.password == it.password) {
                Some(user) if it.fate == Fate::Live => it.cut_what_exceeds(user.scopes),
                Some(_) => {}
                None => self.end(session),
            }
        }
    }

    pub fn sweep(&mut self, now: Timestamp) {
        let mut expired = Vec::new();
        for (index, it) in self.sessions.iter_mut().enumerate() {
            let over = now >= it.over(&self.policy);
            match it.fate {
                Fate::Live if it.expired(now, &self.policy) => {
                    it.fate = if over { Fate::Forgotten } else { Fate::Ended };
                    expired.push(index);
                }
                Fate::Ended if over => it.fate = Fate::Forgotten,
                _ => {}
            }
        }
        expired.into_iter().for_each(|session| self.end(session));
    }

    /// What was on its way to the process before is gone with it, and counts as let go at a time that hangs on when it was
    /// born.
    pub fn restart(&mut self, let_go: impl Fn(Timestamp) -> Timestamp) {
        for it in &mut self.sessions {
            let newest = it.newest();
            it.history[newest].let_go = Some(let_go(it.history[newest].born));
        }
    }

    pub fn of(&self, user: usize) -> Vec<usize> {
        let live = |index: &usize| self.sessions[*index].user == user && self.sessions[*index].fate == Fate::Live;
        (0..self.sessions.len()).filter(live).collect()
    }
}
