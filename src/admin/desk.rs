//! What the operator's listener works with: what is there from the first moment on, and the rooms once they are built.
//!
//! Guarantees: what needs rooms that are not built yet is told so, and never waits for them.
//! Does not know: HTTP.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::clock;
use crate::gateway::{Charter, RequestIds};
use crate::metrics::Metrics;
use crate::observe::Levels;
use crate::tls::InForce;
use crate::token::Timestamp;
use crate::upstream::Dial;

use super::status::Status;

/// What the operator's listener works with.
pub struct Desk {
    pub(super) status: Arc<Status>,
    pub(super) metrics: Arc<Metrics>,
    /// `None`: this process has set up no log.
    pub(super) levels: Option<Levels>,
    pub(super) started: (Instant, Timestamp),
    rooms: OnceLock<Rooms>,
}

/// What there is to operate.
pub struct Rooms {
    pub charter: Arc<Charter>,
    /// What clients are shown under TLS.
    pub certificates: Option<Arc<InForce>>,
    pub upstream: Upstream,
    /// On a replica, where its primary is.
    pub primary: Option<String>,
    /// Reads the configuration anew. `None`: this gate cannot.
    pub reload: Option<Reload>,
}

/// Where the upstream is.
pub struct Upstream {
    /// As it is written.
    pub url: String,
    pub dial: Dial,
}

/// Reads the configuration anew and puts it in force: what there is to say about it, or all that is wrong with it, and then
/// nothing has changed. May block; never called by two at once.
pub type Reload = Box<dyn Fn() -> Result<Vec<String>, Vec<String>> + Send + Sync>;

impl Desk {
    pub fn new(status: Arc<Status>, metrics: Arc<Metrics>, levels: Option<Levels>) -> Self {
        Self { status, metrics, levels, started: (Instant::now(), clock::wall()), rooms: OnceLock::new() }
    }

    /// Hands in what is operated from now on. Only the first call counts.
    pub fn operate(&self, rooms: Rooms) {
        let _ = self.rooms.set(rooms);
    }

    /// `None`: not built yet.
    pub(super) fn rooms(&self) -> Option<&Rooms> {
        self.rooms.get()
    }
}

/// For one thread: the ids of its requests.
pub(super) type Ids = RequestIds;
