//! Reading the files that TLS rests on.
//!
//! Guarantees: no more is read than any such file has; what was read can be compared with what was read before, whatever
//! the names point to by then; copies of private keys are wiped.
//! Does not know: what the files mean.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use super::TlsError;
use super::error::Problem;

/// Bundles of authorities have some hundred KiB; lists of what was revoked can be far larger.
const MOST_MIB: u64 = 32;

/// All that was read for one footing, boiled down.
pub(super) struct Reading {
    digest: Context,
}

/// What a footing was made from.
pub(super) type Fingerprint = [u8; 32];

/// A file as it was read.
pub(super) struct Contents {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// The permission bits.
    pub(super) mode: u32,
}

impl Reading {
    pub(super) fn new() -> Self {
        Self { digest: Context::new(&SHA256) }
    }

    /// Reads the file that `key` of the configuration names.
    pub(super) fn read(&mut self, key: &str, path: &Path) -> Result<Contents, TlsError> {
        let trouble = |problem| TlsError { key: key.to_owned(), path: path.to_owned(), problem };
        let open = || {
            let file = File::open(path)?;
            // Of the open file, not of the path: the name may point elsewhere a moment later.
            let of = file.metadata()?;
            // Full size from the start, so that growing leaves no copy behind.
            let size = of.len().min(MOST_MIB << 20) as usize;
            let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
            file.take((MOST_MIB << 20) + 1).read_to_end(&mut bytes)?;
            Ok(Contents { bytes, mode: of.permissions().mode() & 0o7777 })
        };
        let contents = open().map_err(|error| trouble(Problem::Read(error)))?;
        if contents.bytes.len() as u64 > MOST_MIB << 20 {
            return Err(trouble(Problem::TooLarge(MOST_MIB)));
        }
        self.digest.update(&(contents.bytes.len() as u64).to_be_bytes());
        self.digest.update(&contents.bytes);
        Ok(contents)
    }

    pub(super) fn fingerprint(self) -> Fingerprint {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(self.digest.finish().as_ref());
        fingerprint
    }
}
