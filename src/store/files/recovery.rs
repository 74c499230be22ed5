//! Recovery: from files to memory.
//!
//! Guarantees: whatever was acknowledged is found, or the files are refused with the name of the file, the byte and what
//! to do; reading changes nothing, so it serves `check`, the offline commands and those who follow the files of another
//! process as well; what is left out is said.
//! Does not know: what memory looks like, and how the files came to be as they are.
//!
//! The end of the newest segment, and only that, may be torn: it is cut where the first record is not sound, if all behind
//! it can come from the one write that was not synced. In an older segment the same is damage, unless the next one says by
//! its `after` that nobody was told of what is missing.

use std::path::{Path, PathBuf};

use crate::token::Timestamp;

use super::error::{FilesError, Notice};
use super::frame::Flaw;
use super::record::Record;
use super::replay::Replay;
use super::segment::{self, Segment};
use super::segment_reader::{Item, Place, SegmentReader};
use super::snapshot;
use super::snapshot_reader::SnapshotReader;

/// What was read, and what to do with the directory before it is written to.
#[derive(Debug)]
pub struct Recovered {
    pub directory: PathBuf,
    /// The sequence of the next change.
    pub next: u64,
    /// The newest time in any record: no clock may run behind it.
    pub newest: Timestamp,
    /// The sequence up to which the snapshot contains the journal; 0 without one.
    pub covers: u64,
    /// When the snapshot was written, if there is one and it says so.
    pub written_at: Option<Timestamp>,
    /// Where the newest segment ends, for whoever follows it; see [`SegmentReader`].
    pub end: Option<Place>,
    pub notices: Vec<Notice>,
    /// The last sequence that the segments hold for certain: see [`segment`].
    pub(super) held: u64,
    /// The newest segment, and its length without what is torn.
    pub(super) last: Option<(Segment, u64)>,
    pub(super) leftovers: Vec<PathBuf>,
}

/// Reads a directory into `memory`. It may be that of a running gate: then [`Notice::Cut`] is a change on its way,
/// [`Notice::Leftover`] a file in the making, and [`FilesError::Gap`] or a file that is not there may mean that a snapshot
/// was finished meanwhile; reading again tells.
///
/// # Errors
/// When a file cannot be read, or anything that may have been acknowledged is missing or damaged.
pub fn read(directory: &Path, memory: &mut dyn Replay) -> Result<Recovered, FilesError> {
    let mut found = Recovered {
        directory: directory.to_owned(),
        next: 1,
        newest: Timestamp::default(),
        covers: 0,
        written_at: None,
        end: None,
        notices: Vec::new(),
        held: 0,
        last: None,
        leftovers: Vec::new(),
    };
    found.read_snapshot(memory)?;
    let covers = found.covers;
    let mut segments = segment::list(directory)?;
    // The one that holds what follows the snapshot, if it is there. Those before it are of an older snapshot.
    let needed = segments.partition_point(|segment| segment.first <= covers + 1).saturating_sub(1);
    let mut leftovers: Vec<_> = segments.drain(..needed).map(|segment| segment.file).collect();
    leftovers.extend([directory.join(snapshot::SCRATCH), segment::scratch(directory)]);
    leftovers.retain(|file| file.symlink_metadata().is_ok());
    let journal = found.open_segments(segments)?;
    if let Some(first) = journal.first().filter(|first| first.place().segment > covers + 1) {
        let (file, from) = (first.file().to_owned(), first.place().segment);
        return Err(FilesError::Gap { file, from, end: covers });
    }
    found.read_journal(journal, memory)?;
    found.notices.extend(leftovers.iter().cloned().map(|file| Notice::Leftover { file }));
    found.leftovers.extend(leftovers);
    Ok(found)
}

impl Recovered {
    fn read_snapshot(&mut self, memory: &mut dyn Replay) -> Result<(), FilesError> {
        let file = self.directory.join(snapshot::NAME);
        let Some(mut reader) = SnapshotReader::open(&file)? else {
            return Ok(());
        };
        while let Some(record) = reader.next_record()? {
            self.apply(record, memory);
        }
        self.newest = self.newest.max(reader.newest().unwrap_or_default());
        (self.covers, self.written_at) = (reader.covers(), reader.written_at());
        if !reader.is_current() {
            self.notices.push(Notice::Migrated { file, version: reader.version() });
        }
        (self.next, self.held) = (self.covers + 1, self.covers);
        Ok(())
    }

