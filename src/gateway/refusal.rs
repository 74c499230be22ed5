//! Every refusal, worded in one place.
//!
//! Guarantees: a client reads a status, a coarse RFC 6749/6750 code and a sentence, never an inner error nor which of
//! several reasons a refresh failed for; logs get a fine, stable reason; the matches have no wildcard arm, so a new
//! refusal cannot slip through unworded.
//! Does not know: how any of this is found out.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::profile::Refused;
use crate::token::{RotationRefusal, SealError, TokenError};
use crate::upstream::UpstreamError;

use super::Outcome;

#[derive(Debug)]
pub enum Refusal {
    // What cannot be read in one way only.
    AmbiguousPath,
    AmbiguousHost,
    /// A transfer coding that is not just `chunked`.
    AmbiguousFraming,
    AmbiguousAuthorization,
    UriTooLong,
    HeadersTooLarge,
    MethodUnsupported,
    MethodNotAllowed(&'static str),
    // Credentials.
    NoCredentials,
    UnknownScheme,
    MalformedBasic,
    WrongCredentials,
    /// Whoever knows the password does not answer.
    Unjudged,
    /// With the way to a token.
    BasicSwitchedOff(Arc<str>),
    Token(TokenError),
    Superseded,
    Ended,
    Lost,
    /// A token of another realm's user.
    OtherRealm,
    /// The token brings no password for the upstream, or none that can be opened.
    NothingSealed,
    /// The upstream takes the password no more that was sealed into the token: the session has ended.
    UpstreamCredentials,
    /// A repetition.
    Repeated(Outcome),
    // What the credentials do not allow.
    ScopeMissing(Arc<str>),
    RoleMissing {
        subject: Arc<str>,
        role: Arc<str>,
    },
    NoRule,
    Closed,
    // Limits.
    Throttled {
        retry_after: Duration,
    },
    Busy,
    BodyTooLarge,
    BodyTimeout,
    BodyBroken,
    // Our own endpoints and the other side.
    NoEndpoint,
    /// The upstream has answered, but not with the tunnel that was asked for.
    NoTunnel,
    /// No origin, or several, where a cookie speaks.
    NoOrigin,
    /// A page that is neither ours nor one of the operator's.
    ForeignOrigin,
    /// Two cookies of our name, or a token in cookie and body.
    AmbiguousCookie,
    Profile(Refused),
    Upstream(UpstreamError),
    /// Our own endpoints are the primary's to answer, and it cannot be asked.
    Primary(UpstreamError),
    /// What should be the primary follows one itself.
    NoPrimary,
    /// In the words of the `form` dialect.
    InForm {
        refusal: Box<Refusal>,
        realm: Arc<str>,
    },
    /// In the words of the `oauth` dialect.
    InOauth(Box<Refusal>),
}

/// How refusals read, apart from those of a dialect with words of its own.
#[derive(Clone, Debug)]
pub struct Manner {
    /// What a 401 is about: text that needs no escape between quotes.
    pub realm: Arc<str>,
    /// On routes: one line of text, and not JSON.
    pub plain: bool,
}

/// How a refusal reads from outside.
pub struct Wording {
    pub status: StatusCode,
    pub error: &'static str,
    pub message: String,
    pub challenge: Option<String>,
    pub retry_after: Option<Duration>,
    pub allow: Option<&'static str>,
    pub dress: Dress,
}

/// What a refusal's words are put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dress {
    /// JSON with a sentence for people beside what RFC 6749 names.
    Json,
    /// JSON with what RFC 6749 section 5.2 names, and nothing else.
    Oauth,
    /// One line of text.
    Plain,
}

/// Seconds after which trying again makes sense when nothing better is known.
const SOON: Duration = Duration::from_secs(1);

impl Refusal {
    /// What the client reads in JSON, with `routes_realm` in a challenge.
    pub fn wording(&self, routes_realm: &str) -> Wording {
        if let Self::InForm { refusal, realm } = self {
            return in_form(refusal, realm);
        }
        if let Self::InOauth(refusal) = self {
            return in_oauth(refusal, routes_realm);
        }
        let (status, error, message) = self.words();
        Wording {
            status,
            error,
            challenge: self.challenge(status, error, &message, routes_realm),
            retry_after: self.retry_after(),
            allow: match self {
                Self::MethodNotAllowed(methods) => Some(methods),
                _ => None,
            },
            message,
            dress: Dress::Json,
        }
    }

