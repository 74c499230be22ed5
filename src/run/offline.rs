//! A gate that serves nobody: all rooms on the files as they are at this moment, for those who ask what it would do.
//!
//! Guarantees: nothing is made, locked, written or fetched, also beside a running gate; what could not be read is told, and
//! the rest works without it.
//! Does not know: what is asked.

use std::sync::Arc;
use std::time::Instant;

use crate::clock::Clock;
use crate::config::{Config, StoreKind};
use crate::gateway::Charter;
use crate::issuer::{Issuers, Source};
use crate::keys::Keys;
use crate::muster::Muster;
use crate::observe::chain;
use crate::store::{Seen, Store};
use crate::upstream::Tunnels;

use super::{Rooms, StartError, accounts, charter, keys, sealing, terms};

/// The rules in force of this configuration and what they rest on, and what is worth knowing about it.
///
/// # Errors
/// When keys, users or the keys of others cannot be read: without these nothing could be judged.
pub fn offline(config: &Config) -> Result<(Arc<Charter>, Vec<String>), StartError> {
    let mut notes = Vec::new();
    let policy = Arc::new(terms::policy(config));
    let issuers = Arc::new(Issuers::open(terms::issuers(config), &terms::jwks_bounds(config))?);
    for issuer in config.issuers.iter().filter(|issuer| matches!(issuer.source, Source::Url(_))) {
        notes.push(format!(
            "the keys of {} are not fetched for this: its tokens are of unknown keys here",
            issuer.issuer
        ));
    }
    let (store, mut follower) =
        Store::following(&config.data_dir, Arc::clone(&policy), config.store.max_stale, Instant::now());
    // A primary may have finished a snapshot just then; twice is trouble.
    let mut look = || follower.poll(&store, Instant::now()).or_else(|_| follower.poll(&store, Instant::now()));
    let on_redis = matches!(config.store.kind, StoreKind::Redis(_));
    if on_redis {
        notes.push("sessions are on Redis, which is not asked: no end of a session is known here".into());
    }
    match if on_redis { Ok(Seen::Quiet) } else { look() } {
        Ok(Seen::News | Seen::Quiet) => {}
        Ok(Seen::Nothing) => notes.push(format!("{}: no sessions are kept there", config.data_dir.display())),
        Err(error) => {
            notes.push(format!("the store cannot be read, so no end of a session is known: {}", chain(&error)))
        }
    }
    let ring = keys(config, true)?;
    let accounts = Arc::new(accounts(config, false, None)?);
    let sealing = sealing(config, false)?;
    let (clock, tunnels) = (Arc::new(Clock::starting_at(store.newest())), Tunnels::new(0));
    let (muster, _) = Muster::new(1);
    let rooms = Rooms {
        clock,
        policy,
        keys: Arc::new(Keys::new(ring)),
        issuers,
        store: Arc::new(store),
        accounts,
        once: Arc::new(terms::once(config)),
        sealing,
        upstream: Arc::new(terms::upstream(config, None, &tunnels)),
        primary: None,
        muster: Arc::new(muster),
        metrics: Arc::default(),
    };
    Ok((Arc::new(charter(config, rooms, None)), notes))
}
