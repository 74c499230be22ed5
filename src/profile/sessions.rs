//! The engine behind every dialect: begins, renews and ends sessions.
//!
//! Guarantees: nobody is granted more than the user may have at this moment, nor a Bearer caller more than its token;
//! a pair leaves only after the store has acknowledged the change it stands for; foreign and unknown sessions are told
//! apart from nothing.
//! Does not know: JSON, forms, statuses.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use tokio::time::sleep;
use tracing::{info, warn};

use crate::account::{Accounts, User};
use crate::clock::Clock;
use crate::keys::Keys;
use crate::muster::Muster;
use crate::store::{Store, StoreError};
use crate::token::{
    CredentialVersion, Device, Pair, Person, Policy, Presented, Profile, Refreshing, Rotation, RotationRefusal, SETTLE,
    Scopes, Session, SessionId, Standing, Subject, Timestamp, TokenError, opaque, refresh,
};

use super::{Caller, RefreshRefusal, Refused};

/// How much of a client's address a session remembers: personal data, so the operator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordAddresses {
    Full,
    /// /24 of IPv4, /48 of IPv6.
    Prefix,
    Off,
}

/// When and from where a request came.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    pub address: IpAddr,
    /// When it had reached us: what tells a race from a reuse.
    pub arrived_at: Timestamp,
    pub now: Timestamp,
}

/// Which scopes a sign-in asks for.
#[derive(Debug)]
pub enum Asked {
    These(Scopes),
    /// All that the user may have, which may be none: roles count as well.
    Everything,
}

/// What a sign-in asks for.
#[derive(Debug)]
pub struct Request {
    pub scopes: Asked,
    pub ttl_secs: Option<u64>,
    pub device: Option<Device>,
}

pub struct Sessions {
    pub store: Arc<Store>,
    pub accounts: Arc<Accounts>,
    pub keys: Arc<Keys>,
    pub clock: Arc<Clock>,
    pub muster: Muster,
    pub policy: Arc<Policy>,
    pub record_addresses: RecordAddresses,
    /// Scopes that mean something here: what routes demand, and the API's own.
    pub known_scopes: Scopes,
}

impl Sessions {
    /// Begins a session for `caller` and hands out its first pair.
    ///
    /// # Errors
    /// When the scopes do not fit, or the store cannot take it.
    pub async fn begin(
        &self,
        profile: Profile,
        caller: &Caller,
        request: Request,
        visit: Visit,
    ) -> Result<Pair, Refused> {
        let user = self.user_of(caller).ok_or(Refused::Overtaken)?;
        let scopes = match &request.scopes {
            Asked::These(scopes) => self.grant(caller, &user, scopes)?,
            Asked::Everything => user.scopes.clone(),
        };
        let parent = match caller {
            Caller::User(_) => None,
            Caller::Bearer(token) => Some(self.store.find(token.session()).ok_or(Refused::Overtaken)?),
        };
        let ring = self.keys.ring();
        let key = ring.current();
        let now = visit.now;
        let mut expires_at = now + self.policy.session_ttl;
        if let Some(parent) = &parent {
            expires_at = expires_at.min(parent.expires_at);
        }
        let session = Session {
            id: fresh_id(),
            subject: Subject::new(Arc::clone(&user.name)),
            profile,
            scopes: scopes.clone(),
            granted: scopes,
            access_ttl: self.policy.access_ttl_for(profile, request.ttl_secs),
            device: request.device.map(Box::new),
            address: self.recorded(visit.address),
            created_at: now,
            rotated_at: now,
            answered_at: now,
            idle_expires_at: (now + self.policy.lifetimes(profile).refresh_ttl).min(expires_at),
            expires_at,
            generation: 0,
            kid: Arc::clone(key.kid()),
            credential: self.credential_of(&user),
            parent: parent.map(|parent| parent.id),
            access_floor: 0,
            in_doubt: false,
            outlived: None,
        };
        let pair = Pair::mint(&session, person(&user), key, &self.policy).map_err(Refused::Mint)?;
        let (id, subject) = (session.id, session.subject.clone());
        self.store.issue(session, &|subject| self.standing(subject), now).await.map_err(|error| match error {
            StoreError::Full => Refused::Full,
            StoreError::Overtaken => Refused::Overtaken,
            StoreError::Unwritten | StoreError::ReadOnly => Refused::Unwritten,
        })?;
        info!(event = "sign_in", session = %id, subject = %subject, scopes = %pair.scopes, "session begun");
        Ok(pair)
    }

