//! All that the files tell, in an order that does not change from one reading to the next.
//!
//! Guarantees: it is what a gate would have in memory after its start, with what has expired.
//! Does not know: what is wanted of it.

use std::path::Path;

use crate::clock;
use crate::store::files::{FilesError, Known, Recovered, Replayed};
use crate::token::{Restorations, Session, SessionId, Timestamp};

use super::place;

pub(in crate::command) struct Contents {
    /// The oldest first.
    pub sessions: Vec<Session>,
    /// The one that is forgotten next first.
    pub tombstones: Vec<(SessionId, Timestamp)>,
    pub restorations: Restorations,
    pub recovered: Recovered,
    /// As a gate would have it: never behind the newest record.
    pub now: Timestamp,
    pub in_use: bool,
}

/// # Errors
/// Where a start would fail.
pub(in crate::command) fn read(directory: &Path) -> Result<Contents, FilesError> {
    let in_use = place::is_in_use(directory);
    let (memory, recovered) = place::read::<Replayed>(directory)?;
    let (mut sessions, mut tombstones) = (Vec::new(), Vec::new());
    let Replayed { entries, restorations } = memory;
    for (id, known) in entries {
        match known {
            Known::Live(session) => sessions.push(*session),
            Known::Ended { until } => tombstones.push((id, until)),
        }
    }
    sessions.sort_unstable_by_key(|session| (session.created_at, session.id));
    tombstones.sort_unstable_by_key(|(id, until)| (*until, *id));
    let now = clock::wall().max(recovered.newest);
    Ok(Contents { sessions, tombstones, restorations, recovered, now, in_use })
}

impl Contents {
    /// What is worth knowing beside the data, on standard error: data go to standard output.
    pub(super) fn tell_notes(&self, directory: &Path) -> Result<(), FilesError> {
        if self.in_use {
            eprintln!("note: {}", place::use_of(directory));
        }
        for notice in place::notices(&self.recovered, self.in_use) {
            eprintln!("note: {notice}");
        }
        if place::is_empty(directory)? {
            eprintln!("note: {}", place::emptiness(directory));
        }
        Ok(())
    }
}
