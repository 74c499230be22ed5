//! The keys under which credentials are sealed into tokens: their file, and how they follow one another.
//!
//! Guarantees: they are shared with nobody and used for nothing else; a new one takes over by itself when its time has
//! come, and an old one opens until nothing that it has sealed can be alive; a gate that only follows another one makes
//! none.
//! Does not know: what is sealed and what it is bound to, tokens, the clock.

mod xaes;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::error::Unspecified;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::directory::{Desk, read_own};
use super::file::Hidden;
use super::generate::random;
use super::{FileProblem, KeyError};
use xaes::{NONCE, Xaes};

/// In `data_dir/keys`. The name does not end as those of signing keys do.
const FILE: &str = "sealing";
const ID: usize = 4;
/// What a sealed text is longer than the text.
pub const SEAL_BYTES: usize = ID + NONCE + 16;
/// A new key seals nothing before all gates that follow have had the time to see it.
const SETTLE_SECS: u64 = 5;

/// How long keys are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealingTerms {
    /// A key seals for so long.
    pub rotation: Duration,
    /// And opens for so long after.
    pub keep: Duration,
}

/// The keys in force. Shared by all workers.
pub struct SealingKeys {
    dir: PathBuf,
    terms: SealingTerms,
    /// The oldest first.
    ring: ArcSwap<Vec<SealingKey>>,
}

struct SealingKey {
    id: [u8; ID],
    /// When it was made, in Unix seconds.
    since: u64,
    secret: Zeroizing<[u8; 32]>,
    ready: Xaes,
}

#[derive(Deserialize)]
struct Contents {
    #[serde(default)]
    key: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    id: String,
    since: u64,
    secret: Hidden,
}

impl SealingKeys {
    /// Reads the keys of a data directory. `now` is in Unix seconds.
    ///
    /// # Errors
    /// When they cannot be read, or are damaged.
    pub fn open(data_dir: &Path, terms: SealingTerms) -> Result<Self, KeyError> {
        let dir = data_dir.join("keys");
        let ring = read(&dir)?;
        Ok(Self { dir, terms, ring: ArcSwap::from_pointee(ring) })
    }

    /// Makes the first key, or the next one if its time has come, and lets go of those that have served. For
    /// processes that may write; to be called now and then. Returns whether there is a new one.
    ///
    /// # Errors
    /// When the keys cannot be written; those known stay in force.
    pub fn tend(&self, now: u64) -> Result<bool, KeyError> {
        let (rotation, keep) = (self.terms.rotation.as_secs().max(1), self.terms.keep.as_secs());
        if self.ring.load().last().is_some_and(|newest| now < newest.since.saturating_add(rotation)) {
            return Ok(false);
        }
        let desk = Desk::lock(&self.dir)?;
        let mut ring = read(&self.dir)?;
        // Where several gates may write, another one was quicker.
        if ring.last().is_some_and(|newest| now < newest.since.saturating_add(rotation)) {
            self.ring.store(ring.into());
            return Ok(false);
        }
        let random = random().map_err(|_| super::GenerateError)?;
        let id: Zeroizing<[u8; ID]> = super::generate::random().map_err(|_| super::GenerateError)?;
        ring.push(SealingKey::new(*id, now, random).map_err(|_| super::GenerateError)?);
        // What a key has sealed is at most as old as its successor, and lives no longer than that.
        let successors: Vec<u64> = ring.iter().skip(1).map(|key| key.since).chain([u64::MAX]).collect();
        let mut served = successors.iter().map(|since| since.saturating_add(keep) < now);
        ring.retain(|_| !served.next().unwrap_or_default());
        desk.write(FILE, write(&ring).as_bytes())?;
        self.ring.store(ring.into());
        Ok(true)
    }

    pub fn is_empty(&self) -> bool {
        self.ring.load().is_empty()
    }

    /// Looks whether another process has written new ones.
    ///
    /// # Errors
    /// As for [`SealingKeys::open`]; those known stay in force.
    pub fn look(&self) -> Result<(), KeyError> {
        let (ring, known) = (read(&self.dir)?, self.ring.load());
        if ring.last().map(|key| key.id) != known.last().map(|key| key.id) {
            self.ring.store(ring.into());
        }
        Ok(())
    }

    /// Seals `text` so that it opens only with the same `aad`.
    ///
    /// # Errors
    /// When there is no key, or no randomness.
    pub(crate) fn seal(&self, text: &[u8], aad: &[u8], now: u64) -> Result<Vec<u8>, Unspecified> {
        let ring = self.ring.load();
        let settle = SETTLE_SECS.min(self.terms.rotation.as_secs() / 2);
        let settled = ring.iter().rev().find(|key| key.since.saturating_add(settle) <= now);
        let key = settled.or_else(|| ring.first()).ok_or(Unspecified)?;
        let nonce = random::<NONCE>().map_err(|_| Unspecified)?;
        // Room for the tag, so that growing never leaves a copy behind.
        let mut sealed = Zeroizing::new(Vec::with_capacity(text.len() + 16));
        sealed.extend_from_slice(text);
        key.ready.seal(&nonce, aad, &mut sealed)?;
        Ok([&key.id[..], &nonce[..], &sealed[..]].concat())
    }

