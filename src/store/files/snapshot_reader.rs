//! Reading a snapshot, record by record.
//!
//! Guarantees: damage and truncation are found and named, to the byte where the record begins; older formats are read as
//! they were.
//! Does not know: what the records do.

use std::io;
use std::path::{Path, PathBuf};

use crate::token::Timestamp;

use super::error::FilesError;
use super::frame::{Flaw, Frame, HEAD, Window, number32, number64};
use super::record::{self, InSnapshot, Record};
use super::snapshot::{HEADER, MAGIC, VERSION};
use super::version1;

/// Reads a snapshot, record by record.
pub struct SnapshotReader {
    file: PathBuf,
    window: Window,
    version: u32,
    covers: u64,
    written_at: Option<Timestamp>,
    seen: u64,
    newest: Option<Timestamp>,
}

impl SnapshotReader {
    /// At the first record. `None` if there is no such file.
    ///
    /// # Errors
    /// When it cannot be read, or is not a snapshot that this version knows.
    pub fn open(file: &Path) -> Result<Option<Self>, FilesError> {
        let mut window = match Window::open(file) {
            Ok(window) => window,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FilesError::Io { file: file.to_owned(), what: "open", source }),
        };
        let header = window.peek(HEADER).map_err(FilesError::io(file, "read"))?;
        let Some(version) = number32(header, MAGIC.len()).filter(|_| header.starts_with(MAGIC)) else {
            return Err(FilesError::Foreign { file: file.to_owned(), what: "snapshot" });
        };
        let (length, covers, written_at) = match version {
            1 => (version1::HEADER, 0, None),
            VERSION => {
                let sound = header.get(..HEADER - 4).map(crc32fast::hash);
                if sound.is_none() || number32(header, HEADER - 4) != sound {
                    return Err(FilesError::damaged(file, 12, "the header's checksum does not match"));
                }
                let [covers, at] = [12, 20].map(|at| number64(header, at).unwrap_or_default());
                (HEADER, covers, Some(Timestamp::from_micros(at)))
            }
            version => return Err(FilesError::Newer { file: file.to_owned(), version, known: VERSION }),
        };
        window.advance(length);
        Ok(Some(Self { file: file.to_owned(), window, version, covers, written_at, seen: 0, newest: None }))
    }

    /// At the first record of one whose header is damaged.
    pub(super) fn open_damaged(file: &Path) -> io::Result<Self> {
        let mut window = Window::open(file)?;
        window.seek(HEADER as u64);
        let file = file.to_owned();
        Ok(Self { file, window, version: VERSION, covers: 0, written_at: None, seen: 0, newest: None })
    }

    pub fn version(&self) -> u32 {
        self.version
    }

    pub fn is_current(&self) -> bool {
        self.version == VERSION
    }

    /// The sequence up to which the journal is contained.
    pub fn covers(&self) -> u64 {
        self.covers
    }

    /// When it was written; version 1 did not say.
    pub fn written_at(&self) -> Option<Timestamp> {
        self.written_at
    }

    /// What the closing record says, once it was read.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    /// The next record; `None` behind the closing one.
    ///
    /// # Errors
    /// When it cannot be read or is damaged; the reader then stays where it is.
    pub fn next_record(&mut self) -> Result<Option<Record>, FilesError> {
        match self.look()? {
            Ok(found) => Ok(found),
            Err(Flaw::Kind(kind)) => {
                Err(FilesError::UnknownKind { file: self.file.clone(), offset: self.offset(), kind })
            }
            Err(flaw) => Err(FilesError::damaged(&self.file, self.offset(), flaw)),
        }
    }

    /// The same, with a flaw told apart from trouble with reading. Behind the closing record, fitting or not, is nothing.
    pub(super) fn look(&mut self) -> Result<Result<Option<Record>, Flaw>, FilesError> {
        let trouble = |source| FilesError::Io { file: self.file.clone(), what: "read", source };
        if self.newest.is_some() {
            return Ok(Ok(None));
        }
        let (found, length) = match self.window.frame(1).map_err(trouble)? {
            Frame::End => return Ok(Err(Flaw::Cut)),
            Frame::Flawed(flaw) => return Ok(Err(flaw)),
            Frame::Body(body) => {
                let found = if self.version == 1 { version1::read(body) } else { record::read_in_snapshot(body) };
                (found, HEAD + body.len())
            }
        };
        match found {
            Err(flaw) => Ok(Err(flaw)),
            Ok(InSnapshot::Record(record)) => {
                self.window.advance(length);
                self.seen += 1;
                Ok(Ok(Some(record)))
            }
            Ok(InSnapshot::Closing(closing)) => {
                self.newest = Some(closing.newest);
                let last = self.window.remaining().map_err(trouble)? == length as u64;
                Ok(if closing.records == self.seen && last { Ok(None) } else { Err(Flaw::Closing) })
            }
        }
    }

    /// Passes over a flaw, up to the next sound record or the end of the file. Returns how many bytes that were.
    pub(super) fn skip(&mut self, flaw: Flaw) -> Result<u64, FilesError> {
        let trouble = |source| FilesError::Io { file: self.file.clone(), what: "read", source };
        let begin = self.window.offset();
        let mut step = 1;
        if !flaw.may_be_torn()
            && let Frame::Body(body) = self.window.frame(1).map_err(trouble)?
        {
            step = HEAD + body.len();
        }
        self.window.advance(step);
        while !matches!(self.window.frame(1).map_err(trouble)?, Frame::Body(_)) {
            if self.window.peek(1).map_err(trouble)?.is_empty() {
                break;
            }
            self.window.advance(1);
        }
        Ok(self.window.offset() - begin)
    }
}
