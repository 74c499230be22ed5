//! The track: following the journal, record by record and segment by segment.
//!
//! Guarantees: every record is applied once and in order, or it is said that the track is lost; what is not whole yet is
//! waited for, and never taken for an end.
//! Does not know: snapshots, and how to find back.

use std::path::Path;

use crate::token::{Session, Timestamp};

use super::super::files::{self, FilesError, Flaw, Item, Named, Place, Record, SegmentReader, Standing};
use super::super::ledger::replay;
use super::super::memory::Memory;

pub(super) struct Track {
    reader: SegmentReader,
    held_up: Option<String>,
}

pub(super) enum Steps {
    /// All there was has been read. Whether it was anything.
    Read { news: bool },
    /// What follows is not to be had from the journal, or not only.
    Lost,
}

impl Track {
    /// `None` if the segment is gone by now.
    pub(super) fn at(directory: &Path, place: Place) -> Result<Option<Self>, FilesError> {
        let segments = files::list(directory)?;
        let Some(segment) = segments.iter().find(|segment| segment.first == place.segment) else {
            return Ok(None);
        };
        let Some(mut reader) = SegmentReader::open(segment)? else {
            return Ok(None);
        };
        reader.resume(place);
        Ok(Some(Self { reader, held_up: None }))
    }

    /// What stands at the place if it is no record yet, and may never be one: what a power cut leaves looks like what is
    /// on its way.
    pub(super) fn held_up(&self) -> Option<&str> {
        self.held_up.as_deref()
    }

    /// Reads on, over into the segments that follow.
    pub(super) fn read_on(&mut self, directory: &Path, memory: &Memory) -> Result<Steps, FilesError> {
        // First: a segment is listed only when the one before it is whole.
        let segments = files::list(directory)?;
        let mut news = false;
        loop {
            let flaw = match self.reader.next_item()? {
                Item::Record { record, .. } => {
                    if !apply(record, memory) {
                        return Ok(Steps::Lost);
                    }
                    news = true;
                    continue;
                }
                Item::End => None,
                Item::Flawed(flaw) if flaw.may_be_torn() => Some(flaw),
                Item::Flawed(_) => return Ok(Steps::Lost),
            };
            let place = self.reader.place();
            let Standing { named, cut } = self.reader.standing()?;
            let Some(next) = segments.iter().find(|segment| segment.first > place.segment) else {
                return match named {
                    // Without a successor a segment goes only if a primary starts that finds no record in it, or if
                    // somebody has put other files in the place of these.
                    Named::Other | Named::Nothing => Ok(Steps::Lost),
                    // Cut by a primary that starts or whose disk has failed: what becomes of the changes that were cut
                    // off, the next segment tells. Until then they hold; among them may be an end.
                    Named::Same => self.is_on_its_way(flaw).map(|()| Steps::Read { news }),
                };
            };
            let Some(reader) = SegmentReader::open(next)? else {
                return Ok(Steps::Read { news });
            };
            let consecutive = reader.place().sequence == place.sequence && reader.after() + 1 == place.sequence;
            // A torn end that stays, a break, or records that were read here and then lost in a crash: their sequences
            // were given anew.
            if flaw.is_some() || cut || named == Named::Other || !consecutive {
                return Ok(Steps::Lost);
            }
            self.reader = reader;
        }
    }

    /// # Errors
    /// When sound records stand behind a flaw: then it is damage.
    fn is_on_its_way(&mut self, flaw: Option<Flaw>) -> Result<(), FilesError> {
        let (file, offset) = (self.reader.file().to_owned(), self.reader.place().offset);
        self.held_up = flaw.map(|flaw| format!("{}: at byte {offset} {flaw}", file.display()));
        match flaw {
            None | Some(Flaw::Cut) => Ok(()),
            Some(_) if self.reader.torn_from_here()? => Ok(()),
            Some(flaw) => Err(FilesError::Damaged { file, offset, what: flaw.to_string() }),
        }
    }
}

/// Whether the journal alone tells what the record means.
fn apply(record: Record, memory: &Memory) -> bool {
    match record {
        Record::Session(session) => {
            memory.seen(newest(&session));
            replay(memory, session);
        }
        Record::Tombstone { id, until } => memory.bury(id, until),
        Record::Pulse { at } => memory.seen(at),
        // It comes with a snapshot.
        Record::Restored(_) => return false,
    }
    true
}

fn newest(session: &Session) -> Timestamp {
    session.created_at.max(session.rotated_at)
}