    /// The text of a sealed one; `None` if it was changed, is bound to something else, or its key is gone.
    pub(crate) fn open_sealed(&self, sealed: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (id, rest) = sealed.split_first_chunk::<ID>()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
        let ring = self.ring.load();
        let key = ring.iter().find(|key| key.id == *id)?;
        let mut bytes = Zeroizing::new(rest.to_vec());
        let length = key.ready.open(nonce, aad, &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

impl SealingKey {
    fn new(id: [u8; ID], since: u64, secret: Zeroizing<[u8; 32]>) -> Result<Self, Unspecified> {
        Ok(Self { id, since, ready: Xaes::new(&secret)?, secret })
    }
}

fn read(dir: &Path) -> Result<Vec<SealingKey>, KeyError> {
    let path = dir.join(FILE);
    let Some(bytes) = read_own(&path, &mut Vec::new())? else { return Ok(Vec::new()) };
    // Neither the parser's message nor the line is quoted: both may hold a key.
    let damaged = |what: &str| KeyError::File { path: path.clone(), problem: FileProblem::Damaged(what.into()) };
    let text = str::from_utf8(&bytes).map_err(|_| damaged("not UTF-8"))?;
    let contents: Contents = toml_edit::de::from_str(text).map_err(|_| damaged("not what this gateway writes"))?;
    let key = |written: &Written| {
        let (mut id, mut secret) = ([0; ID], Zeroizing::new([0; 32]));
        let whole = URL_SAFE_NO_PAD.decode_slice(&written.id, &mut id) == Ok(ID)
            && URL_SAFE_NO_PAD.decode_slice(written.secret.as_bytes(), &mut *secret) == Ok(32);
        let key = whole.then(|| SealingKey::new(id, written.since, secret).ok()).flatten();
        key.ok_or_else(|| damaged("a key is not 32 bytes in base64url, or its id is not"))
    };
    let mut ring = contents.key.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    ring.sort_by_key(|key| key.since);
    Ok(ring)
}

fn write(ring: &[SealingKey]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(256 + ring.len() * 128));
    text.push_str("# Keys of portcullis. Whoever can read this file and a token can read the password in it.\n");
    for key in ring {
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*key.secret));
        let (id, since) = (URL_SAFE_NO_PAD.encode(key.id), key.since.to_string());
        for part in ["[[key]]\nid = '", &id, "'\nsince = ", &since, "\nsecret = '", &secret, "'\n"] {
            text.push_str(part);
        }
    }
    text
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKeys").field("keys", &self.ring.load().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const TERMS: SealingTerms = SealingTerms { rotation: Duration::from_secs(100), keep: Duration::from_secs(1000) };

    fn keys(dir: &TempDir) -> SealingKeys {
        SealingKeys::open(dir.path(), TERMS).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_binding_alone() {
        let dir = TempDir::new().unwrap();
        let keys = keys(&dir);
        assert!(keys.seal(b"secret", b"anna", NOW).is_err());
        assert!(keys.tend(NOW).unwrap() && !keys.tend(NOW + 99).unwrap());
        let sealed = keys.seal(b"secret", b"anna", NOW).unwrap();
        assert_eq!(sealed.len(), 6 + SEAL_BYTES);
        assert_eq!(**keys.open_sealed(&sealed, b"anna").unwrap(), *b"secret");
        assert!(keys.open_sealed(&sealed, b"bob").is_none());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.open_sealed(&changed, b"anna").is_none(), "{at}");
            assert!(keys.open_sealed(&sealed[..at], b"anna").is_none(), "{at}");
        }
        assert_ne!(sealed, keys.seal(b"secret", b"anna", NOW).unwrap());
    }

    #[test]
    fn an_old_key_opens_until_nothing_of_it_can_be_alive() {
        let dir = TempDir::new().unwrap();
        let (writer, follower) = (keys(&dir), keys(&dir));
        writer.tend(NOW).unwrap();
        let sealed = writer.seal(b"secret", b"", NOW).unwrap();
        assert!(follower.open_sealed(&sealed, b"").is_none());
        follower.look().unwrap();
        assert!(writer.tend(NOW + 100).unwrap());
        // The new one is not used before everybody has seen it.
        assert_eq!(writer.seal(b"", b"", NOW + 104).unwrap()[..4], sealed[..4]);
        assert_ne!(writer.seal(b"", b"", NOW + 105).unwrap()[..4], sealed[..4]);
        for now in (200..=1100).step_by(100) {
            assert!(writer.tend(NOW + now).unwrap());
            assert!(writer.open_sealed(&sealed, b"").is_some(), "{now}");
            assert!(keys(&dir).open_sealed(&sealed, b"").is_some() && follower.open_sealed(&sealed, b"").is_some());
        }
        assert!(writer.tend(NOW + 1200).unwrap());
        follower.look().unwrap();
        assert!(writer.open_sealed(&sealed, b"").is_none() && follower.open_sealed(&sealed, b"").is_none());
        assert_eq!(writer.ring.load().len(), 12);
    }

    #[test]
    fn the_file_is_private_and_a_damaged_one_is_an_error_that_quotes_nothing() {
        let dir = TempDir::new().unwrap();
        keys(&dir).tend(NOW).unwrap();
        let path = dir.path().join("keys/sealing");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("secret = '", "secret = '?")).unwrap();
        let error = SealingKeys::open(dir.path(), TERMS).unwrap_err().to_string();
        assert!(error.contains("damaged") && !error.contains("'?"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(SealingKeys::open(dir.path(), TERMS).unwrap_err().to_string().contains("chmod 600"));
    }
}
