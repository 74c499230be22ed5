//! Sessions ended, cut and named, and what is owed of it.
//!
//! Guarantees: an end and a cut hold at this gate at once, and are never taken back; what the engine does not take is made
//! good when it does.
//! Does not know: connections.

use crate::token::{Session, SessionId, Subject, Timestamp};

use super::super::{Store, StoreError, Users};
use super::desk::{Failure, Known};
use super::line::Answer;
use super::{Desk, Redis, spelling};

/// As [`Store::end`].
pub(in crate::store) async fn end(store: &Store, redis: &Redis, id: SessionId) -> Result<bool, StoreError> {
    let desk = Desk::of(store, redis);
    if desk.memory.find(id).is_none() {
        if redis.pending.owes_end(id) {
            return desk.finish(id, None).await.map(|()| false).map_err(StoreError::from);
        }
        if desk.memory.has_ended(id) {
            return Ok(false);
        }
        // Whoever asked for this end could not see whose the session is. Now that can be seen.
        return match desk.ask(id).await? {
            Known::Live(_) => Err(StoreError::Unwritten),
            Known::Ended | Known::Unknown => Ok(false),
        };
    }
    let ended = desk.end_with_descendants(id).await;
    ended.written.map(|()| ended.ids.first() == Some(&id)).map_err(StoreError::from)
}

/// As [`Store::end_subject`].
pub(in crate::store) async fn end_subject(
    store: &Store,
    redis: &Redis,
    subject: &Subject,
    spared: Option<SessionId>,
    now: Timestamp,
) -> (Vec<SessionId>, Result<(), StoreError>) {
    let desk = Desk::of(store, redis);
    let spared = match desk.lineage(spared, now).await {
        Ok(spared) => spared.unwrap_or_default(),
        Err(failure) => return (Vec::new(), Err(failure.into())),
    };
    let ended = desk.end_all(subject, &spared).await;
    (ended.ids, ended.written.map_err(StoreError::from))
}

/// As [`Store::rename`].
pub(in crate::store) async fn rename(
    store: &Store,
    redis: &Redis,
    id: SessionId,
    subject: &Subject,
    name: Option<String>,
) -> Result<Option<Session>, StoreError> {
    let desk = Desk::of(store, redis);
    let rename = |session: &mut Session| {
        let own = session.subject == *subject;
        if own {
            session.rename(name.clone());
        }
        (own.then(|| session.clone()), false)
    };
    Ok(desk.step(desk.believe(id).await?, rename).await?.flatten())
}

/// As [`Store::users_changed`].
pub(in crate::store) async fn users_changed(
    store: &Store,
    redis: &Redis,
    users: Users<'_>,
) -> Result<usize, StoreError> {
    let (mut count, mut written) = (0, Ok(()));
    for subject in store.memory.subjects() {
        let user = users(&subject, None);
        for session in store.memory.of(&subject) {
            // There may be very many: each has its own time.
            let desk = Desk::of(store, redis);
            let by_way_of = session.client.as_deref().map(|client| users(&subject, Some(client)));
            match by_way_of.as_ref().unwrap_or(&user) {
                Some(user) if user.credential == session.credential => {
                    if !user.scopes.cover(&session.granted) {
                        written = written.and(desk.cut(session, &user.scopes).await);
                    }
                }
                _ => {
                    let ended = desk.end_with_descendants(session.id).await;
                    count += usize::from(!ended.ids.is_empty());
                    written = written.and(ended.written);
                }
            }
        }
    }
    written.map(|()| count).map_err(StoreError::from)
}

/// Ends the sessions minted with tokens of one that has ended or expired, and theirs in turn: here, and in the engine as
/// soon as it takes that. Each gate does so: one of them will be the first.
pub(in crate::store) fn end_orphans(store: &Store, redis: &Redis, subject: &Subject, parent: SessionId) {
    let mut parents = vec![parent];
    while let Some(parent) = parents.pop() {
        for session in store.memory.of(subject) {
            if session.parent == Some(parent)
                && store.memory.end(session.id, &store.policy.load(), &mut |_| {}).is_some()
            {
                redis.pending.end(session.id);
                parents.push(session.id);
            }
        }
    }
}

/// Which sessions have ended here, and whether the engine knows of all of them.
pub(super) struct Ends {
    pub ids: Vec<SessionId>,
    pub written: Result<(), Failure>,
}

impl Ends {
    fn none() -> Self {
        Self { ids: Vec::new(), written: Ok(()) }
    }

    fn and(&mut self, more: Self) {
        self.ids.extend(more.ids);
        self.written = self.written.and(more.written);
    }
}

