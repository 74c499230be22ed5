//! The keeper: what has to be done now and then, on a thread of its own.
//!
//! Guarantees: picks up a changed users file within about a second and brings the sessions in line with it; sweeps;
//! writes snapshots; ends at once when told to.
//! Does not know: requests.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::account::Reload;
use crate::gateway::Charter;
use crate::observe::chain;

const LOOK_AT_USERS_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Keeper {
    thread: JoinHandle<()>,
    stop: CancellationToken,
}

impl Keeper {
    pub(super) fn start(charter: Arc<Charter>, snapshot_interval: Duration) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let runtime = Builder::new_current_thread().enable_time().build()?;
        // Passwords may have changed while nobody was looking. Before this returns nothing is served.
        runtime.block_on(reconcile(&charter));
        let stopped = stop.clone();
        let work = move || runtime.block_on(keep(&charter, snapshot_interval, &stopped));
        Ok(Self { thread: thread::Builder::new().name("keeper".into()).spawn(work)?, stop })
    }

    pub(super) fn stop(self) {
        self.stop.cancel();
        // A keeper that panicked has nothing left to keep.
        let _ = self.thread.join();
    }
}

async fn keep(charter: &Charter, snapshot_interval: Duration, stop: &CancellationToken) {
    let (mut users, mut sweep, mut snapshot) =
        (interval(LOOK_AT_USERS_EVERY), interval(SWEEP_EVERY), interval(snapshot_interval));
    for interval in [&mut users, &mut sweep, &mut snapshot] {
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = users.tick() => look_at_users(charter).await,
            _ = sweep.tick() => charter.store.sweep(charter.clock.now()),
            _ = snapshot.tick() => if let Err(trouble) = charter.store.snapshot() {
                error!(error = chain(&trouble), "the snapshot was not written");
            }
        }
    }
}

async fn look_at_users(charter: &Charter) {
    match charter.accounts.reload() {
        Reload::Unchanged => {}
        Reload::Changed { new, .. } => {
            info!(users = new.len(), "the users file has changed");
            reconcile(charter).await;
        }
        Reload::Kept(trouble) => warn!("{trouble}; the users known so far stay in force"),
    }
}

async fn reconcile(charter: &Charter) {
    match charter.store.users_changed(&|subject| charter.sessions.standing(subject)).await {
        Ok(0) => {}
        Ok(ended) => info!(ended, "sessions of removed users or changed passwords have ended"),
        Err(trouble) => error!(error = chain(&trouble), "sessions could not be brought in line"),
    }
}
