//! Access tokens: minted from a session, verified without one.
//!
//! Guarantees: [`verify`] checks in the order size, header, signature, `iss`, `aud`, `cnf`, `exp`/`nbf`/`iat`, kind;
//! every claim is required and typed, so a missing or mistyped one is a refusal and never "not checked" (jsonwebtoken's
//! own validation passes a token whose `iss` and `aud` are absent or malformed).
//! Does not know: revocation, scopes demanded by routes, clocks, on which connection a token came.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::keys::{KeyRing, SigningKey};

use super::confirmation::Bound;
use super::envelope::{self, Envelope, MintError, REFRESH_TYPE};
use super::{
    Confirmation, Policy, Scopes, Sealed, Session, SessionId, Subject, Thumbprint, Timestamp, TokenError, TokenId,
    TokenKind,
};

/// What the users file says of a person beyond name and scopes.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    pub email: Option<&'a str>,
    pub roles: &'a [String],
    pub claims: Option<&'a serde_json::Map<String, serde_json::Value>>,
}

#[derive(Serialize)]
struct Written<'a> {
    iss: &'a str,
    sub: &'a str,
    /// What SMSGate reads (seed S39).
    user_id: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    aud: &'a [String],
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
    sid: String,
    scopes: &'a Scopes,
    /// The same, as RFC 9068 section 2.2.3 writes it.
    scope: String,
    /// RFC 9068 section 2.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    /// RFC 8705 section 3.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    roles: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<&'a Sealed>,
    #[serde(flatten)]
    claims: Option<&'a serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(default, deserialize_with = "one_or_many")]
    aud: Vec<String>,
    iat: u64,
    nbf: u64,
    exp: u64,
    #[serde(borrow)]
    jti: Cow<'a, str>,
    #[serde(borrow)]
    sid: Cow<'a, str>,
    scopes: Scopes,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    sealed: Option<Sealed>,
    #[serde(default)]
    cnf: Bound,
}

/// What an authentic, current access token says. Whether its session was ended since is asked separately.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    pub subject: Subject,
    pub scopes: Scopes,
    pub roles: Vec<String>,
    pub id: TokenId,
    /// The key that signed it.
    pub kid: Arc<str>,
    pub issued_at: Timestamp,
    pub not_before: Timestamp,
    pub expires_at: Timestamp,
    /// The user's password for the upstream.
    pub sealed: Option<Sealed>,
    /// The certificate that it is bound to: good on connections alone on which that was shown.
    pub certificate: Option<Thumbprint>,
}

impl Verified {
    pub fn session(&self) -> SessionId {
        self.id.session
    }

    /// The part of the judgement that time can change: asked again on every use of a remembered token.
    pub fn check_time(&self, now: Timestamp, policy: &Policy) -> Result<(), TokenError> {
        if now >= self.expires_at + policy.leeway {
            return Err(TokenError::Expired);
        }
        if now + policy.leeway < self.not_before {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

/// The access token of the session's current generation, bound to `certificate` if there is one.
///
/// # Errors
/// When the key cannot sign or the claims cannot be written; see [`MintError`].
pub fn mint(
    session: &Session,
    person: Person<'_>,
    certificate: Option<Thumbprint>,
    key: &SigningKey,
    policy: &Policy,
    sealed: Option<&Sealed>,
) -> Result<String, MintError> {
    let issued_at = session.rotated_at.as_secs();
    let id = TokenId { session: session.id, generation: session.generation, kind: TokenKind::Access };
    let claims = Written {
        iss: &policy.issuer,
        sub: session.subject.as_str(),
        user_id: session.subject.as_str(),
        aud: &policy.audience,
        iat: issued_at,
        nbf: issued_at,
        exp: session.access_expires_at().as_secs(),
        jti: id.to_string(),
        sid: session.id.to_string(),
        scopes: &session.granted,
        scope: session.granted.to_string(),
        client_id: session.client.as_deref(),
        cnf: certificate.map(|certificate| Confirmation { certificate }),
        email: person.email,
        roles: person.roles,
        sealed,
        claims: person.claims,
    };
    envelope::seal(key.algorithm(), &policy.access_type, key.kid(), &claims, |message| key.sign(message))
}

/// Judges a token text presented as an access token.
///
/// # Errors
/// The first check that failed. [`TokenError::RefreshPresented`] only for an *authentic* refresh token.
pub fn verify(token: &str, ring: &KeyRing, policy: &Policy, now: Timestamp) -> Result<Verified, TokenError> {
    let envelope = Envelope::open(token, policy.max_token_bytes)?;
    let (key, typ) = envelope.header(ring)?;
    if typ == REFRESH_TYPE {
        super::refresh::verify(token, ring, policy, now)?;
        return Err(TokenError::RefreshPresented);
    }
    // RFC 9068 section 4 demands at+jwt; tokens from before a switch to `JWT` stay good.
    if !typ.eq_ignore_ascii_case(&policy.access_type) && !typ.eq_ignore_ascii_case("at+jwt") {
        return Err(TokenError::Type);
    }
    let payload = envelope.payload(|message, signature| key.verify(message, signature))?;
    let claims: Read<'_> = serde_json::from_str(&payload).map_err(TokenError::Claims)?;
    if claims.iss != policy.issuer {
        return Err(TokenError::Issuer);
    }
    if !policy.audience.is_empty() && !claims.aud.iter().any(|audience| policy.audience.contains(audience)) {
        return Err(TokenError::Audience);
    }
    let verified = Verified {
        subject: Subject::new(claims.sub),
        scopes: claims.scopes,
        roles: claims.roles,
        id: claims.jti.parse().map_err(|_| TokenError::Kind)?,
        kid: Arc::clone(key.kid()),
        issued_at: Timestamp::from_secs(claims.iat),
        not_before: Timestamp::from_secs(claims.nbf),
        expires_at: Timestamp::from_secs(claims.exp),
        sealed: claims.sealed,
        certificate: claims.cnf.certificate()?,
    };
    verified.check_time(now, policy)?;
    if verified.issued_at > now + policy.leeway {
        return Err(TokenError::IssuedInFuture);
    }
    // An id has one spelling: what begins with the text of the session's is of that session.
    let of_session = claims.jti.strip_prefix(&*claims.sid).is_some_and(|rest| rest.starts_with('.'));
    if verified.id.kind != TokenKind::Access || !of_session {
        return Err(TokenError::Kind);
    }
    // The upstream reads it from a header: one that is empty there, or cannot stand there, would be nobody.
    if verified.subject.as_str().is_empty() || verified.subject.as_str().contains(char::is_control) {
        return Err(TokenError::Kind);
    }
    Ok(verified)
}

/// How a token names its audience: one string, or a list of them (RFC 7519 section 4.1.3).
pub(crate) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Names;

    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or a list of strings")
        }

        fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
            Ok(vec![name.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(names))
        }
    }

    deserializer.deserialize_any(Names)
}
