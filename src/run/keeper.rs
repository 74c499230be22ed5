//! The keeper: what has to be done now and then, on a thread of its own.
//!
//! Guarantees: picks up a changed users file within about a second and brings the sessions in line with it, and changed
//! keys and the files of TLS with the upstream and the primary as quickly; sweeps; writes snapshots and a heartbeat; begins the journal anew when the disk takes it again; ends
//! at once when told to. On a replica, where sessions and files are not ours to change: follows the users file and the
//! keys, sweeps, and says when what is known grows old.
//! Does not know: requests.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::time::{MissedTickBehavior, interval, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::account::Reload;
use crate::clock::Clock;
use crate::edge::InForce;
use crate::gateway::Charter;
use crate::keys::{KeyChange, Look, State, Watch};
use crate::observe::chain;
use crate::store::{Freshness, Health, Store};
use crate::token::Timestamp;
use crate::upstream::{Renewing, Tls};

const LOOK_AT_USERS_EVERY: Duration = Duration::from_secs(1);
const LOOK_AT_FILES_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// A replica takes a primary for dead that it has not heard of for `store.max_stale`, which is two of these at least.
const PULSE_EVERY: Duration = Duration::from_secs(1);
const LOOK_AT_FRESHNESS_EVERY: Duration = Duration::from_secs(1);
/// How often a disk that takes nothing is tried again.
const MEND_EVERY: Duration = Duration::from_secs(1);

/// Files that are followed.
pub(super) struct Watches {
    pub(super) keys: Option<Watch>,
    /// Of TLS with those that the gate speaks to, by the table that names them.
    pub(super) outgoing: Vec<(&'static str, Renewing)>,
}

impl Watches {
    /// Follows the files of `tls`, and no longer those that `table` had named before.
    pub(super) fn follow(&mut self, table: &'static str, tls: Option<&Tls>) {
        self.outgoing.retain(|(known, _)| *known != table);
        self.outgoing.extend(tls.cloned().and_then(Renewing::new).map(|renewing| (table, renewing)));
    }
}

pub(super) struct Keeper {
    thread: JoinHandle<()>,
    stop: CancellationToken,
}

impl Keeper {
    pub(super) fn start(
        in_force: Arc<InForce>,
        watches: Arc<Mutex<Watches>>,
        snapshot_interval: Duration,
    ) -> io::Result<Self> {
        let charter = in_force.charter();
        let stop = CancellationToken::new();
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("keeper".into());
        if charter.store.is_replica() {
            let work = move || runtime.block_on(attend(&in_force, &watches, &stopped));
            return Ok(Self { thread: thread.spawn(work)?, stop });
        }
        // Passwords may have changed while nobody was looking. Before this returns nothing is served.
        runtime.block_on(reconcile(&charter));
        let work = move || runtime.block_on(keep(&in_force, &watches, snapshot_interval, &stopped));
        Ok(Self { thread: thread.spawn(work)?, stop })
    }

    pub(super) fn stop(self) {
        self.stop.cancel();
        // A keeper that panicked has nothing left to keep.
        let _ = self.thread.join();
    }
}

async fn keep(in_force: &InForce, watches: &Mutex<Watches>, snapshot_interval: Duration, stop: &CancellationToken) {
    let (store, clock) = lasting(in_force);
    let (mut files, mut sealing_trouble) = (interval(LOOK_AT_FILES_EVERY), None);
    let (mut users, mut sweep, mut snapshot, mut mend) =
        (interval(LOOK_AT_USERS_EVERY), interval(SWEEP_EVERY), interval(snapshot_interval), interval(MEND_EVERY));
    // The new segment is news enough to begin with.
    let mut pulse = interval_at(tokio::time::Instant::now() + PULSE_EVERY, PULSE_EVERY);
    let mut well = true;
    for interval in [&mut files, &mut users, &mut sweep, &mut snapshot, &mut mend, &mut pulse] {
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = files.tick() => {
                let charter = in_force.charter();
                look_at_files(&charter, watches);
                tend_sealing(&charter, &mut sealing_trouble);
            }
            _ = users.tick() => look_at_users(&in_force.charter()).await,
            _ = sweep.tick() => store.sweep(clock.now()),
            _ = snapshot.tick() => {
                // A snapshot mends, and would leave a break unsaid.
                look_at_journal(&store, clock.now(), &mut well);
                if well && store.snapshot_is_due(clock.now()) {
                    write_snapshot(&store, clock.now());
                }
            }
            _ = mend.tick() => look_at_journal(&store, clock.now(), &mut well),
            _ = pulse.tick() => store.pulse(clock.now()),
        }
    }
}

/// What is to be done on a replica.
async fn attend(in_force: &InForce, watches: &Mutex<Watches>, stop: &CancellationToken) {
    let (store, clock) = lasting(in_force);
    let (mut files, mut sealing_trouble) = (interval(LOOK_AT_FILES_EVERY), None);
    let (mut users, mut sweep, mut freshness) =
        (interval(LOOK_AT_USERS_EVERY), interval(SWEEP_EVERY), interval(LOOK_AT_FRESHNESS_EVERY));
    for interval in [&mut files, &mut users, &mut sweep, &mut freshness] {
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut fresh = true;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = files.tick() => {
                let charter = in_force.charter();
                look_at_files(&charter, watches);
                tend_sealing(&charter, &mut sealing_trouble);
            }
            // The primary sees the same file, and ends the sessions.
            _ = users.tick() => {
                reload_users(&in_force.charter());
            }
            // Stale, it does not know what has been renewed.
            _ = sweep.tick() => if store.freshness(Instant::now()).is_fresh() {
                store.sweep(clock.now());
            },
            _ = freshness.tick() => look_at_freshness(&store, &mut fresh),
        }
    }
}

