//! Other issuers, whose access tokens are accepted by their published keys.
//!
//! Guarantees: the keys in force are read without waiting and replaced whole; they are fetched by one thread in the
//! background, for each issuer one fetch at a time, and what fails leaves the former ones in force; what was verified
//! with keys that were asked for after the epoch stays verified for as long as the epoch stays.
//! Does not know: our own tokens, sessions and endpoints, routes, the configuration file.
//!
//! [`Issuers::verify`] is what a request meets; [`Fetching`] is the thread.

mod claims;
mod fetch;
mod fetching;
mod keyset;
mod pace;
mod source;
mod tls;
mod verify;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::keys::Algorithm;

pub use claims::{DIVIDER, Foreign, ScopeMap};
pub use fetch::FetchError;
pub use fetching::Fetching;
pub use keyset::{KeySet, KeySetError, Parsed};
pub use source::{Bounds, Endpoint, IssuerError, Source, SourceError};
pub use tls::TlsError;

/// What the operator says of an issuer.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Its name: exactly what stands in `iss`.
    pub issuer: String,
    /// A token has to name one of these; never empty.
    pub audience: Vec<String>,
    /// Never empty, and none that takes a secret: then whoever has the issuer's published key could sign.
    pub algorithms: Vec<Algorithm>,
    pub scopes_claim: String,
    pub roles_claim: Option<String>,
    /// What its scopes mean here; what is not in it means nothing. `None`: they mean what they say.
    pub scopes: Option<ScopeMap>,
    pub source: Source,
    /// Between two fetches that nobody asks for.
    pub refresh_interval: Duration,
    /// Between two fetches that tokens with unknown keys cause.
    pub cooldown: Duration,
}

/// All issuers, shared by all workers.
#[derive(Debug)]
pub struct Issuers {
    list: Vec<Issuer>,
    epoch: AtomicU64,
}

#[derive(Debug)]
struct Issuer {
    trust: Trust,
    keys: ArcSwap<KeySet>,
    /// Holds one word at most, however many leave theirs.
    unknown_key: Notify,
    /// What was wrong with the last fetch.
    trouble: Mutex<Option<Arc<str>>>,
}

impl Issuers {
    /// Issuers whose keys are not known yet.
    fn new(trusts: Vec<Trust>) -> Self {
        let list = trusts.into_iter().map(|trust| Issuer {
            trust,
            keys: ArcSwap::default(),
            unknown_key: Notify::new(),
            trouble: Mutex::default(),
        });
        Self { list: list.collect(), epoch: AtomicU64::new(0) }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes over what `former` knows of the same issuers: nobody is to be refused for want of keys that were there.
    #[must_use]
    pub fn succeeding(mut self, former: &Self) -> Self {
        for issuer in &self.list {
            let same = |known: &&Issuer| {
                let (known, own) = (&known.trust, &issuer.trust);
                known.issuer == own.issuer && known.source == own.source && known.algorithms == own.algorithms
            };
            // What stands in a file has just been read.
            if let Some(known) = former.list.iter().find(same).filter(|_| matches!(issuer.trust.source, Source::Url(_)))
            {
                issuer.keys.store(known.keys.load_full());
            }
        }
        // Neither of the two numbers is ever taken for the other's.
        self.epoch = AtomicU64::new(former.epoch().wrapping_add(1));
        self
    }

    /// Moves whenever a key is gone: what it had signed does not count any more. Read before [`Issuers::verify`].
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether a key is known by which this issuer's tokens could be verified; `None`: no such issuer is trusted.
    pub fn knows(&self, issuer: &str, kid: &str) -> Option<bool> {
        let found = self.list.iter().find(|known| known.trust.issuer == issuer)?;
        Some(found.keys.load().kids().any(|known| known == kid))
    }

    /// What is wrong now, for whoever looks after the gate.
    pub fn trouble(&self) -> Option<String> {
        let lines = self.list.iter().filter_map(|issuer| {
            let trouble = issuer.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
            let known = issuer.keys.load().kids().count();
            Some(format!("{}: {trouble}; keys in force: {known}", issuer.trust.issuer))
        });
        let lines: Vec<String> = lines.collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    /// Puts an issuer's keys in force.
    fn replace(&self, issuer: &Issuer, set: KeySet) {
        let new = Arc::new(set);
        let old = issuer.keys.swap(Arc::clone(&new));
        if !new.covers(&old) {
            // After the swap: who sees the new epoch sees the new keys.
            self.epoch.fetch_add(1, Ordering::Release);
        }
    }
}

impl Issuer {
    /// Whether this is other trouble than before.
    fn troubled(&self, trouble: Option<&str>) -> bool {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let other = known.as_deref() != trouble;
        *known = trouble.map(Into::into);
        other
    }
}
