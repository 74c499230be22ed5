//! Reading a segment, record by record.
//!
//! Guarantees: what stands at a place is told apart exactly: a sound record, the end, the middle of a record, damage;
//! reading changes nothing, and can go on while the file grows.
//! Does not know: which segments are needed, what the records do.
//!
//! Whoever follows the files of a running gate lists the segments, reads the one it is in to its end, and goes on with the
//! one that was listed next, in this order: a segment is listed only when the one before it is whole. If that one begins
//! with another sequence than the one that had to come, or if the own one was cut or was gone before it was read, changes
//! are only to be had from the snapshot: [`super::read`] again, and once more when the snapshot covers what was missing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::FilesError;
use super::frame::{Flaw, Frame, HEAD, Window, number64};
use super::record::{self, Record};
use super::segment::{self, HEADER, JOINED, Segment};

/// Sequence and kind: no body is shorter.
const LEAST: usize = 9;

/// A place between two records, from which reading can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first sequence of the segment.
    pub segment: u64,
    pub offset: u64,
    /// The sequence that comes next.
    pub sequence: u64,
}

/// What stands at a place of a segment.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Record {
        sequence: u64,
        record: Record,
    },
    /// The file ends here, between two records.
    End,
    /// Nothing that can be passed over without [`SegmentReader::skip`]. [`Flaw::Cut`] in the newest segment of a running
    /// gate is a record on its way.
    Flawed(Flaw),
}

/// How a segment stands that was read up to some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Standing {
    pub named: Named,
    /// The file ends before the place.
    pub cut: bool,
}

/// What the name of a segment that is read stands for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Named {
    Same,
    Other,
    Nothing,
}

/// Reads one segment, record by record.
pub struct SegmentReader {
    file: PathBuf,
    window: Window,
    first: u64,
    after: u64,
    next: u64,
}

impl SegmentReader {
    /// At the first record. `None` if the header is not whole: then no record ever was in it.
    ///
    /// # Errors
    /// When it cannot be read, or is not a segment that this version knows.
    pub fn open(segment: &Segment) -> Result<Option<Self>, FilesError> {
        let file = &segment.file;
        let mut window = Window::open(file).map_err(FilesError::io(file, "open"))?;
        let header = window.peek(HEADER).map_err(FilesError::io(file, "read"))?;
        let Some(header) = header.first_chunk::<HEADER>().copied() else {
            return Ok(None);
        };
        if header == [0; HEADER] && only_zeroes(&mut window).map_err(FilesError::io(file, "read"))? {
            return Ok(None);
        }
        let after = segment::after(segment, &header)?;
        window.advance(HEADER);
        Ok(Some(Self { file: file.clone(), window, first: segment.first, after, next: segment.first }))
    }

    /// At the first record, whatever the header says.
    pub(super) fn open_damaged(segment: &Segment) -> io::Result<Self> {
        let mut window = Window::open(&segment.file)?;
        window.seek(HEADER as u64);
        let first = segment.first;
        Ok(Self { file: segment.file.clone(), window, first, after: first.saturating_sub(1), next: first })
    }

    /// Goes on where reading stopped. [`SegmentReader::next_item`] then says if that is a place between records no more.
    pub fn resume(&mut self, place: Place) {
        self.window.seek(place.offset);
        self.next = place.sequence;
    }

    pub fn place(&self) -> Place {
        Place { segment: self.first, offset: self.window.offset(), sequence: self.next }
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The last sequence that the segments before this one hold for certain.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// How the file stands: a round removes its name, a recovery cuts it, and gives its name to another if there was no
    /// record in it; whoever restores a backup does as he likes. What was opened stays readable in any case.
    ///
    /// # Errors
    /// When nobody can say.
    pub(in crate::store) fn standing(&self) -> Result<Standing, FilesError> {
        let identity = |found: &fs::Metadata| (found.dev(), found.ino());
        let own = self.window.metadata().map_err(FilesError::io(&self.file, "look at"))?;
        let named = match fs::metadata(&self.file) {
            Ok(found) if identity(&found) == identity(&own) => Named::Same,
            Ok(_) => Named::Other,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Named::Nothing,
            Err(source) => return Err(FilesError::Io { file: self.file.clone(), what: "look at", source }),
        };
        Ok(Standing { named, cut: own.len() < self.window.offset() })
    }

    /// How many bytes follow.
    pub(super) fn remaining(&self) -> Result<u64, FilesError> {
        self.window.remaining().map_err(FilesError::io(&self.file, "read"))
    }

    /// The record at the place, which moves on behind it; at anything else it stays, and the next call looks at the file
    /// anew.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_item(&mut self) -> Result<Item, FilesError> {
        let flaw = match self.window.frame(LEAST).map_err(FilesError::io(&self.file, "read"))? {
            Frame::Body(body) => match read(body, self.next) {
                Ok(record) => {
                    let (length, sequence) = (HEAD + body.len(), self.next);
                    self.window.advance(length);
                    self.next += 1;
                    return Ok(Item::Record { sequence, record });
                }
                Err(flaw) => Some(flaw),
            },
            Frame::Flawed(flaw) => Some(flaw),
            Frame::End => None,
        };
        self.window.seek(self.window.offset());
        Ok(flaw.map_or(Item::End, Item::Flawed))
    }

