//! What the operator's listener works with: what is there from the first moment on, and the rooms once they are built.
//!
//! Guarantees: what needs rooms that are not built yet is told so, and never waits for them.
//! Does not know: HTTP.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::clock;
use crate::edge::InForce as Orders;
use crate::gateway::{Charter, RequestIds};
use crate::metrics::Metrics;
use crate::observe::Levels;
use crate::tls::InForce;
use crate::token::Timestamp;

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
    pub in_force: Arc<Orders>,
    /// What clients are shown under TLS.
    pub certificates: Option<Arc<InForce>>,
    /// On a replica, where its primary is.
    pub primary: Option<String>,
    pub reload: Reload,
}

/// Reads the configuration anew and puts it in force: which keys wait for a restart, or all that is wrong, and then nothing
/// has changed.
pub type Reload = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Reloaded> + Send>> + Send + Sync>;

/// See [`Reload`].
pub type Reloaded = Result<Vec<&'static str>, Vec<String>>;

impl Rooms {
    /// What requests are judged by at this moment.
    pub(super) fn charter(&self) -> Arc<Charter> {
        self.in_force.charter()
    }
}

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
