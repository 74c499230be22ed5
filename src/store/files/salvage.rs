//! Salvage: a fresh snapshot of all that damaged files still tell.
//!
//! Guarantees: what cannot be read is passed over, counted and named; the files themselves are not touched; what comes of
//! it is a snapshot like any other.
//! Does not know: what the lost records said. Among them may be the end of a session, which then lives again: so this is
//! nothing that happens by itself.

use std::path::{Path, PathBuf};

use crate::token::Timestamp;

use super::disk::{Disk, LocalDisk};
use super::error::FilesError;
use super::frame::Flaw;
use super::record::{Entry, Record};
use super::replay::{Known, Replay, Replayed};
use super::segment;
use super::segment_reader::{Item, SegmentReader};
use super::snapshot::{self, Draft};
use super::snapshot_reader::SnapshotReader;

/// What came of it.
#[derive(Debug, Default)]
pub struct Salvaged {
    pub sessions: u64,
    pub tombstones: u64,
    pub skipped: Vec<Skipped>,
    /// Sequences of the journal of which no record was found.
    pub missing: u64,
}

/// A stretch of a file that tells nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct Skipped {
    pub file: PathBuf,
    pub offset: u64,
    pub bytes: u64,
    pub why: String,
}

/// Writes a snapshot to `to`, which must not exist, of all that can be read in `directory`. To be put in the place of the
/// snapshot, with the segments of the journal moved away.
///
/// # Errors
/// When a file cannot be read or written at all, or only a newer version could read it.
pub fn salvage(directory: &Path, to: &Path, now: Timestamp) -> Result<Salvaged, FilesError> {
    salvage_on(&LocalDisk, directory, to, now)
}

pub(super) fn salvage_on(disk: &dyn Disk, directory: &Path, to: &Path, now: Timestamp) -> Result<Salvaged, FilesError> {
    let (found, last) = read_over(directory)?;
    found.write(disk, to, last, now)
}

/// How far files that may be damaged have come: the last sequence, and the newest time, of all that can be read.
///
/// # Errors
/// When a file cannot be read at all, or only a newer version could read it.
pub(super) fn reach(directory: &Path) -> Result<(u64, Timestamp), FilesError> {
    read_over(directory).map(|(found, last)| (last, found.newest))
}

/// All that can be read, and the last sequence that was seen.
fn read_over(directory: &Path) -> Result<(Found, u64), FilesError> {
    let mut found = Found::default();
    let covers = found.read_snapshot(&directory.join(snapshot::NAME))?;
    let segments = segment::list(directory)?;
    // If nobody knows what the snapshot covers, nobody knows what is missing behind it.
    let begin = segments.first().map_or(0, |segment| segment.first.saturating_sub(1));
    let mut last = covers.unwrap_or(begin);
    let covers = covers.unwrap_or(0);
    for segment in segments {
        let reader = match SegmentReader::open(&segment) {
            Ok(Some(reader)) => reader,
            Ok(None) | Err(FilesError::Damaged { .. } | FilesError::Foreign { .. }) => {
                found.skip(&segment.file, 0, segment::HEADER as u64, "the header is damaged");
                SegmentReader::open_damaged(&segment).map_err(FilesError::io(&segment.file, "read"))?
            }
            Err(error) => return Err(error),
        };
        last = found.read_segment(reader, covers, last)?;
    }
    Ok((found, last))
}

#[derive(Default)]
struct Found {
    memory: Replayed,
    newest: Timestamp,
    said: Salvaged,
}

impl Found {
    /// Returns what it covers, if its header still says so.
    fn read_snapshot(&mut self, file: &Path) -> Result<Option<u64>, FilesError> {
        let mut sound = true;
        let noted = self.said.skipped.len();
        let mut reader = match SnapshotReader::open(file) {
            Ok(Some(reader)) => reader,
            Ok(None) => return Ok(Some(0)),
            Err(FilesError::Damaged { .. } | FilesError::Foreign { .. }) => {
                sound = false;
                self.skip(file, 0, snapshot::HEADER as u64, "the header is damaged");
                SnapshotReader::open_damaged(file).map_err(FilesError::io(file, "read"))?
            }
            Err(error) => return Err(error),
        };
        loop {
            let offset = reader.offset();
            match reader.look()? {
                Ok(Some(record)) => self.apply(record),
                Ok(None) => break,
                Err(flaw) => {
                    let bytes = if flaw == Flaw::Closing { 0 } else { reader.skip(flaw)? };
                    // That the end does not fit what stands before it is no news where something was skipped.
                    if bytes > 0 || self.said.skipped.len() == noted {
                        self.skip(file, offset, bytes, flaw);
                    }
                    if bytes == 0 {
                        break;
                    }
                }
            }
        }
        self.newest = self.newest.max(reader.newest().unwrap_or_default());
        Ok(sound.then(|| reader.covers()))
    }

    /// Returns the last sequence that was seen.
    fn read_segment(&mut self, mut reader: SegmentReader, covers: u64, mut last: u64) -> Result<u64, FilesError> {
        loop {
            let place = reader.place();
            match reader.next_item()? {
                Item::Record { sequence, record } => {
                    if sequence > covers {
                        self.said.missing += sequence.saturating_sub(last + 1);
                        self.apply(record);
                    }
                    last = last.max(sequence);
                }
                Item::End => return Ok(last),
                Item::Flawed(flaw) => {
                    let bytes = reader.skip(flaw)?;
                    if bytes > 0 {
                        self.skip(reader.file(), place.offset, bytes, flaw);
                    } else if !matches!(flaw, Flaw::Sequence(_)) {
                        return Ok(last);
                    }
                }
            }
        }
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Session(session) => {
                self.newest = self.newest.max(session.created_at).max(session.rotated_at);
                self.memory.session(session);
            }
            Record::Tombstone { id, until } => self.memory.tombstone(id, until),
            Record::Pulse { at } => self.newest = self.newest.max(at),
            Record::Restored(restoration) => self.memory.restored(restoration),
        }
    }

    fn skip(&mut self, file: &Path, offset: u64, bytes: u64, why: impl ToString) {
        self.said.skipped.push(Skipped { file: file.to_owned(), offset, bytes, why: why.to_string() });
    }

    fn write(mut self, disk: &dyn Disk, to: &Path, covers: u64, now: Timestamp) -> Result<Salvaged, FilesError> {
        let mut draft = Draft::create(disk, to.to_owned(), covers, now)?;
        for restoration in self.memory.restorations.iter() {
            draft.put(Entry::Restored(restoration));
        }
        for (id, known) in &self.memory.entries {
            match known {
                Known::Live(_) => self.said.sessions += 1,
                Known::Ended { .. } => self.said.tombstones += 1,
            }
            draft.put(known.as_entry(*id));
            draft.drain()?;
        }
        draft.close(self.newest)?;
        draft.keep();
        let parent = to.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        disk.sync_directory(parent).map_err(FilesError::io(parent, "sync"))?;
        Ok(self.said)
    }
}
