//! Where sessions are remembered.
//!
//! Guarantees: check and change of one session are one step under one lock; what the rules decide is written by the
//! rules alone ([`crate::token::Session::rotate`]), never by this room; ended sessions are remembered until their last
//! access token has expired.
//! Does not know: HTTP, how tokens are spelled, what a scope means.
//!
//! The verbs are `async` because acknowledging a change may mean waiting for a disk. Asking whether an access token
//! still counts is not: it never leaves memory.

mod memory;
mod snapshot;

use std::path::PathBuf;
use std::sync::Arc;

use crate::token::{
    AccessStanding, OnReuse, Policy, Presented, Rotation, RotationRefusal, Session, SessionId, Standing, Subject,
    Timestamp, TokenId,
};

use memory::Memory;
pub use snapshot::SnapshotError;

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
}

/// What the users file says now of a subject; `None` if it names it no more.
pub type Users<'a> = &'a dyn Fn(&Subject) -> Option<Standing>;

pub struct Store {
    memory: Memory,
    caps: Caps,
    policy: Arc<Policy>,
    file: PathBuf,
}

impl Store {
    /// Loads the snapshot at `file`; a missing one is an empty store.
    ///
    /// # Errors
    /// A damaged snapshot is never half-read and never overwritten: the error names the file and the place.
    pub fn open(file: PathBuf, caps: Caps, policy: Arc<Policy>) -> Result<Self, SnapshotError> {
        let memory = Memory::new();
        snapshot::load(&file, &memory)?;
        Ok(Self { memory, caps, policy, file })
    }

    pub fn is_empty(&self) -> bool {
        self.memory.live() == 0
    }

    pub fn live(&self) -> usize {
        self.memory.live()
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
    /// kept then. [`StoreError::Overtaken`] if user or parent changed meanwhile.
    pub async fn issue(&self, session: Session, users: Users<'_>, now: Timestamp) -> Result<(), StoreError> {
        if self.memory.live() >= self.caps.sessions {
            return Err(StoreError::Full);
        }
        let (id, parent, subject, credential, granted) =
            (session.id, session.parent, session.subject.clone(), session.credential, session.granted.clone());
        let mut spared = self.lineage(parent, now).ok_or(StoreError::Overtaken)?;
        spared.push(id);
        if spared.len() > self.caps.sessions_per_user {
            return Err(StoreError::Full);
        }
        self.memory.insert(session);
        // Looked at only after the insertion: whoever changes the user or ends the parent does so before it looks for
        // sessions to end, so one of us sees the other.
        let parent_lives = self.lineage(parent, now).is_some();
        let same_user =
            users(&subject).is_some_and(|user| user.credential == credential && user.scopes.cover(&granted));
        if !(parent_lives && same_user) {
            self.end(id).await?;
            return Err(StoreError::Overtaken);
        }
        self.make_room(&subject, &spared);
        Ok(())
    }

    /// Presents a refresh token: the rules decide and change the session in one step.
    ///
    /// # Errors
    /// None yet that memory alone can cause.
    pub async fn rotate(
        &self,
        presented: &Presented,
        users: Users<'_>,
        kid: &Arc<str>,
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        let parent = self.memory.find(presented.session).and_then(|session| session.parent);
        if self.lineage(parent, now).is_none() {
            return Ok(Rotation::Refused(RotationRefusal::Ended));
        }
        let rotation = self.memory.change(presented.session, &self.policy, |session| {
            let user = users(&session.subject);
            session.rotate(presented, user.as_ref(), kid, now, &self.policy)
        });
        match &rotation {
            Rotation::Reused(subject) if self.policy.on_reuse == OnReuse::User => self.end_subject(subject).await?,
            Rotation::Reused(subject) | Rotation::Disowned(subject) => {
                self.end_descendants(subject, presented.session);
            }
            Rotation::Rotated(_) | Rotation::Retried(_) | Rotation::Raced | Rotation::Refused(_) => {}
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
    /// None yet that memory alone can cause.
    pub async fn end(&self, id: SessionId) -> Result<bool, StoreError> {
        Ok(self.end_with_descendants(id) > 0)
    }

    /// Ends all sessions of a subject.
    ///
    /// # Errors
    /// None yet that memory alone can cause.
    pub async fn end_subject(&self, subject: &Subject) -> Result<(), StoreError> {
        for session in self.memory.of(subject) {
            self.memory.end(session.id, &self.policy);
        }
        Ok(())
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
    /// tokens that exceed a narrowed user are cut.
    ///
    /// # Errors
    /// None yet that memory alone can cause.
    pub async fn users_changed(&self, users: Users<'_>) -> Result<usize, StoreError> {
        let mut ended = 0;
        for subject in self.memory.subjects() {
            let user = users(&subject);
            for session in self.memory.of(&subject) {
                match &user {
                    Some(user) if user.credential == session.credential => {
                        self.memory.narrow(session.id, &user.scopes);
                    }
                    _ => ended += usize::from(self.end(session.id).await?),
                }
            }
        }
        Ok(ended)
    }

    /// Forgets what has expired. Sessions whose access tokens may still be about leave a tombstone.
    pub fn sweep(&self, now: Timestamp) {
        for (subject, id) in self.memory.sweep(now, &self.policy) {
            self.end_descendants(&subject, id);
        }
    }

    /// Writes the snapshot if anything changed since the last one. Atomic: a crash leaves the old or the new file.
    ///
    /// # Errors
    /// When the directory cannot be written; the old snapshot then stands and the next call tries again.
    pub fn snapshot(&self) -> Result<(), SnapshotError> {
        let changes = self.memory.changes();
        if changes == self.memory.saved() {
            return Ok(());
        }
        snapshot::write(&self.file, &self.memory)?;
        self.memory.mark_saved(changes);
        Ok(())
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
    fn end_with_descendants(&self, id: SessionId) -> usize {
        self.memory.end(id, &self.policy).map_or(0, |subject| 1 + self.end_descendants(&subject, id))
    }

    /// Ends the sessions minted with tokens of `parent`, and theirs in turn: they all have the same subject. Returns how
    /// many were live.
    fn end_descendants(&self, subject: &Subject, parent: SessionId) -> usize {
        let (mut parents, mut ended) = (vec![parent], 0);
        while let Some(parent) = parents.pop() {
            for session in self.memory.of(subject) {
                if session.parent == Some(parent) && self.memory.end(session.id, &self.policy).is_some() {
                    parents.push(session.id);
                    ended += 1;
                }
            }
        }
        ended
    }

    /// Ends the least recently used sessions above the cap. `spared` are a new one and those it would end with.
    fn make_room(&self, subject: &Subject, spared: &[SessionId]) {
        let mut sessions = self.memory.of(subject);
        let mut surplus = sessions.len().saturating_sub(self.caps.sessions_per_user);
        sessions.retain(|session| !spared.contains(&session.id));
        sessions.sort_by_key(|session| session.rotated_at);
        for session in sessions {
            if surplus == 0 {
                break;
            }
            surplus = surplus.saturating_sub(self.end_with_descendants(session.id));
        }
    }
}

#[cfg(test)]
mod tests;
