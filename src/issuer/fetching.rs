//! The thread that keeps the keys of all issuers fresh.
//!
//! Guarantees: for each issuer one fetch at a time; what cannot be fetched or read is told once for each kind of trouble
//! and leaves the keys that are known in force; a start waits for the first fetches, and not for long; ends at once when
//! told to.
//! Does not know: when a fetch is due (`pace`), what a request is.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::observe::chain;

use super::keyset::{KeySet, Parsed};
use super::pace::Pace;
use super::source::{Bounds, Source, SourceError};
use super::{Issuer, Issuers};

/// As users and keys of our own.
const LOOK_AT_FILES_EVERY: Duration = Duration::from_secs(1);
/// How long a start waits for keys: a gate that takes another one's place should refuse nobody for want of them.
const PATIENCE: Duration = Duration::from_secs(2);

/// The thread; there is none without issuers.
pub struct Fetching {
    thread: Option<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Fetching {
    /// Returns when each issuer has been asked once, or does not answer.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub fn start(issuers: Arc<Issuers>, bounds: Bounds) -> io::Result<Self> {
        let stop = CancellationToken::new();
        if issuers.list.is_empty() {
            return Ok(Self { thread: None, stop });
        }
        let (runtime, stopped) = (Builder::new_current_thread().enable_all().build()?, stop.clone());
        let (asking, asked) = mpsc::channel();
        let work = move || {
            runtime.block_on(async {
                let mut all = JoinSet::new();
                for n in 0..issuers.list.len() {
                    let (issuers, asking) = (Arc::clone(&issuers), asking.clone());
                    all.spawn(async move { attend(&issuers, &issuers.list[n], &bounds, asking).await });
                }
                drop(asking);
                stopped.cancelled().await;
            });
            // A name that is being looked up must not hold up the end.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("issuers".into()).spawn(work)?;
        // Nobody says anything: they let go.
        let _ = asked.recv_timeout(PATIENCE);
        Ok(Self { thread: Some(thread), stop })
    }

    pub fn stop(self) {
        self.stop.cancel();
        // One that panicked has nothing left to do.
        let _ = self.thread.map(JoinHandle::join);
    }
}

async fn attend(issuers: &Issuers, issuer: &Issuer, bounds: &Bounds, asking: Sender<()>) {
    let (refresh, cooldown) = match issuer.trust.source {
        Source::File(_) => (LOOK_AT_FILES_EVERY, LOOK_AT_FILES_EVERY),
        Source::Url(_) => (issuer.trust.refresh_interval, issuer.trust.cooldown),
    };
    let (mut pace, mut seen) = (Pace::new(refresh, cooldown, Instant::now()), Vec::new());
    let mut asking = Some(asking);
    loop {
        let mut asked = false;
        loop {
            tokio::select! {
                () = sleep_until(pace.due(asked).into()) => break,
                () = issuer.unknown_key.notified(), if !asked => asked = true,
            }
        }
        let began = Instant::now();
        let read = issuer.trust.source.read(bounds).await;
        let taken = read.and_then(|text| take(issuers, issuer, bounds, text, &mut seen));
        tell(issuer, &taken);
        drop(asking.take());
        pace.ended(began, taken.is_ok(), chance());
    }
}

/// Puts what was read in force; nothing is left to do if it is what was read before.
fn take(
    issuers: &Issuers,
    issuer: &Issuer,
    bounds: &Bounds,
    text: Vec<u8>,
    seen: &mut Vec<u8>,
) -> Result<(), SourceError> {
    if text == *seen {
        return Ok(());
    }
    let Parsed { set, left_out } = KeySet::parse(&text, &issuer.trust.algorithms, bounds.keys)?;
    let mut kids: Vec<&str> = set.kids().collect();
    kids.sort_unstable();
    info!(
        event = "issuer_keys",
        issuer = issuer.trust.issuer,
        kids = kids.join(" "),
        left_out = left_out.join("; "),
        "the keys of an issuer are known"
    );
    issuers.replace(issuer, set);
    *seen = text;
    Ok(())
}

fn tell(issuer: &Issuer, taken: &Result<(), SourceError>) {
    let trouble = taken.as_ref().err().map(|error| chain(error).to_string());
    if !issuer.troubled(trouble.as_deref()) {
        return;
    }
    let (name, source) = (&*issuer.trust.issuer, &issuer.trust.source);
    match trouble {
        Some(error) => warn!(event = "issuer_keys", issuer = name, %source, error,
            "the keys of an issuer cannot be had; those known so far stay in force"),
        None => info!(event = "issuer_keys", issuer = name, "the keys of an issuer can be had again"),
    }
}

/// Only keeps gates from fetching in step: without randomness they do.
fn chance() -> u8 {
    let mut byte = [0];
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte[0]
}