    /// Exchanges a refresh token for the next pair.
    ///
    /// # Errors
    /// [`Refused::Refresh`] for every reason that lies with the token or its session.
    pub async fn renew(&self, profile: Profile, token: &str, visit: Visit) -> Result<Pair, Refused> {
        let refused = |refusal| Err(Refused::Refresh(refusal));
        let Refreshing { id, issued_at } = match self.verify(profile, token, visit.now) {
            Ok(refreshing) => refreshing,
            Err(error) => return refused(RefreshRefusal::Token(error)),
        };
        let presented = Presented {
            session: id.session,
            generation: id.generation,
            issued_at,
            profile,
            arrived_at: visit.arrived_at,
            address: self.recorded(visit.address),
        };
        let current = Arc::clone(self.keys.ring().current());
        // While the disk takes the change, so that it costs nothing where a sync takes as long. Polled only if there is a
        // new pair; what it holds is let go when the change is written too, or when the client goes away and all of this
        // is dropped.
        let settle = async {
            let letting_go = LettingGo { sessions: self, id: id.session, generation: id.generation.saturating_add(1) };
            sleep(SETTLE).await;
            self.muster.all_have_looked().await;
            letting_go
        };
        let users = |subject: &Subject| self.standing(subject);
        let rotation = self.store.rotate(&presented, &users, current.kid(), visit.now, settle).await;
        let session = match rotation.map_err(|_| Refused::Unwritten)? {
            Rotation::Rotated(session) => session,
            Rotation::Retried(session) => session,
            Rotation::Raced => return refused(RefreshRefusal::Raced),
            Rotation::Refused(refusal @ (RotationRefusal::Ahead | RotationRefusal::Lost)) => {
                warn!(event = "lost_token", session = %id.session, generation = id.generation, issued_at = issued_at.as_secs(),
                    "an authentic refresh token of which the store has no record: a backup was restored, or worse");
                return refused(RefreshRefusal::Rotation(refusal));
            }
            Rotation::Refused(refusal) => return refused(RefreshRefusal::Rotation(refusal)),
            Rotation::Reused(subject) => {
                warn!(event = "reuse", session = %id.session, subject = %subject, generation = id.generation,
                    "a refresh token was used twice: its session has ended");
                return refused(RefreshRefusal::Reused);
            }
            Rotation::Disowned(subject) => {
                info!(event = "disowned", session = %id.session, subject = %subject,
                    "the user is gone or has another password: the session has ended");
                return refused(RefreshRefusal::Disowned);
            }
        };
        let Some(user) = self.accounts.find(session.subject.as_str()) else {
            return refused(RefreshRefusal::Disowned);
        };
        // Asked anew: a retry may have to repeat what another worker has signed with a newer ring.
        let ring = self.keys.ring();
        let key = ring.find(&session.kid).unwrap_or(&current);
        info!(event = "refresh", session = %session.id, generation = session.generation, "session renewed");
        Pair::mint(&session, person(&user), key, &self.policy).map_err(Refused::Mint)
    }

    /// Ends a session if it is the subject's own. Silent about everything else.
    ///
    /// # Errors
    /// [`Refused::Unwritten`] if nobody can say that the end outlives this process; until then it holds.
    pub async fn end(&self, subject: &Subject, id: SessionId) -> Result<(), Refused> {
        // One that has ended may not be written yet: whoever asks again has to be told so again.
        if self.store.find(id).is_some_and(|session| session.subject != *subject) {
            return Ok(());
        }
        if self.store.end(id).await.map_err(|_| Refused::Unwritten)? {
            info!(event = "revoke", session = %id, subject = %subject, "session ended");
        }
        Ok(())
    }

