//! All sessions at once, for a move between files and the engine.
//!
//! Guarantees: nothing in the engine is written over; what is read is all that stands there.
//! Does not know: files.

use tokio::runtime::Builder;

use crate::token::{Policy, Session, SessionId, Timestamp};

use super::super::files::Record;
use super::connecting::{Connected, connect};
use super::line::{KEPT, Places};
use super::reading::{self, AT_ONCE};
use super::{Terms, spelling};

/// Why a move did not work.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("the engine: {0}")]
    Engine(String),
    #[error("sessions are kept under {0} already, and nothing is written over")]
    Occupied(String),
    #[error("gates are connected to the engine; stop them first")]
    InUse,
    #[error("the system gives no threads")]
    Threads(#[source] std::io::Error),
}

/// All that is kept, each session either as it lives or with its end.
pub struct Everything {
    pub sessions: Vec<Session>,
    pub ends: Vec<(SessionId, Timestamp)>,
}

/// All that is kept in the engine. Blocks.
///
/// # Errors
/// When the engine does not answer, or holds what this portcullis cannot read.
pub fn remembered(terms: &Terms) -> Result<Everything, MoveError> {
    block_on(async {
        let places = Places::new(&terms.prefix);
        let mut connected = idle(terms, &places).await?;
        let (mut sessions, mut ends) = (Vec::new(), Vec::new());
        reading::all(&mut connected.connection, &places, connected.slot, terms.timeout, |record| match record {
            Record::Session(session) => sessions.push(*session),
            Record::Tombstone { id, until } => ends.push((id, until)),
            Record::Pulse { .. } | Record::Restored(_) => {}
        })
        .await?;
        // One of them may have been named twice, in two states: a reading goes on beside changes.
        ends.sort_unstable();
        ends.dedup_by_key(|(id, _)| *id);
        sessions.sort_unstable_by_key(|session| (session.id, std::cmp::Reverse(session.generation)));
        sessions.dedup_by_key(|session| session.id);
        sessions.retain(|session| ends.binary_search_by_key(&session.id, |(id, _)| *id).is_err());
        Ok(Everything { sessions, ends })
    })
}

/// Puts all of it into an engine where nothing is kept yet. Blocks.
///
/// # Errors
/// When something is kept there, or the engine does not take it. What it has taken stands there.
pub fn keep(
    terms: &Terms,
    policy: &Policy,
    sessions: &[Session],
    ends: &[(SessionId, Timestamp)],
    now: Timestamp,
) -> Result<(), MoveError> {
    block_on(async {
        let places = Places::new(&terms.prefix);
        let mut connected = idle(terms, &places).await?;
        let mut something = false;
        reading::all(&mut connected.connection, &places, connected.slot, terms.timeout, |_| something = true).await?;
        if something {
            return Err(MoveError::Occupied(places.sessions()));
        }
        let sessions = sessions.iter().map(|session| {
            let until = session.idle_expires_at.min(session.expires_at).max(session.access_ends_at(policy));
            (session.id, spelling::session(session), until)
        });
        let ends = ends.iter().map(|(id, until)| (*id, spelling::tombstone(*id, *until), *until));
        let all: Vec<_> = sessions.chain(ends).collect();
        for batch in all.chunks(AT_ONCE) {
            let mut put = redis::pipe();
            for (id, value, until) in batch {
                let gone_at = until.max(&now).as_micros() / 1000 + KEPT;
                put.cmd("SET").arg(places.session(*id)).arg(value).arg("PXAT").arg(gone_at).ignore();
            }
            reading::within::<()>(terms.timeout * 10, put.query_async(&mut connected.connection)).await?;
        }
        Ok(())
    })
}

/// Removes all that is kept in the engine. Blocks.
///
/// # Errors
/// When the engine does not answer.
pub fn forget(terms: &Terms) -> Result<(), MoveError> {
    block_on(async {
        let places = Places::new(&terms.prefix);
        let mut connected = idle(terms, &places).await?;
        let mut ids = Vec::new();
        reading::all(&mut connected.connection, &places, connected.slot, terms.timeout, |record| match record {
            Record::Session(session) => ids.push(session.id),
            Record::Tombstone { id, .. } => ids.push(id),
            Record::Pulse { .. } | Record::Restored(_) => {}
        })
        .await?;
        for batch in ids.chunks(AT_ONCE) {
            let mut unlink = redis::cmd("UNLINK");
            batch.iter().for_each(|id| {
                unlink.arg(places.session(*id));
            });
            reading::within::<()>(terms.timeout * 10, unlink.query_async(&mut connected.connection)).await?;
        }
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(&places.log);
        Ok(reading::within::<()>(terms.timeout, unlink.query_async(&mut connected.connection)).await?)
    })
}

/// An engine that no gate is connected to, as far as it tells.
async fn idle(terms: &Terms, places: &Places) -> Result<Connected, MoveError> {
    let mut connected = connect(terms, places).await?;
    let mut list = redis::cmd("CLIENT");
    list.arg("LIST");
    // The account may not have the right to ask.
    let clients: Result<String, _> = reading::within(terms.timeout, list.query_async(&mut connected.connection)).await;
    let gate = format!(" name={} ", places.gate());
    if clients.is_ok_and(|clients| clients.contains(&gate)) { Err(MoveError::InUse) } else { Ok(connected) }
}

fn block_on<T>(work: impl Future<Output = Result<T, MoveError>>) -> Result<T, MoveError> {
    Builder::new_current_thread().enable_all().build().map_err(MoveError::Threads)?.block_on(work)
}

impl From<String> for MoveError {
    fn from(why: String) -> Self {
        Self::Engine(why)
    }
}
