//! Records: what the files say of sessions, and how each kind is spelled.
//!
//! Guarantees: what is read is what was written, to the last byte of its payload; nothing in a record can be presented as
//! a token.
//! Does not know: files, sequences, what a session may do.
//!
//! A record is its kind (u8) and a payload (postcard). The present spelling of a session is that of [`Session`] itself: a
//! test holds it against bytes written down there, so that it cannot change without a new format version. One that was
//! begun with a certificate is a kind of its own: files without any read and are read as ever, and whoever does not know
//! of certificates stops at it rather than take the session for one that anybody may renew.

use serde::{Deserialize, Serialize};

use crate::token::{Restoration, Session, SessionId, Timestamp};

use super::frame::Flaw;

const SESSION: u8 = 1;
const TOMBSTONE: u8 = 2;
const PULSE: u8 = 3;
/// In snapshots only.
const CLOSING: u8 = 4;
/// In snapshots: nothing restores a store that runs.
const RESTORED: u8 = 5;
/// Whom the certificate named, and then all else of the session.
const CERTIFIED: u8 = 6;

/// What is written: of one session id, or of all of them.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// All of a session. It replaces what was written of it before.
    Session(&'a Session),
    /// The session has ended, and is remembered until then. Nothing replaces it.
    Tombstone { id: SessionId, until: Timestamp },
    /// What is behind this snapshot was restored from a backup.
    Restored(&'a Restoration),
}

/// What is read.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    Session(Box<Session>),
    Tombstone {
        id: SessionId,
        until: Timestamp,
    },
    /// A heartbeat: the writer lived at this time.
    Pulse {
        at: Timestamp,
    },
    Restored(Restoration),
}

/// The last record of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Closing {
    pub records: u64,
    /// The newest time in any change that memory has seen, also in those whose sessions are forgotten.
    pub newest: Timestamp,
}

pub(super) enum InSnapshot {
    Record(Record),
    Closing(Closing),
}

/// Appends kind and payload. Like its siblings it returns whether that could be done: into memory nothing can fail but a
/// value that refuses to be written, of which there is none among these.
pub(in crate::store) fn write(entry: Entry<'_>, into: &mut Vec<u8>) -> bool {
    match entry {
        Entry::Session(session) => match &session.certificate {
            None => put(SESSION, session, into),
            Some(certificate) => put(CERTIFIED, &(certificate, session), into),
        },
        Entry::Tombstone { id, until } => put(TOMBSTONE, &(id, until), into),
        Entry::Restored(restoration) => put(RESTORED, restoration, into),
    }
}

pub(super) fn write_pulse(at: Timestamp, into: &mut Vec<u8>) -> bool {
    put(PULSE, &at, into)
}

pub(super) fn write_closing(closing: Closing, into: &mut Vec<u8>) -> bool {
    put(CLOSING, &closing, into)
}

fn put(kind: u8, payload: &impl Serialize, into: &mut Vec<u8>) -> bool {
    into.push(kind);
    postcard::to_io(payload, into).is_ok()
}

/// Reads a record of the journal, or of the store on Redis.
pub(in crate::store) fn read(kind: u8, payload: &[u8]) -> Result<Record, Flaw> {
    match kind {
        SESSION => exactly(payload).map(|session| Record::Session(Box::new(session))),
        TOMBSTONE => exactly(payload).map(|(id, until)| Record::Tombstone { id, until }),
        PULSE => exactly(payload).map(|at| Record::Pulse { at }),
        RESTORED => exactly(payload).map(Record::Restored),
        CERTIFIED => exactly(payload).map(|(certificate, session)| {
            Record::Session(Box::new(Session { certificate: Some(certificate), ..session }))
        }),
        kind => Err(Flaw::Kind(kind)),
    }
}

/// Reads a record of a snapshot.
pub(super) fn read_in_snapshot(body: &[u8]) -> Result<InSnapshot, Flaw> {
    let (kind, payload) = body.split_first().ok_or(Flaw::Length)?;
    match *kind {
        CLOSING => exactly(payload).map(InSnapshot::Closing),
        kind => read(kind, payload).map(InSnapshot::Record),
    }
}

/// postcard by itself does not mind what follows.
pub(super) fn exactly<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Flaw> {
    match postcard::take_from_bytes(payload) {
        Ok((value, [])) => Ok(value),
        _ => Err(Flaw::Unreadable),
    }
}
