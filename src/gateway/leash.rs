//! The leash on long streams: what a stream or tunnel that was let in hangs on.
//!
//! Guarantees: a stream ends when its session is ended or expires, when the scopes of its token are cut, or when the token
//! expires or its key is gone and the session was not refreshed meanwhile; one of another issuer's token when that expires
//! or its key is gone; one of a password when its user has another one, has lost a scope, or is no more. As long as nothing
//! has changed that this turns on, asking costs a comparison.
//! Does not know: connections, what a stream is.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::account::User;
use crate::issuer::Foreign;
use crate::token::{AccessStanding, Timestamp, Verified};
use crate::upstream::Bond;

use super::Charter;
use super::current::Current;
use super::judge::keys_epoch;

/// Of a token of ours.
pub(super) struct OfSession {
    current: Rc<Current>,
    verified: Arc<Verified>,
    /// It holds while the epoch is this one, and until then.
    holds: Cell<Option<(u64, Timestamp)>>,
}

/// Of a token of another issuer's.
pub(super) struct OfForeign {
    pub(super) current: Rc<Current>,
    pub(super) foreign: Arc<Foreign>,
}

/// Of a password.
pub(super) struct OfUser {
    pub(super) current: Rc<Current>,
    pub(super) user: Arc<User>,
}

impl OfSession {
    pub(super) fn new(current: Rc<Current>, verified: Arc<Verified>) -> Self {
        Self { current, verified, holds: Cell::new(None) }
    }

    /// Until when it holds if nothing changes; `None` if it does not.
    fn until(&self, charter: &Charter, now: Timestamp) -> Option<Timestamp> {
        let verified = &*self.verified;
        if charter.store.restorations().refuse_access(verified.issued_at) {
            return None;
        }
        let genuine = charter.keys.ring().find(&verified.kid).is_some();
        let expires_at = verified.expires_at + charter.policy.leeway;
        let of_token = (genuine && now < expires_at).then_some(expires_at);
        let Some(session) = charter.store.find(verified.session()) else {
            let standing = charter.store.access_standing(verified.id, now);
            return of_token.filter(|_| standing != AccessStanding::Ended);
        };
        let generation = verified.id.generation;
        if session.expired(now) || generation < session.access_floor {
            return None;
        }
        // Whoever holds the stream has shown a refresh token since: the session itself vouches for it from then on.
        let ends_at = session.idle_expires_at.min(session.expires_at);
        if session.generation > generation { Some(ends_at) } else { of_token.map(|until| until.min(ends_at)) }
    }
}

impl Bond for OfSession {
    fn holds(&self, now: Timestamp) -> bool {
        let charter = self.current.charter();
        // Read before the question, so that a change in between makes the next round ask again.
        let epoch = charter.store.epoch().wrapping_add(keys_epoch(&charter));
        if self.holds.get().is_some_and(|(asked, until)| asked == epoch && now < until) {
            return true;
        }
        let until = self.until(&charter, now);
        self.holds.set(until.map(|until| (epoch, until)));
        until.is_some()
    }
}

impl Bond for OfForeign {
    fn holds(&self, now: Timestamp) -> bool {
        let charter = self.current.charter();
        self.foreign.check_time(now, &charter.policy).is_ok() && charter.issuers.still_verifies(&self.foreign)
    }
}

impl Bond for OfUser {
    fn holds(&self, _now: Timestamp) -> bool {
        let current = self.current.charter().accounts.find(&self.user.name);
        current.is_some_and(|current| current.same_credential(&self.user) && current.scopes.cover(&self.user.scopes))
    }
}
