//! The numbers the rules turn on: lifetimes, windows, what a theft ends.
//!
//! Guarantees: plain values, checked against each other when the configuration was read.
//! Does not know: where they were configured.

use std::time::Duration;

use super::Profile;

/// How long the replaced access token goes on working after a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessOverlap {
    For(Duration),
    UntilExpiry,
}

/// What the reuse of a refresh token ends (seed Z23 and Z24 name both).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReuse {
    Session,
    User,
}

/// How long what a profile hands out lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    pub access_ttl: Duration,
    /// Idle lifetime: each rotation starts it anew.
    pub refresh_ttl: Duration,
}

/// What tokens and sessions are measured by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Claim `iss` of every token.
    pub issuer: String,
    /// Claim `aud`; empty means none is set and none demanded.
    pub audience: Vec<String>,
    /// Header `typ` of access tokens: `at+jwt` (RFC 9068) or `JWT` for old validators.
    pub access_type: String,
    /// Tolerated difference between our clock and the one that stamped a token.
    pub leeway: Duration,
    /// Longest token text that is looked at, in bytes.
    pub max_token_bytes: usize,
    pub smsgate: Lifetimes,
    pub form: Lifetimes,
    pub oauth: Lifetimes,
    /// The longest access lifetime that can be asked for.
    pub access_ttl_max: Duration,
    /// Absolute lifetime: nothing moves it.
    pub session_ttl: Duration,
    pub access_overlap: AccessOverlap,
    /// Within it the immediate parent gets the same successor again. Zero: strictly single-use.
    pub retry_window: Duration,
    pub on_reuse: OnReuse,
}

impl Policy {
    pub fn lifetimes(&self, profile: Profile) -> &Lifetimes {
        match profile {
            Profile::Smsgate => &self.smsgate,
            Profile::Form => &self.form,
            Profile::Oauth => &self.oauth,
        }
    }

    /// The access lifetime for a requested one: absent or zero is the default, too long is capped (seed S7).
    pub fn access_ttl_for(&self, profile: Profile, requested_secs: Option<u64>) -> Duration {
        match requested_secs {
            None | Some(0) => self.lifetimes(profile).access_ttl,
            Some(secs) => Duration::from_secs(secs).min(self.access_ttl_max),
        }
    }
}
