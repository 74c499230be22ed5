//! The dialects of the token endpoints: what they read and what they answer.
//!
//! Guarantees: one engine ([`Sessions`]) makes, rotates and ends sessions for every dialect; a dialect only parses and
//! spells.
//! Does not know: routes, connections, how a caller was authenticated, how refusals are worded.

mod audit;
mod device;
mod fields;
pub mod form;
pub mod listing;
pub mod oauth;
mod sessions;
pub mod smsgate;
mod time;
mod visit;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::account::{Client, Password, User};
use crate::token::{MintError, RotationRefusal, SealError, TokenError, Verified};

pub use fields::Fields;
pub use sessions::{Asked, Inspected, Request, Sessions};
pub use time::rfc3339;
pub use visit::{RecordAddresses, Visit};

/// Who asks at a token endpoint, once that is proven.
#[derive(Clone, Debug)]
pub enum Caller {
    /// By name and password: may have all that the user may have.
    User(Arc<User>, Password),
    /// By access token: never more than that token.
    Bearer(Arc<Verified>),
    /// An OAuth client, for itself.
    Client(Arc<Client>),
}

/// What a path under `{prefix}/auth` is, besides a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    NotFound,
    /// The path exists for these methods.
    Method(&'static str),
}

/// An answer of a token endpoint.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub content: Content,
    pub aside: Option<Aside>,
}

/// What a client is to keep out of reach of its own scripts.
pub enum Aside {
    Keep {
        token: Zeroizing<String>,
        /// How long it is of use; whole seconds.
        max_age: Duration,
    },
    Forget,
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep { .. } => "Keep([secret])",
            Self::Forget => "Forget",
        })
    }
}

#[derive(Debug)]
pub enum Content {
    Nothing,
    Json(Bytes),
    Text(&'static str),
}

impl Reply {
    fn json(status: StatusCode, view: &impl Serialize) -> Result<Self, Refused> {
        let body = serde_json::to_vec(view).map_err(|error| Refused::Mint(MintError::Claims(error)))?;
        Ok(Self { status, content: Content::Json(body.into()), aside: None })
    }
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
    /// Nothing that was asked for may be granted to this client.
    BeyondClient,
    /// More than the session was granted.
    BeyondGrant,
    /// A client that speaks for itself is nobody whose sessions can be begun with its token.
    NoUser,
    /// No such grant here, or it is switched off.
    UnknownGrant,
    MalformedScope,
    /// The grant is not this client's.
    GrantNotAllowed,
    /// Of a user whom an OAuth client signs in: that is no verdict on the client.
    WrongPassword,
    /// A token of another client.
    Foreign,
    Refresh(RefreshRefusal),
    /// Too many refresh tokens from there were forged.
    Forgeries(Duration),
    Full,
    Overtaken,
    /// The disk takes nothing at the moment.
    Unwritten,
    /// The password cannot be sealed into tokens.
    Unsealed(SealError),
    /// The password that is sealed into the caller's token cannot be opened any more, or there is none.
    NothingSealed,
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
