//! `portcullis store inspect --journal`: the records as they stand.
//!
//! Guarantees: everything that can be read is listed, also in files that a start refuses, and what cannot is listed where
//! it stands.
//! Does not know: what the records come to together.

use std::fmt;
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::store::files::{self, FilesError, Record, SegmentReader};

use super::StoreError;
use super::inspect::print;
use super::place;
use super::step::{self, Step};
use super::view::rfc3339;

pub(super) fn run(directory: &Path, from: u64, json: bool, out: &mut impl Write) -> Result<(), StoreError> {
    if place::is_in_use(directory) {
        eprintln!("note: {}", place::use_of(directory));
    }
    let mut segments = files::list(directory)?;
    if segments.is_empty() {
        eprintln!("note: {}: there is no journal here", directory.display());
    }
    let begin = segments.partition_point(|segment| segment.first <= from).saturating_sub(1);
    for segment in segments.drain(begin..) {
        let file = segment.file.display().to_string();
        let mut reader = match SegmentReader::open(&segment) {
            Ok(Some(reader)) => reader,
            Ok(None) => continue,
            Err(error @ (FilesError::Damaged { .. } | FilesError::Foreign { .. })) => {
                let bytes = segment.file.metadata().map_or(0, |metadata| metadata.len());
                let why = error.to_string();
                print(out, json, &Line::Unreadable { file, offset: 0, bytes, why })?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        while let Some(step) = step::next(&mut reader)? {
            match step {
                Step::Record { sequence, .. } if sequence < from => {}
                Step::Record { sequence, record } => print(out, json, &Line::new(sequence, &record))?,
                Step::Unreadable(stretch) => {
                    let (file, why) = (file.clone(), stretch.flaw.to_string());
                    print(out, json, &Line::Unreadable { file, offset: stretch.offset, bytes: stretch.bytes, why })?;
                }
            }
        }
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    Session { sequence: u64, session: String, subject: String, generation: u32, rotated_at: String },
    Tombstone { sequence: u64, session: String, until: String },
    Pulse { sequence: u64, at: String },
    Restored { sequence: u64, restored_at: String },
    Unreadable { file: String, offset: u64, bytes: u64, why: String },
}

impl Line {
    fn new(sequence: u64, record: &Record) -> Self {
        match record {
            Record::Session(session) => Self::Session {
                sequence,
                session: session.id.to_string(),
                subject: session.subject.to_string(),
                generation: session.generation,
                rotated_at: rfc3339(session.rotated_at),
            },
            Record::Tombstone { id, until } => {
                Self::Tombstone { sequence, session: id.to_string(), until: rfc3339(*until) }
            }
            Record::Pulse { at } => Self::Pulse { sequence, at: rfc3339(*at) },
            Record::Restored(it) => Self::Restored { sequence, restored_at: rfc3339(it.restored) },
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session { sequence, session, subject, generation, rotated_at } => {
                write!(f, "{sequence}  session    {session}  {subject:?}  generation {generation}  {rotated_at}")
            }
            Self::Tombstone { sequence, session, until } => {
                write!(f, "{sequence}  tombstone  {session}  until {until}")
            }
            Self::Pulse { sequence, at } => write!(f, "{sequence}  pulse      {at}"),
            Self::Restored { sequence, restored_at } => write!(f, "{sequence}  restored   {restored_at}"),
            Self::Unreadable { file, offset, bytes, why } => {
                write!(f, "unreadable  {file}: byte {offset}, {bytes} bytes: {why}")
            }
        }
    }
}
