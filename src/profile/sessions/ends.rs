//! What owners do with sessions: end them, name them.
//!
//! Guarantees: whoever has a token of a session can end it, and nobody else's; foreign and unknown sessions are told apart
//! from nothing.
//! Does not know: who else ends sessions: reuse, time, a changed user.

use crate::account::Client;
use crate::metrics::Step;
use crate::token::{Profile, Refreshing, SessionId, Subject, access, opaque};

use super::{Refused, Sessions, Visit};

impl Sessions {
    /// Ends a session if it is the subject's own. Silent about everything else.
    ///
    /// # Errors
    /// [`Refused::Unwritten`] if nobody can say that the end outlives this process; until then it holds.
    pub async fn end(&self, subject: &Subject, id: SessionId, visit: Visit<'_>) -> Result<(), Refused> {
        self.timed(Step::Revocation, self.end_own(subject, id, visit)).await
    }

    async fn end_own(&self, subject: &Subject, id: SessionId, visit: Visit<'_>) -> Result<(), Refused> {
        // One that has ended may not be written yet: whoever asks again has to be told so again.
        if self.store.find(id).is_some_and(|session| session.subject != *subject) {
            return Ok(());
        }
        if self.store.end(id).await.map_err(|_| Refused::Unwritten)? {
            self.audit(&visit).revoke(id, subject, subject);
        }
        Ok(())
    }

    /// Ends all sessions of `subject` but `spared` and those that one descends from, on behalf of `by`. Returns how many.
    ///
    /// # Errors
    /// As for [`Sessions::end`].
    pub async fn end_all(
        &self,
        subject: &Subject,
        spared: Option<SessionId>,
        by: &Subject,
        visit: Visit<'_>,
    ) -> Result<usize, Refused> {
        let (ended, written) = self.store.end_subject(subject, spared, visit.now).await;
        let (audit, number) = (self.audit(&visit), ended.len());
        ended.into_iter().for_each(|id| audit.revoke(id, subject, by));
        written.map(|()| number).map_err(|_| Refused::Unwritten)
    }

    /// Ends a session, whosever it is, on behalf of `by`. `None` if it did not live.
    ///
    /// # Errors
    /// As for [`Sessions::end`].
    pub async fn end_any(&self, id: SessionId, by: &Subject, visit: Visit<'_>) -> Result<Option<Subject>, Refused> {
        let subject = self.store.find(id).map(|session| session.subject);
        let ended = self.store.end(id).await.map_err(|_| Refused::Unwritten)?;
        let subject = subject.filter(|_| ended);
        if let Some(subject) = &subject {
            self.audit(&visit).revoke(id, subject, by);
        }
        Ok(subject)
    }

    /// Calls the device of a session by another name if it is the subject's own. Silent about everything else.
    ///
    /// # Errors
    /// [`Refused::Unwritten`] if nobody can say that the name outlives this process.
    pub async fn rename(
        &self,
        subject: &Subject,
        id: SessionId,
        name: Option<String>,
        visit: Visit<'_>,
    ) -> Result<(), Refused> {
        let renamed = self.store.rename(id, subject, name).await.map_err(|_| Refused::Unwritten)?;
        if let Some(session) = renamed {
            self.audit(&visit).rename(&session);
        }
        Ok(())
    }

    /// Ends the session that a refresh token belongs to, whichever of its generation it is: whoever has one can end it
    /// anyway, by using it twice. Silent about everything that is no such token.
    ///
    /// # Errors
    /// As for [`Sessions::end`].
    pub async fn leave(&self, profile: Profile, token: &str, visit: Visit<'_>) -> Result<(), Refused> {
        let Ok(Refreshing { id, .. }) = self.verify(profile, token, visit.now) else { return Ok(()) };
        match self.store.find(id.session) {
            Some(session) if session.profile == profile => self.end(&session.subject, id.session, visit).await,
            Some(_) => Ok(()),
            // It may have ended a moment ago without being written yet.
            None => self.store.end(id.session).await.map(drop).map_err(|_| Refused::Unwritten),
        }
    }

    /// Ends the session of an access or refresh token that was issued to `client`. Silent about everything that is no
    /// token.
    ///
    /// # Errors
    /// [`Refused::Foreign`] if it was issued to somebody else (RFC 7009 section 2.1); as for [`Sessions::end`].
    pub async fn revoke(&self, client: &Client, token: &str, visit: Visit<'_>) -> Result<(), Refused> {
        let now = visit.now;
        let of_refresh = |refreshing: Refreshing| refreshing.id.session;
        let session = opaque::verify(token, &self.keys.ring(), now).map(of_refresh).or_else(|_| {
            access::verify(token, &self.keys.ring(), &self.policy, now).map(|verified| verified.session())
        });
        let Ok(id) = session else { return Ok(()) };
        match self.store.find(id) {
            Some(session) if session.client.as_deref() == Some(&*client.id) => {
                self.end(&session.subject, id, visit).await
            }
            Some(_) => Err(Refused::Foreign),
            // As above.
            None => self.store.end(id).await.map(drop).map_err(|_| Refused::Unwritten),
        }
    }
}
