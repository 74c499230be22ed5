//! What a refusal says: a status, a code, a sentence.
//!
//! Guarantees: nothing of an inner error; one wording for all reasons that nobody outside is to tell apart.
//! Does not know: what the words are put into.

use http::StatusCode;

use crate::profile::Refused;
use crate::token::{SealError, TokenError};
use crate::upstream::UpstreamError;

use super::super::Outcome;
use super::Refusal;

impl Refusal {
    pub(super) fn words(&self) -> (StatusCode, &'static str, String) {
        let (status, error, message) = match self {
            Self::AmbiguousPath => (400, "invalid_request", "Ambiguous path"),
            Self::AmbiguousHost => (400, "invalid_request", "Exactly one Host header is required"),
            Self::AmbiguousFraming => (400, "invalid_request", "Transfer-Encoding can only be chunked, once"),
            Self::AmbiguousAuthorization => (400, "invalid_request", "More than one Authorization header"),
            Self::UriTooLong => (414, "invalid_request", "Request target too long"),
            Self::HeadersTooLarge => (431, "invalid_request", "Too many or too large header fields"),
            Self::MethodUnsupported => (501, "invalid_request", "Method not supported"),
            Self::MethodNotAllowed(_) => (405, "invalid_request", "Method not allowed"),
            Self::NoCredentials => (401, "invalid_token", "Authorization required"),
            Self::UnknownScheme => (401, "invalid_token", "Unknown authorization scheme"),
            Self::MalformedBasic => (400, "invalid_request", "Malformed Basic credentials"),
            Self::WrongCredentials => (401, "invalid_client", "Invalid username or password"),
            Self::Unjudged => {
                (503, "temporarily_unavailable", "Passwords cannot be checked at the moment, try again later")
            }
            Self::BasicSwitchedOff(way_out) => {
                let message = format!("Basic credentials are not accepted here, use a token: {way_out}");
                return (StatusCode::UNAUTHORIZED, "invalid_token", message);
            }
            Self::Token(TokenError::Expired) => (401, "invalid_token", "Token expired"),
            Self::Token(TokenError::RefreshPresented) => {
                (403, "insufficient_scope", "scope required: a refresh token only refreshes")
            }
            Self::Token(TokenError::AccessPresented) => (403, "insufficient_scope", "scope required: tokens:refresh"),
            Self::Token(
                TokenError::TooLong
                | TokenError::Malformed
                | TokenError::Header
                | TokenError::UnknownKey
                | TokenError::Algorithm
                | TokenError::Type
                | TokenError::Signature
                | TokenError::Claims(_)
                | TokenError::Issuer
                | TokenError::Audience
                | TokenError::NotYetValid
                | TokenError::IssuedInFuture
                | TokenError::Kind
                | TokenError::Confirmation
                | TokenError::Certificate,
            )
            | Self::OtherRealm => (401, "invalid_token", "Invalid token"),
            Self::Superseded | Self::Ended | Self::Lost => (401, "invalid_token", "Token revoked"),
            Self::NothingSealed => (401, "invalid_token", "The token brings no password for the API, sign in again"),
            Self::UpstreamCredentials => (
                401,
                "invalid_token",
                "upstream_credentials_rejected: the API takes this password no more, sign in again",
            ),
            Self::Repeated(Outcome::Answered(status)) => {
                let message = format!("This request was answered before, with {}", status.as_u16());
                return (StatusCode::CONFLICT, "duplicate_request", message);
            }
            Self::Repeated(Outcome::UnderWay) => (409, "duplicate_request", "This request is under way already"),
            Self::Repeated(Outcome::Unknown) => {
                (409, "duplicate_request", "This request came before, and nobody knows what it has done")
            }
            Self::ScopeMissing(scope) => {
                return (StatusCode::FORBIDDEN, "insufficient_scope", format!("scope required: {scope}"));
            }
            Self::RoleMissing { subject, role } => {
                let message = format!("Access denied. User {subject} is not {} {role}.", article(role));
                return (StatusCode::FORBIDDEN, "insufficient_scope", message);
            }
            Self::CertificateMissing => (403, "access_denied", "This path is for other client certificates"),
            Self::NoRule => (403, "access_denied", "No rule opens this path"),
            Self::Closed => (403, "access_denied", "This path is closed"),
            Self::Throttled { .. } => (429, "slow_down", "Too many failed attempts, try again later"),
            Self::Busy => (503, "temporarily_unavailable", "Too many sign-ins at once, try again"),
            Self::BodyTooLarge => (413, "invalid_request", "Request body too large"),
            Self::BodyTimeout => (408, "invalid_request", "Request body did not arrive in time"),
            Self::BodyBroken => (400, "invalid_request", "Request body broke off"),
            Self::NoEndpoint => (404, "invalid_request", "Not found"),
            Self::NoOrigin => (403, "access_denied", "Exactly one Origin header is required"),
            Self::ForeignOrigin => (403, "access_denied", "Requests from this origin are not accepted"),
            Self::AmbiguousCookie => (400, "invalid_request", "More than one refresh token"),
            Self::Profile(refused) => return refused_words(refused),
            Self::Upstream(UpstreamError::Connect(_)) => (502, "bad_gateway", "Upstream is not reachable"),
            Self::Upstream(UpstreamError::Broken(_)) => (502, "bad_gateway", "Upstream broke off"),
            Self::Upstream(UpstreamError::Garbled(_)) => (502, "bad_gateway", "Upstream answered with nonsense"),
            Self::Upstream(UpstreamError::Upload(_)) => (400, "invalid_request", "Request body broke off"),
            Self::Upstream(UpstreamError::UploadTimeout) => {
                (408, "invalid_request", "Request body did not arrive in time")
            }
            Self::Upstream(UpstreamError::ConnectTimeout) => {
                (504, "gateway_timeout", "Upstream did not accept in time")
            }
            Self::Upstream(UpstreamError::AnswerTimeout) => (504, "gateway_timeout", "Upstream did not answer in time"),
            Self::Upstream(UpstreamError::TooManyTunnels) => {
                (503, "temporarily_unavailable", "Too many tunnels at once, try again")
            }
            Self::Upstream(UpstreamError::NoUpgrade) => {
                (501, "invalid_request", "Upstream speaks HTTP/2, which has no upgrades")
            }
            Self::Upstream(UpstreamError::Ended) => (401, "invalid_token", "Token revoked"),
            Self::NoTunnel => (502, "bad_gateway", "Upstream did not open a WebSocket"),
            Self::InForm { refusal, .. } | Self::InOauth(refusal) => return refusal.words(),
            Self::Primary(_) | Self::NoPrimary => {
                (503, "temporarily_unavailable", "Tokens cannot be issued at the moment, try again later")
            }
        };
        (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error, message.to_owned())
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(|c: char| "aeiou".contains(c.to_ascii_lowercase())) { "an" } else { "a" }
}

fn refused_words(refused: &Refused) -> (StatusCode, &'static str, String) {
    let (status, error, message) = match refused {
        Refused::Disabled => (501, "unsupported", "token service disabled, contact your administrator"),
        Refused::NotJson => (415, "invalid_request", "Content-Type must be application/json"),
        Refused::Body(what) => return (StatusCode::BAD_REQUEST, "invalid_request", (*what).to_owned()),
        Refused::NoScopes => (400, "invalid_scope", "scopes must name at least one scope"),
        Refused::NoKnownScope => (400, "invalid_scope", "none of the requested scopes is known"),
        Refused::BeyondUser => (403, "invalid_scope", "requested scopes exceed what this user may have"),
        Refused::BeyondCaller => (403, "invalid_scope", "requested scopes exceed those of the presented token"),
        Refused::BeyondClient => (400, "invalid_scope", "none of the requested scopes can be granted"),
        Refused::BeyondGrant => (400, "invalid_scope", "requested scopes exceed what was granted"),
        Refused::MalformedScope => (400, "invalid_scope", "scope is malformed"),
        Refused::NoUser => (403, "access_denied", "a client that speaks for itself has no user to sign in"),
        Refused::UnknownGrant => (400, "unsupported_grant_type", "This grant_type is not supported"),
        Refused::GrantNotAllowed => (400, "unauthorized_client", "This client may not use this grant_type"),
        Refused::WrongPassword => (400, "invalid_grant", "Invalid username or password"),
        Refused::Foreign => (400, "invalid_grant", "The token was issued to another client"),
        Refused::Refresh(_) => (401, "invalid_token", "Invalid refresh token"),
        Refused::Forgeries(_) => (429, "slow_down", "Too many failed attempts, try again later"),
        Refused::Unsealed(SealError::TooLong) => (400, "invalid_request", "The password is too long for a token"),
        Refused::Unsealed(SealError::NoKey) => {
            (503, "temporarily_unavailable", "Tokens cannot be issued at the moment, try again later")
        }
        Refused::NothingSealed => (401, "invalid_token", "Sign in with name and password"),
        Refused::Full => (503, "temporarily_unavailable", "Too many sessions, try again later"),
        Refused::Unwritten => (503, "temporarily_unavailable", "Sessions cannot be written down, try again later"),
        Refused::Overtaken => (503, "temporarily_unavailable", "The account has just changed, try again"),
        Refused::Mint(_) => (500, "server_error", "The token could not be made"),
    };
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error, message.to_owned())
}
