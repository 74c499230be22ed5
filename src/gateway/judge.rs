//! The judge: whether a request's credentials meet what its route demands.
//!
//! Guarantees: the only maker of a [`Permit`]; a token is good only if its signature, claims and times are, its session
//! was not ended and its generation not replaced, and it came on a connection with the certificate that it is bound to,
//! all asked on every request; a token of another issuer opens routes and none of our endpoints; whatever cannot be
//! decided is a refusal.
//! Does not know: paths, bodies, the upstream.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::account::{Credentials, RetryAfter, SignInError, User};
use crate::issuer::Foreign;
use crate::metrics::Tally;
use crate::profile::Caller;
use crate::token::{AccessStanding, SESSIONS_ADMIN, Scopes, TOKENS_MANAGE, Timestamp, TokenError, Verified, access};
use crate::upstream::Permit;
use crate::upstream::headers::Identity;

use super::current::Current;
use super::handling::Handling;
use super::leash::{OfForeign, OfSession, OfUser};
use super::refusal::Refusal;
use super::route::Demand;
use super::verified::{Admitted, Good, Token, VerifiedTokens};
use super::{Charter, Visitor, own_credentials};

/// What a request brought in `Authorization`.
pub enum Presented<'a> {
    /// The token as it was sent; not even known to be text.
    Bearer(&'a [u8]),
    Basic(Credentials),
}

impl<'a> Presented<'a> {
    /// Reads the one `Authorization` header.
    ///
    /// # Errors
    /// When there is none, more than one, or it is neither Bearer nor Basic.
    pub fn read(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let value = fields.next().ok_or(Refusal::NoCredentials)?;
        if fields.next().is_some() {
            return Err(Refusal::AmbiguousAuthorization);
        }
        let value = value.as_bytes();
        if let Some(token) = credentials_of(value, b"bearer") {
            return Ok(Self::Bearer(token));
        }
        if credentials_of(value, b"basic").is_some() {
            return Credentials::from_header(value).map(Self::Basic).map_err(|_| Refusal::MalformedBasic);
        }
        Err(Refusal::UnknownScheme)
    }
}

/// What follows the scheme, if it is this one: schemes are case-insensitive (RFC 9110 section 11.1).
fn credentials_of<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(scheme.len())?;
    (start.eq_ignore_ascii_case(scheme) && rest.first() == Some(&b' ')).then(|| rest.trim_ascii())
}

/// What a call at our endpoints takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Any password and any access token.
    Own,
    /// A password, or an access token that may manage tokens.
    Manage,
    /// The scope for the sessions of others, with a password too.
    Administer,
}

impl Right {
    fn check(self, scopes: &Scopes, of_token: bool) -> Result<(), Refusal> {
        let needed = match self {
            Self::Manage if of_token => TOKENS_MANAGE,
            Self::Own | Self::Manage => return Ok(()),
            Self::Administer => SESSIONS_ADMIN,
        };
        if scopes.satisfy(needed) { Ok(()) } else { Err(Refusal::ScopeMissing(needed.into())) }
    }
}

/// A permit, and who has earned it.
pub struct Pass {
    pub permit: Permit,
    pub by: By,
    /// Whether the upstream gets what the token had sealed.
    pub sealed: bool,
}

/// Who was admitted.
pub enum By {
    Nobody,
    Token(Rc<Admitted>),
    User(Arc<User>),
}

impl Pass {
    fn of(permit: Permit, by: By) -> Self {
        Self { permit, by, sealed: false }
    }
}

impl By {
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Nobody => None,
            Self::Token(admitted) => Some(admitted.token.subject()),
            Self::User(user) => Some(&user.name),
        }
    }
}

/// The judge of one worker.
pub struct Judge {
    charter: Arc<Charter>,
    /// What lasts goes by this one.
    current: Rc<Current>,
    verified: VerifiedTokens,
    /// Of the keys, our own and others', by which the tokens in `verified` were verified.
    keys_epoch: Cell<u64>,
    tally: Arc<Tally>,
}

