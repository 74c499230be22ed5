//! Going through one segment, over what cannot be read as well.
//!
//! Guarantees: it ends; what is passed over is said.
//! Does not know: whether that matters. A start knows ([`crate::store::files::read`]).

use std::fmt;

use crate::store::files::{FilesError, Flaw, Item, Record, SegmentReader};

pub(super) enum Step {
    Record { sequence: u64, record: Record },
    Unreadable(Unreadable),
}

/// A stretch of a file in which there is no record that can be read. No bytes: records are missing there.
pub(super) struct Unreadable {
    pub offset: u64,
    pub bytes: u64,
    pub flaw: Flaw,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unreadable at byte {}, {} bytes: {}", self.offset, self.bytes, self.flaw)
    }
}

/// The next of them; `None` at the end of the file.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn next(reader: &mut SegmentReader) -> Result<Option<Step>, FilesError> {
    let offset = reader.place().offset;
    let flaw = match reader.next_item()? {
        Item::Record { sequence, record } => return Ok(Some(Step::Record { sequence, record })),
        Item::End => return Ok(None),
        Item::Flawed(flaw) => flaw,
    };
    let bytes = reader.skip(flaw)?;
    let moved = bytes > 0 || matches!(flaw, Flaw::Sequence(_));
    Ok(moved.then_some(Step::Unreadable(Unreadable { offset, bytes, flaw })))
}
