//! What can be wrong with keys, and what is worth saying although the start goes on.
//!
//! Guarantees: a message is one line, names the file or the setting, says what to do where there is something to do,
//! and never quotes key material. Each of these is a fault of the set-up (exit code 78), not of a client.
//! Does not know: where messages go.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::Algorithm;

/// The keys cannot be used as they are.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{}: {problem}", path.display())]
    File { path: PathBuf, problem: FileProblem },
    #[error("token.secret: {0}")]
    Secret(BadKey),
    #[error("token.keys: {0}")]
    Given(BadKey),
    #[error("token.keys: none of the keys has state = \"current\", so nothing could be signed")]
    NoneGivenIsCurrent,
    #[error(
        "{}: the refresh key of a key that has joined the configuration is not there yet; the gate that keeps the \
         sessions makes it when it starts with the same [[token.keys]]",
        path.display()
    )]
    Joining { path: PathBuf },
    #[error(
        "{}: there are sessions but {missing}; restore it from a backup, or, if it is lost, move the files of the store \
         away, after which everybody signs in again",
        path.display()
    )]
    SessionsWithoutKeys { path: PathBuf, missing: Missing },
    #[error("{}: none of the keys has state = \"current\", so nothing could be signed", dir.display())]
    NoCurrentKey { dir: PathBuf },
    #[error("{} and {}: both have state = \"current\", exactly one must", first.display(), second.display())]
    TwoCurrentKeys { first: PathBuf, second: PathBuf },
    #[error("{} and {}: both hold the key {kid}, remove one", first.display(), second.display())]
    SameKid { kid: Arc<str>, first: PathBuf, second: PathBuf },
    #[error(
        "{}: is not the fingerprint key in force, and with another one every password would look changed",
        path.display()
    )]
    OtherFingerprint { path: PathBuf },
    #[error(transparent)]
    Generate(#[from] super::GenerateError),
}

/// What is not there, with what would follow from a fresh one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    SigningKey,
    RefreshKey,
    /// The refresh key of a key that can have signed nothing yet, as it has come beside others.
    Joining,
    Fingerprint,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SigningKey => "no signing key, and no token of theirs could be verified with a fresh one",
            Self::RefreshKey => {
                "no refresh key for the configured signing key, and no refresh token of theirs could be verified with \
                 a fresh one"
            }
            Self::Joining => "no refresh key for a signing key that has joined the configured ones",
            Self::Fingerprint => "no fingerprint key, and with a fresh one every password would look changed",
        })
    }
}

/// What is wrong with one file.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    #[error("cannot be read: {0}")]
    Read(io::Error),
    #[error("cannot be written: {0}")]
    Write(io::Error),
    #[error("is larger than any key")]
    TooLarge,
    #[error("mode {mode:04o} lets every user of this machine in; fix it with chmod {fix}")]
    OpenToAll { mode: u32, fix: &'static str },
    /// The text says where and what, without quoting the line.
    #[error("damaged: {0}")]
    Damaged(String),
    #[error("is named for another key, it holds the key {kid}")]
    OtherName { kid: Arc<str> },
    #[error("{0}")]
    Key(#[from] BadKey),
}

impl FileProblem {
    pub(super) fn missing() -> Self {
        Self::Read(io::ErrorKind::NotFound.into())
    }
}

/// Why a secret or private key is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    #[error(
        "{bytes} bytes are too short for {algorithm}, which needs at least {needed} (RFC 7518 section 3.2); make a \
         secret with: portcullis keygen --algorithm {algorithm}"
    )]
    ShortSecret { algorithm: Algorithm, bytes: usize, needed: usize },
    /// The classic confusion: a public key, which everybody knows, taken as HMAC secret.
    #[error("this is a PEM text, not a secret for {0}; a private key needs another algorithm and a file")]
    PemAsSecret(Algorithm),
    #[error("{0} signs with a private key, not with a secret; set token.key_file")]
    NeedsPrivateKey(Algorithm),
    #[error("{0} signs with a secret, not with a private key; set token.secret or token.secret_file")]
    NeedsSecret(Algorithm),
    #[error("holds no PEM private key")]
    NoPem,
    #[error("holds no private key but a {0}; signing needs the private key")]
    NotPrivate(&'static str),
    #[error("is encrypted; decrypt it with: openssl pkey -in ENCRYPTED -out PLAIN")]
    Encrypted,
    #[error("is in OpenSSH's own format; convert a copy with: ssh-keygen -p -m PKCS8 -f COPY")]
    OpenSsh,
    #[error("holds more than one private key")]
    SeveralKeys,
    #[error("the PEM text is damaged")]
    DamagedPem,
    #[error("holds {found}, but {algorithm} needs {needed}; make one with: portcullis keygen --algorithm {algorithm}")]
    WrongType { algorithm: Algorithm, needed: &'static str, found: &'static str },
    #[error("the RSA key is shorter than 2048 bits; make one with: portcullis keygen --algorithm {0}")]
    ShortRsa(Algorithm),
    #[error("is not a valid key for {algorithm}: {reason}")]
    Unusable { algorithm: Algorithm, reason: &'static str },
}

/// Something that an operator should hear of at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The first start made a signing key.
    Created { path: PathBuf, kid: Arc<str>, algorithm: Algorithm },
    /// A key file of ours that the group may read: normal on a Kubernetes volume with `fsGroup`.
    GroupReadable { path: PathBuf, mode: u32 },
    /// A key file of the configuration can be read by every user of this machine.
    OpenToAll { path: PathBuf, mode: u32 },
    /// `token.algorithm` names another algorithm than the current key's.
    AlgorithmKept { kid: Arc<str>, algorithm: Algorithm, configured: Algorithm },
    /// A key of the ring, beside a key from the configuration.
    Unused { path: PathBuf },
}

impl Notice {
    /// Whether it asks for attention, rather than to be told.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Self::Created { .. })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { path, kid, algorithm } => {
                write!(f, "{}: made the {algorithm} signing key {kid}; include it in backups", path.display())
            }
            Self::GroupReadable { path, mode } => {
                write!(f, "{}: mode {mode:04o} lets a group in; 0600 is enough", path.display())
            }
            Self::OpenToAll { path, mode } => {
                write!(f, "{}: mode {mode:04o} lets every user of this machine read a signing key", path.display())
            }
            Self::AlgorithmKept { kid, algorithm, configured } => write!(
                f,
                "token.algorithm is {configured}, but the current key {kid} is for {algorithm} and stays; the setting \
                 counts for new keys only"
            ),
            Self::Unused { path } => {
                write!(f, "{}: not used, because the configuration names the signing key", path.display())
            }
        }
    }
}
