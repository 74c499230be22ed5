//! Answers as the RFCs spell them.
//!
//! Guarantees: no member that the RFC has no name for; what is not active says nothing else (RFC 7662 section 2.2).
//! Does not know: whether an answer is deserved.

use serde::Serialize;

use crate::token::{Confirmation, Pair, Policy, Timestamp, TokenId, TokenKind};

use super::super::Inspected;

/// RFC 6749 section 5.1.
#[derive(Serialize)]
pub(super) struct TokenView<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    /// Always, as it may be other than what was asked for.
    scope: String,
}

impl<'a> TokenView<'a> {
    pub(super) fn new(pair: &'a Pair, renewable: bool, now: Timestamp) -> Self {
        Self {
            access_token: &pair.access_token,
            token_type: "Bearer",
            expires_in: pair.expires_at.as_secs().saturating_sub(now.as_secs()),
            refresh_token: renewable.then_some(&pair.refresh_token),
            scope: pair.scopes.to_string(),
        }
    }
}

#[derive(Default, Serialize)]
pub(super) struct Inactive {
    active: bool,
}

/// RFC 7662 section 2.2.
#[derive(Serialize)]
pub(super) struct IntrospectionView<'a> {
    active: bool,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    /// Of a person; a client that speaks for itself has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    sub: &'a str,
    iss: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    aud: &'a [String],
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    exp: u64,
    jti: String,
    /// Of access tokens: a refresh token has no type of this kind (RFC 6749 section 7.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// Of access tokens, for whom they are shown to (RFC 8705 section 3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

impl<'a> IntrospectionView<'a> {
    pub(super) fn new(inspected: &'a Inspected, policy: &'a Policy) -> Self {
        let (Inspected::Access { session, .. } | Inspected::Refresh { session, .. }) = inspected;
        let subject = &session.subject;
        let refresh = TokenId { session: session.id, generation: session.generation, kind: TokenKind::Refresh };
        let of_session = Self {
            active: true,
            scope: session.scopes.to_string(),
            client_id: session.client.as_deref(),
            username: subject.client().is_none().then_some(subject.as_str()),
            sub: subject.as_str(),
            iss: &policy.issuer,
            aud: &[],
            iat: 0,
            nbf: None,
            exp: session.idle_expires_at.as_secs(),
            jti: refresh.to_string(),
            token_type: None,
            cnf: None,
        };
        match inspected {
            Inspected::Access { token, .. } => Self {
                scope: token.scopes.to_string(),
                aud: &policy.audience,
                iat: token.issued_at.as_secs(),
                nbf: Some(token.not_before.as_secs()),
                exp: token.expires_at.as_secs(),
                jti: token.id.to_string(),
                token_type: Some("Bearer"),
                cnf: token.certificate.map(|certificate| Confirmation { certificate }),
                ..of_session
            },
            Inspected::Refresh { issued_at, .. } => Self { iat: issued_at.as_secs(), ..of_session },
        }
    }
}