    /// What the client reads in one line: for a token that is missing or bad, the guide's (seed Z16).
    pub fn plain_wording(&self, realm: &str) -> Wording {
        let wording = self.wording(realm);
        let unauthorized = wording.status == StatusCode::UNAUTHORIZED;
        match self {
            Self::InForm { .. } | Self::InOauth(_) => wording,
            Self::WrongCredentials => {
                Wording { message: "Invalid username or password.".to_owned(), dress: Dress::Plain, ..wording }
            }
            _ if unauthorized => Wording {
                message: "Invalid or expired token.".to_owned(),
                challenge: Some(format!("Bearer realm=\"{realm}\"")),
                dress: Dress::Plain,
                ..wording
            },
            _ => Wording { dress: Dress::Plain, ..wording },
        }
    }

    /// Whether it is as unclear where the next request begins, or whose it is.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self, Self::AmbiguousHost | Self::AmbiguousFraming)
    }

    fn words(&self) -> (StatusCode, &'static str, String) {
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
                | TokenError::Kind,
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
            Self::Upstream(UpstreamError::Ended) => (401, "invalid_token", "Token revoked"),
            Self::NoTunnel => (502, "bad_gateway", "Upstream did not open a WebSocket"),
            Self::InForm { refusal, .. } | Self::InOauth(refusal) => return refusal.words(),
            Self::Primary(_) | Self::NoPrimary => {
                (503, "temporarily_unavailable", "Tokens cannot be issued at the moment, try again later")
            }
        };
        (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error, message.to_owned())
    }

    /// A 401 always says how to do better (RFC 9110 section 11.6.1); without credentials it says no more than that
    /// (RFC 6750 section 3.1).
    fn challenge(&self, status: StatusCode, error: &str, message: &str, realm: &str) -> Option<String> {
        // The name of a role or user may hold what RFC 6750 section 3 has no place for, such as the quote that ends the text.
        let message = message.replace(|c: char| !matches!(c, ' '..='~') || matches!(c, '"' | '\\'), "?");
        match self {
            Self::WrongCredentials => Some(format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")),
            Self::NoCredentials | Self::UnknownScheme | Self::BasicSwitchedOff(_) => {
                Some(format!("Bearer realm=\"{realm}\""))
            }
            Self::ScopeMissing(scope) => Some(format!(
                "Bearer realm=\"{realm}\", error=\"insufficient_scope\", error_description=\"{message}\", scope=\"{scope}\""
            )),
            _ if status == StatusCode::UNAUTHORIZED || error == "insufficient_scope" => {
                Some(format!("Bearer realm=\"{realm}\", error=\"{error}\", error_description=\"{message}\""))
            }
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } | Self::Profile(Refused::Forgeries(retry_after)) => Some(*retry_after),
            Self::Unjudged
            | Self::Busy
            | Self::Primary(_)
            | Self::NoPrimary
            | Self::Upstream(UpstreamError::TooManyTunnels) => Some(SOON),
            Self::Profile(
                Refused::Full | Refused::Overtaken | Refused::Unwritten | Refused::Unsealed(SealError::NoKey),
            ) => Some(SOON),
            _ => None,
        }
    }

    /// For logs and counters: fine and stable.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AmbiguousPath => "path_ambiguous",
            Self::AmbiguousHost => "host_ambiguous",
            Self::AmbiguousFraming => "framing_ambiguous",
            Self::AmbiguousAuthorization => "authorization_ambiguous",
            Self::UriTooLong => "uri_too_long",
            Self::HeadersTooLarge => "headers_too_large",
            Self::MethodUnsupported => "method_unsupported",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::NoCredentials => "credentials_missing",
            Self::UnknownScheme => "credentials_scheme",
            Self::MalformedBasic => "basic_malformed",
            Self::WrongCredentials => "credentials_wrong",
            Self::Unjudged => "credentials_unjudged",
            Self::BasicSwitchedOff(_) => "basic_off",
            Self::Token(error) => error.reason(),
            Self::Superseded => "token_superseded",
            Self::Ended => "session_ended",
            Self::Lost => "token_lost",
            Self::OtherRealm => "token_other_realm",
            Self::NothingSealed => "credentials_not_sealed",
            Self::UpstreamCredentials => "upstream_credentials_rejected",
            Self::Repeated(Outcome::Answered(_)) => "request_answered_before",
            Self::Repeated(Outcome::UnderWay) => "request_under_way",
            Self::Repeated(Outcome::Unknown) => "request_outcome_unknown",
            Self::ScopeMissing(_) => "scope_missing",
            Self::RoleMissing { .. } => "role_missing",
            Self::NoRule => "no_rule",
            Self::Closed => "route_closed",
            Self::Throttled { .. } => "guess_limit",
            Self::Busy => "password_queue_full",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
            Self::NoEndpoint => "no_endpoint",
            Self::NoOrigin => "origin_missing",
            Self::ForeignOrigin => "origin_foreign",
            Self::AmbiguousCookie => "cookie_ambiguous",
            Self::Profile(refused) => refused_reason(refused),
            Self::Upstream(UpstreamError::Connect(_)) => "upstream_unreachable",
            Self::Upstream(UpstreamError::ConnectTimeout) => "upstream_connect_timeout",
            Self::Upstream(UpstreamError::AnswerTimeout) => "upstream_first_byte_timeout",
            Self::Upstream(UpstreamError::TooManyTunnels) => "tunnels_full",
            Self::Upstream(UpstreamError::Ended) => "token_ended_meanwhile",
            Self::NoTunnel => "upstream_no_tunnel",
            Self::Upstream(UpstreamError::Broken(_)) => "upstream_broke_off",
            Self::Upstream(UpstreamError::Garbled(_)) => "upstream_garbled",
            Self::Upstream(UpstreamError::Upload(_)) => "upload_broken",
            Self::Upstream(UpstreamError::UploadTimeout) => "upload_timeout",
            Self::Primary(_) => "primary_unavailable",
            Self::NoPrimary => "primary_is_replica",
            Self::InForm { refusal, .. } | Self::InOauth(refusal) => refusal.reason(),
        }
    }
}

