//! The snapshot file: every session and tombstone, as of a moment.
//!
//! Guarantees: written to a temporary file, synced, renamed and the directory synced, so a crash leaves the old file or
//! the new one; each record carries its length and CRC32 and the last one counts them all, so damage and truncation are
//! found and named; nothing in it can be presented as a token; mode 0600.
//! Does not know: when to write, what a session may do.
//!
//! Layout: magic, version (u32, little endian), then records of length (u32), CRC32 of the payload (u32), payload
//! (postcard).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::token::{Session, SessionId, Timestamp};

use super::memory::{Entry, Memory};

const MAGIC: &[u8; 8] = b"PCLSNAP\0";
const VERSION: u32 = 1;
const HEADER: usize = MAGIC.len() + 4;
/// No session comes near it: a longer length can only be damage, and is not worth allocating for.
const MAX_RECORD: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
enum Record {
    Session(Box<Session>),
    Tombstone { id: SessionId, until: Timestamp },
    End { records: u64, newest: Timestamp },
}

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("{}: cannot {what}", file.display())]
    Io {
        file: PathBuf,
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{}: not a snapshot of portcullis", file.display())]
    Foreign { file: PathBuf },
    #[error("{}: format version {version}; this portcullis reads up to {VERSION}", file.display())]
    Newer { file: PathBuf, version: u32 },
    #[error("{}: damaged at byte {offset}: {what}; restore the file from a backup, or move it away to start without any session", file.display())]
    Damaged { file: PathBuf, offset: usize, what: &'static str },
}

pub(super) fn write(file: &Path, memory: &Memory) -> Result<(), SnapshotError> {
    let io = |what| move |source| SnapshotError::Io { file: file.to_owned(), what, source };
    let scratch = file.with_extension("tmp");
    // One that a crash has left behind may have any mode, and even be a link.
    let _ = fs::remove_file(&scratch);
    let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&scratch);
    let mut out = BufWriter::new(open.map_err(io("create its temporary file"))?);
    fill(&mut out, memory).map_err(io("write"))?;
    let written = out.into_inner().map_err(|error| io("write")(error.into_error()))?;
    written.sync_all().map_err(io("sync"))?;
    fs::rename(&scratch, file).map_err(io("replace"))?;
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io("sync the directory of"))
}

fn fill(out: &mut impl Write, memory: &Memory) -> io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    let mut records = 0;
    memory.visit(|id, entry| {
        records += 1;
        match entry {
            Entry::Live(session) => put(out, &Record::Session(session.clone())),
            Entry::Ended { until } => put(out, &Record::Tombstone { id, until: *until }),
        }
    })?;
    put(out, &Record::End { records, newest: memory.newest() })?;
    out.flush()
}

fn put(out: &mut impl Write, record: &Record) -> io::Result<()> {
    let payload = postcard::to_stdvec(record).map_err(io::Error::other)?;
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&crc32fast::hash(&payload).to_le_bytes())?;
    out.write_all(&payload)
}

/// Fills an empty memory. A missing file is an empty store.
pub(super) fn load(file: &Path, memory: &Memory) -> Result<(), SnapshotError> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(SnapshotError::Io { file: file.to_owned(), what: "read", source }),
    };
    let damaged = |offset, what| SnapshotError::Damaged { file: file.to_owned(), offset, what };
    if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
        return Err(SnapshotError::Foreign { file: file.to_owned() });
    }
    let version = number(&bytes, MAGIC.len()).unwrap_or_default();
    if version != VERSION {
        return Err(SnapshotError::Newer { file: file.to_owned(), version });
    }
    let (mut offset, mut seen) = (HEADER, 0);
    loop {
        let (record, next) = take(&bytes, offset).map_err(|what| damaged(offset, what))?;
        match record {
            Record::Session(session) => memory.insert(*session),
            Record::Tombstone { id, until } => memory.bury(id, until),
            Record::End { records, newest } if records == seen && next == bytes.len() => {
                memory.seen(newest);
                memory.mark_saved(memory.changes());
                return Ok(());
            }
            Record::End { .. } => return Err(damaged(offset, "the closing record does not fit what stands before it")),
        }
        seen += 1;
        offset = next;
    }
}

fn take(bytes: &[u8], offset: usize) -> Result<(Record, usize), &'static str> {
    const CUT: &str = "the file ends in the middle of a record";
    let length = number(bytes, offset).ok_or(CUT)? as usize;
    let checksum = number(bytes, offset + 4).ok_or(CUT)?;
    if length > MAX_RECORD {
        return Err("an impossible record length");
    }
    let payload = bytes.get(offset + 8..offset + 8 + length).ok_or(CUT)?;
    if crc32fast::hash(payload) != checksum {
        return Err("a checksum does not match");
    }
    let record = postcard::from_bytes(payload).map_err(|_| "a record cannot be read")?;
    Ok((record, offset + 8 + length))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}
