//! The sessions in memory, packed: one map entry holds all of one session.
//!
//! Guarantees: checking and changing one session are one step under the lock of its shard of the map; an end is final;
//! no lock is held for longer than one session takes, or one pass over one of a thousand shards; every method is
//! synchronous and returns values, so that no lock can live across an `.await`.
//! Does not know: files, what a rotation means.
//!
//! # Locks
//!
//! First the session's shard of the map, and of those one at a time; then, for a moment and never two of them, a shard
//! of the tombstones, one of the index, the words, or whatever a `log` or a rule takes: neither may call back here.
//!
//! A session is in the index while it is in the map, and has a tombstone when it is no more: both are seen to under the
//! lock of its shard, so whoever asks for a session finds one or the other.

mod bytes;
mod index;
mod packed;
mod shards;
mod tombstones;
mod words;

use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::token::{
    AccessStanding, NotAnId, Policy, Rotation, RotationRefusal, Scopes, Session, SessionId, Subject, Timestamp, TokenId,
};

use index::Index;
use packed::Packed;
use shards::{IdHasher, SHARDS};
use tombstones::Tombstones;
use words::Words;

/// What has become of one session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change<'a> {
    Session(&'a Session),
    /// It has ended; its access tokens are refused until none can be alive.
    Tombstone {
        id: SessionId,
        until: Timestamp,
    },
}

/// Where a page of sessions has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    shard: usize,
    id: SessionId,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.shard, self.id)
    }
}

impl FromStr for Place {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (shard, id) = text.split_once('.').ok_or(NotAnId)?;
        let shard = shard.parse().ok().filter(|shard| *shard < SHARDS).ok_or(NotAnId)?;
        Ok(Self { shard, id: id.parse()? })
    }
}

/// Told of every real change while the session's lock is held: of one session's changes in their order. It must not
/// ask this memory anything, nor wait for a disk: a thousandth of all access tokens waits meanwhile.
pub(super) type Log<'a> = dyn FnMut(Change<'_>) + 'a;

