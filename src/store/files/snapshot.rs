//! The snapshot file: every session and tombstone that memory held.
//!
//! Guarantees: under its name there is always a whole one; each record has its checksum and the last one counts them all,
//! so damage and truncation are found; nothing in it can be presented as a token.
//! Does not know: when it is written, how it and the journal keep each other (that is [`super`]'s), how it is read again.
//!
//! Header: magic, version (u32), `covers` (u64), time of writing (u64, microseconds), CRC32 of all before (u32). `covers`
//! is the sequence up to which all changes of the journal are contained; later ones may be, too.
//!
//! Then frames, whose body is kind (u8) and payload; the last one is the closing record. Version 1 is another body behind
//! a header without `covers`, time and checksum ([`super::version1`]).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::token::Timestamp;

use super::disk::Disk;
use super::error::FilesError;
use super::frame::{self, HEAD};
use super::record::{self, Closing, Entry};

pub const NAME: &str = "sessions.snapshot";
/// The name under which the next one is written.
pub(super) const SCRATCH: &str = "sessions.tmp";
pub(super) const MAGIC: &[u8; 8] = b"PCLSNAP\0";
pub(super) const VERSION: u32 = 2;
pub(super) const HEADER: usize = 32;
/// What is collected before it is handed to the system, and how much of that before it is synced: a disk that has a whole
/// snapshot to write at once makes the journal wait for all of it.
const COLLECTED: usize = 1 << 20;
const UNSYNCED: usize = 8 << 20;

/// A snapshot being written. Dropped unfinished, it removes its file.
pub(super) struct Draft<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    file: File,
    collected: Vec<u8>,
    unsynced: usize,
    records: u64,
    whole: bool,
    finished: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn create(disk: &'a dyn Disk, path: PathBuf, covers: u64, now: Timestamp) -> Result<Self, FilesError> {
        let file = disk.create(&path).map_err(FilesError::io(&path, "create"))?;
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&covers.to_le_bytes());
        header.extend_from_slice(&now.as_micros().to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        Ok(Self { disk, path, file, collected: header, unsynced: 0, records: 0, whole: true, finished: false })
    }

    /// Adds an entry, in memory only.
    pub(super) fn put(&mut self, entry: Entry<'_>) {
        self.records += 1;
        self.frame(|body| record::write(entry, body));
    }

    fn frame(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let begin = self.collected.len();
        self.collected.extend_from_slice(&[0; HEAD]);
        self.whole &= write(&mut self.collected) && frame::seal(&mut self.collected[begin..]);
    }

    /// Hands what has been added to the system, if it is worth a call.
    pub(super) fn drain(&mut self) -> Result<(), FilesError> {
        if self.collected.len() < COLLECTED { Ok(()) } else { self.hand_over() }
    }

    fn hand_over(&mut self) -> Result<(), FilesError> {
        self.disk.write(&self.file, &self.collected).map_err(FilesError::io(&self.path, "write"))?;
        self.unsynced += self.collected.len();
        self.collected.clear();
        if self.unsynced >= UNSYNCED { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), FilesError> {
        self.unsynced = 0;
        self.disk.sync(&self.file).map_err(FilesError::io(&self.path, "sync"))
    }

    /// All of it is on the disk.
    pub(super) fn close(&mut self, newest: Timestamp) -> Result<(), FilesError> {
        let records = self.records;
        self.frame(|body| record::write_closing(Closing { records, newest }, body));
        if !self.whole {
            let source = io::Error::new(io::ErrorKind::InvalidData, "a session is too large to be read again");
            return Err(FilesError::Io { file: self.path.clone(), what: "write", source });
        }
        self.hand_over()?;
        self.sync()
    }

    /// Leaves the file where it is.
    pub(super) fn keep(mut self) {
        self.finished = true;
    }

    /// The closed draft takes the place of the snapshot.
    pub(super) fn replace(mut self, snapshot: &Path) -> Result<(), FilesError> {
        self.disk.rename(&self.path, snapshot).map_err(FilesError::io(snapshot, "be replaced"))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // Left behind, it is overwritten by the next one.
            let _ = self.disk.remove(&self.path);
        }
    }
}
