//! What can be wrong with certificates, keys and trust, and what is worth saying although all goes on.
//!
//! Guarantees: a message is one line, names the key of the configuration and the file, and says what to do where there is
//! something to do; it never quotes key material.
//! Does not know: where messages go.

use std::fmt;
use std::io;
use std::path::PathBuf;

use tokio_rustls::rustls;

use crate::keys::BadKey;

/// A file cannot be used as it is.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {}: {problem}", path.display())]
pub struct TlsError {
    /// Of the configuration.
    pub key: String,
    pub path: PathBuf,
    pub problem: Problem,
}

#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("cannot be read: {0}")]
    Read(io::Error),
    #[error("is larger than {0} MiB")]
    TooLarge(u64),
    #[error("the PEM text is damaged")]
    DamagedPem,
    #[error("holds no certificate in PEM")]
    NoCertificate,
    #[error("certificate {0} of the file cannot be read")]
    NotACertificate(usize),
    #[error(
        "the chain is in the wrong order: certificate {0} is the one that the key belongs to, and has to come first"
    )]
    LeafIsNotFirst(usize),
    #[error(
        "the chain is in the wrong order: certificate {0} was not issued by the one after it; first the certificate of \
         the key, then its issuer, and so on"
    )]
    WrongOrder(usize),
    #[error("{0}")]
    Key(#[from] BadKey),
    #[error(
        "holds {0}, which cannot be used for TLS; take ECDSA (P-256, P-384), Ed25519, or RSA of 2048 bits and more"
    )]
    UnsupportedKey(&'static str),
    #[error("the RSA key has {0} bits and needs at least 2048")]
    ShortRsa(usize),
    #[error("is not the private key of the certificate in {}", .0.display())]
    Mismatch(PathBuf),
    #[error("is no successful OCSP response (DER)")]
    NotOcsp,
    #[error("holds no certificate of an authority")]
    NoAuthority,
    #[error("holds no certificate revocation list")]
    NoCrl,
    #[error("cannot be used: {0}")]
    Unusable(rustls::Error),
}

/// Something that an operator should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    OpenToAll { key: String, path: PathBuf, mode: u32 },
    NotYetValid { path: PathBuf },
    NoNames { path: PathBuf },
    StaleCrl { path: PathBuf },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenToAll { key, path, mode } => write!(
                f,
                "{key}: {}: mode {mode:04o} lets every user of this machine read the private key; fix it with chmod 600",
                path.display()
            ),
            Self::NotYetValid { path } => {
                write!(f, "{}: the certificate is not valid yet; clients will refuse it", path.display())
            }
            Self::NoNames { path } => write!(
                f,
                "{}: the certificate has no DNS name among its subjectAltNames; it is shown only as the default",
                path.display()
            ),
            Self::StaleCrl { path } => write!(
                f,
                "{}: the revocation list is past its nextUpdate; certificates of clients that it speaks of are refused",
                path.display()
            ),
        }
    }
}
