//! Another configuration beneath a running gate.
//!
//! Guarantees: a configuration takes effect whole or not at all: all that can go wrong goes wrong before anything is
//! changed, is said line by line as at a start, and leaves the former one in force; what a running gate cannot change
//! stays as it was and is named; no connection, request or stream ends for a reload; whoever has asked for one hears what
//! came of it when every worker goes by it.
//! Does not know: who asks, signals, what any room decides.
//!
//! The files are looked at every second, by their contents: a link that points elsewhere, as Kubernetes swaps them, is
//! a change like any other. One that is being written is left alone until it rests.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use zeroize::Zeroizing;

use crate::clock;
use crate::config::{self, LoadOptions};
use crate::observe::chain;

use super::renewal::Renewal;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is tried again when something was wrong: what it rests on may come later than itself.
const RETRY_EVERY: Duration = Duration::from_secs(5);
/// How long an end waits for a reload that is under way.
const PATIENCE: Duration = Duration::from_secs(5);
/// No configuration is larger; the rest of a file that is none is not read.
const MOST_BYTES: u64 = 16 << 20;

/// What has become of the wish for a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What the files say is in force, but for what needs a restart.
    InForce { needs_restart: Vec<&'static str> },
    /// The former configuration is, and this is why. Nothing of it is secret.
    Kept { why: Vec<String> },
}

/// Where a reload can be asked for.
#[derive(Clone, Debug)]
pub struct Reloads(mpsc::UnboundedSender<Wish>);

type Wish = oneshot::Sender<Outcome>;

/// Where wishes wait for a gate that serves.
#[derive(Debug)]
pub(super) struct Wishes(mpsc::UnboundedReceiver<Wish>);

/// The thread at work.
pub(super) struct Reloading {
    thread: JoinHandle<Renewal>,
    stop: CancellationToken,
}

struct Reloader {
    /// `None`: the configuration was not read from anywhere.
    source: Option<LoadOptions>,
    renewal: Renewal,
    /// How the files were when they were last loaded, and when they were last looked at.
    loaded: Option<Fingerprint>,
    seen: Option<Fingerprint>,
    /// Why they could not be used, and when to try again.
    trouble: Option<(Vec<String>, Instant)>,
}

/// The contents of all files, boiled down.
type Fingerprint = [u8; 32];

impl Reloads {
    pub(super) fn new() -> (Self, Wishes) {
        let (wish, wishes) = mpsc::unbounded_channel();
        (Self(wish), Wishes(wishes))
    }

    /// Asks for a reload, which is done whether or not its outcome is waited for. A gate that does not serve yet does it
    /// then.
    pub fn request(&self) -> impl Future<Output = Outcome> + Send + use<> {
        let (wish, outcome) = oneshot::channel();
        // One that has ended lets go of it.
        let _ = self.0.send(wish);
        async { outcome.await.unwrap_or_else(|_| Outcome::Kept { why: vec!["the gate is ending".into()] }) }
    }
}

