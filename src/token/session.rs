//! The session and its state machine, as a pure function.
//!
//! Guarantees: of one generation there is at most one distinct successor; presenting a token that was already rotated
//! ends the session, unless the row of [`Session::rotate`]'s table says otherwise; memory per session is constant,
//! however often it is refreshed.
//! Does not know: clocks, stores, HTTP, how a refresh token is spelled or authenticated.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AccessOverlap, Policy, Scopes, Sender, SessionId, Subject, Timestamp};

/// How long the answer to a rotation is held back.
///
/// Two clients that send one token at the same instant are read one after the other: sockets, queues and the scheduler
/// lie between. Whatever has arrived before the successor is let go cannot be a reply to it, so it is the loser of a
/// race and no theft; whatever arrives later may have seen it. The pause makes sure that what was sent together is
/// read in time.
pub const SETTLE: Duration = Duration::from_millis(5);

/// The client-facing dialect a session belongs to. Its tokens fail elsewhere, without side effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    Smsgate,
    /// Forms from browsers and simple clients.
    Form,
    /// RFC 6749. Its sessions belong to a client as well.
    Oauth,
}

impl Profile {
    /// As the configuration and people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smsgate => "smsgate",
            Self::Form => "form",
            Self::Oauth => "oauth",
        }
    }
}

/// A keyed fingerprint of a user's name and password hash: it changes when the password does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialVersion(pub [u8; 8]);

/// What the client says of the device it runs on (seed Z26). Both are shown back, never trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub id: Option<String>,
    pub name: Option<String>,
}

/// One sign-in on one device: all refresh tokens that descend from one issuance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub subject: Subject,
    pub profile: Profile,
    /// What was granted at sign-in: the ceiling of every later generation.
    pub scopes: Scopes,
    /// What the current generation's access token carries.
    pub granted: Scopes,
    pub access_ttl: Duration,
    pub device: Option<Box<Device>>,
    /// Where the sign-in came from.
    pub begun_from: Sender,
    /// Where the sign-in or the last refresh came from.
    pub used_from: Sender,
    pub created_at: Timestamp,
    /// When the current generation came to be.
    pub rotated_at: Timestamp,
    /// When the current generation's first pair was let go; [`Timestamp::MAX`] while it is held back. A restart forgets
    /// it: no request outlives one.
    #[serde(skip)]
    pub answered_at: Timestamp,
    /// Slides with each rotation.
    pub idle_expires_at: Timestamp,
    /// Absolute; nothing moves it.
    pub expires_at: Timestamp,
    pub generation: u32,
    /// The key that signed the current pair, so that a retry can repeat it.
    pub kid: Arc<str>,
    pub credential: CredentialVersion,
    /// The session whose Bearer token minted this one: it ends with it and never outlives it.
    pub parent: Option<SessionId>,
    /// Access tokens of generations below this one are refused, whatever the overlap says.
    pub access_floor: u32,
    /// Nobody can say whether the rotation to this generation was on the disk when its client was told to try again: the
    /// parent may be presented once more, whatever the retry window says.
    pub in_doubt: bool,
    /// If the store was restored between the generation before the current one and the current one: the second in which
    /// that one was issued. It may be an adopted one, and others may bear its number.
    pub outlived: Option<Timestamp>,
    /// The OAuth client that it was begun by, and that alone may renew it.
    pub client: Option<Arc<str>>,
    /// Whom the certificate named that was shown when it began: nobody else can renew it. Not the certificate itself, as
    /// that may live for an hour. The files spell it beside the rest.
    #[serde(skip)]
    pub certificate: Option<Box<str>>,
}

/// What the user behind a session may have at this moment.
#[derive(Clone, Debug)]
pub struct Standing {
    pub scopes: Scopes,
    pub credential: CredentialVersion,
}

/// An authentic refresh token, reduced to what the rules ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    pub session: SessionId,
    pub generation: u32,
    /// Its `iat`: a whole second.
    pub issued_at: Timestamp,
    pub profile: Profile,
    /// When the request that carried it had reached us.
    pub arrived_at: Timestamp,
    pub sender: Sender,
    /// The OAuth client that presented it, if one did.
    pub by: Option<Presenter>,
    /// Whom the certificate of the connection names.
    pub certificate: Option<Box<str>>,
}