fn look_at_freshness(store: &Store, fresh: &mut bool) {
    match store.freshness(Instant::now()) {
        Freshness::Stale { since, why } if std::mem::replace(fresh, false) => warn!(
            why = &*why,
            seconds = since.elapsed().as_secs(),
            "stale: nothing new comes from the primary's files; what is known stays in force, and revocations are missed if \
             there are any"
        ),
        Freshness::Fresh if !std::mem::replace(fresh, true) => info!("fresh again: the primary's files are followed"),
        Freshness::Stale { .. } | Freshness::Fresh => {}
    }
}

fn write_snapshot(store: &Store, now: Timestamp) {
    if let Err(trouble) = store.snapshot(now) {
        error!(error = chain(&trouble), "the snapshot was not written");
    }
}

/// While the disk takes nothing, tries to begin anew with a snapshot of all there is.
fn look_at_journal(store: &Store, now: Timestamp, well: &mut bool) {
    if let Health::Broken { why, .. } | Health::Mending { why, .. } = store.health() {
        if std::mem::replace(well, false) {
            error!(
                why = &*why,
                "sessions cannot be written down: sign-ins, refreshes and revocations are answered 503 until they can; \
                 requests with a valid token pass"
            );
        }
        // Why it fails is known, and would be said every second.
        let _ = store.snapshot(now);
    }
    if !*well && store.health().is_healthy() {
        *well = true;
        info!("sessions can be written down again; nothing that was acknowledged is lost");
    }
}

/// The rooms that no reload changes.
fn lasting(in_force: &InForce) -> (Arc<Store>, Arc<Clock>) {
    let charter = in_force.charter();
    (Arc::clone(&charter.store), Arc::clone(&charter.clock))
}

fn look_at_files(charter: &Charter, watches: &Mutex<Watches>) {
    let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
    look_at_keys(charter, watches.keys.as_mut());
    for (table, renewing) in &mut watches.outgoing {
        match renewing.look() {
            Ok(false) => {}
            Ok(true) => info!("the files of {table} have changed: new connections go by them"),
            Err(trouble) => {
                error!(error = chain(&trouble), "the files of {table} cannot be used; what was in force stays so");
            }
        }
    }
}

fn look_at_keys(charter: &Charter, watch: Option<&mut Watch>) {
    let Some(watch) = watch else { return };
    match watch.look(&charter.keys.ring()) {
        Look::Unchanged => {}
        Look::Changed { ring, mended } => {
            tell_of_keys(charter.keys.replace(*ring));
            if mended {
                info!("the keys can be read again");
            }
        }
        Look::Trouble(trouble) => {
            error!(error = chain(&trouble), "the keys cannot be read; those known so far stay in force")
        }
    }
}

pub(super) fn tell_of_keys(changes: Vec<KeyChange>) {
    for change in changes {
        let (kid, algorithm) = (&*change.kid, change.algorithm.as_str());
        match change.to {
            Some(state) => info!(event = "key", kid, algorithm, %state, "{}", what_it_does(state)),
            None => warn!(event = "key", kid, algorithm, state = "gone", "the key is gone: its tokens are refused"),
        }
    }
}

/// The keys that seal passwords: ours to make, or another gate's to follow. What is wrong with them is told once.
fn tend_sealing(charter: &Charter, trouble: &mut Option<String>) {
    let Some(sealing) = &charter.sealing else { return };
    let tended = if charter.store.is_replica() {
        sealing.keys.look().map(|()| false)
    } else {
        // Of several writers another one may have made the next.
        sealing.keys.look().and_then(|()| sealing.keys.tend(charter.clock.now().as_secs()))
    };
    match tended {
        Ok(new) => {
            *trouble = None;
            if new {
                info!(event = "key", "a new key seals passwords from now on; former ones open as long as needed");
            }
        }
        Err(error) => {
            let text = chain(&error).to_string();
            if trouble.as_ref() != Some(&text) {
                error!(error = text, "the keys that seal passwords cannot be kept; those known so far stay in force");
            }
            *trouble = Some(text);
        }
    }
}

fn what_it_does(state: State) -> &'static str {
    match state {
        State::Next => "the key verifies; it will sign",
        State::Current => "the key signs from now on",
        State::Retiring => "the key signs no more; its tokens stay valid until they expire",
    }
}

async fn look_at_users(charter: &Charter) {
    if reload_users(charter) {
        reconcile(charter).await;
    }
}

/// Whether they have changed.
fn reload_users(charter: &Charter) -> bool {
    let mut changed = false;
    for (file, reload) in charter.accounts.reload() {
        match reload {
            Reload::Unchanged => {}
            Reload::Changed { new, .. } => {
                info!(file = %file.display(), users = new.len(), "the users file has changed");
                changed = true;
            }
            Reload::Kept(trouble) => warn!(file = %file.display(), "{trouble}; the users known so far stay in force"),
        }
    }
    changed
}

/// Ends the sessions of whoever is not a user any more.
pub(super) async fn reconcile(charter: &Charter) {
    match charter.store.users_changed(&|subject, client| charter.sessions.standing(subject, client)).await {
        Ok(0) => {}
        Ok(ended) => info!(ended, "sessions of removed users or changed passwords have ended"),
        Err(trouble) => warn!(
            error = chain(&trouble),
            "the sessions were brought in line with the users file; that is not written down yet"
        ),
    }
}
