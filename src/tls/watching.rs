//! Following the files, on a thread of its own: no other work of the gate makes a renewed certificate wait.
//!
//! Guarantees: what has changed in them - also by a link that points elsewhere now, as Kubernetes does it - is in force
//! within a second; what cannot be used is told once and changes nothing; what expires is told ahead of time.
//! Does not know: handshakes.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{error, info, warn};

use super::in_force::{Footing, InForce};
use super::{Demand, Terms};
use crate::clock;

const LOOK_EVERY: Duration = Duration::from_millis(400);

/// The thread at work.
pub struct Watching {
    thread: JoinHandle<()>,
    stop: Sender<()>,
}

impl Watching {
    /// Begins to follow the files of `terms`, from which `in_force` was made.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(terms: Terms, in_force: Arc<InForce>) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let mut watch = Watch { terms, in_force, seen: None, trouble: None, told: HashMap::new() };
        let work = move || {
            while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                watch.look();
            }
        };
        Ok(Self { thread: thread::Builder::new().name("certificates".into()).spawn(work)?, stop })
    }

    pub fn stop(self) {
        let _ = self.stop.send(());
        // One that panicked follows nothing any more.
        let _ = self.thread.join();
    }
}

struct Watch {
    terms: Terms,
    in_force: Arc<InForce>,
    /// How the files looked from outside when they were last read. `None`: read them in any case.
    seen: Option<Vec<Outside>>,
    trouble: Option<String>,
    /// How urgently it was said of each certificate that it expires.
    told: HashMap<(PathBuf, i64), usize>,
}

/// A file's inode, size and times; `None` if there is none.
type Outside = Option<[i64; 6]>;

impl Watch {
    fn look(&mut self) {
        let now = clock::wall().as_secs().cast_signed();
        // Taken before the files are read: what changes meanwhile is seen by the next look.
        let outside: Vec<_> = paths(&self.terms).map(outside).collect();
        if self.seen.as_ref() != Some(&outside) {
            self.read(now);
            // Trouble may pass without any change to a file: then the next look reads them again.
            self.seen = self.trouble.is_none().then_some(outside);
        }
        self.tell_expiries(now);
    }

    fn read(&mut self, now: i64) {
        match Footing::read(&self.terms, now) {
            Ok((footing, notices)) => {
                if self.trouble.take().is_some() {
                    info!("the TLS files can be used again");
                }
                if footing.is_made_from_the_same_as(&self.in_force.footing()) {
                    return;
                }
                let note = footing.note().unwrap_or_default();
                self.in_force.replace(footing);
                info!(event = "certificates", "the TLS files have changed and are in force; {note}");
                for notice in notices {
                    warn!("{notice}");
                }
            }
            Err(errors) => {
                let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                if self.trouble.as_ref() != Some(&text) {
                    error!(event = "certificates", "the TLS files cannot be used, those before stay in force: {text}");
                    self.trouble = Some(text);
                }
            }
        }
    }

    fn tell_expiries(&mut self, now: i64) {
        let footing = self.in_force.footing();
        let known = |(path, not_after): &(PathBuf, i64)| {
            footing.expiries().iter().any(|expiry| expiry.path == *path && expiry.not_after == *not_after)
        };
        self.told.retain(|certificate, _| known(certificate));
        for expiry in footing.expiries() {
            let Some(urgency) = expiry.urgency(now) else { continue };
            let told = self.told.insert((expiry.path.clone(), expiry.not_after), urgency);
            if told.is_none_or(|told| told < urgency) {
                let words = expiry.words(now);
                if expiry.has_passed(now) {
                    error!(event = "certificates", "{words}; clients refuse it");
                } else {
                    warn!(event = "certificates", "{words}");
                }
            }
        }
    }
}

fn paths(terms: &Terms) -> impl Iterator<Item = &Path> {
    let pairs = terms.certificates.iter();
    let of_pairs = pairs.flat_map(|files| [Some(&files.certificate), Some(&files.key), files.ocsp.as_ref()]).flatten();
    let with_clients = terms.clients.demand != Demand::Off;
    let of_clients = terms.clients.ca.iter().chain(&terms.clients.crls).filter(move |_| with_clients);
    of_pairs.chain(of_clients).map(PathBuf::as_path)
}

/// Through links: those that Kubernetes swaps lead to another file then.
fn outside(path: &Path) -> Outside {
    let of = fs::metadata(path).ok()?;
    let (inode, size) = (of.ino().cast_signed(), of.size().cast_signed());
    Some([inode, size, of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()])
}