    /// A reader for each. The last one may be without its header: then nothing ever was in it.
    fn open_segments(&mut self, segments: Vec<Segment>) -> Result<Vec<SegmentReader>, FilesError> {
        let mut readers = Vec::with_capacity(segments.len());
        let count = segments.len();
        for (index, segment) in segments.into_iter().enumerate() {
            match SegmentReader::open(&segment)? {
                Some(reader) => readers.push(reader),
                None if index + 1 == count => {
                    let bytes = segment.file.metadata().map_or(0, |metadata| metadata.len());
                    self.notices.push(Notice::Cut { file: segment.file.clone(), offset: 0, bytes });
                    self.leftovers.push(segment.file);
                }
                None => return Err(FilesError::damaged(&segment.file, 0, "the header is not whole")),
            }
        }
        Ok(readers)
    }

    fn read_journal(&mut self, journal: Vec<SegmentReader>, memory: &mut dyn Replay) -> Result<(), FilesError> {
        let starts: Vec<_> = journal.iter().map(|reader| (reader.place().segment, reader.after())).collect();
        for (index, mut reader) in journal.into_iter().enumerate() {
            let (first, after) = starts[index];
            // The last record that has been read, or stands in for one that was refused.
            let read = self.next - 1;
            if index > 0 {
                if read < after {
                    return Err(FilesError::Gap { file: reader.file().to_owned(), from: after + 1, end: read });
                }
                if read + 1 < first {
                    let (file, changes) = (reader.file().to_owned(), first - 1 - read);
                    self.notices.push(Notice::Refused { file, changes });
                }
            }
            let following = starts.get(index + 1).copied();
            let torn = self.read_segment(&mut reader, following, memory)?;
            let end = reader.place();
            if let Some(bytes) = torn {
                let file = reader.file().to_owned();
                self.notices.push(Notice::Cut { file, offset: end.offset, bytes });
            }
            self.next = end.sequence.max(self.covers + 1);
            self.held = if end.sequence == first { after } else { end.sequence - 1 };
            self.end = Some(end);
            self.last = Some((Segment { first, file: reader.file().to_owned() }, end.offset));
        }
        Ok(())
    }

    /// Reads a segment to its end, or to where it is torn; then says how many bytes are left out. `following` are first
    /// sequence and `after` of the next segment.
    fn read_segment(
        &mut self,
        reader: &mut SegmentReader,
        following: Option<(u64, u64)>,
        memory: &mut dyn Replay,
    ) -> Result<Option<u64>, FilesError> {
        loop {
            let place = reader.place();
            match reader.next_item()? {
                Item::Record { sequence, .. } if following.is_some_and(|(first, _)| sequence >= first) => {
                    let what = format!("record {sequence} belongs to the next segment");
                    return Err(FilesError::damaged(reader.file(), place.offset, what));
                }
                Item::Record { sequence, .. } if sequence <= self.covers => {}
                Item::Record { record, .. } => self.apply(record, memory),
                Item::End => return Ok(None),
                Item::Flawed(Flaw::Kind(kind)) => {
                    return Err(FilesError::UnknownKind { file: reader.file().to_owned(), offset: place.offset, kind });
                }
                Item::Flawed(flaw) => {
                    let torn = flaw.may_be_torn()
                        && match following {
                            None => reader.torn_from_here()?,
                            Some((_, after)) => place.sequence > after,
                        };
                    if !torn {
                        return Err(FilesError::damaged(reader.file(), place.offset, flaw));
                    }
                    return reader.remaining().map(Some);
                }
            }
        }
    }

    fn apply(&mut self, record: Record, memory: &mut dyn Replay) {
        match record {
            Record::Session(session) => {
                self.newest = self.newest.max(session.created_at).max(session.rotated_at);
                memory.session(session);
            }
            Record::Tombstone { id, until } => memory.tombstone(id, until),
            Record::Pulse { at } => self.newest = self.newest.max(at),
            Record::Restored(restoration) => memory.restored(restoration),
        }
    }
}