impl Desk<'_> {
    /// As in [`super::super::changes`]; what memory does not know is asked about.
    pub(super) async fn lineage(
        &self,
        mut parent: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, Failure> {
        let mut lineage = Vec::new();
        while let Some(id) = parent {
            let session = match self.memory.find(id) {
                Some(session) => session,
                None => match self.believe(id).await? {
                    Known::Live(belief) => belief.session,
                    Known::Ended | Known::Unknown => return Ok(None),
                },
            };
            if session.expired(now) {
                return Ok(None);
            }
            lineage.push(id);
            parent = session.parent;
        }
        Ok(Some(lineage))
    }

    /// At this gate, and nowhere else yet.
    pub(super) fn end_here(&self, id: SessionId) -> Option<Subject> {
        self.memory.end(id, &self.policy, &mut |_| {})
    }

    pub(super) async fn end_with_descendants(&self, id: SessionId) -> Ends {
        let mut ended = self.end_one(id).await;
        if let Some(subject) = ended.1 {
            ended.0.and(self.end_descendants(&subject, id).await);
        }
        ended.0
    }

    pub(super) async fn end_descendants(&self, subject: &Subject, parent: SessionId) -> Ends {
        let (mut parents, mut ended) = (vec![parent], Ends::none());
        while let Some(parent) = parents.pop() {
            for session in self.memory.of(subject) {
                if session.parent == Some(parent) {
                    parents.push(session.id);
                    ended.and(self.end_one(session.id).await.0);
                }
            }
        }
        ended
    }

    pub(super) async fn end_all(&self, subject: &Subject, spared: &[SessionId]) -> Ends {
        let mut ended = Ends::none();
        for session in self.memory.of(subject) {
            if !spared.contains(&session.id) {
                ended.and(self.end_one(session.id).await.0);
            }
        }
        ended
    }

    /// As in [`super::super::changes`].
    pub(super) async fn make_room(&self, subject: &Subject, cap: usize, spared: &[SessionId]) {
        let mut sessions = self.memory.of(subject);
        let mut surplus = sessions.len().saturating_sub(cap);
        sessions.retain(|session| !spared.contains(&session.id));
        sessions.sort_by_key(|session| session.rotated_at);
        for session in sessions {
            if surplus == 0 {
                break;
            }
            surplus = surplus.saturating_sub(self.end_with_descendants(session.id).await.ids.len());
        }
    }

    /// Ends a session here, and then in the engine.
    async fn end_one(&self, id: SessionId) -> (Ends, Option<Subject>) {
        let known = self.memory.find(id);
        let Some(subject) = self.end_here(id) else { return (Ends::none(), None) };
        // Owed until it is paid: whoever asked may go away meanwhile.
        self.redis.pending.owe_end(id);
        let written = self.finish(id, known).await;
        if written.is_err() {
            self.redis.pending.end(id);
        }
        (Ends { ids: vec![id], written }, Some(subject))
    }

    /// Has the engine know of an end. `known`: what memory had known before.
    pub(super) async fn finish(&self, id: SessionId, known: Option<Session>) -> Result<(), Failure> {
        let known = match known {
            Some(session) => self.belief(session),
            None => self.ask(id).await?,
        };
        self.step(known, |_| ((), true)).await?;
        self.redis.pending.paid_end(id);
        Ok(())
    }

    async fn cut(&self, session: Session, scopes: &crate::token::Scopes) -> Result<(), Failure> {
        let id = session.id;
        let known = self.belief(session);
        self.memory.narrow(id, scopes, &mut |_| {});
        let done = self.step(known, |session| (session.narrow(scopes), false)).await;
        if done.is_err() {
            self.redis.pending.cut(id, scopes.clone());
        }
        done.map(drop)
    }

    /// Makes good what is owed, as far as the engine takes it.
    pub(super) async fn pay(&self) {
        let owed = self.redis.pending.take();
        for id in owed.ends {
            // Stays owed until it is paid.
            let _ = self.finish(id, None).await;
        }
        for (id, (generation, rotated_at)) in owed.doubts {
            let doubt = |session: &mut Session| {
                let same = session.rotated_at == rotated_at && session.generation == generation;
                (same && session.doubt(generation), false)
            };
            let done = match self.ask(id).await {
                Ok(known) => self.step(known, doubt).await.map(drop),
                Err(failure) => Err(failure),
            };
            if done.is_err() {
                self.redis.pending.doubt(id, generation, rotated_at);
            }
        }
        for (id, scopes) in owed.cuts {
            if let Some(session) = self.memory.find(id) {
                // Puts it back where it fails.
                let _ = self.cut(session, &scopes).await;
            }
        }
        for (id, until) in owed.forgotten {
            match self.put(id, b"", &spelling::tombstone(id, until), until).await {
                Ok(Answer::Changed) => self.redis.restored(),
                // It was not lost, or somebody else was quicker.
                Ok(Answer::Found(_)) => {}
                Err(_) => self.redis.pending.forgotten(id, until),
            }
        }
        for id in owed.lost {
            if self.restore(id).await.is_err() {
                self.redis.pending.lost(id);
            }
        }
    }
}
