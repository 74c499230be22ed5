//! The few things that are done to the disk.
//!
//! Guarantees: these seven are all that changes a file of the store (restoring gives some a second name), so a test that fails or stops any one of them has
//! tried every place where a crash, a full disk or a dying one can strike; what is made is mode 0600, and never written
//! through a link that somebody left.
//! Does not know: formats, and what order keeps them safe.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A seam for tests. Reading does not pass through it: it changes nothing.
pub(in crate::store) trait Disk: Send + Sync {
    /// A new file; one of that name must not exist.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// All of `bytes`, or an error after any number of them.
    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<()>;
    /// Content and length are on the disk (fdatasync).
    fn sync(&self, file: &File) -> io::Result<()>;
    fn truncate(&self, file: &File, length: u64) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names made, changed and removed in it are on the disk.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

pub(super) struct LocalDisk;

impl Disk for LocalDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }

    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}