impl Judge {
    pub fn new(charter: Arc<Charter>, current: Rc<Current>, tally: Arc<Tally>) -> Self {
        let keys_epoch = Cell::new(keys_epoch(&charter));
        let verified = VerifiedTokens::new(charter.token_cache_entries);
        Self { charter, current, verified, keys_epoch, tally }
    }

    /// Judges a request against what its route demands, and puts into `headers` what the upstream is to know the caller
    /// by.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub async fn admit(
        &self,
        (demand, handling): (&Demand, &Handling),
        headers: &mut HeaderMap,
        visitor: &Visitor<'_>,
    ) -> Result<Pass, Refusal> {
        // First, as it costs least: no password is worth checking here for whom none can help.
        if let Demand::Certified(certified, _) = demand
            && !certified.fits(visitor.certificate)
        {
            return Err(Refusal::CertificateMissing);
        }
        let demand = demand.of_credentials();
        match demand {
            Demand::Public => return Ok(Pass::of(Permit::Public, By::Nobody)),
            // The upstream judges here, and must not take another one for the caller's than a proxy before it did.
            Demand::Passthrough if headers.get_all(AUTHORIZATION).iter().nth(1).is_some() => {
                return Err(Refusal::AmbiguousAuthorization);
            }
            Demand::Passthrough => return Ok(Pass::of(Permit::Passthrough, By::Nobody)),
            Demand::Nobody => return Err(Refusal::Closed),
            Demand::Unmatched => return Err(Refusal::NoRule),
            Demand::Authenticated | Demand::Scope(_) | Demand::Role(_) | Demand::Certified(..) => {}
        }
        let handing = handling.credentials.as_ref().or(self.charter.handing.as_ref());
        match Presented::read(headers)? {
            Presented::Bearer(token) => {
                let admitted = self.bearer(token, visitor)?;
                let token = &admitted.token;
                meet(demand, token.subject(), token.scopes(), token.roles())?;
                let permit = Permit::Admitted(Rc::clone(&admitted.identity));
                let sealed = match handing {
                    Some(handing) => own_credentials::dress(&self.charter, handing, &admitted, headers)?,
                    None => false,
                };
                Ok(Pass { permit, by: By::Token(admitted), sealed })
            }
            Presented::Basic(credentials) => {
                self.charter.sunset.admit(visitor.now).map_err(Refusal::BasicSwitchedOff)?;
                let credentials = self.charter.accounts.within(visitor.realm, credentials);
                // Boxed, as password work is rare and its future large.
                let signing_in = self.charter.accounts.admit_basic(&credentials, visitor.address, visitor.now);
                let signed_in = Box::pin(signing_in).await;
                let user = signed_in.map_err(sign_in_refusal)?;
                meet(demand, &user.name, &user.scopes, &user.roles)?;
                let bond = OfUser { current: Rc::clone(&self.current), user: Arc::clone(&user) };
                self.charter.sunset.note(&user.name);
                let identity = match handing {
                    Some(handing) => {
                        own_credentials::dress_basic(&self.charter, handing, &credentials, headers);
                        identity_of_dressed_user(&user)?
                    }
                    None => identity_of_user(&user)?,
                };
                Ok(Pass::of(Permit::Admitted(Rc::new(identity.bound(Box::new(bond)))), By::User(user)))
            }
        }
    }

    /// Credentials that only the upstream can judge, unless too many from this address were wrong already: a gate that
    /// passes them on must not be the way to guess them.
    ///
    /// # Errors
    /// [`Refusal::Throttled`] at the limit.
    pub fn guessable(
        &self,
        permit: &Permit,
        headers: &HeaderMap,
        visitor: &Visitor<'_>,
    ) -> Result<Option<String>, Refusal> {
        let (Permit::Passthrough, Some(value)) = (permit, headers.get(AUTHORIZATION)) else {
            return Ok(None);
        };
        let credentials = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match self.charter.accounts.guesses().check(&credentials, visitor.address, visitor.now) {
            Ok(()) => Ok(Some(credentials)),
            Err(RetryAfter(retry_after)) => Err(Refusal::Throttled { retry_after }),
        }
    }

    /// Charges for credentials that the upstream has refused. The limits keep no more of them than a keyed hash.
    pub fn guessed_wrong(&self, credentials: &str, visitor: &Visitor<'_>) {
        // Dropping an attempt is what charges for it.
        drop(self.charter.accounts.guesses().admit(credentials, visitor.address, visitor.now));
    }

    /// Who calls a token endpoint: by password, or by an access token that has the right.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub async fn caller(&self, headers: &HeaderMap, visitor: &Visitor<'_>, right: Right) -> Result<Caller, Refusal> {
        match Presented::read(headers)? {
            Presented::Bearer(token) => {
                let admitted = self.bearer(token, visitor)?;
                // Whoever is signed in elsewhere has no session here, and no user by whom one could be granted.
                let Token::Own { verified, .. } = &admitted.token else {
                    return Err(Refusal::Token(TokenError::Issuer));
                };
                right.check(&verified.scopes, true)?;
                Ok(Caller::Bearer(Arc::clone(verified)))
            }
            Presented::Basic(credentials) => {
                let credentials = self.charter.accounts.within(visitor.realm, credentials);
                let signed_in = self.charter.accounts.sign_in(&credentials, visitor.address, visitor.now).await;
                let user = signed_in.map_err(sign_in_refusal)?;
                right.check(&user.scopes, false)?;
                Ok(Caller::User(user, credentials.password))
            }
        }
    }

    fn bearer(&self, token: &[u8], visitor: &Visitor<'_>) -> Result<Rc<Admitted>, Refusal> {
        let (charter, now) = (&*self.charter, visitor.now);
        let keys_epoch = keys_epoch(charter);
        if keys_epoch != self.keys_epoch.get() {
            self.verified.clear();
            self.keys_epoch.set(keys_epoch);
        }
        let admitted = match self.verified.find(token) {
            Some(admitted) => {
                if let Err(error) = admitted.token.check_time(now, &charter.policy) {
                    self.verified.forget(token);
                    return Err(Refusal::Token(error));
                }
                self.tally.tokens_known.add(1);
                admitted
            }
            None => {
                let text = str::from_utf8(token).map_err(|_| Refusal::Token(TokenError::Malformed))?;
                let began = Instant::now();
                let admitted = Rc::new(self.verify(text, now)?);
                charter.metrics.events.verification.observe(began.elapsed());
                self.tally.tokens_verified.add(1);
                self.verified.remember(token, &admitted);
                admitted
            }
        };
        admitted.token.check_certificate(visitor.certificate).map_err(Refusal::Token)?;
        if let Token::Own { verified, good } = &admitted.token {
            charter.realms.admit(&verified.subject, visitor.realm)?;
            self.ask_store(verified, good, now)?;
        }
        Ok(admitted)
    }

    fn verify(&self, text: &str, now: Timestamp) -> Result<Admitted, Refusal> {
        let charter = &*self.charter;
        if let Some(foreign) = charter.issuers.verify(text, &charter.policy, now) {
            let foreign = Arc::new(foreign.map_err(Refusal::Token)?);
            let bond = OfForeign { current: Rc::clone(&self.current), foreign: Arc::clone(&foreign) };
            let identity = Rc::new(identity_of_foreign(&foreign)?.bound(Box::new(bond)));
            return Ok(Admitted { token: Token::Foreign(foreign), identity, own: OnceCell::new() });
        }
        let verified = access::verify(text, &charter.keys.ring(), &charter.policy, now).map_err(Refusal::Token)?;
        let verified = Arc::new(verified);
        let bond = OfSession::new(Rc::clone(&self.current), Arc::clone(&verified));
        let identity = Rc::new(identity_of_token(&verified)?.bound(Box::new(bond)));
        let unasked = Cell::new(Good { epoch: u64::MAX, until: None });
        Ok(Admitted { token: Token::Own { verified, good: unasked }, identity, own: OnceCell::new() })
    }

    /// Whether the session still stands. The store is asked only if anything in it has changed since the last time.
    fn ask_store(&self, verified: &Verified, last: &Cell<Good>, now: Timestamp) -> Result<(), Refusal> {
        let store = &self.charter.store;
        let good = last.get();
        // Read before the question, so that a change in between makes the next request ask again.
        let epoch = store.epoch();
        if good.epoch == epoch && good.until.is_none_or(|until| now < until) {
            return Ok(());
        }
        if store.restorations().refuse_access(verified.issued_at) {
            return Err(Refusal::Lost);
        }
        match store.access_standing(verified.id, now) {
            AccessStanding::Good { until } => {
                last.set(Good { epoch, until });
                Ok(())
            }
            AccessStanding::Superseded => Err(Refusal::Superseded),
            AccessStanding::Ended => Err(Refusal::Ended),
        }
    }
}

