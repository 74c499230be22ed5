//! What a refusal's words are put into: JSON, one line, the manner of a dialect, gRPC.
//!
//! Guarantees: a 401 says how to do better; whatever passes by itself says when to try again.
//! Does not know: why it was refused.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::profile::Refused;
use crate::token::SealError;
use crate::upstream::UpstreamError;

use super::Refusal;

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
    /// As in the log, unless it is not to be told.
    pub reason: Option<&'static str>,
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
    /// No body, but what a gRPC client looks for.
    Grpc,
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
            reason: self.told_reason(),
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

    /// The reason as the log has it. Of a refresh nobody is told why it failed: whoever has stolen a token would learn
    /// what has become of it.
    fn told_reason(&self) -> Option<&'static str> {
        match self {
            Self::Profile(Refused::Refresh(_)) => None,
            refusal => Some(refusal.reason()),
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
}

impl Wording {
    /// The status of a call that is refused so, as gRPC counts them: what its clients make of HTTP's statuses is their own
    /// table, but they look here first.
    pub fn grpc_status(&self) -> u8 {
        const UNKNOWN: u8 = 2;
        const DEADLINE_EXCEEDED: u8 = 4;
        const ALREADY_EXISTS: u8 = 6;
        const PERMISSION_DENIED: u8 = 7;
        const RESOURCE_EXHAUSTED: u8 = 8;
        const UNIMPLEMENTED: u8 = 12;
        const INTERNAL: u8 = 13;
        const UNAVAILABLE: u8 = 14;
        const UNAUTHENTICATED: u8 = 16;
        match self.status.as_u16() {
            400 | 500 => INTERNAL,
            401 => UNAUTHENTICATED,
            403 => PERMISSION_DENIED,
            404 | 405 | 501 => UNIMPLEMENTED,
            408 => DEADLINE_EXCEEDED,
            409 => ALREADY_EXISTS,
            413 | 414 | 431 => RESOURCE_EXHAUSTED,
            429 | 502..=504 => UNAVAILABLE,
            _ => UNKNOWN,
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
