//! The keeper: what has to be done now and then, on a thread of its own.
//!
//! Guarantees: picks up a changed users file within about a second and brings the sessions in line with it; sweeps;
//! writes snapshots; begins the journal anew when the disk takes it again; ends at once when told to.
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
use crate::store::Health;

const LOOK_AT_USERS_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How often a disk that takes nothing is tried again.
const MEND_EVERY: Duration = Duration::from_secs(1);

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
    let (mut users, mut sweep, mut snapshot, mut mend) =
        (interval(LOOK_AT_USERS_EVERY), interval(SWEEP_EVERY), interval(snapshot_interval), interval(MEND_EVERY));
    let mut well = true;
    for interval in [&mut users, &mut sweep, &mut snapshot, &mut mend] {
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = users.tick() => look_at_users(charter).await,
            _ = sweep.tick() => charter.store.sweep(charter.clock.now()),
            _ = snapshot.tick() => {
                // A snapshot mends, and would leave a break unsaid.
                look_at_journal(charter, &mut well);
                if well && charter.store.has_news() {
                    write_snapshot(charter);
                }
            }
            _ = mend.tick() => look_at_journal(charter, &mut well),
        }
    }
}

fn write_snapshot(charter: &Charter) {
    if let Err(trouble) = charter.store.snapshot(charter.clock.now()) {
        error!(error = chain(&trouble), "the snapshot was not written");
    }
}

/// While the disk takes nothing, tries to begin anew with a snapshot of all there is.
fn look_at_journal(charter: &Charter, well: &mut bool) {
    let store = &charter.store;
    if let Health::Broken { why, .. } | Health::Mending { why, .. } = store.health() {
        if std::mem::replace(well, false) {
            error!(
                why = &*why,
                "sessions cannot be written down: sign-ins, refreshes and revocations are answered 503 until they can; \
                 requests with a valid token pass"
            );
        }
        // Why it fails is known, and would be said every second.
        let _ = store.snapshot(charter.clock.now());
    }
    if !*well && store.health().is_healthy() {
        *well = true;
        info!("sessions can be written down again; nothing that was acknowledged is lost");
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
        Err(trouble) => warn!(
            error = chain(&trouble),
            "the sessions were brought in line with the users file; that is not written down yet"
        ),
    }
}
