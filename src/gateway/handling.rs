//! What becomes of a request that has met its rule: what the upstream gets to know the caller by, and whether it may come
//! twice.
//!
//! Guarantees: one `Authorization` goes on at most, and never a password that its user has not presented in this session.
//! Does not know: who was admitted, connections.

use http::header::HeaderValue;

use super::AccessLog;
use super::once::OnceBy;

/// What the upstream gets to know the caller by, besides the identity headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handing {
    Nothing,
    /// The access token.
    Token,
    /// One account for everybody.
    Account(HeaderValue),
    /// The user's own name and password: those that were presented, or that are sealed in the token.
    Own,
}

/// What is done beyond what is demanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handling {
    /// `None`: as everywhere.
    pub credentials: Option<Handing>,
    /// By what a repetition is known; nothing lets repetitions through.
    pub once: Vec<OnceBy>,
    /// Which requests leave a line; `None`: as everywhere.
    pub log: Option<AccessLog>,
}
