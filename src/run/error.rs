//! Why a gate did not start, or did not end well.
//!
//! Guarantees: each reason names what is to be mended, and whether that is the configuration.
//! Does not know: exit codes.

use std::io;
use std::path::PathBuf;

use crate::account::{FileTrouble, HashFailed};
use crate::admin::SocketError;
use crate::config::{Config, StoreKind};
use crate::edge::BindError;
use crate::issuer::IssuerError;
use crate::keys::{FileProblem, KeyError};
use crate::store::{FilesError, SNAPSHOT};
use crate::tls::TlsError;
use crate::upstream;

/// Why a gate did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}: cannot {what}", path.display())]
    DataDir {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("{}: {trouble}", path.display())]
    Users { path: PathBuf, trouble: FileTrouble },
    /// Every session would be taken for one of a removed user, and end.
    #[error(
        "{}: no users, but there are sessions, which would all end; put the file back, or move {SNAPSHOT} in the data \
         directory away if that is meant",
        path.display()
    )]
    SessionsWithoutUsers { path: PathBuf },
    #[error(
        "{}: no keys; gates that share their sessions on Redis share their keys: mount or copy the keys folder of a gate that \
         runs, or of the one whose sessions were moved here",
        path.display()
    )]
    NoSharedKeys { path: PathBuf },
    /// With them every password would look changed, and every session end.
    #[error(
        "{}: not the keys of the gates that share the sessions on Redis: mount or copy the keys folder of a gate that runs, \
         or set another store.key_prefix",
        path.display()
    )]
    OtherKeys { path: PathBuf },
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    #[error("upstream.tls")]
    UpstreamTls(#[source] upstream::TlsError),
    #[error("store.tls")]
    PrimaryTls(#[source] upstream::TlsError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Password(#[from] HashFailed),
    #[error(transparent)]
    Sessions(#[from] FilesError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    AdminSocket(#[from] SocketError),
    #[error("the system gives no threads")]
    Threads(#[source] io::Error),
}

/// The last snapshot could not be written. What was acknowledged is in the journal all the same.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StopError(#[from] FilesError);

impl StartError {
    /// The same where sessions are on an engine, so that nobody knows whether there are any.
    pub(super) fn of_engine(self, config: &Config) -> Self {
        match self {
            Self::Keys(KeyError::SessionsWithoutKeys { path, .. })
                if matches!(config.store.kind, StoreKind::Redis(_)) =>
            {
                Self::NoSharedKeys { path }
            }
            error => error,
        }
    }

    /// Whether the set-up is at fault, and not the moment.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Keys(KeyError::File { problem: FileProblem::Write(error), .. }) => !is_full(error),
            Self::Keys(_)
            | Self::NoSharedKeys { .. }
            | Self::OtherKeys { .. }
            | Self::Users { .. }
            | Self::SessionsWithoutUsers { .. }
            | Self::Issuer(_) => true,
            Self::Tls(_) | Self::UpstreamTls(_) | Self::PrimaryTls(_) => true,
            Self::AdminSocket(_) => false,
            Self::DataDir { .. } | Self::Password(_) | Self::Sessions(_) | Self::Bind(_) | Self::Threads(_) => false,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
