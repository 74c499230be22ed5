//! Where sessions are remembered.
//!
//! Guarantees: check and change of one session are one step under one lock; what the rules decide is written by the
//! rules alone ([`crate::token::Session::rotate`]), never by this room; ended sessions are remembered until their last
//! access token has expired.
//! Does not know: HTTP, how tokens are spelled, what a scope means.
//!
//! The verbs are `async` because acknowledging a change may mean waiting for a disk. Asking whether an access token
//! still counts is not: it never leaves memory.

mod changes;
mod due;
mod figures;
pub mod files;
mod follower;
mod ledger;
mod memory;
pub mod redis;
mod remembered;
mod upkeep;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};

use crate::token::{AccessStanding, Policy, Restorations, Session, SessionId, Standing, Subject, Timestamp, TokenId};

use self::redis::Redis;
use files::{Journal, Snapshots};
use follower::Pace;
use memory::Memory;

#[cfg(any(test, fuzzing))]
pub use files::fuzzing;
pub use files::{FilesError, Fsync, Health, Notice, SNAPSHOT, Writer};
pub use follower::{Follower, Freshness, Seen};
pub use memory::Place;
pub use remembered::Remembered;

/// Bounds of the store.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    pub sessions: usize,
    pub sessions_per_user: usize,
    /// Ended sessions that are remembered beside as many sessions as may live: each of those needs room for its end.
    pub tombstones: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A cap is reached, and nothing can make room. What has expired counts until a sweep; an end, until no access token
    /// of its session can be alive.
    #[error("the store is full")]
    Full,
    /// The user changed, or the minting session ended, while this session was being made.
    #[error("the sign-in was overtaken by a change of its user or parent session")]
    Overtaken,
    /// The disk takes nothing at the moment, or nobody can say whether it has taken this. A session was not begun; an end
    /// holds in memory and is written as soon as that works again; a refresh token may be presented once more.
    #[error("the change is not certain to be on the disk")]
    Unwritten,
    /// This store follows another one: changes are that one's to make. Nothing has happened.
    #[error("a replica changes nothing")]
    ReadOnly,
}

/// What is granted now to a subject, and if an OAuth client is named, by way of it; `None` if either is known no more.
pub type Users<'a> = &'a dyn Fn(&Subject, Option<&str>) -> Option<Standing>;

pub struct Store {
    memory: Memory,
    restorations: ArcSwap<Restorations>,
    policy: ArcSwap<Policy>,
    source: Source,
}

/// Where the changes of memory come from.
enum Source {
    Own(Own),
    /// From the files, which another process writes.
    Files(Pace),
    /// From an engine, where several gates decide and write.
    Redis(Box<Redis>),
}

/// What only a store has that decides and writes.
struct Own {
    caps: ArcSwap<Caps>,
    journal: Journal,
    snapshots: Mutex<Snapshots>,
}

impl Store {
    /// A store that changes nothing, and what fills it: [`Follower::poll`], from now on and again and again. Empty until
    /// then. It counts as stale when the files have told nothing new for longer than `max_stale`.
    pub fn following(directory: &Path, policy: Arc<Policy>, max_stale: Duration, now: Instant) -> (Self, Follower) {
        let source = Source::Files(Pace::new(max_stale, now));
        let restorations = ArcSwap::default();
        let policy = ArcSwap::new(policy);
        (Self { memory: Memory::new(), restorations, policy, source }, Follower::new(directory))
    }

    /// A store of several gates, empty and of no use until a [`redis::Attendant`] has filled it.
    pub fn shared(terms: redis::Terms, caps: Caps, policy: Arc<Policy>, now: Instant) -> Self {
        let source = Source::Redis(Box::new(Redis::new(terms, caps, now)));
        Self { memory: Memory::new(), restorations: ArcSwap::default(), policy: ArcSwap::new(policy), source }
    }

    /// Puts other rules and bounds in force, for the changes to come.
    pub fn obey(&self, policy: Arc<Policy>, caps: Caps) {
        self.policy.store(policy);
        match &self.source {
            Source::Own(own) => own.caps.store(Arc::new(caps)),
            Source::Files(_) => {}
            Source::Redis(redis) => redis.caps.store(Arc::new(caps)),
        }
        // Behind it: whoever was told until when a token counts asks again.
        self.memory.advance_epoch();
    }

    /// Whether another process decides and writes, and this one does not.
    pub fn is_replica(&self) -> bool {
        matches!(self.source, Source::Files(_))
    }

    /// Whether several processes decide and write.
    pub fn is_shared(&self) -> bool {
        matches!(self.source, Source::Redis(_))
    }

    pub fn is_empty(&self) -> bool {
        self.memory.live() == 0
    }

    pub fn live(&self) -> usize {
        self.memory.live()
    }

    /// How many ended sessions are remembered.
    pub fn tombstones(&self) -> usize {
        self.memory.tombstones()
    }

    /// Whether changes can be acknowledged, and if not, why. A replica has none, and is healthy.
    pub fn health(&self) -> Health {
        match &self.source {
            Source::Own(own) => own.journal.health(),
            Source::Files(_) => Health::Healthy,
            Source::Redis(redis) => redis.health(),
        }
    }

    /// Whether what is known is what is so, or may have been overtaken. It always is so where nobody else writes.
    pub fn freshness(&self, now: Instant) -> Freshness {
        match &self.source {
            Source::Own(_) => Freshness::Fresh,
            Source::Files(pace) => pace.freshness(now),
            Source::Redis(redis) => redis.freshness(now),
        }
    }

    /// What was restored, and which tokens are lost by that. It changes on a replica only, and with it the epoch.
    pub fn restorations(&self) -> Guard<Arc<Restorations>> {
        self.restorations.load()
    }

    /// What the files of another process tell of restorations.
    fn learn(&self, restorations: Restorations) {
        if **self.restorations.load() != restorations {
            self.restorations.store(Arc::new(restorations));
            // Behind it: whoever has heard of the new epoch finds the new ones.
            self.memory.advance_epoch();
        }
    }

    /// Whether any session is a user's, and not of an OAuth client itself.
    pub fn knows_users(&self) -> bool {
        self.memory.subjects().any(|subject| subject.client().is_none())
    }

    /// The newest time in any record: no clock may run behind it.
    pub fn newest(&self) -> Timestamp {
        self.memory.newest()
    }

    /// The subject's live sessions, newest sign-in first.
    pub fn sessions_of(&self, subject: &Subject, now: Timestamp) -> Vec<Session> {
        let mut sessions = self.memory.of(subject);
        sessions.retain(|session| !session.expired(now));
        sessions.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
        sessions
    }

    /// Up to `most` of all live sessions, and where to go on. What lives throughout all pages is on exactly one of them.
    pub fn page(&self, after: Option<Place>, most: usize, now: Timestamp) -> (Vec<Session>, Option<Place>) {
        let (mut sessions, next) = self.memory.page(after, most);
        sessions.retain(|session| !session.expired(now));
        (sessions, next)
    }

    pub fn find(&self, id: SessionId) -> Option<Session> {
        self.memory.find(id)
    }

    /// Whether the access token `id` still counts. An unknown session passes: only a known end refuses.
    pub fn access_standing(&self, id: TokenId, now: Timestamp) -> AccessStanding {
        self.memory.access_standing(id, now, &self.policy.load())
    }

    /// Moves whenever an access token may have stopped counting: an answer of [`Store::access_standing`] stays right
    /// until this number changes or the answer's own time is up.
    pub fn epoch(&self) -> u64 {
        self.memory.epoch()
    }
}

#[cfg(test)]
mod tests;
