//! Every refusal, in one place.
//!
//! Guarantees: a client reads a status, a coarse RFC 6749/6750 code and a sentence, never an inner error nor which of
//! several reasons a refresh failed for; logs get a fine, stable reason; the matches have no wildcard arm, so a new
//! refusal cannot slip through unworded.
//! Does not know: how any of this is found out.

mod dress;
mod reason;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::profile::Refused;
use crate::token::TokenError;
use crate::upstream::UpstreamError;

use super::Outcome;

pub use dress::{Dress, Manner, Wording};

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
    /// The route is for those with another certificate. No 401: nothing that a client could send would help, and no
    /// scheme asks for another connection; it would throw away a good token.
    CertificateMissing,
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

impl Refusal {
    /// Whether it is as unclear where the next request begins, or whose it is.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self, Self::AmbiguousHost | Self::AmbiguousFraming)
    }
}
