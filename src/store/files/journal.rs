//! The journal, as those see it who append to it.
//!
//! Guarantees: appending copies one record and returns, whatever the disk does, so it may happen under a lock; the order
//! of the records is that of the calls; a receipt says yes only when the change is on the disk as the mode demands.
//! Does not know: what the records mean, when a snapshot is due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::metrics::Histogram;
use crate::token::Timestamp;

use super::desk::{Desk, Health, Progress};
use super::error::FilesError;
use super::record::{self, Entry};
use super::segment;

/// What a receipt waits for.
///
/// Beginning a segment and writing a snapshot always sync: they are rare, and without that a power cut would leave files
/// that cannot be told from damaged ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Written and synced: the change survives a power cut.
    Always,
    /// Written: the change survives the end of the process. A power cut may take what is younger than this.
    Interval(Duration),
    /// Written; the system syncs when it likes.
    Never,
}

/// The change is in memory, but nobody can say that it is on the disk. Why not, [`Journal::health`] knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the change is not certain to be on the disk")]
pub struct NotDurable;

/// Appends to the journal. Cloning is cheap.
#[derive(Clone)]
pub struct Journal {
    pub(super) shared: Arc<Shared>,
}

/// The promise of an answer about one appended change.
#[must_use = "without the answer nothing may be acknowledged"]
pub struct Receipt {
    shared: Arc<Shared>,
    /// `None`: refused already.
    sequence: Option<u64>,
}

impl Journal {
    /// Records a change, after all that were appended before it. To be called under the lock under which the change
    /// happens in memory: that alone makes the two orders one, and a snapshot complete.
    pub fn append(&self, entry: Entry<'_>) -> Receipt {
        let frame = segment::compose(|body| record::write(entry, body));
        Receipt { shared: Arc::clone(&self.shared), sequence: self.shared.lay_down(frame, true) }
    }

    /// A receipt for all that was appended before this call. For answers that change nothing, but tell of a change that
    /// somebody else may still be waiting for: nobody may hear of a state that a restart does not know.
    pub fn so_far(&self) -> Receipt {
        let desk = self.shared.desk();
        let sequence = desk.health.is_healthy().then_some(desk.changed);
        Receipt { shared: Arc::clone(&self.shared), sequence }
    }

    /// Records that the writer lives, for those who follow the files. It is not synced by itself.
    pub fn pulse(&self, at: Timestamp) {
        let _ = self.shared.lay_down(segment::compose(|body| record::write_pulse(at, body)), false);
    }

    pub fn health(&self) -> Health {
        self.shared.desk().health.clone()
    }

    /// Whether there are changes that the snapshot does not cover. A heartbeat is none.
    pub fn has_news(&self) -> bool {
        let desk = self.shared.desk();
        desk.changed >= desk.covered
    }

    /// How many records a restart would have to replay over the snapshot.
    pub fn uncovered(&self) -> u64 {
        let desk = self.shared.desk();
        desk.next - desk.covered
    }

    /// When the last snapshot round of this process began that was finished.
    pub fn snapshot_at(&self) -> Option<Timestamp> {
        let micros = self.shared.snapshot_at.load(Ordering::Relaxed);
        (micros > 0).then(|| Timestamp::from_micros(micros))
    }

    /// Takes down that a round was finished that began at this time.
    pub fn snapshot_finished(&self, began: Timestamp) {
        self.shared.snapshot_at.store(began.as_micros(), Ordering::Relaxed);
    }

    /// How long the disk has taken for each sync.
    pub fn syncs(&self) -> &Histogram {
        &self.shared.syncs
    }

    /// Has the writer write and sync what waits, and end. What is appended from now on is refused.
    pub fn close(&self) {
        let mut desk = self.shared.desk();
        desk.closing = true;
        self.shared.wake(desk);
    }
}

