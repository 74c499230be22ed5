//! The key ring: which keys there are, which one signs, and how they come to be at the first start.
//!
//! Guarantees: exactly one key is current; all verify; a key is made only where there is none and no session either,
//! and a damaged or missing one stops the start: a fresh key in its place would sign everybody out, silently.
//! Does not know: how sessions are stored, the configuration file, when keys change. A ring is never changed, only
//! replaced ([`super::Keys`]).

pub(super) mod found;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::directory::Desk;
use super::file::{self, Random, State};
use super::generate::random;
use super::signing::Key;
use super::{Algorithm, BadKey, KeyError, Missing, Notice, SigningKey};
use found::{Found, Source};

/// Where the signing key comes from.
pub enum KeySource {
    /// From `data_dir/keys`. If nothing is there yet, a key for `algorithm` is made.
    Ring { algorithm: Algorithm },
    /// From `token.secret`: the bytes themselves, not decoded.
    Secret { algorithm: Algorithm, secret: Zeroizing<Vec<u8>> },
    /// From `token.key_file`: a PEM file with a private key.
    File { algorithm: Algorithm, path: PathBuf },
    /// From `[[token.keys]]`: exactly one is current, and no two have a name or a key in common.
    Several(Vec<GivenKey>),
}

/// A key from the configuration.
pub struct GivenKey {
    pub kid: Arc<str>,
    pub algorithm: Algorithm,
    pub state: State,
    /// The secret itself, not decoded, or the text of a PEM file.
    pub text: Zeroizing<Vec<u8>>,
    /// Where it was read.
    pub path: Option<PathBuf>,
}

/// How a key is named whose owner gives it no name: equal wherever the same key is used, with whatever algorithm, and
/// nothing follows from it. `text` is a secret or the text of a PEM file.
///
/// # Errors
/// When it is no key for `algorithm`.
pub fn own_name(algorithm: Algorithm, text: &[u8]) -> Result<Arc<str>, BadKey> {
    Key::from_text(algorithm, text).map(|key| key.kid().clone())
}

/// The keys of this gateway.
pub struct KeyRing {
    entries: Vec<(Arc<SigningKey>, State)>,
    current: Arc<SigningKey>,
    fingerprint: Random,
}

impl KeyRing {
    /// Reads the keys in `data_dir/keys`, and makes at the first start those that are not there.
    ///
    /// With `sessions_exist` nothing is made, and what is missing is an error: the tokens of these sessions could not be
    /// verified. A process that must never make keys passes `true`; the one that may calls [`KeyRing::admit`] first. `now_secs`, in Unix seconds, is noted in new files.
    pub fn open(
        data_dir: &Path,
        source: KeySource,
        sessions_exist: bool,
        now_secs: u64,
    ) -> Result<(Self, Vec<Notice>), KeyError> {
        let dir = data_dir.join("keys");
        let mut notices = Vec::new();
        let source = Source::read(source, &mut notices)?;
        let mut found = Found::read(&dir, &source)?;
        if let Some((missing, path)) = found.missing(&dir, &source) {
            if sessions_exist {
                return Err(match missing {
                    Missing::Joining => KeyError::Joining { path },
                    _ => KeyError::SessionsWithoutKeys { path, missing },
                });
            }
            let desk = Desk::lock(&dir)?;
            // Another process may have had its first start while this one waited: then its keys are the keys.
            if let Some(created) = Found::read(&dir, &source)?.complete(&dir, &source, &desk, now_secs)? {
                notices.push(created);
            }
            found = Found::read(&dir, &source)?;
        }
        notices.append(&mut found.notices);
        let ring = found.into_ring(&dir, source, &mut notices)?;
        Ok((ring, notices))
    }

    /// Makes the refresh keys of those that have joined the keys of the configuration while there are sessions. For the one
    /// process that may make keys; without it [`KeyRing::open`] says [`KeyError::Joining`].
    ///
    /// # Errors
    /// When the keys cannot be read, or the new ones not be written.
    pub fn admit(data_dir: &Path, source: KeySource) -> Result<(), KeyError> {
        let dir = data_dir.join("keys");
        let source = Source::read(source, &mut Vec::new())?;
        let joins = |found: &Found| matches!(found.missing(&dir, &source), Some((Missing::Joining, _)));
        if joins(&Found::read(&dir, &source)?) {
            let desk = Desk::lock(&dir)?;
            let found = Found::read(&dir, &source)?;
            if joins(&found) {
                found.complete(&dir, &source, &desk, 0)?;
            }
        }
        Ok(())
    }

    /// A ring that no file holds, with one key: for trying things out and for tests. Its tokens end with the process.
    pub fn in_memory(algorithm: Algorithm) -> Result<Self, KeyError> {
        let (_, contents) = file::fresh(algorithm, State::Current, jiff::Timestamp::UNIX_EPOCH)?;
        let key = file::read_key(contents.as_bytes()).map_err(|_| super::GenerateError)?.key;
        Ok(Self { entries: vec![(key.clone(), State::Current)], current: key, fingerprint: random()? })
    }

    /// The key that signs.
    pub fn current(&self) -> &Arc<SigningKey> {
        &self.current
    }

    /// The key named `kid`, in whatever state.
    pub fn find(&self, kid: &str) -> Option<&Arc<SigningKey>> {
        // A ring has one to three keys: comparing is quicker than hashing.
        self.entries.iter().find_map(|(key, _)| (**key.kid() == *kid).then_some(key))
    }

    /// The key and the type of an access token whose header segment is exactly `header`, if that is how we write one. Any
    /// other may be good all the same: it has to be read.
    pub fn find_by_header(&self, header: &str) -> Option<(&Arc<SigningKey>, &'static str)> {
        self.entries.iter().find_map(|(key, _)| Some((key, key.type_in(header)?)))
    }

    /// What the key named `kid` is there for.
    pub fn state(&self, kid: &str) -> Option<State> {
        self.entries.iter().find_map(|(key, state)| (**key.kid() == *kid).then_some(*state))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Arc<SigningKey>, State)> {
        self.entries.iter().map(|(key, state)| (key, *state))
    }

    /// The key under which credential versions are made. It never changes, so that they can be compared for ever.
    pub fn fingerprint_key(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("entries", &self.entries).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
