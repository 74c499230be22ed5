//! What only a gate that keeps the sessions itself has: the lock, the journal's writer, keys of its own making.
//!
//! Guarantees: one writer per data directory; nothing is written before all that is there was read.
//! Does not know: requests, replicas.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tracing::info;

use crate::admin::{Check, Stage, Status};
use crate::clock::Clock;
use crate::config::Config;
use crate::keys::KeyRing;
use crate::store::{Health, Remembered, Store};
use crate::token::Policy;

use super::{Footing, Scribe, StartError, accounts, keys, say, sealing, terms};

/// Waits for another process to let go of the data directory.
pub(super) fn prepare(config: &Config, policy: &Arc<Policy>, status: &Status) -> Result<Footing, StartError> {
    let lock = lock(&config.data_dir, status)?;
    let remembered = Remembered::read(&config.data_dir)?;
    for notice in remembered.notices() {
        say(notice, notice.is_warning());
    }
    let sessions_exist = !remembered.is_empty();
    if sessions_exist {
        KeyRing::admit(&config.data_dir, terms::key_source(config))?;
    }
    let ring = keys(config, sessions_exist)?;
    let sealing = sealing(config, true)?;
    let accounts = accounts(config, remembered.knows_users(), None)?;
    let (store, writer) = remembered.open(terms::fsync(config), terms::caps(config), Arc::clone(policy))?;
    let journal = thread::Builder::new().name("journal".into()).spawn(|| writer.run()).map_err(StartError::Threads)?;
    let store = Arc::new(store);
    let clock = Arc::new(Clock::starting_at(store.newest()));
    Ok(Footing { store, ring, accounts, clock, sealing, scribe: Scribe::Writer { journal, _lock: lock } })
}

pub(super) fn check(store: &Arc<Store>) -> Check {
    let store = Arc::clone(store);
    let trouble = move || match store.health() {
        Health::Healthy => None,
        Health::Broken { why, .. } | Health::Mending { why, .. } => {
            Some(format!("sessions cannot be written down, requests with a valid token pass: {why}"))
        }
    };
    Check { name: "journal", trouble: Box::new(trouble), dispensable: false, note: None }
}

/// The lock goes with the process, however it ends.
fn lock(data_dir: &Path, status: &Status) -> Result<File, StartError> {
    let trouble = |what| move |source| StartError::DataDir { path: data_dir.to_owned(), what, source };
    std::fs::create_dir_all(data_dir).map_err(trouble("create the data directory"))?;
    let lock = File::options().write(true).create(true).truncate(false).open(data_dir.join("lock"));
    let lock = lock.map_err(trouble("write to the data directory"))?;
    if lock.try_lock().is_err() {
        status.enter(Stage::Waiting);
        info!(data_dir = %data_dir.display(), "another portcullis uses this data directory: waiting for it to end");
        lock.lock().map_err(trouble("lock the data directory"))?;
        status.enter(Stage::Starting);
    }
    Ok(lock)
}