impl Receipt {
    /// Waits until the change is on the disk.
    ///
    /// # Errors
    /// When nobody can say whether it is, or ever will be: the change is *in doubt*. A restart may know it or not.
    pub async fn durable(self) -> Result<(), NotDurable> {
        let sequence = self.sequence.ok_or(NotDurable)?;
        let mut progress = self.shared.progress.subscribe();
        let decided = progress.wait_for(|progress| progress.of(sequence).is_some()).await.map_err(|_| NotDurable)?;
        if decided.of(sequence) == Some(true) { Ok(()) } else { Err(NotDurable) }
    }

    /// The same, blocking the thread.
    ///
    /// # Errors
    /// As [`Receipt::durable`].
    pub fn wait(self) -> Result<(), NotDurable> {
        let sequence = self.sequence.ok_or(NotDurable)?;
        let desk = self.shared.wait_until(|desk| desk.progress.of(sequence).is_some());
        if desk.progress.of(sequence) == Some(true) { Ok(()) } else { Err(NotDurable) }
    }
}

/// What appenders, the writer and whoever writes a snapshot share.
pub(super) struct Shared {
    desk: Mutex<Desk>,
    /// There is work for the writer.
    pub work: Condvar,
    /// Something was decided.
    done: Condvar,
    progress: watch::Sender<Progress>,
    /// How long the disk takes to sync.
    pub syncs: Histogram,
    /// When the last round began that was finished, in microseconds; zero before the first.
    snapshot_at: AtomicU64,
}

impl Shared {
    pub(super) fn new(desk: Desk) -> Self {
        let progress = watch::Sender::new(desk.progress);
        Self {
            desk: Mutex::new(desk),
            work: Condvar::new(),
            done: Condvar::new(),
            progress,
            syncs: Histogram::default(),
            snapshot_at: AtomicU64::new(0),
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        // Nothing panics while it is held, and every statement leaves it whole.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lay_down(&self, frame: Option<Vec<u8>>, awaited: bool) -> Option<u64> {
        let mut desk = self.desk();
        let was_broken = desk.health.is_broken();
        let sequence = desk.lay_down(frame, awaited);
        if desk.health.is_broken() {
            // It has just broken for all who wait, or this change alone is refused.
            if !was_broken {
                self.publish(desk);
            }
            return None;
        }
        self.wake(desk);
        sequence
    }

    /// Lets go of the desk and wakes the writer if it sleeps: a wake costs a system call.
    pub(super) fn wake(&self, mut desk: MutexGuard<'_, Desk>) {
        let asleep = std::mem::take(&mut desk.asleep);
        drop(desk);
        if asleep {
            self.work.notify_one();
        }
    }

    /// Lets go of the desk and tells those who wait what it says.
    pub(super) fn publish(&self, desk: MutexGuard<'_, Desk>) {
        let (progress, blocked) = (desk.progress, desk.blocked > 0);
        // Waking many takes long.
        drop(desk);
        if blocked {
            self.done.notify_all();
        }
        self.progress.send_if_modified(|told| {
            let later = progress.step > told.step;
            if later {
                *told = progress;
            }
            later
        });
    }

    /// Blocks until something has been decided.
    fn wait_until(&self, decided: impl Fn(&Desk) -> bool) -> MutexGuard<'_, Desk> {
        let mut desk = self.desk();
        desk.blocked += 1;
        while !decided(&desk) {
            desk = self.done.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
        desk.blocked -= 1;
        desk
    }

    /// Blocks until all that was appended before this call is synced, whatever the mode.
    pub(super) fn sync(&self) -> Result<(), FilesError> {
        let mut desk = self.desk();
        let last = desk.next - 1;
        desk.wanted = desk.wanted.max(last);
        self.wake(desk);
        let desk = self.wait_until(|desk| desk.synced >= last || desk.health.is_broken());
        match &desk.health {
            Health::Broken { why, .. } => Err(FilesError::Broken { why: Arc::clone(why) }),
            Health::Healthy | Health::Mending { .. } => Ok(()),
        }
    }
}
