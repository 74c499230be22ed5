//! Where sessions are remembered.
//!
//! Guarantees: check and change of one session are one step under one lock; what the rules decide is written by the
//! rules alone ([`crate::token::Session::rotate`]), never by this room; ended sessions are remembered until their last
//! access token has expired.
//! Does not know: HTTP, how tokens are spelled, what a scope means.
//!
//! The verbs are `async` because acknowledging a change may mean waiting for a disk. Asking whether an access token
//! still counts is not: it never leaves memory.

pub mod files;
mod ledger;
mod memory;

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::token::{
    AccessStanding, OnReuse, Policy, Presented, Rotation, RotationRefusal, Session, SessionId, Standing, Subject,
    Timestamp, TokenId,
};

use files::{Journal, Recovered, Snapshots};
use ledger::{Filling, Ledger, entry};
use memory::Memory;

pub use files::{FilesError, Fsync, Health, Notice, SNAPSHOT, Writer};

/// Bounds of the store.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    pub sessions: usize,
    pub sessions_per_user: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A cap is reached, and nothing can make room. What has expired counts until a sweep.
    #[error("the store is full")]
    Full,
    /// The user changed, or the minting session ended, while this session was being made.
    #[error("the sign-in was overtaken by a change of its user or parent session")]
    Overtaken,
    /// The disk takes nothing at the moment, or nobody can say whether it has taken this. A session was not begun; an end
    /// holds in memory and is written as soon as that works again; a refresh token may be presented once more.
    #[error("the change is not certain to be on the disk")]
    Unwritten,
}

/// What the users file says now of a subject; `None` if it names it no more.
pub type Users<'a> = &'a dyn Fn(&Subject) -> Option<Standing>;

pub struct Store {
    memory: Memory,
    caps: Caps,
    policy: Arc<Policy>,
    journal: Journal,
    snapshots: Mutex<Snapshots>,
}

/// What the files of a directory tell, before anything is written there.
pub struct Remembered {
    memory: Memory,
    recovered: Recovered,
}

impl Remembered {
    /// Reads snapshot and journal; without files that is an empty store. Changes nothing.
    ///
    /// # Errors
    /// What is damaged before its end is never half-read: the error names the file, the byte and what to do.
    pub fn read(directory: &Path) -> Result<Self, FilesError> {
        let memory = Memory::new();
        let recovered = files::read(directory, &mut Filling(&memory))?;
        memory.seen(recovered.newest);
        Ok(Self { memory, recovered })
    }

    pub fn is_empty(&self) -> bool {
        self.memory.live() == 0
    }

    /// What was left out or is worth knowing.
    pub fn notices(&self) -> &[Notice] {
        &self.recovered.notices
    }

    /// Begins to write. The writer is to be run on a thread of its own: until then no change is acknowledged.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(self, fsync: Fsync, caps: Caps, policy: Arc<Policy>) -> Result<(Store, Writer), FilesError> {
        let opened = files::open(&self.recovered, fsync)?;
        let snapshots = Mutex::new(opened.snapshots);
        Ok((Store { memory: self.memory, caps, policy, journal: opened.journal, snapshots }, opened.writer))
    }
}

impl Store {
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

    /// Whether changes can be acknowledged, and if not, why.
    pub fn health(&self) -> Health {
        self.journal.health()
    }

    /// The newest time in any record: no clock may run behind it.
    pub fn newest(&self) -> Timestamp {
        self.memory.newest()
    }

    /// Remembers a new session. At the cap per user the least recently used one is ended in its place, but none that the
    /// new one descends from.
    ///
    /// # Errors
    /// [`StoreError::Full`] at the total cap, and where those that it descends from fill the user's; the session is not
    /// kept then. [`StoreError::Overtaken`] if user or parent changed meanwhile, [`StoreError::Unwritten`] if the disk
    /// does not take it; it is not kept then either.
    pub async fn issue(&self, session: Session, users: Users<'_>, now: Timestamp) -> Result<(), StoreError> {
        if self.memory.live() >= self.caps.sessions {
            return Err(StoreError::Full);
        }
        let mut ledger = self.ledger()?;
        let (id, parent, subject, credential, granted) =
            (session.id, session.parent, session.subject.clone(), session.credential, session.granted.clone());
        let mut spared = self.lineage(parent, now).ok_or(StoreError::Overtaken)?;
        spared.push(id);
        if spared.len() > self.caps.sessions_per_user {
            return Err(StoreError::Full);
        }
        self.memory.insert(session, &mut ledger.log());
        // Looked at only after the insertion: whoever changes the user or ends the parent does so before it looks for
        // sessions to end, so one of us sees the other.
        let parent_lives = self.lineage(parent, now).is_some();
        let same_user =
            users(&subject).is_some_and(|user| user.credential == credential && user.scopes.cover(&granted));
        if !(parent_lives && same_user) {
            self.end_with_descendants(id, &mut ledger);
            return Err(StoreError::Overtaken);
        }
        self.make_room(&subject, &spared, &mut ledger);
        let unheard = Unheard { store: self, id };
        ledger.written().await?;
        unheard.heard();
        Ok(())
    }