    /// Passes over what [`SegmentReader::next_item`] has said to be flawed, up to the next sound record or the end of the
    /// file. Returns how many bytes that were.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn skip(&mut self, flaw: Flaw) -> Result<u64, FilesError> {
        let begin = self.window.offset();
        let sound = match self.window.frame(LEAST).map_err(FilesError::io(&self.file, "read"))? {
            Frame::Body(body) if !flaw.may_be_torn() => Some(HEAD + body.len()),
            _ => None,
        };
        match (flaw, sound) {
            (Flaw::Sequence(found), Some(_)) if found > self.next => self.next = found,
            (Flaw::Sequence(_), Some(length)) => self.window.advance(length),
            (_, Some(length)) => {
                self.window.advance(length);
                self.next += 1;
            }
            (_, None) => {
                self.window.advance(1);
                if let Some(found) = self.find_sound()? {
                    self.next = found.sequence;
                }
            }
        }
        Ok(self.window.offset() - begin)
    }

    /// Whether the flaw at the place, and all behind it, can be what a power cut leaves of one write that nobody was
    /// told of: nothing sound follows, or only records that no sync separates from the flaw.
    pub(in crate::store) fn torn_from_here(&mut self) -> Result<bool, FilesError> {
        let place = self.place();
        let mut torn = true;
        self.window.advance(1);
        while torn && let Some(found) = self.find_sound()? {
            torn = found.joined;
            self.window.advance(found.length);
        }
        self.resume(place);
        Ok(torn)
    }

    /// Goes to the next sound record from the place on, wherever it begins, or to the end of the file. Its sequence must
    /// be one to come, and near enough for the records between to have had room.
    fn find_sound(&mut self) -> Result<Option<Found>, FilesError> {
        const SHORTEST: u64 = (HEAD + LEAST) as u64;
        let trouble = |source| FilesError::Io { file: self.file.clone(), what: "read", source };
        let furthest = self.next.saturating_add(self.window.remaining().map_err(trouble)? / SHORTEST);
        loop {
            let bytes = self.window.peek(HEAD + LEAST).map_err(trouble)?;
            let Some(sequence) = number64(bytes, HEAD).filter(|_| bytes.len() >= HEAD + LEAST) else {
                let rest = bytes.len();
                self.window.advance(rest);
                return Ok(None);
            };
            if (self.next..=furthest).contains(&sequence)
                && let Frame::Body(body) = self.window.frame(LEAST).map_err(trouble)?
            {
                return Ok(Some(Found { sequence, joined: body[8] & JOINED != 0, length: HEAD + body.len() }));
            }
            self.window.advance(1);
        }
    }
}

struct Found {
    sequence: u64,
    joined: bool,
    length: usize,
}

fn read(body: &[u8], expected: u64) -> Result<Record, Flaw> {
    let (sequence, rest) = body.split_first_chunk().ok_or(Flaw::Length)?;
    let (kind, payload) = rest.split_first().ok_or(Flaw::Length)?;
    match u64::from_le_bytes(*sequence) {
        sequence if sequence == expected => record::read(kind & !JOINED, payload),
        found => Err(Flaw::Sequence(found)),
    }
}

/// Some file systems give a file its new length before its new content.
fn only_zeroes(window: &mut Window) -> io::Result<bool> {
    loop {
        let bytes = window.peek(1)?;
        if bytes.is_empty() {
            return Ok(true);
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        let length = bytes.len();
        window.advance(length);
    }
}
