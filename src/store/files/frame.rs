//! Frames: how one record lies in a file, and how a file is read frame by frame.
//!
//! Guarantees: a frame that comes out is, but for one chance in four billion, what was written; memory is bounded by the
//! longest frame, however long the file; a file may grow while it is read.
//! Does not know: what a body says.
//!
//! Layout: length of the body (u32), CRC32 of the body (u32), body. All numbers in all files are little endian.

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Length and checksum.
pub(super) const HEAD: usize = 8;
/// No session comes near it: a longer length can only be damage, and is not worth allocating for.
pub(super) const MAX_BODY: usize = 1 << 20;
/// What is read from a file at once.
const CHUNK: usize = 1 << 16;

/// Why no record could be read at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The file ends in the middle of a record. In a file that is being written it may be whole a moment later.
    Cut,
    Length,
    Checksum,
    /// A sound record, but not the one that had to come.
    Sequence(u64),
    /// A sound record that this version does not know.
    Kind(u8),
    /// A sound record of a known kind that says nothing.
    Unreadable,
    /// The closing record of a snapshot says another number of records, or something follows it.
    Closing,
}

impl Flaw {
    /// Whether a write that was broken off can leave it. What has a right checksum was written as it is.
    pub(in crate::store) fn may_be_torn(self) -> bool {
        matches!(self, Self::Cut | Self::Length | Self::Checksum)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("the file ends in the middle of a record"),
            Self::Length => f.write_str("an impossible record length"),
            Self::Checksum => f.write_str("a checksum does not match"),
            Self::Sequence(found) => write!(f, "record {found} stands where another belongs"),
            Self::Kind(kind) => write!(f, "a record of kind {kind}, which this version does not know"),
            Self::Unreadable => f.write_str("a record cannot be read"),
            Self::Closing => f.write_str("the closing record does not fit what stands before it"),
        }
    }
}

/// Fills in length and checksum of a frame, which is [`HEAD`] bytes of room and the body. Returns whether the body is
/// short enough to be read again.
pub(super) fn seal(frame: &mut [u8]) -> bool {
    let Some((head, body)) = frame.split_first_chunk_mut::<HEAD>() else {
        return false;
    };
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    body.len() <= MAX_BODY
}

pub(super) fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

pub(super) fn number64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

pub(super) enum Frame<'a> {
    End,
    Flawed(Flaw),
    Body(&'a [u8]),
}

/// A place in a file, and what has been read from there on.
pub(super) struct Window {
    file: File,
    /// Of `buffer[start]` in the file.
    offset: u64,
    buffer: Vec<u8>,
    start: usize,
}

impl Window {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, offset: 0, buffer: Vec::new(), start: 0 })
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// How much of the file lies behind the place.
    pub(super) fn remaining(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len().saturating_sub(self.offset))
    }

    /// Goes to `offset` and forgets what was read, so that the file is looked at anew.
    pub(super) fn seek(&mut self, offset: u64) {
        self.offset = offset;
        self.buffer.clear();
        self.start = 0;
    }

    /// Moves on over what has been peeked at, at most.
    pub(super) fn advance(&mut self, bytes: usize) {
        let bytes = bytes.min(self.buffer.len() - self.start);
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// What stands at the place: at least `wanted` bytes unless the file ends before.
    pub(super) fn peek(&mut self, wanted: usize) -> io::Result<&[u8]> {
        if self.buffer.len() - self.start < wanted {
            self.buffer.drain(..self.start);
            self.start = 0;
            while self.buffer.len() < wanted {
                let filled = self.buffer.len();
                self.buffer.resize(filled + CHUNK.max(wanted), 0);
                let read = self.file.read_at(&mut self.buffer[filled..], self.offset + filled as u64);
                self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
                match read {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(&self.buffer[self.start..])
    }

    /// The frame at the place. `least` is the length of the shortest body that means anything: zeroes are not a frame.
    pub(super) fn frame(&mut self, least: usize) -> io::Result<Frame<'_>> {
        let head = self.peek(HEAD)?;
        if head.is_empty() {
            return Ok(Frame::End);
        }
        let (Some(length), Some(checksum)) = (number32(head, 0), number32(head, 4)) else {
            return Ok(Frame::Flawed(Flaw::Cut));
        };
        let length = length as usize;
        if !(least..=MAX_BODY).contains(&length) {
            return Ok(Frame::Flawed(Flaw::Length));
        }
        let Some(body) = self.peek(HEAD + length)?.get(HEAD..HEAD + length) else {
            return Ok(Frame::Flawed(Flaw::Cut));
        };
        Ok(if crc32fast::hash(body) == checksum { Frame::Body(body) } else { Frame::Flawed(Flaw::Checksum) })
    }
}