    /// Ends the session that a refresh token belongs to, whichever of its generation it is: whoever has one can end it
    /// anyway, by using it twice. Silent about everything that is no such token.
    ///
    /// # Errors
    /// As for [`Sessions::end`].
    pub async fn leave(&self, profile: Profile, token: &str, now: Timestamp) -> Result<(), Refused> {
        let Ok(Refreshing { id, .. }) = self.verify(profile, token, now) else { return Ok(()) };
        match self.store.find(id.session) {
            Some(session) if session.profile == profile => self.end(&session.subject, id.session).await,
            Some(_) => Ok(()),
            // It may have ended a moment ago without being written yet.
            None => self.store.end(id.session).await.map(drop).map_err(|_| Refused::Unwritten),
        }
    }

    pub fn list(&self, subject: &Subject, now: Timestamp) -> Vec<Session> {
        self.store.sessions_of(subject, now)
    }

    /// What the users file grants a subject now.
    pub fn standing(&self, subject: &Subject) -> Option<Standing> {
        let user = self.accounts.find(subject.as_str())?;
        Some(Standing { scopes: user.scopes.clone(), credential: self.credential_of(&user) })
    }

    fn verify(&self, profile: Profile, token: &str, now: Timestamp) -> Result<Refreshing, TokenError> {
        match profile {
            Profile::Smsgate => refresh::verify(token, &self.keys.ring(), &self.policy, now),
            Profile::Form => opaque::verify(token, &self.keys.ring(), now),
        }
    }

    fn user_of(&self, caller: &Caller) -> Option<Arc<User>> {
        match caller {
            Caller::User(user) => Some(Arc::clone(user)),
            Caller::Bearer(token) => self.accounts.find(token.subject.as_str()),
        }
    }

    fn grant(&self, caller: &Caller, user: &User, requested: &Scopes) -> Result<Scopes, Refused> {
        if requested.is_empty() {
            return Err(Refused::NoScopes);
        }
        let known = Scopes::new(requested.iter().filter(|scope| self.known_scopes.contains(scope)));
        if known.is_empty() {
            return Err(Refused::NoKnownScope);
        }
        if !user.scopes.cover(&known) {
            return Err(Refused::BeyondUser);
        }
        let Caller::Bearer(token) = caller else {
            return Ok(known);
        };
        let granted = known.within(&token.scopes);
        if granted.is_empty() { Err(Refused::BeyondCaller) } else { Ok(granted) }
    }

    fn credential_of(&self, user: &User) -> CredentialVersion {
        user.credential_version(self.keys.ring().fingerprint_key())
    }

    fn recorded(&self, address: IpAddr) -> Option<IpAddr> {
        match (self.record_addresses, address) {
            (RecordAddresses::Full, address) => Some(address),
            (RecordAddresses::Off, _) => None,
            (RecordAddresses::Prefix, IpAddr::V4(v4)) => {
                let [a, b, c, _] = v4.octets();
                Some(IpAddr::from([a, b, c, 0]))
            }
            (RecordAddresses::Prefix, IpAddr::V6(v6)) => {
                let [a, b, c, ..] = v6.segments();
                Some(IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)))
            }
        }
    }
}

/// A rotation whose pair is held back. The parent counts as stolen from the moment this is dropped.
struct LettingGo<'a> {
    sessions: &'a Sessions,
    id: SessionId,
    generation: u32,
}

impl Drop for LettingGo<'_> {
    fn drop(&mut self) {
        self.sessions.store.answered(self.id, self.generation, self.sessions.clock.now());
    }
}

fn person(user: &User) -> Person<'_> {
    Person { email: user.email.as_deref(), roles: &user.roles, claims: &user.claims }
}

#[expect(clippy::expect_used, reason = "fails only if the kernel has no randomness, and then nothing may be issued")]
fn fresh_id() -> SessionId {
    let mut bytes = [0; SessionId::BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    SessionId::from_bytes(bytes)
}
