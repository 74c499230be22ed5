//! The store on Redis or Valkey: several gates, each of which begins, renews and ends sessions.
//!
//! Guarantees: of one refresh token there is one successor at all gates together; a change is acknowledged only when the
//! engine has said that it is made; access tokens are judged from this gate's memory, whatever becomes of the engine; a
//! gate that was away knows all that happened meanwhile before it changes anything.
//! Does not know: what a rotation means, HTTP.
//!
//! # What is where
//!
//! Each gate has all sessions and ends in its own memory, as with files. The engine has one key for each session, with its
//! present state or its end, and one log (a stream) of all changes. A change is: take what memory believes, let the rules
//! decide on a copy, and have the engine replace what was believed by what was decided, if it is still what stands there; the
//! same script adds to the log. Where something else stands there it comes back with the answer, and the rules decide anew.
//! Nothing is decided by a script. Whatever memory would refuse by itself is asked about first, since another gate may be
//! ahead; but an end is final.
//!
//! The log is followed by each gate ([`Attendant`]). Who was away goes on where it was, if that place is still in the log
//! and the engine is still the one that it was; or else reads all keys.
//!
//! # What a failover takes back
//!
//! The engine copies its changes to its own replicas after it has acknowledged them, so the one that takes over may lack some
//! (`store.wait_replicas` waits for the copies). A gate that knows a newer generation, an end, or a session that the
//! engine has lost puts it there again, before any gate takes up changes: see [`Attendant`].
//!
//! # In doubt
//!
//! When no answer comes the change is proposed again on the next connection: the same bytes cannot be put in their own place
//! twice, so this asks and does at once. What is still not certain when the time is up is answered 503. Of a rotation that
//! is then told to the session as soon as the engine is back, so that its parent may be presented once more. Other gates may
//! come back sooner than the one that knows of the doubt, or have heard of the rotation before the engine went. So while it is
//! away, and two seconds longer, the parent of a rotation from before that time is no proof of anything, and is answered 503.

mod attendant;
mod changes;
mod connecting;
mod desk;
mod ends;
mod line;
mod moving;
mod pending;
mod reading;
pub(super) mod spelling;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::files::Health;
use super::follower::Pace;
use super::{Caps, Freshness, Store, StoreError};

pub use attendant::Attendant;
pub use moving::{Everything, MoveError, forget, keep, remembered};

pub(super) use changes::{issue, rotate};
pub(super) use ends::{end, end_orphans, end_subject, rename, users_changed};

use desk::Desk;
use line::{Line, Places};
use pending::Pending;

/// How long changes wait after the engine has become another one, and doubts after it is back: gates notice within a second.
const PAUSE: Duration = Duration::from_secs(2);

/// Where the engine is, and how it is spoken with.
pub struct Terms {
    /// Of the engine, or of its sentinels. One after the other is tried.
    pub servers: Vec<Server>,
    /// What the sentinels call the engine.
    pub sentinel: Option<String>,
    pub database: i64,
    pub username: Option<String>,
    pub password: Option<Zeroizing<String>>,
    pub tls: Option<Tls>,
    /// What all names in the engine begin with.
    pub prefix: String,
    /// For a change, in all.
    pub timeout: Duration,
    /// How many of the engine's replicas have to have a change before it is acknowledged.
    pub wait_replicas: u32,
    /// Without a word of the engine for so long this gate counts as stale.
    pub max_stale: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub port: u16,
}

/// PEM. Without an authority the system's are trusted.
#[derive(Clone)]
pub struct Tls {
    pub authority: Option<Vec<u8>>,
    /// Certificate and key.
    pub client: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

pub(super) struct Redis {
    terms: Terms,
    places: Places,
    pub(super) caps: ArcSwap<Caps>,
    state: watch::Sender<State>,
    pending: Pending,
    pub(super) pace: Pace,
    refusal: Mutex<Option<(Instant, Arc<str>)>>,
    figures: Figures,
}

/// How often something has happened.
#[derive(Debug, Default)]
struct Figures {
    collisions: AtomicU64,
    restored: AtomicU64,
    readings: AtomicU64,
}

/// How often something has happened since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Changes that found something else than was believed.
    pub collisions: u64,
    /// Sessions and ends that the engine had lost.
    pub restored: u64,
    /// How often all was read.
    pub readings: u64,
    /// What is not in the engine yet.
    pub pending: u64,
}