/// Moves whenever a key is gone. Neither part ever runs back.
pub(super) fn keys_epoch(charter: &Charter) -> u64 {
    charter.keys.epoch().wrapping_add(charter.issuers.epoch())
}

fn meet(demand: &Demand, subject: &str, scopes: &Scopes, roles: &[String]) -> Result<(), Refusal> {
    match demand {
        Demand::Public | Demand::Passthrough | Demand::Authenticated => Ok(()),
        Demand::Scope(scope) if scopes.satisfy(scope) => Ok(()),
        Demand::Scope(scope) => Err(Refusal::ScopeMissing(Arc::clone(scope))),
        Demand::Role(role) if roles.iter().any(|own| **own == **role) => Ok(()),
        Demand::Role(role) => Err(Refusal::RoleMissing { subject: subject.into(), role: Arc::clone(role) }),
        // A certificate has been asked for before; one inside another is never made.
        Demand::Nobody | Demand::Certified(..) => Err(Refusal::Closed),
        Demand::Unmatched => Err(Refusal::NoRule),
    }
}

pub(super) fn sign_in_refusal(error: SignInError) -> Refusal {
    match error {
        SignInError::Wrong => Refusal::WrongCredentials,
        SignInError::Throttled { retry_after } => Refusal::Throttled { retry_after },
        SignInError::Busy(_) => Refusal::Busy,
        SignInError::Unjudged => Refusal::Unjudged,
    }
}

/// Names and scopes were checked when they entered; text that no header can carry is refused all the same.
fn identity_of_token(verified: &Verified) -> Result<Identity, Refusal> {
    let (session, id) = (verified.session().to_string(), verified.id.to_string());
    let identity = Identity::of_token(verified.subject.as_str(), &verified.scopes.to_string(), &session, &id);
    identity.map_err(|_| Refusal::Token(TokenError::Kind))
}

fn identity_of_foreign(foreign: &Foreign) -> Result<Identity, Refusal> {
    let identity = Identity::of_foreign_token(foreign.subject.as_str(), &foreign.scopes.to_string());
    identity.map_err(|_| Refusal::Token(TokenError::Kind))
}

/// One for whom credentials were chosen already, which go on as they stand.
fn identity_of_dressed_user(user: &User) -> Result<Identity, Refusal> {
    Identity::of_foreign_token(&user.name, &user.scopes.to_string()).map_err(|_| Refusal::WrongCredentials)
}

fn identity_of_user(user: &User) -> Result<Identity, Refusal> {
    Identity::of_user(&user.name, &user.scopes.to_string()).map_err(|_| Refusal::WrongCredentials)
}
