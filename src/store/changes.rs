//! The changes of sessions: begun, renewed, ended.
//!
//! Guarantees: what the rules decide is done under one lock, written to the journal in the same step, and acknowledged when
//! the journal says so; a session never outlives the one whose token minted it; of a change that the disk has refused
//! nobody is told that it is so.
//! Does not know: files, when a snapshot is due.

use std::future::Future;
use std::sync::Arc;

use crate::token::{OnReuse, Presented, Rotation, RotationRefusal, Session, SessionId, Subject, Timestamp};

use super::files::Journal;
use super::ledger::Ledger;
use super::redis::{self, Redis};
use super::{Own, Source, Store, StoreError, Users};

impl Store {
    /// Remembers a new session. At the cap per user the least recently used one is ended in its place, but none that the
    /// new one descends from.
    ///
    /// # Errors
    /// [`StoreError::Full`] at the caps of sessions and ends, and where those that it descends from fill the user's; the session is not
    /// kept then. [`StoreError::Overtaken`] if user or parent changed meanwhile, [`StoreError::Unwritten`] if the disk
    /// does not take it; it is not kept then either.
    pub async fn issue(&self, session: Session, users: Users<'_>, now: Timestamp) -> Result<(), StoreError> {
        if let Some(redis) = self.redis() {
            return redis::issue(self, redis, session, users, now).await;
        }
        let own = self.own()?;
        let caps = **own.caps.load();
        let (live, ended) = (self.memory.live(), self.memory.tombstones());
        // No end is ever forgotten for want of room, so whoever may end has to find some.
        if live >= caps.sessions || live + ended >= caps.sessions.saturating_add(caps.tombstones) {
            return Err(StoreError::Full);
        }
        let mut ledger = own.ledger()?;
        let (id, parent, subject, credential, granted) =
            (session.id, session.parent, session.subject.clone(), session.credential, session.granted.clone());
        let client = session.client.clone();
        let mut spared = self.lineage(parent, now).ok_or(StoreError::Overtaken)?;
        spared.push(id);
        if spared.len() > caps.sessions_per_user {
            return Err(StoreError::Full);
        }
        self.memory.insert(session, &mut ledger.log());
        // Looked at only after the insertion: whoever changes the user or ends the parent does so before it looks for
        // sessions to end, so one of us sees the other.
        let parent_lives = self.lineage(parent, now).is_some();
        let same_user = users(&subject, client.as_deref())
            .is_some_and(|user| user.credential == credential && user.scopes.cover(&granted));
        if !(parent_lives && same_user) {
            self.end_with_descendants(id, &mut ledger);
            return Err(StoreError::Overtaken);
        }
        self.make_room(&subject, caps.sessions_per_user, &spared, &mut ledger);
        let unheard = Unheard { store: self, journal: &own.journal, id };
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
        if let Some(redis) = self.redis() {
            return redis::rotate(self, redis, presented, users, kid, now, settle).await;
        }
        let own = self.own()?;
        let policy = self.policy.load_full();
        let mut ledger = own.ledger()?;
        let parent = self.memory.find(presented.session).and_then(|session| session.parent);
        if self.lineage(parent, now).is_none() {
            return Ok(Rotation::Refused(RotationRefusal::Ended));
        }
        let restorations = self.restorations.load();
        let rule = |session: &mut Session| {
            let user = users(&session.subject, session.client.as_deref());
            restorations.rotate(session, presented, user.as_ref(), kid, now, &policy)
        };
        let rotation = self.memory.change(presented.session, &policy, rule, &mut ledger.log());
        match &rotation {
            Rotation::Rotated(session) => {
                let doubt =
                    Doubt { store: self, journal: &own.journal, id: session.id, generation: session.generation };
                let (written, _settled) = tokio::join!(ledger.written(), settle);
                if written.is_err() {
                    return Err(self.doubted(&own.journal, session.id, session.generation).await);
                }
                doubt.dispelled();
            }
            // What is told again has to be as certain as what was told first.
            Rotation::Retried(session) => {
                if ledger.written().await.is_err() {
                    return Err(self.doubted(&own.journal, session.id, session.generation).await);
                }
            }
            Rotation::Reused(subject) if policy.on_reuse == OnReuse::User => {
                self.end_all(subject, &[], &mut ledger);
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
        if let Some(redis) = self.redis() {
            return redis::end(self, redis, id).await;
        }
        let mut ledger = Ledger::new(&self.own()?.journal);
        let ended = self.end_with_descendants(id, &mut ledger);
        ledger.written().await.map(|()| ended > 0)
    }

    /// Ends all sessions of a subject, but `spared` and those that it descends from. Says which were live, and whether
    /// their ends are written, as [`Store::end`] does.
    pub async fn end_subject(
        &self,
        subject: &Subject,
        spared: Option<SessionId>,
        now: Timestamp,
    ) -> (Vec<SessionId>, Result<(), StoreError>) {
        if let Some(redis) = self.redis() {
            return redis::end_subject(self, redis, subject, spared, now).await;
        }
        let own = match self.own() {
            Ok(own) => own,
            Err(error) => return (Vec::new(), Err(error)),
        };
        let mut ledger = Ledger::new(&own.journal);
        let spared = self.lineage(spared, now).unwrap_or_default();
        let ended = self.end_all(subject, &spared, &mut ledger);
        let written = ledger.written().await;
        (ended, written)
    }

    /// Ends all sessions there are, and says how many were live. In pieces, so that whoever shares this thread gets a turn,
    /// and the journal never has to hold them all. Of sessions that begin meanwhile some.
    ///
    /// # Errors
    /// As [`Store::end`]; then not all may have ended.
    pub async fn end_everybody(&self) -> Result<usize, StoreError> {
        const AT_ONCE: usize = 1000;
        let (own, mut ended, mut waiting) = (self.own()?, 0, 0);
        let mut ledger = Ledger::new(&own.journal);
        for subject in self.memory.subjects() {
            let gone = self.end_all(&subject, &[], &mut ledger).len();
            (ended, waiting) = (ended + gone, waiting + gone);
            if waiting >= AT_ONCE {
                waiting = 0;
                std::mem::replace(&mut ledger, Ledger::new(&own.journal)).written().await?;
            }
        }
        ledger.written().await.map(|()| ended)
    }

    /// Calls the device of a session by another name. `None` if it is not `subject`'s.
    ///
    /// # Errors
    /// [`StoreError::Unwritten`] if the disk does not take it.
    pub async fn rename(
        &self,
        id: SessionId,
        subject: &Subject,
        name: Option<String>,
    ) -> Result<Option<Session>, StoreError> {
        if let Some(redis) = self.redis() {
            return redis::rename(self, redis, id, subject, name).await;
        }
        let mut ledger = self.own()?.ledger()?;
        let renamed = self.memory.rename(id, subject, name, &mut ledger.log());
        ledger.written().await.map(|()| renamed)
    }

    /// Brings the sessions in line with a changed users file: those of removed users or changed passwords end, access
    /// tokens that exceed a narrowed user are cut. Returns how many have ended.
    ///
    /// # Errors
    /// As [`Store::end`].
    pub async fn users_changed(&self, users: Users<'_>) -> Result<usize, StoreError> {
        if let Some(redis) = self.redis() {
            return redis::users_changed(self, redis, users).await;
        }
        let (mut ended, mut ledger) = (0, Ledger::new(&self.own()?.journal));
        for subject in self.memory.subjects() {
            let user = users(&subject, None);
            for session in self.memory.of(&subject) {
                let by_way_of = session.client.as_deref().map(|client| users(&subject, Some(client)));
                match by_way_of.as_ref().unwrap_or(&user) {
                    Some(user) if user.credential == session.credential => {
                        self.memory.narrow(session.id, &user.scopes, &mut ledger.log());
                    }
                    _ => ended += usize::from(self.end_with_descendants(session.id, &mut ledger) > 0),
                }
            }
        }
        ledger.written().await.map(|()| ended)
    }

    pub(super) fn own(&self) -> Result<&Own, StoreError> {
        match &self.source {
            Source::Own(own) => Ok(own),
            Source::Files(_) | Source::Redis(_) => Err(StoreError::ReadOnly),
        }
    }

    pub(super) fn redis(&self) -> Option<&Redis> {
        match &self.source {
            Source::Redis(redis) => Some(redis),
            Source::Own(_) | Source::Files(_) => None,
        }
    }

    /// Notes that the client of a rotation was told to try again: the window in which it might is over by then, perhaps.
    async fn doubted(&self, journal: &Journal, id: SessionId, generation: u32) -> StoreError {
        let mut ledger = Ledger::new(journal);
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
        let ended = self.memory.end(id, &self.policy.load(), &mut ledger.log());
        ended.map_or(0, |subject| 1 + self.end_descendants(&subject, id, ledger))
    }

    /// Ends the sessions minted with tokens of `parent`, and theirs in turn: they all have the same subject. Returns how
    /// many were live.
    pub(super) fn end_descendants(&self, subject: &Subject, parent: SessionId, ledger: &mut Ledger<'_>) -> usize {
        let (mut parents, mut ended) = (vec![parent], 0);
        while let Some(parent) = parents.pop() {
            for session in self.memory.of(subject) {
                if session.parent == Some(parent)
                    && self.memory.end(session.id, &self.policy.load(), &mut ledger.log()).is_some()
                {
                    parents.push(session.id);
                    ended += 1;
                }
            }
        }
        ended
    }

    fn end_all(&self, subject: &Subject, spared: &[SessionId], ledger: &mut Ledger<'_>) -> Vec<SessionId> {
        let ids = self.memory.of(subject).into_iter().map(|session| session.id).filter(|id| !spared.contains(id));
        let mut log = ledger.log();
        ids.filter(|id| self.memory.end(*id, &self.policy.load(), &mut log).is_some()).collect()
    }

    /// Ends the least recently used sessions above `cap`. `spared` are a new one and those it would end with.
    fn make_room(&self, subject: &Subject, cap: usize, spared: &[SessionId], ledger: &mut Ledger<'_>) {
        let mut sessions = self.memory.of(subject);
        let mut surplus = sessions.len().saturating_sub(cap);
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

impl Own {
    /// For a change that has to be written: none is begun while the disk takes nothing.
    fn ledger(&self) -> Result<Ledger<'_>, StoreError> {
        if self.journal.health().is_healthy() { Ok(Ledger::new(&self.journal)) } else { Err(StoreError::Unwritten) }
    }
}

/// A session of which nobody has heard yet. Should the disk refuse it, or its client go away before it is written, nobody
/// ever will, and it ends.
struct Unheard<'a> {
    store: &'a Store,
    journal: &'a Journal,
    id: SessionId,
}

impl Unheard<'_> {
    fn heard(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        self.store.end_with_descendants(self.id, &mut Ledger::new(self.journal));
    }
}

/// A rotation of which nobody can say yet whether it is on the disk. Should that fail while its client goes away, the
/// parent may be presented once more.
struct Doubt<'a> {
    store: &'a Store,
    journal: &'a Journal,
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
        if !self.journal.health().is_healthy() {
            self.store.memory.doubt(self.id, self.generation, &mut Ledger::new(self.journal).log());
        }
    }
}