pub(super) struct Memory {
    sessions: DashMap<SessionId, Packed, BuildHasherDefault<IdHasher>>,
    tombstones: Tombstones,
    index: Index,
    words: Words,
    live: AtomicUsize,
    epoch: AtomicU64,
    newest: AtomicU64,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            sessions: DashMap::with_hasher_and_shard_amount(BuildHasherDefault::default(), SHARDS),
            tombstones: Tombstones::new(),
            index: Index::new(),
            words: Words::default(),
            live: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            newest: AtomicU64::new(0),
        }
    }

    /// Remembers a session, or what has become of it. Returns whether it lives now as given: an ended one stays ended,
    /// and none changes its subject.
    pub(super) fn insert(&self, session: Session, log: &mut Log<'_>) -> bool {
        self.put(session, log, |known, session| *known = session)
    }

    /// The same for who hears of the states of a session more than once, and late: a later one that is known stays. What
    /// was cut stays cut within one rotation, and so does what is known of when its pair was let go.
    pub(super) fn learn(&self, session: Session) -> bool {
        self.put(session, &mut |_| {}, |known, mut session| {
            if known.generation > session.generation {
                return;
            }
            if known.is_same_rotation(&session) {
                session.access_floor = session.access_floor.max(known.access_floor);
                session.in_doubt |= known.in_doubt;
                if session.answered_at != Timestamp::MAX {
                    session.answered_at = known.answered_at;
                }
            }
            *known = session;
        })
    }

    fn put(&self, session: Session, log: &mut Log<'_>, replace: impl FnOnce(&mut Session, Session)) -> bool {
        let id = session.id;
        if let Entry::Vacant(slot) = self.sessions.entry(id) {
            if self.tombstones.holds(&id) {
                return false;
            }
            self.index.add(session.subject.as_str(), id);
            self.live.fetch_add(1, Ordering::Relaxed);
            let _lock = slot.insert(Packed::pack(&session, &self.words));
            log(Change::Session(&session));
            self.changed(session.rotated_at);
            return true;
        }
        let rule = |known: &mut Session| {
            let same = known.subject == session.subject;
            if same {
                replace(known, session);
            }
            (same, None)
        };
        self.step(id, log, rule).unwrap_or(false)
    }

    /// Remembers an end that was decided elsewhere or earlier.
    pub(super) fn bury(&self, id: SessionId, until: Timestamp) {
        let ended = self.step(id, &mut |_| {}, |_| ((), Some(until))).is_some();
        if !ended && self.tombstones.put(id, until) {
            self.changed(Timestamp::default());
        }
    }

    /// Whether only its end is remembered.
    pub(super) fn has_ended(&self, id: SessionId) -> bool {
        self.tombstones.holds(&id)
    }

    /// Makes a session what it is given as, even if a later state of it was known, or its end. Only for who follows
    /// files that have gone back: nothing else may undo an end.
    pub(super) fn revert(&self, session: Session) {
        // In between it is unknown, and its access tokens count: as they do when it lives.
        self.tombstones.remove(&session.id);
        self.insert(session, &mut |_| {});
    }

    /// Forgets, without a trace, all sessions and ends whose ids are not to stay.
    pub(super) fn retain(&self, stays: impl Fn(&SessionId) -> bool) {
        for shard in 0..SHARDS {
            for id in self.index.piece(shard).into_iter().filter(|id| !stays(id)) {
                self.sessions.remove_if_mut(&id, |_, packed| {
                    self.index.remove(packed.unpack(id, &self.words).subject.as_str(), id);
                    self.live.fetch_sub(1, Ordering::Relaxed);
                    true
                });
            }
            for (id, _) in self.tombstones.piece(shard).into_iter().filter(|(id, _)| !stays(id)) {
                self.tombstones.remove(&id);
            }
        }
        self.changed(Timestamp::default());
    }

    /// Lets `rule` look at and change one session under its lock. A reuse or a disowned session becomes a tombstone in
    /// the same step, so that no second request can find it alive.
    pub(super) fn change(
        &self,
        id: SessionId,
        policy: &Policy,
        rule: impl FnOnce(&mut Session) -> Rotation,
        log: &mut Log<'_>,
    ) -> Rotation {
        let rotation = self.step(id, log, |session| {
            let rotation = rule(session);
            let ends = matches!(rotation, Rotation::Reused(_) | Rotation::Disowned(_));
            (rotation, ends.then(|| session.access_ends_at(policy)))
        });
        rotation.unwrap_or_else(|| {
            let known = self.tombstones.holds(&id);
            Rotation::Refused(if known { RotationRefusal::Ended } else { RotationRefusal::Unknown })
        })
    }

    /// Turns a live session into a tombstone; its subject if it was live.
    pub(super) fn end(&self, id: SessionId, policy: &Policy, log: &mut Log<'_>) -> Option<Subject> {
        self.step(id, log, |session| (session.subject.clone(), Some(session.access_ends_at(policy))))
    }

    /// Not worth a log: nothing waits for an answer after a restart.
    pub(super) fn answered(&self, id: SessionId, generation: u32, now: Timestamp) {
        if let Some(mut packed) = self.sessions.get_mut(&id) {
            let mut session = packed.unpack(id, &self.words);
            session.answered(generation, now);
            *packed = Packed::pack(&session, &self.words);
        }
    }

    pub(super) fn doubt(&self, id: SessionId, generation: u32, log: &mut Log<'_>) {
        self.step(id, log, |session| (session.doubt(generation), None));
    }

    pub(super) fn narrow(&self, id: SessionId, scopes: &Scopes, log: &mut Log<'_>) {
        self.step(id, log, |session| (session.narrow(scopes), None));
    }

    /// The session under its new name; `None` if it is not `subject`'s.
    pub(super) fn rename(
        &self,
        id: SessionId,
        subject: &Subject,
        name: Option<String>,
        log: &mut Log<'_>,
    ) -> Option<Session> {
        let rename = |session: &mut Session| {
            let own = session.subject == *subject;
            if own {
                session.rename(name);
            }
            (own.then(|| session.clone()), None)
        };
        self.step(id, log, rename).flatten()
    }

    pub(super) fn find(&self, id: SessionId) -> Option<Session> {
        let packed = self.sessions.get(&id)?.value().clone();
        Some(packed.unpack(id, &self.words))
    }

    pub(super) fn of(&self, subject: &Subject) -> Vec<Session> {
        let its = |session: &Session| session.subject == *subject;
        self.index.of(subject.as_str()).into_iter().filter_map(|id| self.find(id)).filter(its).collect()
    }

    /// Up to `most` sessions behind `after`, and behind which one to go on if there may be more. The order means nothing, and
    /// is the same for as long as this process lives: what lives throughout all pages is on exactly one of them.
    pub(super) fn page(&self, after: Option<Place>, most: usize) -> (Vec<Session>, Option<Place>) {
        let (mut page, mut last) = (Vec::new(), None);
        for shard in after.map_or(0, |after| after.shard)..SHARDS {
            let mut ids = self.index.piece(shard);
            ids.retain(|id| after.is_none_or(|after| shard > after.shard || *id > after.id));
            ids.sort_unstable();
            for id in ids {
                if page.len() >= most {
                    return (page, last);
                }
                last = Some(Place { shard, id });
                page.extend(self.find(id));
            }
        }
        (page, None)
    }

    /// Everybody who has a session, each once; of who comes or goes meanwhile some.
    pub(super) fn subjects(&self) -> impl Iterator<Item = Subject> {
        // All sessions of a subject are in one shard of the index.
        (0..SHARDS).flat_map(|shard| {
            let sessions = self.index.piece(shard).into_iter().filter_map(|id| self.find(id));
            sessions.map(|session| session.subject).collect::<HashSet<_>>()
        })
    }

    pub(super) fn access_standing(&self, id: TokenId, now: Timestamp, policy: &Policy) -> AccessStanding {
        if let Some(packed) = self.sessions.get(&id.session) {
            return packed.succession().access_standing(id.generation, now, policy);
        }
        if self.tombstones.holds(&id.session) { AccessStanding::Ended } else { AccessStanding::Good { until: None } }
    }

    /// Forgets expired sessions and spent tombstones. Returns the sessions that had expired.
    pub(super) fn sweep(&self, now: Timestamp, policy: &Policy, log: &mut Log<'_>) -> Vec<(Subject, SessionId)> {
        // Each shard is looked at under its read lock, which holds up refreshes but no access token, and only the head
        // of each session, which takes a tenth of looking up every one of them.
        let expired = self.sessions.iter().filter(|entry| entry.may_have_expired(now)).map(|entry| *entry.key());
        let expired: Vec<SessionId> = expired.collect();
        let mut gone = Vec::new();
        for id in expired {
            // It may have a moment left, or have been renewed since.
            let subject = self.step(id, log, |session| {
                let ends = session.expired(now).then(|| session.access_ends_at(policy));
                (ends.map(|_| session.subject.clone()), ends)
            });
            gone.extend(subject.flatten().map(|subject| (subject, id)));
        }
        self.tombstones.sweep(now);
        gone
    }

    /// Shows every session, then every tombstone, as each is at some moment of the walk; never holding a lock while
    /// `see` works.
    ///
    /// A session that is live when the walk begins is seen exactly once while it lives through it, before or after a
    /// change, never half. If it ends meanwhile it is seen as a session, as a tombstone, or as both in this order, and
    /// never as neither unless a sweep forgets the tombstone too. A tombstone that stands throughout is seen exactly
    /// once. What begins during the walk may be missed.
    pub(super) fn visit<E>(&self, mut see: impl FnMut(Change<'_>) -> Result<(), E>) -> Result<(), E> {
        let ids = (0..SHARDS).flat_map(|shard| self.index.piece(shard));
        for session in ids.filter_map(|id| self.find(id)) {
            see(Change::Session(&session))?;
        }
        for (id, until) in (0..SHARDS).flat_map(|shard| self.tombstones.piece(shard)) {
            see(Change::Tombstone { id, until })?;
        }
        Ok(())
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    pub(super) fn tombstones(&self) -> usize {
        self.tombstones.count()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Has every access token judged anew: something else has changed that it turns on.
    pub(super) fn advance_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::Release);
    }

    pub(super) fn newest(&self) -> Timestamp {
        Timestamp::from_micros(self.newest.load(Ordering::Relaxed))
    }

    pub(super) fn seen(&self, at: Timestamp) {
        self.newest.fetch_max(at.as_micros(), Ordering::Relaxed);
    }

    /// One session, checked and changed in one step. `rule` says what to answer, and until when to remember the session
    /// as ended, if it ends.
    fn step<T>(
        &self,
        id: SessionId,
        log: &mut Log<'_>,
        rule: impl FnOnce(&mut Session) -> (T, Option<Timestamp>),
    ) -> Option<T> {
        let mut told = None;
        self.sessions.remove_if_mut(&id, |_, packed| {
            let mut session = packed.unpack(id, &self.words);
            let (answer, ends) = rule(&mut session);
            told = Some(answer);
            if let Some(until) = ends {
                self.tombstones.put(id, until);
                self.index.remove(session.subject.as_str(), id);
                self.live.fetch_sub(1, Ordering::Relaxed);
                log(Change::Tombstone { id, until });
                self.changed(Timestamp::default());
                return true;
            }
            let next = Packed::pack(&session, &self.words);
            if next != *packed {
                *packed = next;
                log(Change::Session(&session));
                self.changed(session.rotated_at);
            }
            false
        });
        told
    }

    /// Called with the lock held: whoever has heard of the new epoch waits for the lock and finds the new state.
    fn changed(&self, at: Timestamp) {
        self.seen(at);
        self.epoch.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