/// The guide's own words where it has some (seed Z2 to Z6); people read them.
fn in_form(refusal: &Refusal, realm: &str) -> Wording {
    let wording = refusal.wording(realm);
    let message = match refusal {
        Refusal::WrongCredentials => "Invalid username or password.".to_owned(),
        Refusal::Profile(Refused::Refresh(_)) => "Invalid or expired refresh token".to_owned(),
        _ => wording.message,
    };
    let challenge = (wording.status == StatusCode::UNAUTHORIZED).then(|| format!("Bearer realm=\"{realm}\""));
    Wording { message, challenge, dress: Dress::Plain, ..wording }
}

/// RFC 6749 section 5.2: whatever is wrong with a client's credentials is one code, with the scheme that it could use;
/// whatever is wrong with a grant is another.
fn in_oauth(refusal: &Refusal, realm: &str) -> Wording {
    let wording = Wording { dress: Dress::Oauth, ..refusal.wording(realm) };
    match refusal {
        Refusal::NoCredentials | Refusal::UnknownScheme | Refusal::MalformedBasic | Refusal::WrongCredentials => {
            Wording {
                status: StatusCode::UNAUTHORIZED,
                error: "invalid_client",
                message: "Client authentication failed".to_owned(),
                challenge: Some(format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")),
                ..wording
            }
        }
        Refusal::Profile(Refused::Refresh(_)) => Wording {
            status: StatusCode::BAD_REQUEST,
            error: "invalid_grant",
            message: "The refresh token is invalid, expired, revoked, or another client's".to_owned(),
            challenge: None,
            ..wording
        },
        _ => wording,
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
        Refused::Full => (503, "temporarily_unavailable", "Too many sessions, try again later"),
        Refused::Unwritten => (503, "temporarily_unavailable", "Sessions cannot be written down, try again later"),
        Refused::Unsealed(SealError::TooLong) => (400, "invalid_request", "The password is too long for a token"),
        Refused::Unsealed(SealError::NoKey) => {
            (503, "temporarily_unavailable", "Tokens cannot be issued at the moment, try again later")
        }
        Refused::NothingSealed => (401, "invalid_token", "Sign in with name and password"),
        Refused::Overtaken => (503, "temporarily_unavailable", "The account has just changed, try again"),
        Refused::Mint(_) => (500, "server_error", "The token could not be made"),
    };
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error, message.to_owned())
}

