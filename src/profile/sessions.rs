//! The engine behind every dialect: begins, renews and ends sessions.
//!
//! Guarantees: nobody is granted more than the user may have at this moment, nor a Bearer caller more than its token;
//! what is handed out on a connection with a certificate is worth nothing on others;
//! a pair leaves only after the store has acknowledged the change it stands for; foreign and unknown sessions are told
//! apart from nothing.
//! Does not know: JSON, forms, statuses.

mod ends;
mod inspection;
mod owner;

use std::sync::Arc;
use std::time::Instant;

use tokio::time::sleep;

use crate::account::{Accounts, Client, Grant};
use crate::clock::Clock;
use crate::keys::Keys;
use crate::metrics::{Event, Metrics, Step};
use crate::muster::Muster;
use crate::store::{Store, StoreError};
use crate::token::{
    Device, Pair, Policy, Presented, Presenter, Profile, Refreshing, Rotation, RotationRefusal, SETTLE, Scopes, Sealed,
    Sealing, Session, SessionId, Subject, Timestamp, TokenError, opaque, refresh,
};

pub use inspection::Inspected;

use super::visit::{RecordAddresses, Visit};
use super::{Caller, RefreshRefusal, Refused};

/// Which scopes a sign-in asks for.
#[derive(Debug)]
pub enum Asked {
    These(Scopes),
    /// All that the user may have, which may be none: roles count as well.
    Everything,
    /// Of these what may be had.
    Among(Scopes),
}

/// What a sign-in asks for.
#[derive(Debug)]
pub struct Request {
    pub scopes: Asked,
    pub ttl_secs: Option<u64>,
    pub device: Option<Device>,
    /// The OAuth client that asks, for a user or for itself.
    pub client: Option<Arc<Client>>,
}

