//! The sessions in memory: one map entry holds all of one session.
//!
//! Guarantees: every method is synchronous and returns values; at most one DashMap guard is alive at a time, none
//! leaves this file, none can live across an `.await` (two guards of one map, or one held over a suspension, deadlock).
//! Does not know: files, what a rotation means.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;

use crate::token::{
    AccessStanding, Policy, Rotation, RotationRefusal, Scopes, Session, SessionId, Subject, Timestamp, TokenId,
};

/// Many small shards, so that a sweep or a snapshot holds each for microseconds.
const SHARDS: usize = 256;

/// What is known of a session id.
pub(super) enum Entry {
    Live(Box<Session>),
    /// The tombstone of an ended session: its access tokens are refused until none can be alive.
    Ended {
        until: Timestamp,
    },
}

pub(super) struct Memory {
    entries: DashMap<SessionId, Entry, BuildHasherDefault<IdHasher>>,
    by_subject: DashMap<Subject, Vec<SessionId>>,
    live: AtomicUsize,
    epoch: AtomicU64,
    changes: AtomicU64,
    saved: AtomicU64,
    newest: AtomicU64,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            entries: DashMap::with_hasher_and_shard_amount(BuildHasherDefault::default(), SHARDS),
            by_subject: DashMap::with_shard_amount(SHARDS),
            live: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            saved: AtomicU64::new(0),
            newest: AtomicU64::new(0),
        }
    }

    pub(super) fn insert(&self, session: Session) {
        let (id, subject, created_at) = (session.id, session.subject.clone(), session.rotated_at);
        if let Some(Entry::Live(_)) = self.entries.insert(id, Entry::Live(Box::new(session))) {
            return;
        }
        self.live.fetch_add(1, Ordering::Relaxed);
        self.by_subject.entry(subject).or_default().push(id);
        self.changed(created_at);
    }

    pub(super) fn bury(&self, id: SessionId, until: Timestamp) {
        self.entries.entry(id).or_insert(Entry::Ended { until });
    }

    /// Lets `rule` look at and change one session under its lock. A reuse or a disowned session becomes a tombstone in
    /// the same step, so that no second request can find it alive.
    pub(super) fn change(
        &self,
        id: SessionId,
        policy: &Policy,
        rule: impl FnOnce(&mut Session) -> Rotation,
    ) -> Rotation {
        let Slot::Occupied(mut slot) = self.entries.entry(id) else {
            return Rotation::Refused(RotationRefusal::Unknown);
        };
        let Entry::Live(session) = slot.get_mut() else {
            return Rotation::Refused(RotationRefusal::Ended);
        };
        let rotation = rule(session);
        let (subject, until, at) = (session.subject.clone(), session.access_ends_at(policy), session.rotated_at);
        match &rotation {
            Rotation::Rotated(_) => {
                drop(slot);
                self.changed(at);
            }
            Rotation::Reused(_) | Rotation::Disowned(_) => {
                slot.insert(Entry::Ended { until });
                drop(slot);
                self.buried(&subject, id);
            }
            Rotation::Retried(_) | Rotation::Raced | Rotation::Refused(_) => {}
        }
        rotation
    }

    /// Turns a live session into a tombstone; its subject if it was live.
    pub(super) fn end(&self, id: SessionId, policy: &Policy) -> Option<Subject> {
        let subject = {
            let mut entry = self.entries.get_mut(&id)?;
            let Entry::Live(session) = entry.value() else {
                return None;
            };
            let (subject, until) = (session.subject.clone(), session.access_ends_at(policy));
            *entry.value_mut() = Entry::Ended { until };
            subject
        };
        self.buried(&subject, id);
        Some(subject)
    }

    pub(super) fn answered(&self, id: SessionId, generation: u32, now: Timestamp) {
        if let Some(Entry::Live(session)) = self.entries.get_mut(&id).as_deref_mut() {
            session.answered(generation, now);
        }
    }

    pub(super) fn narrow(&self, id: SessionId, scopes: &Scopes) {
        let narrowed = match self.entries.get_mut(&id).as_deref_mut() {
            Some(Entry::Live(session)) => session.narrow(scopes),
            _ => false,
        };
        if narrowed {
            self.changed(Timestamp::default());
        }
    }

    pub(super) fn find(&self, id: SessionId) -> Option<Session> {
        match self.entries.get(&id)?.value() {
            Entry::Live(session) => Some(Session::clone(session)),
            Entry::Ended { .. } => None,
        }
    }

    pub(super) fn of(&self, subject: &Subject) -> Vec<Session> {
        let ids = self.by_subject.get(subject).map(|ids| ids.clone()).unwrap_or_default();
        ids.into_iter().filter_map(|id| self.find(id)).collect()
    }

    pub(super) fn subjects(&self) -> Vec<Subject> {
        self.by_subject.iter().map(|entry| entry.key().clone()).collect()
    }

    pub(super) fn access_standing(&self, id: TokenId, now: Timestamp, policy: &Policy) -> AccessStanding {
        match self.entries.get(&id.session).as_deref() {
            None => AccessStanding::Good { until: None },
            Some(Entry::Ended { .. }) => AccessStanding::Ended,
            Some(Entry::Live(session)) => session.access_standing(id.generation, now, policy),
        }
    }

    /// Forgets expired sessions and spent tombstones, one shard at a time. Returns the sessions that had expired.
    pub(super) fn sweep(&self, now: Timestamp, policy: &Policy) -> Vec<(Subject, SessionId)> {
        let mut gone = Vec::new();
        self.entries.retain(|id, entry| match entry {
            Entry::Ended { until } => now < *until,
            Entry::Live(session) if session.expired(now) => {
                gone.push((session.subject.clone(), *id));
                let until = session.access_ends_at(policy);
                *entry = Entry::Ended { until };
                now < until
            }
            Entry::Live(_) => true,
        });
        for (subject, id) in &gone {
            self.buried(subject, *id);
        }
        gone
    }

    /// Shows every entry once, shard by shard. What changes meanwhile is seen before or after its change, never half.
    pub(super) fn visit<E>(&self, mut see: impl FnMut(SessionId, &Entry) -> Result<(), E>) -> Result<(), E> {
        self.entries.iter().try_for_each(|entry| see(*entry.key(), entry.value()))
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(super) fn saved(&self) -> u64 {
        self.saved.load(Ordering::Acquire)
    }

    pub(super) fn mark_saved(&self, changes: u64) {
        self.saved.store(changes, Ordering::Release);
    }

    pub(super) fn newest(&self) -> Timestamp {
        Timestamp::from_micros(self.newest.load(Ordering::Relaxed))
    }

    pub(super) fn seen(&self, at: Timestamp) {
        self.newest.fetch_max(at.as_micros(), Ordering::Relaxed);
    }

    fn changed(&self, at: Timestamp) {
        self.seen(at);
        self.changes.fetch_add(1, Ordering::Release);
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// What follows once an entry has become a tombstone and its guard is gone.
    fn buried(&self, subject: &Subject, id: SessionId) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        self.changed(Timestamp::default());
        if let Slot::Occupied(mut slot) = self.by_subject.entry(subject.clone()) {
            slot.get_mut().retain(|listed| *listed != id);
            if slot.get().is_empty() {
                slot.remove();
            }
        }
    }
}

/// Session ids are random bits that only we hand out, and are looked up only after a signature held: they are their own
/// hash.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
