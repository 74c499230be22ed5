//! The dialects of the token endpoints: what they read and what they answer.
//!
//! Guarantees: one engine ([`Sessions`]) makes, rotates and ends sessions for every dialect; a dialect only parses and
//! spells.
//! Does not know: routes, connections, how a caller was authenticated, how refusals are worded.

mod sessions;
pub mod smsgate;

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use crate::account::User;
use crate::token::{MintError, RotationRefusal, TokenError, Verified};

pub use sessions::{RecordAddresses, Request, Sessions, Visit};

/// Who asks at a token endpoint, once that is proven.
#[derive(Clone, Debug)]
pub enum Caller {
    /// By name and password: may have all that the user may have.
    User(Arc<User>),
    /// By access token: never more than that token.
    Bearer(Arc<Verified>),
}

/// An answer of a token endpoint.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    /// JSON, or nothing.
    pub body: Option<Bytes>,
}

/// Why a token endpoint did not do what was asked.
#[derive(Debug)]
pub enum Refused {
    Disabled,
    NotJson,
    /// The body does not say what it must; the text says what, and nothing of what was sent.
    Body(&'static str),
    NoScopes,
    NoKnownScope,
    BeyondUser,
    BeyondCaller,
    Refresh(RefreshRefusal),
    Full,
    Overtaken,
    /// The disk takes nothing at the moment.
    Unwritten,
    Mint(MintError),
}

/// Why a refresh failed. Clients hear one text for all.
#[derive(Debug)]
pub enum RefreshRefusal {
    Token(TokenError),
    Raced,
    Reused,
    Disowned,
    Rotation(RotationRefusal),
}