    /// Presents a refresh token: the rules decide and change the session in one step. Where a new pair comes of it,
    /// `settle` is waited for beside the disk, and what it returns is dropped when both are done.
    ///
    /// # Errors
    /// [`StoreError::Unwritten`] if the disk does not take the change: the token may be presented once more.
    pub async fn rotate(
        &self,
        presented: &Presented,
        users: Users<'_>,
        kid: &Arc<str>,
        now: Timestamp,
        settle: impl Future,
    ) -> Result<Rotation, StoreError> {
        let mut ledger = self.ledger()?;
        let parent = self.memory.find(presented.session).and_then(|session| session.parent);
        if self.lineage(parent, now).is_none() {
            return Ok(Rotation::Refused(RotationRefusal::Ended));
        }
        let rule = |session: &mut Session| {
            let user = users(&session.subject);
            session.rotate(presented, user.as_ref(), kid, now, &self.policy)
        };
        let rotation = self.memory.change(presented.session, &self.policy, rule, &mut ledger.log());
        match &rotation {
            Rotation::Rotated(session) => {
                let doubt = Doubt { store: self, id: session.id, generation: session.generation };
                let (written, _settled) = tokio::join!(ledger.written(), settle);
                if written.is_err() {
                    return Err(self.doubted(session.id, session.generation).await);
                }
                doubt.dispelled();
            }
            // What is told again has to be as certain as what was told first.
            Rotation::Retried(session) => {
                if ledger.written().await.is_err() {
                    return Err(self.doubted(session.id, session.generation).await);
                }
            }
            Rotation::Reused(subject) if self.policy.on_reuse == OnReuse::User => {
                self.end_all(subject, &mut ledger);
                // It holds in memory, and the refusal is the same either way.
                let _ = ledger.written().await;
            }
            Rotation::Reused(subject) | Rotation::Disowned(subject) => {
                self.end_descendants(subject, presented.session, &mut ledger);
                let _ = ledger.written().await;
            }
            Rotation::Raced | Rotation::Refused(_) => {}
        }
        Ok(rotation)
    }

    /// Notes that the pair of a rotation has been let go: from now on its parent is proof of a theft.
    pub fn answered(&self, id: SessionId, generation: u32, now: Timestamp) {
        self.memory.answered(id, generation, now);
    }

    /// Ends a session and those minted with its tokens. Returns whether it was live.
    ///
    /// # Errors
    /// [`StoreError::Unwritten`] if the disk does not take it, or has not taken an end before it: it holds in memory all
    /// the same.
    pub async fn end(&self, id: SessionId) -> Result<bool, StoreError> {
        let mut ledger = Ledger::new(&self.journal);
        let ended = self.end_with_descendants(id, &mut ledger);
        ledger.written().await.map(|()| ended > 0)
    }

    /// Ends all sessions of a subject.
    ///
    /// # Errors
    /// As [`Store::end`].
    pub async fn end_subject(&self, subject: &Subject) -> Result<(), StoreError> {
        let mut ledger = Ledger::new(&self.journal);
        self.end_all(subject, &mut ledger);
        ledger.written().await
    }

    /// The subject's live sessions, newest sign-in first.
    pub fn sessions_of(&self, subject: &Subject, now: Timestamp) -> Vec<Session> {
        let mut sessions = self.memory.of(subject);
        sessions.retain(|session| !session.expired(now));
        sessions.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
        sessions
    }

    pub fn find(&self, id: SessionId) -> Option<Session> {
        self.memory.find(id)
    }

    /// Whether the access token `id` still counts. An unknown session passes: only a known end refuses.
    pub fn access_standing(&self, id: TokenId, now: Timestamp) -> AccessStanding {
        self.memory.access_standing(id, now, &self.policy)
    }

    /// Moves whenever an access token may have stopped counting: an answer of [`Store::access_standing`] stays right
    /// until this number changes or the answer's own time is up.
    pub fn epoch(&self) -> u64 {
        self.memory.epoch()
    }

    /// Brings the sessions in line with a changed users file: those of removed users or changed passwords end, access
    /// tokens that exceed a narrowed user are cut. Returns how many have ended.
    ///
    /// # Errors
    /// As [`Store::end`].
    pub async fn users_changed(&self, users: Users<'_>) -> Result<usize, StoreError> {
        let (mut ended, mut ledger) = (0, Ledger::new(&self.journal));
        for subject in self.memory.subjects() {
            let user = users(&subject);
            for session in self.memory.of(&subject) {
                match &user {
                    Some(user) if user.credential == session.credential => {
                        self.memory.narrow(session.id, &user.scopes, &mut ledger.log());
                    }
                    _ => ended += usize::from(self.end_with_descendants(session.id, &mut ledger) > 0),
                }
            }
        }
        ledger.written().await.map(|()| ended)
    }

