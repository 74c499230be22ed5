//! What only a replica has: a thread that looks at the primary's files again and again.
//!
//! Guarantees: nothing is written, locked or made; before a replica serves it has read all there is; the clock never runs behind what was read; trouble is
//! said once until there is other trouble or none; ends at once when told to, but for a look that hangs.
//! Does not know: files.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{error, info};

use crate::admin::Check;
use crate::clock::Clock;
use crate::config::Config;
use crate::keys::{KeyError, KeyRing};
use crate::observe::chain;
use crate::store::{FilesError, Follower, Freshness, Seen, Store};
use crate::token::Policy;

use super::{Footing, Scribe, StartError, accounts, keys, sealing};

/// Waits for a primary to fill the data directory.
pub(super) fn prepare(config: &Config, policy: &Arc<Policy>) -> Result<Footing, StartError> {
    let (store, mut follower) =
        Store::following(&config.data_dir, Arc::clone(policy), config.store.max_stale, Instant::now());
    fill(&mut follower, &store, config)?;
    let ring = ring(config)?;
    // Nothing ends here because a user is missing.
    let accounts = accounts(config, false, None)?;
    let sealing = sealing(config, false)?;
    let clock = Arc::new(Clock::starting_at(store.newest()));
    let store = Arc::new(store);
    let following =
        Following::start(follower, Arc::clone(&store), Arc::clone(&clock), config).map_err(StartError::Threads)?;
    Ok(Footing { store, ring, accounts, clock, sealing, scribe: Scribe::Follower(following) })
}

/// As if there were sessions: the primary makes the keys, and does so before its first segment. One that has joined the
/// configuration may be known here before the primary has started with it.
fn ring(config: &Config) -> Result<KeyRing, StartError> {
    let mut waits = false;
    loop {
        match keys(config, true) {
            Err(StartError::Keys(joining @ KeyError::Joining { .. })) => {
                if !std::mem::replace(&mut waits, true) {
                    info!("waiting for the primary: {joining}");
                }
                thread::sleep(config.store.poll_interval);
            }
            ring => return ring,
        }
    }
}

pub(super) fn check(store: &Arc<Store>) -> Check {
    let store = Arc::clone(store);
    let trouble = move || match store.freshness(Instant::now()) {
        Freshness::Fresh => None,
        Freshness::Stale { since, why } => {
            Some(format!("nothing new from the primary for {} seconds: {why}", since.elapsed().as_secs()))
        }
    };
    Check { name: "primary", trouble: Box::new(trouble), dispensable: false, note: None }
}

pub(super) struct Following {
    thread: JoinHandle<()>,
    stop: Sender<()>,
}

impl Following {
    fn start(mut follower: Follower, store: Arc<Store>, clock: Arc<Clock>, config: &Config) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let (interval, mut troubles) = (config.store.poll_interval, Troubles::default());
        let work = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                troubles.look_at(follower.poll(&store, Instant::now()));
                clock.reach(store.newest());
            }
        };
        Ok(Self { thread: thread::Builder::new().name("follower".into()).spawn(work)?, stop })
    }

    pub(super) fn stop(self) {
        drop(self.stop);
        // A dead mount may hold a look for ever, and there is nothing that it could still save.
        let patience = Instant::now() + Duration::from_secs(1);
        while !self.thread.is_finished() && Instant::now() < patience {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Waits for the primary's files and reads them.
///
/// # Errors
/// When they cannot be read, or are damaged.
fn fill(follower: &mut Follower, store: &Store, config: &Config) -> Result<(), FilesError> {
    let (mut waits, mut before) = (false, None);
    loop {
        match follower.poll(store, Instant::now()) {
            Ok(Seen::News) => {
                info!(data_dir = %config.data_dir.display(), sessions = store.live(), "following the primary's files");
                return Ok(());
            }
            Ok(Seen::Nothing | Seen::Quiet) if !waits => {
                waits = true;
                info!(data_dir = %config.data_dir.display(), "no sessions are kept here yet: waiting for the primary");
            }
            Ok(Seen::Nothing | Seen::Quiet) => {}
            // The primary may have finished a snapshot just then.
            Err(error) if before.as_ref() != Some(&error.to_string()) => before = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        thread::sleep(config.store.poll_interval);
    }
}

/// What was found wrong, and whether it was said.
#[derive(Default)]
struct Troubles {
    last: Option<String>,
    said: bool,
}

impl Troubles {
    fn look_at(&mut self, seen: Result<Seen, FilesError>) {
        match seen {
            Ok(Seen::News) => *self = Self::default(),
            // The files rest, or are left alone for a while.
            Ok(Seen::Quiet | Seen::Nothing) => {}
            Err(trouble) => {
                let text = chain(&trouble);
                let known = self.last.as_ref() == Some(&text);
                // Once is nothing: a look may fall between the steps of a snapshot.
                if known && !std::mem::replace(&mut self.said, true) {
                    error!(error = text, "the primary's files cannot be read; what is known stays in force");
                }
                if !known {
                    *self = Self { last: Some(text), said: false };
                }
            }
        }
    }
}
