//! The desk: where appenders lay down their records and the writer picks them up.
//!
//! Guarantees: held for the copy of one record and no longer, never over I/O; a sequence is given once, also to changes
//! that are refused; what becomes of every sequence is decided here, in one place.
//! Does not know: files, threads.
//!
//! The three healths and what an appended record meets:
//!
//! | health | recorded | its receipt |
//! |---|---|---|
//! | healthy | yes | waits for the disk |
//! | broken | no | fails at once |
//! | mending | yes | fails at once |

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use super::error::FilesError;
use super::segment;

/// Records that may wait for the disk, in bytes: some 200,000 rotations. A disk that is so far behind does not come back
/// while somebody waits for an answer.
pub(super) const MAX_PENDING: usize = 32 << 20;

/// Whether changes are recorded and can be acknowledged.
#[derive(Clone, Debug)]
pub enum Health {
    Healthy,
    /// Nothing is recorded. [`super::Snapshots::begin`] tries to mend it.
    Broken {
        since: Instant,
        why: Arc<str>,
    },
    /// Changes are recorded again, but those that were lost on the way are on no disk until the snapshot stands.
    Mending {
        since: Instant,
        why: Arc<str>,
    },
}

impl Health {
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }
}

/// What became of the changes that receipts wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Up to here they are on the disk, but for those below.
    pub acknowledged: u64,
    /// Those that the last break has caught: behind the first, up to the second. Those of an earlier break are by now in
    /// the snapshot that mended it.
    pub failed: (u64, u64),
    /// Counts what is decided, so that of two tellings the later one is known.
    pub step: u64,
}

impl Progress {
    /// `None`: not decided yet.
    pub(super) fn of(self, sequence: u64) -> Option<bool> {
        let (behind, up_to) = self.failed;
        if behind < sequence && sequence <= up_to {
            Some(false)
        } else {
            (sequence <= self.acknowledged).then_some(true)
        }
    }
}

pub(super) struct Desk {
    /// Frames for the current segment, in the order of their sequences.
    pub pending: Vec<u8>,
    /// Whether a receipt waits for any of them: a heartbeat alone is not worth a sync.
    pub awaited: bool,
    /// Whether what was picked up last is synced before what is pending now is written.
    pub parted: bool,
    /// The sequence of the next record, and of the last one that is no heartbeat.
    pub next: u64,
    pub changed: u64,
    pub health: Health,
    pub progress: Progress,
    /// All up to here is in the journal as the mode demands, and all up to there is synced; what was refused before the
    /// current segment aside.
    pub reached: u64,
    pub synced: u64,
    /// Somebody waits for all up to here to be synced, whatever the mode.
    pub wanted: u64,
    /// The first sequence that the snapshot on the disk does not cover.
    pub covered: u64,
    /// Somebody waits for a segment to begin.
    pub begin: Option<SyncSender<Result<u64, FilesError>>>,
    /// The writer sleeps and has to be woken.
    pub asleep: bool,
    /// How many threads block on the progress.
    pub blocked: usize,
    pub closing: bool,
    /// The writer is no more: nobody will answer.
    pub gone: bool,
}

impl Desk {
    /// The next change has the sequence `next`; the snapshot covers all before `covered`.
    pub(super) fn new(next: u64, covered: u64) -> Self {
        let before = next - 1;
        Self {
            pending: Vec::new(),
            awaited: false,
            parted: true,
            next,
            changed: before,
            health: Health::Healthy,
            progress: Progress { acknowledged: before, failed: (before, before), step: 0 },
            reached: before,
            synced: before,
            wanted: 0,
            covered,
            begin: None,
            asleep: false,
            blocked: 0,
            closing: false,
            gone: false,
        }
    }

    /// Lays down a composed frame; `None` stands for one that cannot be. Returns the sequence to wait for, or `None` if
    /// the change is refused.
    pub(super) fn lay_down(&mut self, frame: Option<Vec<u8>>, awaited: bool) -> Option<u64> {
        let sequence = self.next;
        self.next += 1;
        if awaited {
            self.changed = sequence;
        }
        if self.health.is_broken() {
            return None;
        }
        // From here on a change that cannot be recorded breaks the journal: without a snapshot that has it, the files
        // would tell less than what they seem to.
        let Some(mut frame) = frame else {
            self.break_off("a change is too large to be recorded");
            return None;
        };
        if self.pending.len() + frame.len() > MAX_PENDING {
            self.break_off("the disk is too slow: too much waits to be written");
            return None;
        }
        segment::stamp(&mut frame, sequence, !(self.pending.is_empty() && self.parted));
        self.pending.extend_from_slice(&frame);
        self.awaited |= awaited;
        self.health.is_healthy().then_some(sequence)
    }

    /// Nothing is recorded any more, and whatever receipts wait for fails.
    pub(super) fn break_off(&mut self, why: &str) {
        let since = match &self.health {
            Health::Healthy => {
                self.progress.failed = (self.progress.acknowledged, self.next - 1);
                self.progress.step += 1;
                Instant::now()
            }
            Health::Mending { since, .. } => *since,
            Health::Broken { .. } => return,
        };
        self.health = Health::Broken { since, why: why.into() };
        self.pending.clear();
        self.awaited = false;
    }

    /// Changes are recorded again, for the segment that begins with the sequence returned.
    pub(super) fn start_mending(&mut self) -> u64 {
        if let Health::Broken { since, why } = &self.health {
            self.health = Health::Mending { since: *since, why: Arc::clone(why) };
        }
        self.parted = true;
        self.next
    }

    /// The segment that begins with `first` is there.
    pub(super) fn begun(&mut self, first: u64) {
        (self.reached, self.synced) = (first - 1, first - 1);
    }

    /// The snapshot that covers all before `base` stands.
    pub(super) fn heal(&mut self, base: u64) {
        self.covered = base;
        if matches!(self.health, Health::Mending { .. }) {
            self.health = Health::Healthy;
            self.advance(self.reached, self.synced);
            // The snapshot has what the break had caught. Who asks from now on how things stand must not hear of that.
            self.progress.failed = (self.progress.acknowledged, self.progress.acknowledged);
        }
    }

    /// Notes what the writer has done.
    pub(super) fn advance(&mut self, reached: u64, synced: u64) {
        (self.reached, self.synced) = (reached, synced);
        if self.health.is_healthy() {
            self.progress.acknowledged = reached;
            self.progress.step += 1;
        }
    }
}
