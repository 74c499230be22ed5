//! Where an issuer's keys come from: a file, or a URL.
//!
//! Guarantees: no more is read than the bound says, however large the file.
//! Does not know: HTTP, how often to look.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fetch::{self, FetchError};
use super::keyset::{KeySet, KeySetError, Parsed};
use super::tls::{self, TlsError};
use super::{Issuers, Trust};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    Url(Endpoint),
}

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub https: bool,
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
    /// Path and query.
    pub target: String,
    /// Who may vouch for the other side, in PEM; else whom the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// What bounds a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub bytes: usize,
    pub keys: usize,
    /// From looking up the name to the last byte.
    pub timeout: Duration,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("cannot be read")]
    File(#[source] io::Error),
    #[error("larger than {0} bytes (limits.max_jwks_bytes)")]
    TooLarge(usize),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Keys(#[from] KeySetError),
}

/// Why a gate cannot start with an issuer.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    #[error("the keys of the issuer {issuer} in {}", path.display())]
    File {
        issuer: String,
        path: PathBuf,
        #[source]
        source: SourceError,
    },
    #[error("the authorities of the issuer {issuer}")]
    Authorities {
        issuer: String,
        #[source]
        source: TlsError,
    },
}

impl Source {
    /// The bytes as they are now.
    pub(super) async fn read(&self, bounds: &Bounds) -> Result<Vec<u8>, SourceError> {
        match self {
            Self::File(path) => read_file(path, bounds.bytes),
            Self::Url(endpoint) => Ok(fetch::fetch(endpoint, bounds).await?),
        }
    }
}

impl Trust {
    /// Looks at the files that this rests on, if it rests on files. An issuer that cannot be reached may come later.
    ///
    /// # Errors
    /// When one cannot be read, or holds nothing that could be used.
    pub fn check(&self, bounds: &Bounds) -> Result<Option<Parsed>, IssuerError> {
        match &self.source {
            Source::File(path) => {
                let trouble = |source| IssuerError::File { issuer: self.issuer.clone(), path: path.clone(), source };
                let text = read_file(path, bounds.bytes).map_err(trouble)?;
                let parsed = KeySet::parse(&text, &self.algorithms, bounds.keys);
                parsed.map(Some).map_err(|error| trouble(error.into()))
            }
            Source::Url(Endpoint { ca_file: Some(path), .. }) => {
                let trouble = |source| IssuerError::Authorities { issuer: self.issuer.clone(), source };
                tls::roots(Some(path)).map(|_| None).map_err(trouble)
            }
            Source::Url(_) => Ok(None),
        }
    }
}

impl Issuers {
    /// The same for all, and puts the keys that stand in files in force.
    ///
    /// # Errors
    /// As for [`Trust::check`].
    pub fn open(trusts: Vec<Trust>, bounds: &Bounds) -> Result<Self, IssuerError> {
        let issuers = Self::new(trusts);
        for issuer in &issuers.list {
            if let Some(parsed) = issuer.trust.check(bounds)? {
                issuers.replace(issuer, parsed.set);
            }
        }
        Ok(issuers)
    }
}

fn read_file(path: &Path, most: usize) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(SourceError::File)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(SourceError::File)?;
    if bytes.len() > most { Err(SourceError::TooLarge(most)) } else { Ok(bytes) }
}

impl Endpoint {
    /// As it stands in a `Host` header.
    pub(super) fn authority(&self) -> String {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let usual = if self.https { 443 } else { 80 };
        let port = if self.port == usual { String::new() } else { format!(":{}", self.port) };
        format!("{open}{}{close}{port}", self.host)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(endpoint) => {
                let scheme = if endpoint.https { "https" } else { "http" };
                write!(f, "{scheme}://{}{}", endpoint.authority(), endpoint.target)
            }
        }
    }
}