    /// Forgets what has expired. Sessions whose access tokens may still be about leave a tombstone. That is not written
    /// down: it follows again from the times that are.
    pub fn sweep(&self, now: Timestamp) {
        for (subject, id) in self.memory.sweep(now, &self.policy, &mut |_| {}) {
            self.end_descendants(&subject, id, &mut Ledger::new(&self.journal));
        }
    }

    /// Whether anything has changed since the last snapshot.
    pub fn has_news(&self) -> bool {
        self.journal.uncovered() > 0
    }

    /// Writes a snapshot beside live traffic, and deletes the journal before it. Mends a broken journal. Blocks.
    ///
    /// # Errors
    /// When the disk refuses. What stood before stands.
    pub fn snapshot(&self, now: Timestamp) -> Result<(), FilesError> {
        // A round that panicked has left its files as they were.
        let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut round = snapshots.begin(now)?;
        self.memory.visit(|change| {
            round.put(entry(change));
            round.drain()
        })?;
        round.finish(self.memory.newest())
    }

    /// Has the writer write what waits, and end. From then on nothing is acknowledged.
    pub fn close(&self) {
        self.journal.close();
    }

    /// For a change that has to be written: none is begun while the disk takes nothing.
    fn ledger(&self) -> Result<Ledger<'_>, StoreError> {
        if self.journal.health().is_healthy() { Ok(Ledger::new(&self.journal)) } else { Err(StoreError::Unwritten) }
    }

    /// Notes that the client of a rotation was told to try again: the window in which it might is over by then, perhaps.
    async fn doubted(&self, id: SessionId, generation: u32) -> StoreError {
        let mut ledger = Ledger::new(&self.journal);
        self.memory.doubt(id, generation, &mut ledger.log());
        // The journal may be mended by now, with a snapshot that knows the rotation and no doubt. Where it is not, the
        // next snapshot knows both.
        let _ = ledger.written().await;
        StoreError::Unwritten
    }

    /// `parent` and what it descends from in turn; `None` if any of them has ended or expired: no session outlives the
    /// one whose token minted it, also before a sweep has found out.
    fn lineage(&self, mut parent: Option<SessionId>, now: Timestamp) -> Option<Vec<SessionId>> {
        let mut lineage = Vec::new();
        while let Some(id) = parent {
            let session = self.memory.find(id).filter(|session| !session.expired(now))?;
            lineage.push(id);
            parent = session.parent;
        }
        Some(lineage)
    }

    /// How many were live.
    fn end_with_descendants(&self, id: SessionId, ledger: &mut Ledger<'_>) -> usize {
        let ended = self.memory.end(id, &self.policy, &mut ledger.log());
        ended.map_or(0, |subject| 1 + self.end_descendants(&subject, id, ledger))
    }

    /// Ends the sessions minted with tokens of `parent`, and theirs in turn: they all have the same subject. Returns how
    /// many were live.
    fn end_descendants(&self, subject: &Subject, parent: SessionId, ledger: &mut Ledger<'_>) -> usize {
        let (mut parents, mut ended) = (vec![parent], 0);
        while let Some(parent) = parents.pop() {
            for session in self.memory.of(subject) {
                if session.parent == Some(parent)
                    && self.memory.end(session.id, &self.policy, &mut ledger.log()).is_some()
                {
                    parents.push(session.id);
                    ended += 1;
                }
            }
        }
        ended
    }

    fn end_all(&self, subject: &Subject, ledger: &mut Ledger<'_>) {
        for session in self.memory.of(subject) {
            self.memory.end(session.id, &self.policy, &mut ledger.log());
        }
    }

    /// Ends the least recently used sessions above the cap. `spared` are a new one and those it would end with.
    fn make_room(&self, subject: &Subject, spared: &[SessionId], ledger: &mut Ledger<'_>) {
        let mut sessions = self.memory.of(subject);
        let mut surplus = sessions.len().saturating_sub(self.caps.sessions_per_user);
        sessions.retain(|session| !spared.contains(&session.id));
        sessions.sort_by_key(|session| session.rotated_at);
        for session in sessions {
            if surplus == 0 {
                break;
            }
            surplus = surplus.saturating_sub(self.end_with_descendants(session.id, ledger));
        }
    }
}

/// A session of which nobody has heard yet. Should the disk refuse it, or its client go away before it is written, nobody
/// ever will, and it ends.
struct Unheard<'a> {
    store: &'a Store,
    id: SessionId,
}

impl Unheard<'_> {
    fn heard(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        self.store.end_with_descendants(self.id, &mut Ledger::new(&self.store.journal));
    }
}

/// A rotation of which nobody can say yet whether it is on the disk. Should that fail while its client goes away, the
/// parent may be presented once more.
struct Doubt<'a> {
    store: &'a Store,
    id: SessionId,
    generation: u32,
}

impl Doubt<'_> {
    fn dispelled(self) {
        std::mem::forget(self);
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        // A client that went away while the disk was well has no more to fear than a lost answer.
        if !self.store.journal.health().is_healthy() {
            self.store.memory.doubt(self.id, self.generation, &mut Ledger::new(&self.store.journal).log());
        }
    }
}

#[cfg(test)]
mod tests;
