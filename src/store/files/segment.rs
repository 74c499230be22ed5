//! Segments: the pieces of the journal.
//!
//! Guarantees: a segment is visible under its name only with a whole header that is on the disk.
//! Does not know: which segments are needed, what the records do, how they are read again.
//!
//! Name: `sessions.journal.` and the first sequence in 20 digits.
//!
//! Header: magic, version (u32), `first` (u64), `after` (u64), CRC32 of all before (u32). `first` is the sequence of the
//! first record. `after` is the last sequence that the segments before this one hold for certain: `first - 1`, unless the
//! journal was broken in between. Then the sequences between `after` and `first` were given to changes that were refused;
//! some of them may still stand at the end of the segment before.
//!
//! Then frames, whose body is: sequence (u64), kind (u8, the highest bit is [`JOINED`]), payload. Sequences are
//! consecutive.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::error::FilesError;
use super::frame::{self, HEAD, number32, number64};

const MAGIC: &[u8; 8] = b"PCLJRNL\0";
const VERSION: u32 = 1;
pub(super) const HEADER: usize = 32;
const NAME: &str = "sessions.journal.";
const DIGITS: usize = 20;
/// No sync lies between this record and the one before it in the segment: a power cut may have kept it and not that one,
/// as the pages of a file reach the disk in any order. Without this mark a hole before a sound record is damage, for that
/// record was written only after all before it had been synced.
pub(super) const JOINED: u8 = 0x80;

/// A segment of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub first: u64,
    pub file: PathBuf,
}

/// The segments of a directory in their order; none if there is no such directory.
///
/// # Errors
/// When the directory cannot be read.
pub fn list(directory: &Path) -> Result<Vec<Segment>, FilesError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(FilesError::Io { file: directory.to_owned(), what: "list", source }),
    };
    let mut segments = Vec::new();
    for entry in entries {
        let name = entry.map_err(FilesError::io(directory, "list"))?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(NAME));
        let digits = digits.filter(|digits| digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit()));
        if let Some(first) = digits.and_then(|digits| digits.parse().ok()) {
            segments.push(Segment { first, file: directory.join(name) });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

pub(super) fn path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{NAME}{first:0DIGITS$}"))
}

/// The name under which the next segment is made ready.
pub(super) fn scratch(directory: &Path) -> PathBuf {
    directory.join(format!("{NAME}tmp"))
}

/// First step of beginning a segment: it is on the disk, under a name that nobody reads. When this fails, nothing has
/// happened.
pub(super) fn prepare(disk: &dyn Disk, directory: &Path, first: u64, after: u64) -> Result<File, FilesError> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&first.to_le_bytes());
    header.extend_from_slice(&after.to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    let scratch = scratch(directory);
    // One that a crash has left behind may have any mode, and even be a link.
    let _ = disk.remove(&scratch);
    let file = disk.create(&scratch).map_err(FilesError::io(&scratch, "create"))?;
    disk.write(&file, &header).map_err(FilesError::io(&scratch, "write"))?;
    disk.sync(&file).map_err(FilesError::io(&scratch, "sync"))?;
    Ok(file)
}

/// Second step: it has its name. When this fails, nobody knows whether it has: the segment before it must not be written
/// any more, since its next records would be those of the new one.
pub(super) fn reveal(disk: &dyn Disk, directory: &Path, first: u64) -> Result<(), FilesError> {
    let path = path(directory, first);
    disk.rename(&scratch(directory), &path).map_err(FilesError::io(&path, "be given its name"))?;
    disk.sync_directory(directory).map_err(FilesError::io(directory, "sync"))
}

/// The frame of a record that has no sequence yet; `None` if it would be too long to be read again.
pub(super) fn compose(write: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(256);
    frame.extend_from_slice(&[0; HEAD + 8]);
    (write(&mut frame) && frame.len() - HEAD <= frame::MAX_BODY).then_some(frame)
}

/// Gives a composed frame its sequence.
pub(super) fn stamp(frame: &mut [u8], sequence: u64, joined: bool) {
    if let Some(place) = frame.get_mut(HEAD..HEAD + 8) {
        place.copy_from_slice(&sequence.to_le_bytes());
    }
    if let Some(kind) = frame.get_mut(HEAD + 8).filter(|_| joined) {
        *kind |= JOINED;
    }
    frame::seal(frame);
}

/// Looks at the header of a segment. Returns its `after`.
pub(super) fn after(segment: &Segment, header: &[u8; HEADER]) -> Result<u64, FilesError> {
    let file = &segment.file;
    if !header.starts_with(MAGIC) {
        return Err(FilesError::Foreign { file: file.clone(), what: "journal segment" });
    }
    // The header is as long as these say, so none of them is missing.
    let version = number32(header, 8).unwrap_or_default();
    if version != VERSION {
        return Err(FilesError::Newer { file: file.clone(), version, known: VERSION });
    }
    let [first, after] = [12, 20].map(|at| number64(header, at).unwrap_or_default());
    if number32(header, HEADER - 4) != Some(crc32fast::hash(&header[..HEADER - 4])) {
        return Err(FilesError::damaged(file, 12, "the header's checksum does not match"));
    }
    if first != segment.first || after >= first {
        let what = format!("the header is of the segment that begins with record {first}");
        return Err(FilesError::damaged(file, 12, what));
    }
    Ok(after)
}
