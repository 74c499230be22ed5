//! The pair: what a sign-in or a refresh hands out.
//!
//! Guarantees: a pair is a function of the session's current generation and its key, so an idempotent retry mints the
//! same `jti`, `exp` and scopes again, bound to the certificate of whoever asks now.
//! Does not know: how a profile spells it.

use crate::keys::SigningKey;

use super::envelope::MintError;
use super::{
    Person, Policy, Profile, Scopes, Sealed, Session, Thumbprint, Timestamp, TokenId, TokenKind, access, opaque,
    refresh,
};

/// An access token and the refresh token that belongs to it.
pub struct Pair {
    /// The access token's `jti`.
    pub id: TokenId,
    pub access_token: String,
    pub refresh_token: String,
    /// Equals the access token's `exp`.
    pub expires_at: Timestamp,
    /// When the refresh token is worth nothing any more if it is not used.
    pub refresh_expires_at: Timestamp,
    pub scopes: Scopes,
}

impl Pair {
    /// With the password that was `sealed` for the session in both of them, if one was. The access token is bound to
    /// `certificate` if there is one.
    ///
    /// # Errors
    /// When the key cannot sign or the claims cannot be written.
    pub fn mint(
        session: &Session,
        person: Person<'_>,
        certificate: Option<Thumbprint>,
        key: &SigningKey,
        policy: &Policy,
        sealed: Option<&Sealed>,
    ) -> Result<Self, MintError> {
        Ok(Self {
            id: TokenId { session: session.id, generation: session.generation, kind: TokenKind::Access },
            access_token: access::mint(session, person, certificate, key, policy, sealed)?,
            refresh_token: match session.profile {
                Profile::Smsgate => refresh::mint(session, key, policy, sealed)?,
                Profile::Form | Profile::Oauth => opaque::mint(session, key, sealed)?,
            },
            expires_at: Timestamp::from_secs(session.access_expires_at().as_secs()),
            refresh_expires_at: session.idle_expires_at,
            scopes: session.granted.clone(),
        })
    }
}