enum State {
    Down {
        since: Instant,
        why: Arc<str>,
    },
    /// `again` if there was one before.
    Up {
        line: Line,
        since: Instant,
        again: bool,
    },
}

/// The mark of the gates that share this store, whose keys are the same; `mark` becomes it if there is none and one is given.
///
/// # Errors
/// [`StoreError::Unwritten`] while the engine is not to be had, and where there is none.
pub async fn claim(store: &Store, mark: Option<&str>) -> Result<Option<String>, StoreError> {
    let redis = store.redis().ok_or(StoreError::Unwritten)?;
    let line = redis.line().ok_or(StoreError::Unwritten)?;
    match tokio::time::timeout(redis.terms.timeout, line.claim(&redis.places, mark)).await {
        Ok(Ok(mark)) => Ok(mark),
        Ok(Err(_)) | Err(_) => Err(StoreError::Unwritten),
    }
}

impl Redis {
    pub(super) fn new(terms: Terms, caps: Caps, now: Instant) -> Self {
        let down = State::Down { since: now, why: "not connected yet".into() };
        Self {
            places: Places::new(&terms.prefix),
            pace: Pace::new(terms.max_stale, now),
            terms,
            caps: ArcSwap::from_pointee(caps),
            state: watch::Sender::new(down),
            pending: Pending::default(),
            refusal: Mutex::default(),
            figures: Figures::default(),
        }
    }

    pub(super) fn health(&self) -> Health {
        if let State::Down { since, why } = &*self.state.borrow() {
            return Health::Broken { since: *since, why: Arc::clone(why) };
        }
        match &*self.refusal() {
            Some((since, why)) => Health::Broken { since: *since, why: Arc::clone(why) },
            None => Health::Healthy,
        }
    }

    pub(super) fn freshness(&self, now: Instant) -> Freshness {
        self.pace.freshness(now)
    }

    pub(super) fn counts(&self) -> Counts {
        let Figures { collisions, restored, readings } = &self.figures;
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        Counts {
            collisions: read(collisions),
            restored: read(restored),
            readings: read(readings),
            pending: self.pending.count() as u64,
        }
    }

    fn line(&self) -> Option<Line> {
        match &*self.state.borrow() {
            State::Up { line, .. } => Some(line.clone()),
            State::Down { .. } => None,
        }
    }

    /// For how long the engine has been there, as long as gates may not have come back that know of doubts.
    fn settling(&self) -> Option<Duration> {
        match &*self.state.borrow() {
            State::Up { since, again, .. } => Some(since.elapsed()).filter(|elapsed| *again && *elapsed < PAUSE),
            State::Down { .. } => Some(Duration::ZERO),
        }
    }

    /// The line was found to be of no use: whoever comes next is told at once, until there is another.
    fn give_up(&self, line: &Line, why: &str) {
        self.state.send_if_modified(|state| {
            let same = matches!(state, State::Up { line: up, .. } if up.number == line.number);
            if same {
                *state = State::Down { since: Instant::now(), why: why.into() };
            }
            same
        });
    }

    /// The engine lives and takes nothing.
    fn refused(&self, why: &str) {
        let mut refusal = self.refusal();
        let since = refusal.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        *refusal = Some((since, why.into()));
    }

    fn restored(&self) {
        self.figures.restored.fetch_add(1, Ordering::Relaxed);
    }

    fn taken(&self) {
        *self.refusal() = None;
    }

    fn refusal(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<str>)>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
