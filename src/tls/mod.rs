//! TLS with clients: which certificates the gate shows, whom it believes, and how both are renewed while it runs.
//!
//! Guarantees: all that a handshake rests on - certificates, the keys of tickets, trust in clients - is one value that is
//! swapped as a whole, so that no session outlives what it was begun under; what cannot be used is told with its file and
//! the key of the configuration that names it, and while a gate runs what was good before stays in force.
//! Does not know: sockets, connections, HTTP.
//!
//! A *certificate* is a leaf with its *chain* and its private key; the *names* it is shown for are those it holds. *Client
//! trust*: whose word for a client counts, and which of their certificates were revoked. *In force*: what new handshakes
//! see.

mod certificate;
mod error;
mod expiry;
mod file;
mod identity;
mod in_force;
mod names;
mod offer;
mod trust;
mod watching;

use std::path::PathBuf;

pub use error::{Notice, TlsError};
pub use expiry::Expiry;
pub use identity::ClientCertificate;
pub use in_force::{Footing, InForce};
pub use watching::Watching;

/// Which certificates there are to be, and whom to trust.
#[derive(Clone, Debug)]
pub struct Terms {
    /// At least one; the first is the default.
    pub certificates: Vec<Files>,
    pub min_version: MinVersion,
    pub unknown_names: UnknownNames,
    pub clients: Clients,
}

/// The files of a certificate.
#[derive(Clone, Debug)]
pub struct Files {
    /// The table of the configuration that names them, for messages.
    pub table: String,
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// What its authority says of it, to be stapled.
    pub ocsp: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinVersion {
    Tls12,
    Tls13,
}

/// What a client gets that asks for a name which no certificate has, or for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownNames {
    /// The first certificate.
    Default,
    /// An alert.
    Refuse,
}

/// Certificates of clients.
#[derive(Clone, Debug)]
pub struct Clients {
    pub demand: Demand,
    /// Authorities whose word for a client counts.
    pub ca: Option<PathBuf>,
    /// What they have revoked. With any, one of whose state nothing is known is refused.
    pub crls: Vec<PathBuf>,
}

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// None is asked for.
    Off,
    /// One that is shown has to be good.
    Optional,
    Required,
}