pub struct Sessions {
    pub store: Arc<Store>,
    pub accounts: Arc<Accounts>,
    pub keys: Arc<Keys>,
    pub clock: Arc<Clock>,
    pub muster: Arc<Muster>,
    pub policy: Arc<Policy>,
    /// With it, the user's own password goes into tokens, for the upstream.
    pub sealing: Option<Arc<Sealing>>,
    pub record_addresses: RecordAddresses,
    /// Scopes that mean something here: what routes demand, and the API's own.
    pub known_scopes: Scopes,
    pub metrics: Arc<Metrics>,
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
        visit: Visit<'_>,
    ) -> Result<Pair, Refused> {
        self.timed(Step::Issuance, self.make(profile, caller, request, visit)).await
    }

    async fn make(
        &self,
        profile: Profile,
        caller: &Caller,
        request: Request,
        visit: Visit<'_>,
    ) -> Result<Pair, Refused> {
        let owner = self.owner_of(caller)?;
        let client = request.client.as_deref();
        let ceiling = match client {
            Some(client) => owner.scopes().within(&client.scopes),
            None => owner.scopes().clone(),
        };
        let scopes = match &request.scopes {
            Asked::These(scopes) => self.grant(caller, &ceiling, scopes)?,
            Asked::Everything => ceiling,
            Asked::Among(scopes) => scopes.within(&ceiling),
        };
        if client.is_some() && scopes.is_empty() {
            return Err(Refused::BeyondClient);
        }
        let parent = match caller {
            Caller::User(..) | Caller::Client(_) => None,
            Caller::Bearer(token) => Some(self.store.find(token.session()).ok_or(Refused::Overtaken)?),
        };
        let ring = self.keys.ring();
        let key = ring.current();
        let now = visit.now;
        let lifetimes = self.policy.lifetimes(profile);
        let access_ttl =
            client.map_or_else(|| self.policy.access_ttl_for(profile, request.ttl_secs), |own| own.access_ttl);
        let refresh_ttl = client.map_or(lifetimes.refresh_ttl, |own| own.refresh_ttl);
        // What nobody can renew is over with its access token.
        let renewable = client.is_none_or(|client| renewable(caller, client));
        let mut expires_at = now + if renewable { self.policy.session_ttl } else { access_ttl };
        if let Some(parent) = &parent {
            expires_at = expires_at.min(parent.expires_at);
        }
        let sender = self.record_addresses.of(&visit);
        let session = Session {
            id: fresh_id(),
            subject: owner.subject(),
            profile,
            scopes: scopes.clone(),
            granted: scopes,
            access_ttl,
            device: request.device.map(Box::new),
            begun_from: sender.clone(),
            used_from: sender,
            created_at: now,
            rotated_at: now,
            answered_at: now,
            idle_expires_at: (now + refresh_ttl).min(expires_at),
            expires_at,
            generation: 0,
            kid: Arc::clone(key.kid()),
            credential: self.credential_of(&owner),
            parent: parent.map(|parent| parent.id),
            access_floor: 0,
            in_doubt: false,
            outlived: None,
            client: client.map(|client| Arc::clone(&client.id)),
            certificate: visit.holder(),
        };
        let sealed = self.seal(caller, &session, now)?;
        let minted = Pair::mint(&session, owner.person(), visit.thumbprint(), key, &self.policy, sealed.as_ref());
        let pair = minted.map_err(Refused::Mint)?;
        let begun = session.clone();
        self.store.issue(session, &|subject, client| self.standing(subject, client), now).await.map_err(|error| {
            match error {
                StoreError::Full => Refused::Full,
                StoreError::Overtaken => Refused::Overtaken,
                StoreError::Unwritten | StoreError::ReadOnly => Refused::Unwritten,
            }
        })?;
        self.audit(&visit).sign_in(&begun);
        Ok(pair)
    }

    /// Exchanges a refresh token for the next pair. Of OAuth clients only the one that began the session can.
    ///
    /// # Errors
    /// [`Refused::Refresh`] for every reason that lies with the token or its session; [`Refused::BeyondGrant`] if it asks
    /// for more than that has.
    pub async fn renew(
        &self,
        profile: Profile,
        token: &str,
        by: Option<Presenter>,
        visit: Visit<'_>,
    ) -> Result<Pair, Refused> {
        self.timed(Step::Issuance, self.rotate(profile, token, by, visit)).await
    }

    async fn rotate(
        &self,
        profile: Profile,
        token: &str,
        by: Option<Presenter>,
        visit: Visit<'_>,
    ) -> Result<Pair, Refused> {
        let refused = |refusal| Err(Refused::Refresh(refusal));
        let Refreshing { id, issued_at, sealed } = match self.verify(profile, token, visit.now) {
            Ok(refreshing) => refreshing,
            Err(error) => return refused(RefreshRefusal::Token(error)),
        };
        let presented = Presented {
            session: id.session,
            generation: id.generation,
            issued_at,
            profile,
            arrived_at: visit.arrived_at,
            sender: self.record_addresses.of(&visit),
            by,
            certificate: visit.holder(),
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
        let users = |subject: &Subject, client: Option<&str>| self.standing(subject, client);
        let rotation = self.store.rotate(&presented, &users, current.kid(), visit.now, settle).await;
        let session = match rotation.map_err(|_| Refused::Unwritten)? {
            Rotation::Rotated(session) => session,
            Rotation::Retried(session) => {
                self.metrics.events.count(Event::Retry);
                session
            }
            Rotation::Raced => {
                self.metrics.events.count(Event::Race);
                return refused(RefreshRefusal::Raced);
            }
            Rotation::Refused(refusal @ (RotationRefusal::Ahead | RotationRefusal::Lost)) => {
                self.audit(&visit).lost_token(profile, id, issued_at);
                return refused(RefreshRefusal::Rotation(refusal));
            }
            Rotation::Refused(refusal @ RotationRefusal::OtherCertificate) => {
                let session = self.store.find(id.session);
                let subject = session.as_ref().map(|session| &session.subject);
                self.audit(&visit).other_certificate(profile, id, subject, visit.holder().as_deref());
                return refused(RefreshRefusal::Rotation(refusal));
            }
            Rotation::Refused(RotationRefusal::Scopes) => return Err(Refused::BeyondGrant),
            Rotation::Refused(refusal) => return refused(RefreshRefusal::Rotation(refusal)),
            Rotation::Reused(subject) => {
                self.audit(&visit).reuse(profile, id, &subject);
                return refused(RefreshRefusal::Reused);
            }
            Rotation::Disowned(subject) => {
                self.audit(&visit).disowned(profile, id, &subject);
                return refused(RefreshRefusal::Disowned);
            }
        };
        let Some(owner) = self.owner(&session.subject) else {
            return refused(RefreshRefusal::Disowned);
        };
        let sealed = sealed.filter(|_| self.sealing.is_some());
        // Asked anew: a retry may have to repeat what another worker has signed with a newer ring.
        let ring = self.keys.ring();
        let key = ring.find(&session.kid).unwrap_or(&current);
        self.audit(&visit).refresh(&session);
        Pair::mint(&session, owner.person(), visit.thumbprint(), key, &self.policy, sealed.as_ref())
            .map_err(Refused::Mint)
    }

    /// The caller's password for the upstream, for the tokens of a session that begins. A client has none.
    fn seal(&self, caller: &Caller, session: &Session, now: Timestamp) -> Result<Option<Sealed>, Refused> {
        let Some(sealing) = &self.sealing else { return Ok(None) };
        let seal = |password: &[u8]| {
            sealing.seal(session.id, &session.subject, password, now).map(Some).map_err(Refused::Unsealed)
        };
        match caller {
            Caller::User(_, password) => seal(password.as_bytes()),
            Caller::Client(_) => Ok(None),
            Caller::Bearer(token) => {
                let sealed = token.sealed.as_ref();
                let password = sealed.and_then(|sealed| sealing.open(sealed, token.session(), &token.subject));
                seal(&password.ok_or(Refused::NothingSealed)?)
            }
        }
    }

    /// Counts how it went, and how long it took.
    async fn timed<T>(&self, step: Step, work: impl Future<Output = Result<T, Refused>>) -> Result<T, Refused> {
        let began = Instant::now();
        let outcome = work.await;
        self.metrics.events.step(step, outcome.is_ok(), began.elapsed());
        outcome
    }

    fn verify(&self, profile: Profile, token: &str, now: Timestamp) -> Result<Refreshing, TokenError> {
        match profile {
            Profile::Smsgate => refresh::verify(token, &self.keys.ring(), &self.policy, now),
            Profile::Form | Profile::Oauth => opaque::verify(token, &self.keys.ring(), now),
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

/// Whether a client gets refresh tokens: not for itself (RFC 6749 section 4.4.3), and for a user if it may use them.
pub(super) fn renewable(caller: &Caller, client: &Client) -> bool {
    !matches!(caller, Caller::Client(_)) && client.may(Grant::RefreshToken)
}

#[expect(clippy::expect_used, reason = "fails only if the kernel has no randomness, and then nothing may be issued")]
fn fresh_id() -> SessionId {
    let mut bytes = [0; SessionId::BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    SessionId::from_bytes(bytes)
}