/// An OAuth client with a refresh token, and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presenter {
    pub client: Arc<str>,
    /// What the next access token is to carry, of what the session may have; `None`: all of it. The session keeps what
    /// it has (RFC 6749 section 6).
    pub scopes: Option<Scopes>,
    /// Idle lifetime of this client's sessions.
    pub refresh_ttl: Duration,
}

/// The answer to a presented refresh token. Reuse changes the session, so it is an outcome and not an error: no caller
/// can drop the change along with an `Err`.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub enum Rotation {
    /// A new generation: mint its pair.
    Rotated(Box<Session>),
    /// The idempotent retry: mint the current generation's pair again.
    Retried(Box<Session>),
    /// The loser of a race: refused, and the session lives.
    Raced,
    /// Reuse: the session has to end, and with [`super::OnReuse::User`] all of the subject's.
    Reused(Subject),
    /// The user is gone or has another password: the session has to end.
    Disowned(Subject),
    /// Unknown, ended, expired, of another profile, client or certificate, asking for too much, or of a generation that
    /// was never issued. No side effect.
    Refused(RotationRefusal),
}

/// Why nothing happened. For logs and counters; clients get one text for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationRefusal {
    Unknown,
    Ended,
    Expired,
    OtherProfile,
    OtherClient,
    /// Without a certificate of the one who has begun the session.
    OtherCertificate,
    /// More scopes were asked for than the session has.
    Scopes,
    /// Newer than the store knows: the store was rolled back, or worse.
    Ahead,
    /// Issued in the time that a restored store has lost, and not to be adopted.
    Lost,
}

/// Whether an access token of some generation still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessStanding {
    /// It counts; with a time if only until then.
    Good {
        until: Option<Timestamp>,
    },
    /// A newer generation has replaced it and the overlap is over, or its scopes were cut.
    Superseded,
    Ended,
}

/// Which generation of a session is current, since when, and which are cut: all that the standing of an access token
/// turns on, so that a store can answer without the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Succession {
    pub generation: u32,
    pub rotated_at: Timestamp,
    pub access_floor: u32,
}

impl Session {
    /// Applies the table of design order to a presented token.
    ///
    /// | presented generation | outcome |
    /// |---|---|
    /// | current | rotate: generation + 1, scopes = original within what the user may have now |
    /// | immediate parent, arrived before the successor was let go ([`SETTLE`]) | raced; retried if `retry_window` is set |
    /// | immediate parent within `retry_window` or of a rotation in doubt, successor not yet rotated | retried: the same successor |
    /// | any other older one | reused |
    /// | newer than known | refused |
    ///
    /// What another profile, another OAuth client or the holder of another certificate presents is refused before that
    /// table is looked at: a thief without the certificate cannot even end the session.
    ///
    /// `user` is `None` if the user no longer exists. The dangerous wrong answer is a second `Rotated` for one
    /// generation: two live successors are a theft that nobody can see.
    pub fn rotate(
        &mut self,
        presented: &Presented,
        user: Option<&Standing>,
        kid: &Arc<str>,
        now: Timestamp,
        policy: &Policy,
    ) -> Rotation {
        if presented.profile != self.profile {
            return Rotation::Refused(RotationRefusal::OtherProfile);
        }
        if presented.by.as_ref().map(|by| &by.client) != self.client.as_ref() {
            return Rotation::Refused(RotationRefusal::OtherClient);
        }
        if self.certificate.is_some() && presented.certificate != self.certificate {
            return Rotation::Refused(RotationRefusal::OtherCertificate);
        }
        if self.expired(now) {
            return Rotation::Refused(RotationRefusal::Expired);
        }
        let Some(user) = user.filter(|user| user.credential == self.credential) else {
            return Rotation::Disowned(self.subject.clone());
        };
        if presented.generation == self.generation {
            let Some(next) = self.generation.checked_add(1) else {
                return Rotation::Refused(RotationRefusal::Expired);
            };
            let asked = presented.by.as_ref().and_then(|by| by.scopes.as_ref());
            let granted = asked.unwrap_or(&self.scopes).within(&user.scopes);
            if asked.is_some_and(|asked| !self.scopes.cover(asked) || granted.is_empty()) {
                return Rotation::Refused(RotationRefusal::Scopes);
            }
            let own_ttl = presented.by.as_ref().map(|by| by.refresh_ttl);
            let refresh_ttl = own_ttl.unwrap_or(policy.lifetimes(self.profile).refresh_ttl);
            self.generation = next;
            self.rotated_at = now;
            self.answered_at = Timestamp::MAX;
            self.used_from = presented.sender.clone();
            self.idle_expires_at = (now + refresh_ttl).min(self.expires_at);
            if !user.scopes.cover(&self.granted) {
                // The overlap is for calls in flight, not for scopes that the user has lost meanwhile.
                self.access_floor = next;
            }
            self.granted = granted;
            self.kid = Arc::clone(kid);
            self.in_doubt = false;
            self.outlived = None;
            return Rotation::Rotated(Box::new(self.clone()));
        }
        if presented.generation > self.generation {
            return Rotation::Refused(RotationRefusal::Ahead);
        }
        if presented.generation + 1 == self.generation {
            let raced = presented.arrived_at <= self.answered_at;
            let in_window = now < self.rotated_at + policy.retry_window;
            if self.in_doubt || (!policy.retry_window.is_zero() && (raced || in_window)) {
                return Rotation::Retried(Box::new(self.clone()));
            }
            if raced {
                return Rotation::Raced;
            }
        }
        Rotation::Reused(self.subject.clone())
    }

