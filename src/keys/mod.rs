//! Keys that sign, and keys that seal: what they are made of, the files they live in, signing and verifying with them.
//!
//! Guarantees: an algorithm belongs to a key and never to a token (RFC 8725 section 3.1); each key is parsed once and
//! is then ready for any thread; a key that is missing while sessions exist, weak, damaged or readable by everybody
//! stops the start and is never replaced by a fresh one; no `Debug` and no error shows a secret.
//! Does not know: claims, sessions, HTTP, the configuration file, the clock.
//!
//! [`KeyRing::open`] is the way in; [`Keys`] is the ring in force, [`Changes`] what commands do to the files, and
//! [`Watch`] how a running gate finds out. A new algorithm is a variant of [`Algorithm`]; the compiler then asks for its arms
//! in `prepared` and `generate`.

mod algorithm;
mod changes;
mod directory;
mod error;
mod file;
mod generate;
mod in_force;
mod jwk;
mod pem;
mod prepared;
mod ring;
mod sealing;
mod signers;
mod signing;
mod watch;

pub(crate) use algorithm::Family;
pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use changes::{Changes, KeyEntry, list};
pub(crate) use directory::create_private;
pub use error::{BadKey, FileProblem, KeyError, Missing, Notice};
pub use file::State;
pub use generate::{GenerateError, generate};
pub use in_force::{KeyChange, Keys};
pub use jwk::Jwk;
pub(crate) use pem::{Encoding, read as read_private_key};
pub use ring::{GivenKey, KeyRing, KeySource, own_name};
pub use sealing::{SEAL_BYTES, SealingKeys, SealingTerms};
pub(crate) use signing::header_segment;
pub use signing::{SignError, SigningKey};
pub use watch::{Look, Watch};

/// Makes aws-lc the cryptography of jsonwebtoken for the whole process. Any number of calls do no harm.
///
/// Comes first in `main`: without it the crate chooses on first use by its compiled features, and panics there if a
/// dependency ever switches the second provider on.
pub fn install_crypto() {
    // The error means that a provider is installed already.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
