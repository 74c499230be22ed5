//! The rules, pure: what a token says, when it counts, and what presenting one does to its session.
//!
//! Guarantees: no I/O, no clock and no randomness in this room; `now` and fresh ids are arguments, so every rule is
//! tested by passing a number.
//! Does not know: HTTP, sockets, files, the store, who may sign in.
//!
//! The state machine stands in [`Session::rotate`]; the order of verification in [`access::verify`].

pub mod access;
mod confirmation;
mod envelope;
mod error;
mod id;
pub mod opaque;
mod pair;
mod policy;
pub mod refresh;
mod restoration;
mod scope;
mod sealed;
mod sender;
mod session;
mod time;

pub(crate) use access::one_or_many;
pub use access::{Person, Verified};
pub(crate) use confirmation::Bound;
pub use confirmation::{Confirmation, Thumbprint};
pub(crate) use envelope::Envelope;
pub use envelope::MintError;
pub use error::TokenError;
pub use id::{NotAnId, SessionId, Subject, TokenId, TokenKind};
pub use pair::Pair;
pub use policy::{AccessOverlap, Lifetimes, OnReuse, Policy};
pub use refresh::Refreshing;
pub use restoration::{Restoration, Restorations};
pub use scope::{ALL_ANY, SESSIONS_ADMIN, Scopes, TOKENS_MANAGE, TOKENS_REFRESH};
pub use sealed::{MAX_SEALED_PASSWORD, SealError, Sealed, Sealing};
pub use sender::Sender;
pub use session::{
    AccessStanding, CredentialVersion, Device, Presented, Presenter, Profile, Rotation, RotationRefusal, SETTLE,
    Session, Standing, Succession,
};
pub use time::Timestamp;

#[cfg(test)]
pub(crate) mod tests;
