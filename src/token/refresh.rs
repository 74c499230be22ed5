//! Refresh tokens: session, generation and expiry, authenticated by a key that is never shared with anyone.
//!
//! Guarantees: authenticity needs no state, so a stranger cannot end a session by guessing; the refresh key is not the
//! signing key, so an upstream that knows the signing secret cannot forge one.
//! Does not know: whether the session still exists. The store does.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::keys::{Algorithm, KeyRing, SigningKey};

use super::envelope::{self, Envelope, MintError, REFRESH_TYPE};
use super::scope::TOKENS_REFRESH;
use super::{Policy, Scopes, Sealed, Session, Timestamp, TokenError, TokenId, TokenKind};

#[derive(Serialize)]
struct Written<'a> {
    iss: &'a str,
    sub: &'a str,
    user_id: &'a str,
    iat: u64,
    exp: u64,
    /// Clients log it (seed S28).
    jti: String,
    sid: String,
    scopes: [&'static str; 1],
    original_scopes: &'a Scopes,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<&'a Sealed>,
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    iat: u64,
    exp: u64,
    #[serde(borrow)]
    jti: Cow<'a, str>,
    #[serde(default)]
    sealed: Option<Sealed>,
}

/// What an authentic refresh token says that has not expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshing {
    pub id: TokenId,
    /// A whole second.
    pub issued_at: Timestamp,
    /// What its successor carries on.
    pub sealed: Option<Sealed>,
}

/// The refresh token of the session's current generation.
///
/// # Errors
/// When the key cannot sign; see [`MintError`].
pub fn mint(
    session: &Session,
    key: &SigningKey,
    policy: &Policy,
    sealed: Option<&Sealed>,
) -> Result<String, MintError> {
    let id = TokenId { session: session.id, generation: session.generation, kind: TokenKind::Refresh };
    let claims = Written {
        iss: &policy.issuer,
        sub: session.subject.as_str(),
        user_id: session.subject.as_str(),
        iat: session.rotated_at.as_secs(),
        exp: session.idle_expires_at.as_secs(),
        jti: id.to_string(),
        sid: session.id.to_string(),
        scopes: [TOKENS_REFRESH],
        original_scopes: &session.scopes,
        sealed,
    };
    envelope::seal(Algorithm::HS256, REFRESH_TYPE, key.kid(), &claims, |message| key.sign_refresh(message))
}

/// Judges a token text presented as a refresh token and names the session and generation it stands for.
///
/// # Errors
/// The first check that failed. [`TokenError::AccessPresented`] only for an *authentic* access token.
pub fn verify(token: &str, ring: &KeyRing, policy: &Policy, now: Timestamp) -> Result<Refreshing, TokenError> {
    let envelope = Envelope::open(token, policy.max_token_bytes)?;
    let (key, typ) = envelope.header(ring)?;
    if typ != REFRESH_TYPE {
        super::access::verify(token, ring, policy, now)?;
        return Err(TokenError::AccessPresented);
    }
    let payload = envelope.payload(|message, signature| key.verify_refresh(message, signature))?;
    let claims: Read<'_> = serde_json::from_str(&payload).map_err(TokenError::Claims)?;
    if claims.iss != policy.issuer {
        return Err(TokenError::Issuer);
    }
    if now >= Timestamp::from_secs(claims.exp) {
        return Err(TokenError::Expired);
    }
    let id: TokenId = claims.jti.parse().map_err(|_| TokenError::Kind)?;
    if id.kind != TokenKind::Refresh {
        return Err(TokenError::Kind);
    }
    Ok(Refreshing { id, issued_at: Timestamp::from_secs(claims.iat), sealed: claims.sealed })
}
