//! The rules of replay: what one session is, when the files speak of it more than once.
//!
//! Guarantees: the rules stand here alone, at [`Replay`]; whoever fills a memory obeys them.
//! Does not know: files.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use crate::token::{Restoration, Restorations, Session, SessionId, Timestamp};

use super::record::Entry;

/// A memory that is filled from the files.
///
/// Records arrive in order: those of the snapshot, in which each id stands once, then those of the journal.
///
/// 1. A tombstone is final: it replaces whatever is known of its id, and nothing replaces it. Of two tombstones of one id
///    the later `until` holds.
/// 2. A session replaces the session of its id that arrived before it, unless that one has the higher generation. A
///    generation never falls, so that happens only where the snapshot was written after the record; it tells more.
///
/// Whatever a snapshot has seen beyond what it covers stands in the journal as well. So for each id the last word is the
/// same whether or not the snapshot has heard it: it is the journal's, or there was none since.
pub trait Replay {
    fn session(&mut self, session: Box<Session>);
    fn tombstone(&mut self, id: SessionId, until: Timestamp);
    /// One of those in force, and not the first to be told of perhaps.
    fn restored(&mut self, restoration: Restoration);
}

/// The plainest such memory.
#[derive(Debug, Default)]
pub struct Replayed {
    pub entries: HashMap<SessionId, Known>,
    pub restorations: Restorations,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    Live(Box<Session>),
    Ended { until: Timestamp },
}

impl Replay for Replayed {
    fn session(&mut self, session: Box<Session>) {
        match self.entries.entry(session.id) {
            Slot::Vacant(slot) => {
                slot.insert(Known::Live(session));
            }
            Slot::Occupied(mut slot) => match slot.get_mut() {
                Known::Live(known) if known.generation <= session.generation => *known = session,
                Known::Live(_) | Known::Ended { .. } => {}
            },
        }
    }

    fn tombstone(&mut self, id: SessionId, until: Timestamp) {
        let until = match self.entries.get(&id) {
            Some(Known::Ended { until: known }) => until.max(*known),
            _ => until,
        };
        self.entries.insert(id, Known::Ended { until });
    }

    fn restored(&mut self, restoration: Restoration) {
        self.restorations.add(restoration);
    }
}

impl Known {
    pub fn as_entry(&self, id: SessionId) -> Entry<'_> {
        match self {
            Self::Live(session) => Entry::Session(session),
            Self::Ended { until } => Entry::Tombstone { id, until: *until },
        }
    }
}
