//! `portcullis store verify`: each file, and whether a start would succeed.
//!
//! Guarantees: the verdict is that of the reading that a start does, word for word; every file is read to its end as far
//! as that can be done, also behind the first damage.
//! Does not know: keys, users and the configuration, which can stop a start as well.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::observe::chain;
use crate::store::files::{self, FilesError, Notice, Recovered, Replay, Segment, SegmentReader, SnapshotReader};
use crate::token::{Restoration, Session, SessionId, Timestamp};

use super::StoreError;
use super::place;
use super::step::{self, Step};
use super::view::rfc3339;

/// How much damage of one file is listed.
const LISTED: usize = 5;

pub(super) fn run(directory: &Path, out: &mut impl Write) -> Result<(), StoreError> {
    let in_use = place::is_in_use(directory);
    let verdict = place::read::<Tally>(directory);
    let recovered = verdict.as_ref().ok().map(|(_, recovered)| recovered);
    let snapshot = directory.join(files::SNAPSHOT);
    tell(&snapshot, look_at_snapshot(&snapshot), out)?;
    for segment in files::list(directory)? {
        tell(&segment.file, look_at_segment(&segment, recovered), out)?;
    }
    if in_use {
        writeln!(out, "note: {}", place::use_of(directory))?;
    }
    let (tally, recovered) = verdict?;
    for notice in place::notices(&recovered, in_use) {
        writeln!(out, "note: {notice}")?;
    }
    if place::is_empty(directory)? {
        writeln!(out, "note: {}", place::emptiness(directory))?;
    }
    let (sessions, tombstones) = tally.counts();
    let next = recovered.next;
    writeln!(out, "ok: a start finds {sessions} sessions and {tombstones} ended ones; the next change is {next}")?;
    Ok(())
}

/// What is worth saying of a file.
struct Seen {
    /// Ends with a comma and a space, if it is not empty.
    facts: String,
    state: String,
}

/// Nothing of a file that is not there: a snapshot before the first one, a segment that a running gate has done with.
fn tell(file: &Path, seen: Result<Seen, FilesError>, out: &mut impl Write) -> Result<(), StoreError> {
    let Ok(metadata) = file.metadata() else {
        return Ok(());
    };
    let Seen { facts, state } =
        seen.unwrap_or_else(|error| Seen { facts: String::new(), state: said_without_name(file, &error) });
    let name = file.file_name().unwrap_or(file.as_os_str()).display();
    let format = version(file).map_or_else(String::new, |version| format!("format {version}, "));
    writeln!(out, "{name}: {format}{facts}{} bytes: {state}", metadata.len())?;
    Ok(())
}

fn look_at_snapshot(file: &Path) -> Result<Seen, FilesError> {
    let Some(mut reader) = SnapshotReader::open(file)? else {
        return Ok(Seen { facts: String::new(), state: "gone".into() });
    };
    let mut records = 0_u64;
    let state = loop {
        match reader.next_record() {
            Ok(Some(_)) => records += 1,
            Ok(None) => break "sound".into(),
            Err(error) => break said_without_name(file, &error),
        }
    };
    let covers = match reader.covers() {
        0 => String::new(),
        covers => format!("sequence to {covers}, "),
    };
    let written = reader.written_at().map_or_else(String::new, |at| format!("written {}, ", rfc3339(at)));
    Ok(Seen { facts: format!("{records} records, {covers}{written}"), state })
}

/// `recovered` is there if a start would succeed.
fn look_at_segment(segment: &Segment, recovered: Option<&Recovered>) -> Result<Seen, FilesError> {
    if recovered.is_some_and(|recovered| is_leftover(recovered, &segment.file)) {
        return Ok(Seen { facts: String::new(), state: "not needed: the snapshot has it all".into() });
    }
    let Some(mut reader) = SegmentReader::open(segment)? else {
        return Ok(Seen { facts: "0 records, ".into(), state: "torn at byte 0: nothing ever was in it".into() });
    };
    let (mut records, mut last, mut flaws) = (0_u64, None, Vec::new());
    while let Some(step) = step::next(&mut reader)? {
        match step {
            Step::Record { sequence, .. } => (records, last) = (records + 1, Some(sequence)),
            Step::Unreadable(stretch) => match recovered.map(|recovered| cut(recovered, segment, stretch.offset)) {
                Some(Some(bytes)) => {
                    let offset = stretch.offset;
                    flaws.push(format!("torn at byte {offset}: the {bytes} bytes behind it were never acknowledged"));
                    break;
                }
                // It was sound a moment ago.
                Some(None) => {
                    flaws.push(format!("a change is under way at byte {}", stretch.offset));
                    break;
                }
                None => flaws.push(stretch.to_string()),
            },
        }
    }
    let range = match last {
        None => format!("sequence from {}", segment.first),
        Some(last) => format!("sequence {} to {last}", segment.first),
    };
    let more = flaws.len().saturating_sub(LISTED);
    flaws.truncate(LISTED);
    if more > 0 {
        flaws.push(format!("and {more} more"));
    }
    let state = if flaws.is_empty() { "sound".into() } else { flaws.join("; ") };
    Ok(Seen { facts: format!("{records} records, {range}, "), state })
}

/// How much a start cuts off there.
fn cut(recovered: &Recovered, segment: &Segment, at: u64) -> Option<u64> {
    recovered.notices.iter().find_map(|notice| match notice {
        Notice::Cut { file, offset, bytes } if *file == segment.file && *offset == at => Some(*bytes),
        _ => None,
    })
}

fn is_leftover(recovered: &Recovered, path: &Path) -> bool {
    recovered.notices.iter().any(|notice| matches!(notice, Notice::Leftover { file } if file == path))
}

/// The line begins with the name already.
fn said_without_name(file: &Path, error: &FilesError) -> String {
    let said = chain(error);
    said.strip_prefix(&format!("{}: ", file.display())).map_or(said.clone(), ToOwned::to_owned)
}

/// All files of the store begin with eight bytes that name their kind, and four that name its version.
fn version(file: &Path) -> Option<u32> {
    let mut head = [0; 12];
    let read = |file: File| -> io::Result<()> { file.read_exact_at(&mut head, 0) };
    File::open(file).and_then(read).ok()?;
    head.starts_with(b"PCL").then(|| head.last_chunk().map(|version| u32::from_le_bytes(*version)))?
}

/// Which sessions there are, and whether they live: all that the count needs.
#[derive(Default)]
struct Tally(HashMap<SessionId, bool>);

impl Tally {
    fn counts(&self) -> (usize, usize) {
        let live = self.0.values().filter(|live| **live).count();
        (live, self.0.len() - live)
    }
}

impl Replay for Tally {
    fn session(&mut self, session: Box<Session>) {
        self.0.entry(session.id).or_insert(true);
    }

    fn tombstone(&mut self, id: SessionId, _: Timestamp) {
        self.0.insert(id, false);
    }

    fn restored(&mut self, _: Restoration) {}
}
