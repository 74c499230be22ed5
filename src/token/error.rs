//! Why a token text was refused.
//!
//! Guarantees: each reason has one stable name for logs and counters.
//! Does not know: what a client is told. That is the gateway's table of refusals.

/// The check that failed, in the order in which checks are made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("longer than the limit")]
    TooLong,
    #[error("not base64url of two JSON objects and a signature")]
    Malformed,
    #[error("a header this gateway does not write")]
    Header,
    #[error("no such key")]
    UnknownKey,
    #[error("not the algorithm of its key")]
    Algorithm,
    #[error("not the type of an access token")]
    Type,
    #[error("signature does not match")]
    Signature,
    #[error("a claim is missing or of the wrong type")]
    Claims(#[source] serde_json::Error),
    #[error("another issuer")]
    Issuer,
    #[error("another audience")]
    Audience,
    #[error("expired")]
    Expired,
    #[error("not valid yet")]
    NotYetValid,
    #[error("issued in the future")]
    IssuedInFuture,
    #[error("ids do not fit an access token")]
    Kind,
    #[error("bound to something else than a certificate")]
    Confirmation,
    #[error("bound to another certificate than this connection's")]
    Certificate,
    #[error("an authentic refresh token")]
    RefreshPresented,
    #[error("an authentic access token")]
    AccessPresented,
}

impl TokenError {
    /// Whether nobody has issued what was presented: neither an old token nor one of the other kind.
    pub fn is_forgery(&self) -> bool {
        !matches!(
            self,
            Self::Expired | Self::NotYetValid | Self::IssuedInFuture | Self::RefreshPresented | Self::AccessPresented
        )
    }

    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong => "token_too_long",
            Self::Malformed => "token_malformed",
            Self::Header => "token_header",
            Self::UnknownKey => "token_unknown_key",
            Self::Algorithm => "token_algorithm",
            Self::Type => "token_type",
            Self::Signature => "token_signature",
            Self::Claims(_) => "token_claims",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::IssuedInFuture => "token_issued_in_future",
            Self::Kind => "token_kind",
            Self::Confirmation => "token_confirmation",
            Self::Certificate => "token_certificate",
            Self::RefreshPresented => "refresh_token_presented",
            Self::AccessPresented => "access_token_presented",
        }
    }
}
