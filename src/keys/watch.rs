//! Looking whether commands have changed the ring.
//!
//! Guarantees: a look that finds nothing new reads no key; a ring that cannot be read, or whose fingerprint key is
//! another one, is told once and changes nothing; nothing is made, written or locked.
//! Does not know: how often to look, and what follows.

use std::path::PathBuf;

use super::directory::Listing;
use super::{Algorithm, KeyError, KeyRing, KeySource};

/// Remembers what was last seen in `data_dir/keys`.
#[derive(Debug)]
pub struct Watch {
    data_dir: PathBuf,
    algorithm: Algorithm,
    seen: Option<Listing>,
    trouble: Option<String>,
}

/// What a look has found.
#[derive(Debug)]
pub enum Look {
    Unchanged,
    /// Perhaps in nothing that matters; `mended` after trouble.
    Changed {
        ring: Box<KeyRing>,
        mended: bool,
    },
    /// Not told of before.
    Trouble(KeyError),
}

impl Watch {
    pub fn new(data_dir: PathBuf, algorithm: Algorithm) -> Self {
        Self { data_dir, algorithm, seen: None, trouble: None }
    }

    /// Blocks on the disk.
    pub fn look(&mut self, in_force: &KeyRing) -> Look {
        let dir = self.data_dir.join("keys");
        // Taken before the files are read: what changes meanwhile is seen by the next look.
        let read = Listing::of(&dir).and_then(|listing| {
            if self.seen.as_ref() == Some(&listing) {
                return Ok(None);
            }
            let source = KeySource::Ring { algorithm: self.algorithm };
            // As if there were sessions, so that no key is made.
            let (ring, _) = KeyRing::open(&self.data_dir, source, true, 0)?;
            if ring.fingerprint_key() != in_force.fingerprint_key() {
                return Err(KeyError::OtherFingerprint { path: dir.join("fingerprint.key") });
            }
            Ok(Some((listing, ring)))
        });
        match read {
            Ok(None) => Look::Unchanged,
            Ok(Some((listing, ring))) => {
                self.seen = Some(listing);
                Look::Changed { ring: Box::new(ring), mended: self.trouble.take().is_some() }
            }
            Err(error) => {
                // It may pass without any change to a file: so the next look reads them again.
                self.seen = None;
                let text = error.to_string();
                if self.trouble.as_ref() == Some(&text) {
                    return Look::Unchanged;
                }
                self.trouble = Some(text);
                Look::Trouble(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