impl Reloading {
    /// Begins to follow the files of `source` and to hear `wishes`.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub(super) fn start(renewal: Renewal, source: Option<LoadOptions>, wishes: Wishes) -> io::Result<Self> {
        let (stop, runtime) = (CancellationToken::new(), Builder::new_current_thread().enable_time().build()?);
        let stopped = stop.clone();
        // What is no file, such as a pipe, was read once and for all.
        let source = source.filter(|source| source.path().is_file() || !source.path().exists()).map(|mut source| {
            // A file that was there must not be missed for a moment: defaults would take its place.
            if source.path().exists() {
                source.file = Some(source.path().to_owned());
            }
            source
        });
        let mut reloader = Reloader { source, renewal, loaded: None, seen: None, trouble: None };
        let work = move || {
            runtime.block_on(reloader.attend(wishes, &stopped));
            reloader.renewal
        };
        Ok(Self { thread: thread::Builder::new().name("reload".into()).spawn(work)?, stop })
    }

    pub(super) fn stop(self) {
        self.stop.cancel();
        // A dead mount may hold a reading for ever, and there is nothing that it could still change.
        let patience = Instant::now() + PATIENCE;
        while !self.thread.is_finished() {
            if Instant::now() > patience {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        // One that panicked follows nothing any more.
        if let Ok(renewal) = self.thread.join() {
            renewal.stop();
        }
    }
}

impl Reloader {
    async fn attend(&mut self, Wishes(mut wishes): Wishes, stop: &CancellationToken) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(wish) = wishes.recv() => {
                    let mut asking = vec![wish];
                    // Those that wait already are answered by what is there now.
                    while let Ok(further) = wishes.try_recv() {
                        asking.push(further);
                    }
                    let outcome = self.reload(true).await;
                    for wish in asking {
                        // Whoever asked may have gone.
                        let _ = wish.send(outcome.clone());
                    }
                }
                _ = look.tick() => self.look().await,
            }
        }
    }

    /// Loads what has changed, once it rests.
    async fn look(&mut self) {
        let Some(now) = self.fingerprint() else { return };
        let rests = self.seen.replace(now) == Some(now);
        let again = self.trouble.as_ref().is_some_and(|(_, at)| Instant::now() >= *at);
        if rests && (self.loaded != Some(now) || again) {
            self.reload(false).await;
        }
    }

    /// Loads what is there now. What nobody has asked for is told only if it changes something.
    async fn reload(&mut self, asked: bool) -> Outcome {
        let Some(source) = self.source.clone() else {
            return Outcome::Kept {
                why: vec!["the configuration was not read from a file that could be read anew".into()],
            };
        };
        // Before the files are read: what changes meanwhile is seen by the next look.
        self.loaded = self.fingerprint();
        let loaded = config::load(source).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect());
        let renewed = match loaded {
            Ok(config) => self
                .renewal
                .renew(config)
                .await
                .map_err(|errors| errors.iter().map(|error| chain(error).to_string()).collect::<Vec<_>>()),
            Err(mistakes) => Err(mistakes),
        };
        let before = self.trouble.take();
        match renewed {
            Ok(renewed) => {
                if asked || renewed.changed || before.is_some() {
                    self.renewal.metrics().events.reloaded(true);
                    self.renewal.metrics().events.configured(clock::wall().as_secs());
                    info!(event = "reload", "the configuration was read anew and is in force");
                    for key in &renewed.needs_restart {
                        warn!(event = "reload", key, "needs a restart: {key}; it stays as it was");
                    }
                }
                Outcome::InForce { needs_restart: renewed.needs_restart }
            }
            Err(why) => {
                if asked || before.is_none_or(|(known, _)| known != why) {
                    self.renewal.metrics().events.reloaded(false);
                    for line in &why {
                        error!(event = "reload", "{line}");
                    }
                    let wrong = why.len();
                    error!(event = "reload", wrong, "the configuration cannot be used; the former one stays in force");
                }
                self.trouble = Some((why.clone(), Instant::now() + RETRY_EVERY));
                Outcome::Kept { why }
            }
        }
    }

    /// `None` if nothing is followed.
    fn fingerprint(&self) -> Option<Fingerprint> {
        let source = self.source.as_ref()?;
        let mut digest = Context::new(&SHA256);
        let files = self.renewal.config().files().iter().map(|file| &**file);
        for path in [source.path()].into_iter().chain(files) {
            let content = content(path);
            digest.update(&content.as_ref().map_or(u64::MAX, |bytes| bytes.len() as u64).to_be_bytes());
            digest.update(content.as_ref().map_or(&[][..], |bytes| bytes));
        }
        let mut fingerprint = Fingerprint::default();
        fingerprint.copy_from_slice(digest.finish().as_ref());
        Some(fingerprint)
    }
}

/// Secrets may be in it. `None` for a file that cannot be read, for whatever reason.
fn content(path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let file = File::open(path).ok()?;
    let size = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len().min(MOST_BYTES) as usize;
    // Full size from the start, so that growing leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
