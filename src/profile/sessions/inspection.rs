//! What is told of sessions and tokens.
//!
//! Guarantees: looking changes nothing.
//! Does not know: shapes of answers.

use crate::account::Client;
use crate::token::{AccessStanding, Profile, Refreshing, Session, Subject, Timestamp, Verified, access, opaque};

use super::Sessions;

/// A token that counts, and what its session has.
pub enum Inspected {
    Access { token: Box<Verified>, session: Box<Session> },
    Refresh { issued_at: Timestamp, session: Box<Session> },
}

impl Sessions {
    /// What `client` may know of a token that counts at this moment: any access token, as those that are shown one ask,
    /// and its own refresh tokens. Changes nothing, whatever is asked about.
    pub fn inspect(&self, client: &Client, token: &str, now: Timestamp) -> Option<Inspected> {
        if let Ok(Refreshing { id, issued_at, .. }) = opaque::verify(token, &self.keys.ring(), now) {
            let session = Box::new(self.store.find(id.session)?);
            let own = session.profile == Profile::Oauth && session.client.as_deref() == Some(&*client.id);
            // Of two tokens with one number, after a restoration, the other one has another time.
            let current = (session.generation, session.rotated_at.as_secs()) == (id.generation, issued_at.as_secs());
            return (own && current && !session.expired(now)).then_some(Inspected::Refresh { issued_at, session });
        }
        let token = Box::new(access::verify(token, &self.keys.ring(), &self.policy, now).ok()?);
        // Leeway is for other clocks: this one has issued it.
        if now >= token.expires_at || self.store.restorations().refuse_access(token.issued_at) {
            return None;
        }
        let good = matches!(self.store.access_standing(token.id, now), AccessStanding::Good { .. });
        let session = Box::new(self.store.find(token.session())?);
        (good && !session.expired(now)).then_some(Inspected::Access { token, session })
    }

    pub fn list(&self, subject: &Subject, now: Timestamp) -> Vec<Session> {
        self.store.sessions_of(subject, now)
    }
}