    /// Calls the device by another name; by none if there is none.
    pub fn rename(&mut self, name: Option<String>) {
        let id = self.device.take().and_then(|device| device.id);
        self.device = (id.is_some() || name.is_some()).then(|| Box::new(Device { id, name }));
    }

    /// Notes that the pair of `generation` has been let go.
    pub fn answered(&mut self, generation: u32, now: Timestamp) {
        if generation == self.generation && self.answered_at == Timestamp::MAX {
            self.answered_at = now;
        }
    }

    /// Whether both tell of one rotation, whatever else has changed since.
    pub fn is_same_rotation(&self, other: &Self) -> bool {
        (self.generation, self.rotated_at) == (other.generation, other.rotated_at)
    }

    /// Notes that the rotation to `generation` is in doubt. Returns whether that is still the current one.
    pub fn doubt(&mut self, generation: u32) -> bool {
        self.in_doubt |= generation == self.generation;
        generation == self.generation
    }

    /// Whether the session is past its idle or absolute lifetime.
    pub fn expired(&self, now: Timestamp) -> bool {
        now >= self.idle_expires_at.min(self.expires_at)
    }

    /// Whether an access token of `generation` still counts at `now`.
    pub fn access_standing(&self, generation: u32, now: Timestamp, policy: &Policy) -> AccessStanding {
        self.succession().access_standing(generation, now, policy)
    }

    pub fn succession(&self) -> Succession {
        Succession { generation: self.generation, rotated_at: self.rotated_at, access_floor: self.access_floor }
    }

    /// Cuts the access tokens issued so far if they exceed what the user may have now. The session lives: its next
    /// refresh carries the narrower scopes. Returns whether anything changed.
    pub fn narrow(&mut self, user: &Scopes) -> bool {
        if user.cover(&self.granted) || self.access_floor > self.generation {
            return false;
        }
        self.access_floor = self.generation + 1;
        true
    }

    /// When the last access token of this session has expired for certain, leeway included: until then an ended
    /// session has to be remembered.
    pub fn access_ends_at(&self, policy: &Policy) -> Timestamp {
        self.access_expires_at() + policy.leeway
    }

    /// `exp` of the current generation's access token: never past the session's absolute end.
    pub fn access_expires_at(&self) -> Timestamp {
        (self.rotated_at + self.access_ttl).min(self.expires_at)
    }
}

impl Succession {
    /// Whether an access token of `generation` still counts at `now`.
    pub fn access_standing(&self, generation: u32, now: Timestamp, policy: &Policy) -> AccessStanding {
        if generation < self.access_floor {
            return AccessStanding::Superseded;
        }
        // A newer generation than ours: the store lost a record, the signature did not. Only a known end refuses.
        if generation >= self.generation {
            return AccessStanding::Good { until: None };
        }
        match policy.access_overlap {
            _ if generation + 1 != self.generation => AccessStanding::Superseded,
            AccessOverlap::UntilExpiry => AccessStanding::Good { until: None },
            AccessOverlap::For(span) if now < self.rotated_at + span => {
                AccessStanding::Good { until: Some(self.rotated_at + span) }
            }
            AccessOverlap::For(_) => AccessStanding::Superseded,
        }
    }
}

#[cfg(test)]
mod tests;