fn refused_reason(refused: &Refused) -> &'static str {
    use crate::profile::RefreshRefusal as R;
    match refused {
        Refused::Disabled => "profile_disabled",
        Refused::NotJson => "body_not_json",
        Refused::Body(_) => "body_invalid",
        Refused::NoScopes => "scopes_empty",
        Refused::NoKnownScope => "scopes_unknown",
        Refused::BeyondUser => "scopes_beyond_user",
        Refused::BeyondCaller => "scopes_beyond_caller",
        Refused::BeyondClient => "scopes_beyond_client",
        Refused::BeyondGrant => "scopes_beyond_grant",
        Refused::MalformedScope => "scopes_malformed",
        Refused::NoUser => "token_of_client",
        Refused::UnknownGrant => "grant_unknown",
        Refused::GrantNotAllowed => "grant_not_allowed",
        Refused::WrongPassword => "grant_password_wrong",
        Refused::Foreign => "token_of_other_client",
        Refused::Refresh(R::Token(error)) => error.reason(),
        Refused::Refresh(R::Raced) => "refresh_raced",
        Refused::Refresh(R::Reused) => "refresh_reused",
        Refused::Refresh(R::Disowned) => "refresh_user_changed",
        Refused::Refresh(R::Rotation(RotationRefusal::Unknown)) => "refresh_session_unknown",
        Refused::Refresh(R::Rotation(RotationRefusal::Ended)) => "refresh_session_ended",
        Refused::Refresh(R::Rotation(RotationRefusal::Expired)) => "refresh_session_expired",
        Refused::Refresh(R::Rotation(RotationRefusal::OtherProfile)) => "refresh_other_profile",
        Refused::Refresh(R::Rotation(RotationRefusal::OtherClient)) => "refresh_other_client",
        Refused::Refresh(R::Rotation(RotationRefusal::Scopes)) => "refresh_scopes",
        Refused::Refresh(R::Rotation(RotationRefusal::Ahead)) => "refresh_ahead_of_store",
        Refused::Refresh(R::Rotation(RotationRefusal::Lost)) => "refresh_lost",
        Refused::Forgeries(_) => "refresh_forged_too_often",
        Refused::Full => "store_full",
        Refused::Unwritten => "store_unwritten",
        Refused::Unsealed(SealError::TooLong) => "password_unsealable",
        Refused::Unsealed(SealError::NoKey) => "sealing_key_missing",
        Refused::NothingSealed => "sealed_part_missing",
        Refused::Overtaken => "sign_in_overtaken",
        Refused::Mint(_) => "mint_failed",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io;

    use http::HeaderValue;
    use serde::de::Error;

    use crate::profile::RefreshRefusal;
    use crate::token::MintError;
    use crate::upstream::Garbled;

    use super::*;

    const INNER: &str = "connect to 10.7.8.9 with hunter2 failed";

    fn json_error() -> serde_json::Error {
        serde_json::Error::custom(INNER)
    }

    fn token_errors() -> Vec<TokenError> {
        vec![
            TokenError::TooLong,
            TokenError::Malformed,
            TokenError::Header,
            TokenError::UnknownKey,
            TokenError::Algorithm,
            TokenError::Type,
            TokenError::Signature,
            TokenError::Claims(json_error()),
            TokenError::Issuer,
            TokenError::Audience,
            TokenError::Expired,
            TokenError::NotYetValid,
            TokenError::IssuedInFuture,
            TokenError::Kind,
        ]
    }

    fn refreshes() -> Vec<RefreshRefusal> {
        let rotations = [
            RotationRefusal::Unknown,
            RotationRefusal::Ended,
            RotationRefusal::Expired,
            RotationRefusal::OtherProfile,
            RotationRefusal::OtherClient,
            RotationRefusal::Scopes,
            RotationRefusal::Ahead,
            RotationRefusal::Lost,
        ];
        let others = [RefreshRefusal::Raced, RefreshRefusal::Reused, RefreshRefusal::Disowned];
        others.into_iter().chain(rotations.map(RefreshRefusal::Rotation)).collect()
    }

    /// Every refusal once, with the status and code it has outside.
    fn all() -> Vec<(Refusal, u16, &'static str)> {
        use Refusal as R;
        let throttled = R::Throttled { retry_after: Duration::from_secs(7) };
        let mint = R::Profile(Refused::Mint(MintError::Claims(json_error())));
        let mut all = vec![
            (R::AmbiguousPath, 400, "invalid_request"),
            (R::AmbiguousHost, 400, "invalid_request"),
            (R::AmbiguousFraming, 400, "invalid_request"),
            (R::AmbiguousAuthorization, 400, "invalid_request"),
            (R::UriTooLong, 414, "invalid_request"),
            (R::HeadersTooLarge, 431, "invalid_request"),
            (R::MethodUnsupported, 501, "invalid_request"),
            (R::MethodNotAllowed("POST"), 405, "invalid_request"),
            (R::NoCredentials, 401, "invalid_token"),
            (R::UnknownScheme, 401, "invalid_token"),
            (R::MalformedBasic, 400, "invalid_request"),
            (R::WrongCredentials, 401, "invalid_client"),
            (R::BasicSwitchedOff("POST /t".into()), 401, "invalid_token"),
            (R::OtherRealm, 401, "invalid_token"),
            (R::NothingSealed, 401, "invalid_token"),
            (R::UpstreamCredentials, 401, "invalid_token"),
            (R::Unjudged, 503, "temporarily_unavailable"),
            (R::Repeated(Outcome::UnderWay), 409, "duplicate_request"),
            (R::Repeated(Outcome::Unknown), 409, "duplicate_request"),
            (R::Repeated(Outcome::Answered(StatusCode::ACCEPTED)), 409, "duplicate_request"),
            (R::Profile(Refused::Unsealed(SealError::TooLong)), 400, "invalid_request"),
            (R::Profile(Refused::Unsealed(SealError::NoKey)), 503, "temporarily_unavailable"),
            (R::Profile(Refused::NothingSealed), 401, "invalid_token"),
            (R::Profile(Refused::Forgeries(Duration::from_secs(1))), 429, "slow_down"),
            (R::Token(TokenError::RefreshPresented), 403, "insufficient_scope"),
            (R::Token(TokenError::AccessPresented), 403, "insufficient_scope"),
            (R::Superseded, 401, "invalid_token"),
            (R::Lost, 401, "invalid_token"),
            (R::Ended, 401, "invalid_token"),
            (R::ScopeMissing("messages:send".into()), 403, "insufficient_scope"),
            (R::RoleMissing { subject: "ann".into(), role: "admin".into() }, 403, "insufficient_scope"),
            (R::NoRule, 403, "access_denied"),
            (R::Closed, 403, "access_denied"),
            (throttled, 429, "slow_down"),
            (R::Busy, 503, "temporarily_unavailable"),
            (R::BodyTooLarge, 413, "invalid_request"),
            (R::BodyTimeout, 408, "invalid_request"),
            (R::BodyBroken, 400, "invalid_request"),
            (R::NoEndpoint, 404, "invalid_request"),
            (R::NoOrigin, 403, "access_denied"),
            (R::ForeignOrigin, 403, "access_denied"),
            (R::AmbiguousCookie, 400, "invalid_request"),
            (R::Profile(Refused::Disabled), 501, "unsupported"),
            (R::Profile(Refused::NotJson), 415, "invalid_request"),
            (R::Profile(Refused::Body("what is wrong")), 400, "invalid_request"),
            (R::Profile(Refused::NoScopes), 400, "invalid_scope"),
            (R::Profile(Refused::NoKnownScope), 400, "invalid_scope"),
            (R::Profile(Refused::BeyondUser), 403, "invalid_scope"),
            (R::Profile(Refused::BeyondCaller), 403, "invalid_scope"),
            (R::Profile(Refused::BeyondClient), 400, "invalid_scope"),
            (R::Profile(Refused::BeyondGrant), 400, "invalid_scope"),
            (R::Profile(Refused::MalformedScope), 400, "invalid_scope"),
            (R::Profile(Refused::NoUser), 403, "access_denied"),
            (R::Profile(Refused::UnknownGrant), 400, "unsupported_grant_type"),
            (R::Profile(Refused::GrantNotAllowed), 400, "unauthorized_client"),
            (R::Profile(Refused::WrongPassword), 400, "invalid_grant"),
            (R::Profile(Refused::Foreign), 400, "invalid_grant"),
            (R::Profile(Refused::Full), 503, "temporarily_unavailable"),
            (R::Profile(Refused::Unwritten), 503, "temporarily_unavailable"),
            (R::Profile(Refused::Overtaken), 503, "temporarily_unavailable"),
            (mint, 500, "server_error"),
            (R::Primary(UpstreamError::Broken(io::Error::other(INNER))), 503, "temporarily_unavailable"),
            (R::NoPrimary, 503, "temporarily_unavailable"),
            (R::Upstream(UpstreamError::Connect(io::Error::other(INNER))), 502, "bad_gateway"),
            (R::Upstream(UpstreamError::Broken(io::Error::other(INNER))), 502, "bad_gateway"),
            (R::Upstream(UpstreamError::Garbled(Garbled(INNER))), 502, "bad_gateway"),
            (R::Upstream(UpstreamError::Upload(io::Error::other(INNER))), 400, "invalid_request"),
            (R::Upstream(UpstreamError::UploadTimeout), 408, "invalid_request"),
            (R::Upstream(UpstreamError::ConnectTimeout), 504, "gateway_timeout"),
            (R::Upstream(UpstreamError::AnswerTimeout), 504, "gateway_timeout"),
            (R::Upstream(UpstreamError::TooManyTunnels), 503, "temporarily_unavailable"),
            (R::Upstream(UpstreamError::Ended), 401, "invalid_token"),
            (R::NoTunnel, 502, "bad_gateway"),
        ];
        all.extend(token_errors().into_iter().map(|error| (R::Token(error), 401, "invalid_token")));
        let refused = |refresh| (R::Profile(Refused::Refresh(refresh)), 401, "invalid_token");
        all.extend(refreshes().into_iter().map(refused));
        all
    }

    #[test]
    fn every_refusal_has_the_status_and_code_of_the_contract() {
        for (refusal, status, error) in all() {
            let wording = refusal.wording("portcullis");
            assert_eq!((wording.status.as_u16(), wording.error), (status, error), "{refusal:?}");
            assert!(wording.message.starts_with(char::is_alphabetic), "{refusal:?}: {}", wording.message);
        }
    }

    #[test]
    fn every_401_has_a_challenge_that_a_header_can_carry() {
        for (refusal, status, error) in all() {
            let wording = refusal.wording("portcullis");
            let challenge = wording.challenge.as_deref();
            assert_eq!(challenge.is_some(), status == 401 || error == "insufficient_scope", "{refusal:?}");
            let Some(challenge) = challenge else { continue };
            assert!(HeaderValue::from_str(challenge).is_ok(), "{challenge}");
            let scheme = if error == "invalid_client" { "Basic" } else { "Bearer" };
            assert!(challenge.starts_with(&format!("{scheme} realm=\"portcullis\"")), "{challenge}");
            // RFC 6750 section 3.1: no code for a request without a token.
            let without =
                matches!(refusal, Refusal::NoCredentials | Refusal::UnknownScheme | Refusal::BasicSwitchedOff(_));
            assert_eq!(
                challenge.contains(&format!("error=\"{error}\"")),
                !without && scheme == "Bearer",
                "{challenge}"
            );
        }
    }

    fn missing(role: &str) -> Refusal {
        Refusal::RoleMissing { subject: "ann".into(), role: role.into() }
    }

    #[test]
    fn a_missing_role_is_told_in_the_words_of_the_guide() {
        for (role, expected) in [
            ("admin", "Access denied. User ann is not an admin."),
            ("Editor", "Access denied. User ann is not an Editor."),
            ("manager", "Access denied. User ann is not a manager."),
        ] {
            assert_eq!(missing(role).wording("x").message, expected, "seed Z17");
            assert_eq!(missing(role).plain_wording("x").message, expected, "seed Z17");
        }
    }

    #[test]
    fn in_plain_words_every_bad_or_missing_token_reads_alike() {
        for (refusal, status, error) in all() {
            let wording = refusal.plain_wording("Members");
            assert_eq!(wording.dress, Dress::Plain);
            assert_eq!(wording.status.as_u16(), status);
            if status == 401 && error != "invalid_client" {
                assert_eq!(wording.message, "Invalid or expired token.", "seed Z16");
                assert_eq!(wording.challenge.as_deref(), Some("Bearer realm=\"Members\""), "seed Z16");
            }
        }
    }

    #[test]
    fn no_name_breaks_out_of_a_challenge() {
        for role in ["a\", error=\"x", "a\\", "a\r\nb: c", "Verk\u{e4}ufer", "\u{0}"] {
            let challenge = missing(role).wording("portcullis").challenge.unwrap();
            assert!(HeaderValue::from_str(&challenge).is_ok_and(|value| value.to_str().is_ok()), "{challenge}");
            assert_eq!(challenge.matches('"').count(), 6, "{challenge}");
            assert_eq!(challenge.matches('\\').count(), 0, "{challenge}");
        }
        let challenge = Refusal::ScopeMissing("messages:send".into()).wording("portcullis").challenge.unwrap();
        assert!(challenge.ends_with("description=\"scope required: messages:send\", scope=\"messages:send\""));
    }

    #[test]
    fn no_wording_holds_an_inner_error() {
        for (refusal, ..) in all() {
            let wording = refusal.wording("portcullis");
            let told = format!("{} {} {:?}", wording.error, wording.message, wording.challenge);
            for inner in [INNER, "10.7", "hunter2"] {
                assert!(!told.contains(inner), "{refusal:?}: {told}");
            }
            assert!(!refusal.reason().contains("hunter2"));
        }
    }

    #[test]
    fn in_oauth_a_client_a_grant_and_all_else_are_told_apart() {
        for (refusal, status, error) in all() {
            let expected = match &refusal {
                Refusal::NoCredentials | Refusal::UnknownScheme => (401, "invalid_client"),
                Refusal::MalformedBasic | Refusal::WrongCredentials => (401, "invalid_client"),
                Refusal::Profile(Refused::Refresh(_)) => (400, "invalid_grant"),
                _ => (status, error),
            };
            let (reason, told) = (refusal.reason(), format!("{refusal:?}"));
            let refusal = Refusal::InOauth(Box::new(refusal));
            let wording = refusal.wording("portcullis");
            assert_eq!((wording.status.as_u16(), wording.error), expected, "{told}");
            assert_eq!((wording.dress, refusal.reason()), (Dress::Oauth, reason));
            if error != "insufficient_scope" {
                assert_eq!(wording.challenge.is_some(), expected.0 == 401, "{told}");
            }
            // RFC 6749 section 5.2: what an error_description may hold.
            let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
            assert!(wording.message.chars().all(plain), "{}", wording.message);
        }
    }

    #[test]
    fn a_failed_refresh_tells_nobody_why() {
        let told = |refresh| {
            let wording = Refusal::Profile(Refused::Refresh(refresh)).wording("portcullis");
            (wording.status, wording.error, wording.message, wording.challenge, wording.retry_after)
        };
        let expected = told(RefreshRefusal::Raced);
        assert_eq!(expected.2, "Invalid refresh token");
        for refresh in refreshes().into_iter().chain(token_errors().into_iter().map(RefreshRefusal::Token)) {
            assert_eq!(told(refresh), expected);
        }
    }

    #[test]
    fn reasons_are_unique_words() {
        let mut seen = HashSet::new();
        for (refusal, ..) in all() {
            let reason = refusal.reason();
            assert!(seen.insert(reason), "{reason} twice");
            assert!(reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{reason}");
            assert!(reason.split('_').all(|word| !word.is_empty()), "{reason}");
        }
        // A token is refused for the same reason wherever it was presented.
        for error in token_errors() {
            let reason = error.reason();
            assert_eq!(Refusal::Profile(Refused::Refresh(RefreshRefusal::Token(error))).reason(), reason);
        }
    }

    #[test]
    fn only_what_passes_by_itself_says_when_to_try_again() {
        for (refusal, status, _) in all() {
            let expected = matches!(status, 429 | 503);
            assert_eq!(refusal.wording("portcullis").retry_after.is_some(), expected, "{refusal:?}");
            let allow = refusal.wording("portcullis").allow;
            assert_eq!(allow, (status == 405).then_some("POST"), "{refusal:?}");
        }
        let throttled = Refusal::Throttled { retry_after: Duration::from_secs(7) };
        assert_eq!(throttled.wording("portcullis").retry_after, Some(Duration::from_secs(7)));
    }
}
