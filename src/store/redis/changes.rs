//! Sessions begun and renewed.
//!
//! Guarantees: as [`super::super::changes`], with the engine in the place of the lock and the journal.
//! Does not know: connections.

use std::future::Future;
use std::sync::Arc;

use crate::token::{OnReuse, Presented, Rotation, RotationRefusal, Session, SessionId, Timestamp};

use super::super::{Store, StoreError, Users};
use super::desk::{Decision, Failure, Known, Outcome};
use super::line::Answer;
use super::{Desk, Redis};

pub(in crate::store) async fn issue(
    store: &Store,
    redis: &Redis,
    session: Session,
    users: Users<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (desk, caps) = (Desk::of(store, redis), redis.caps.load_full());
    let (live, ended) = (desk.memory.live(), desk.memory.tombstones());
    if live >= caps.sessions || live + ended >= caps.sessions.saturating_add(caps.tombstones) {
        return Err(StoreError::Full);
    }
    let mut spared = desk.lineage(session.parent, now).await?.ok_or(StoreError::Overtaken)?;
    spared.push(session.id);
    if spared.len() > caps.sessions_per_user {
        return Err(StoreError::Full);
    }
    let (new, needed_until) = desk.spelled(&session);
    let unheard = Unheard { redis, id: session.id };
    match desk.put(session.id, b"", &new, needed_until).await {
        Ok(Answer::Changed) => {}
        // Ids are random: it is none of ours.
        Ok(Answer::Found(_)) => {
            unheard.settled();
            return Err(StoreError::Overtaken);
        }
        Err(Failure::NotDone) => {
            unheard.settled();
            return Err(StoreError::Unwritten);
        }
        Err(Failure::Unsure) => return Err(StoreError::Unwritten),
    }
    desk.memory.learn(session.clone());
    // Looked at only now: whoever changes the user or ends the parent does so before it looks for sessions to end, or
    // finds this one in the log behind that ([`super::attendant`]). Of the parents the engine knows more than memory.
    for id in spared.iter().filter(|id| **id != session.id) {
        desk.ask(*id).await?;
    }
    let parent_lives = desk.lineage(session.parent, now).await?.is_some();
    let same_user = users(&session.subject, session.client.as_deref())
        .is_some_and(|user| user.credential == session.credential && user.scopes.cover(&session.granted));
    if !(parent_lives && same_user) {
        desk.end_with_descendants(session.id).await;
        unheard.settled();
        return Err(StoreError::Overtaken);
    }
    desk.make_room(&session.subject, caps.sessions_per_user, &spared).await;
    unheard.settled();
    Ok(())
}

pub(in crate::store) async fn rotate(
    store: &Store,
    redis: &Redis,
    presented: &Presented,
    users: Users<'_>,
    kid: &Arc<str>,
    now: Timestamp,
    settle: impl Future,
) -> Result<Rotation, StoreError> {
    let desk = Desk::of(store, redis);
    let restorations = store.restorations.load();
    let mut known = desk.believe(presented.session).await?;
    let rotation = loop {
        let belief = match known {
            Known::Live(belief) => belief,
            Known::Ended => return Ok(Rotation::Refused(RotationRefusal::Ended)),
            Known::Unknown => return Ok(Rotation::Refused(RotationRefusal::Unknown)),
        };
        // Here, and not in the engine yet.
        if desk.memory.has_ended(presented.session) {
            return Ok(Rotation::Refused(RotationRefusal::Ended));
        }
        if desk.lineage(belief.session.parent, now).await?.is_none() {
            return Ok(Rotation::Refused(RotationRefusal::Ended));
        }
        let mut next = belief.session.clone();
        let user = users(&next.subject, next.client.as_deref());
        let rotation = restorations.rotate(&mut next, presented, user.as_ref(), kid, now, &desk.policy);
        let is_parent = presented.generation.saturating_add(1) == belief.session.generation;
        if is_parent && matches!(rotation, Rotation::Reused(_) | Rotation::Raced) {
            // It may be a try again after a 503 of which another gate alone knows.
            let older = |settling| belief.session.rotated_at < now.before(settling);
            if redis.settling().is_some_and(older) {
                return Err(StoreError::Unwritten);
            }
        }
        let decision = match &rotation {
            Rotation::Reused(_) | Rotation::Disowned(_) => Decision::Ends,
            _ if next == belief.session => Decision::Stays,
            _ => Decision::Becomes(Box::new(next)),
        };
        let doubt = match &rotation {
            Rotation::Rotated(session) => {
                Some(Doubt { redis, id: session.id, generation: session.generation, rotated_at: session.rotated_at })
            }
            _ => None,
        };
        match desk.settle(*belief, decision).await {
            Ok(outcome) => {
                if let Some(doubt) = doubt {
                    doubt.dispelled();
                }
                match outcome {
                    Outcome::Done => break rotation,
                    Outcome::Again(now) => known = now,
                }
            }
            Err(failure) => {
                match (doubt, failure) {
                    (Some(doubt), Failure::NotDone) => doubt.dispelled(),
                    (Some(doubt), Failure::Unsure) => doubt.told(),
                    // The line is not what it was a moment ago.
                    (None, _) if is_parent && matches!(rotation, Rotation::Reused(_)) => {}
                    // What was found out holds, and is made good when the engine is back.
                    (None, _) if matches!(rotation, Rotation::Reused(_) | Rotation::Disowned(_)) => {
                        desk.end_here(presented.session);
                        redis.pending.end(presented.session);
                    }
                    (None, _) => {}
                }
                return Err(StoreError::Unwritten);
            }
        }
    };
    match &rotation {
        // Nothing has been waited for since memory has learnt of it, so nobody takes the parent for a theft meanwhile.
        Rotation::Rotated(_) => drop(settle.await),
        Rotation::Reused(subject) if desk.policy.on_reuse == OnReuse::User => {
            desk.end_all(subject, &[]).await;
        }
        Rotation::Reused(subject) | Rotation::Disowned(subject) => {
            desk.end_descendants(subject, presented.session).await;
        }
        Rotation::Retried(_) | Rotation::Raced | Rotation::Refused(_) => {}
    }
    Ok(rotation)
}

/// A session of which nobody has heard yet: if nobody ever will, it ends.
struct Unheard<'a> {
    redis: &'a Redis,
    id: SessionId,
}

impl Unheard<'_> {
    /// It is heard of, or there is nothing to end.
    fn settled(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        self.redis.pending.end(self.id);
    }
}

/// A rotation of which nobody can say yet whether it is in the engine. Should that be so when its client has gone away, the
/// parent may be presented once more.
struct Doubt<'a> {
    redis: &'a Redis,
    id: SessionId,
    generation: u32,
    rotated_at: Timestamp,
}

impl Doubt<'_> {
    fn dispelled(self) {
        std::mem::forget(self);
    }

    fn told(self) {
        self.redis.pending.doubt(self.id, self.generation, self.rotated_at);
        std::mem::forget(self);
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        // A client that went away while the engine was well has no more to fear than a lost answer.
        if !self.redis.health().is_healthy() {
            self.redis.pending.doubt(self.id, self.generation, self.rotated_at);
        }
    }
}
