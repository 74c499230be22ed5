//! The writer: the one thread that writes the journal.
//!
//! Guarantees: what has gathered while one batch was on its way to the disk goes with the next, one write and one sync
//! for all; after a write or sync that failed nothing is ever added to that segment; nothing is acknowledged that the
//! disk has not.
//! Does not know: what the records say, when a segment should begin.

use std::fs::File;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::observe::chain;

use super::disk::Disk;
use super::error::FilesError;
use super::journal::{Fsync, Shared};
use super::segment;

/// Room for a batch that is kept for the next.
const KEPT: usize = 1 << 20;

/// To be run on a thread of its own, for as long as there is a journal.
pub struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
    pub(super) fsync: Fsync,
    /// `None` once it must not be written any more.
    pub(super) segment: Option<Open>,
    /// The last sequence that the segments up to the current one hold for certain, once that is given up.
    pub(super) held: u64,
    pub(super) batch: Vec<u8>,
    pub(super) synced_at: Instant,
}

/// The segment that is written.
pub(super) struct Open {
    pub file: File,
    pub path: PathBuf,
    pub first: u64,
    /// The last sequence written, and the last one synced.
    pub written: u64,
    pub synced: u64,
    /// The length of the file, and how much of it was acknowledged.
    pub length: u64,
    pub sound: u64,
}

impl Open {
    pub(super) fn new(file: File, path: PathBuf, first: u64) -> Self {
        let length = segment::HEADER as u64;
        Self { file, path, first, written: first - 1, synced: first - 1, length, sound: length }
    }
}

/// What lay on the desk.
struct Work {
    /// The last sequence of the batch.
    last: u64,
    sync: bool,
    begin: Option<SyncSender<Result<u64, FilesError>>>,
    close: bool,
}

impl Writer {
    /// Returns when the journal has been closed, and all it held is written and synced.
    pub fn run(mut self) {
        loop {
            let work = self.pick_up();
            // A failure is told to those who wait; here it only means that there is no segment any more.
            let _ = self.commit(work.last, work.sync);
            if let Some(answer) = work.begin {
                // Whoever asked may have gone.
                let _ = answer.send(self.begin());
            }
            if work.close {
                return;
            }
        }
    }

    /// Sleeps until there is something to do.
    fn pick_up(&mut self) -> Work {
        let shared = Arc::clone(&self.shared);
        let mut desk = shared.desk();
        loop {
            let due = self.sync_due();
            let wanted = self.segment.as_ref().is_some_and(|open| {
                // What was refused never comes here, so it is nothing to stay awake for.
                open.synced < desk.wanted && (open.synced < open.written || !desk.pending.is_empty())
            });
            let sync = match self.fsync {
                Fsync::Always => desk.awaited,
                Fsync::Interval(_) => due == Some(Duration::ZERO),
                Fsync::Never => false,
            };
            let sync = sync || wanted || desk.begin.is_some() || desk.closing;
            if sync || !desk.pending.is_empty() {
                mem::swap(&mut desk.pending, &mut self.batch);
                desk.awaited = false;
                desk.parted = sync;
                return Work { last: desk.next - 1, sync, begin: desk.begin.take(), close: desk.closing };
            }
            desk.asleep = true;
            desk = match due {
                None => shared.work.wait(desk).unwrap_or_else(PoisonError::into_inner),
                Some(due) => shared.work.wait_timeout(desk, due).unwrap_or_else(PoisonError::into_inner).0,
            };
            desk.asleep = false;
        }
    }

    /// How long until what is written has to be synced.
    fn sync_due(&self) -> Option<Duration> {
        let unsynced = self.segment.as_ref().is_some_and(|open| open.synced < open.written);
        match self.fsync {
            Fsync::Interval(interval) if unsynced => Some(interval.saturating_sub(self.synced_at.elapsed())),
            _ => None,
        }
    }

    /// Writes the batch, syncs if asked to, and tells those who wait.
    fn commit(&mut self, last: u64, sync: bool) -> Result<(), FilesError> {
        let mut batch = mem::take(&mut self.batch);
        let Some(mut open) = self.segment.take() else {
            return Ok(());
        };
        if !batch.is_empty() {
            if let Err(source) = self.disk.write(&open.file, &batch) {
                return Err(self.break_off(open, "write", source));
            }
            open.length += batch.len() as u64;
            open.written = last;
            if self.fsync != Fsync::Always {
                open.sound = open.length;
                self.tell(open.written, open.synced);
            }
            batch.clear();
        }
        if sync && open.synced < open.written {
            let began = Instant::now();
            if let Err(source) = self.disk.sync(&open.file) {
                return Err(self.break_off(open, "sync", source));
            }
            (open.synced, open.sound) = (open.written, open.length);
            self.synced_at = Instant::now();
            self.shared.syncs.observe(self.synced_at - began);
            self.tell(open.written, open.synced);
        }
        self.segment = Some(open);
        if batch.capacity() <= KEPT {
            self.batch = batch;
        }
        Ok(())
    }

    fn tell(&self, reached: u64, synced: u64) {
        let mut desk = self.shared.desk();
        desk.advance(reached, synced);
        self.shared.publish(desk);
    }

    /// After a failure nobody knows what of the segment is on the disk: the kernel may have thrown away what it could not
    /// write, and say yes the next time. So it is left alone, but for its end that nobody was told of: that is cut off, so
    /// that at best no restart finds any of it.
    fn break_off(&mut self, open: Open, what: &'static str, source: io::Error) -> FilesError {
        let _ = self.disk.truncate(&open.file, open.sound);
        self.held = open.synced;
        let error = FilesError::Io { file: open.path, what, source };
        self.refuse_from_now_on(&error);
        error
    }

    fn refuse_from_now_on(&self, why: &FilesError) {
        let mut desk = self.shared.desk();
        desk.break_off(&chain(why));
        self.shared.publish(desk);
    }

    fn give_up(&mut self) {
        if let Some(open) = self.segment.take() {
            self.held = open.synced;
        }
    }

    /// Begins the segment that a snapshot will go with. Returns its first sequence: whatever has a smaller one has
    /// happened in memory, and whatever has not is in this segment.
    fn begin(&mut self) -> Result<u64, FilesError> {
        let shared = Arc::clone(&self.shared);
        let mut desk = shared.desk();
        let Some(open) = self.segment.as_ref().filter(|_| !desk.health.is_broken()) else {
            let first = desk.start_mending();
            drop(desk);
            return self.mend(first);
        };
        if open.first != desk.covered || open.first == desk.next {
            // The snapshot that was to go with it never came about, or there is nothing in it.
            return Ok(open.first);
        }
        let first = desk.next;
        mem::swap(&mut desk.pending, &mut self.batch);
        (desk.awaited, desk.parted) = (false, true);
        drop(desk);
        // Also the heartbeats at the end of the old segment: the new one says that all of that is there.
        self.commit(first - 1, true)?;
        // While this fails the old segment goes on.
        let file = segment::prepare(&*self.disk, &self.directory, first, first - 1)?;
        if let Err(error) = segment::reveal(&*self.disk, &self.directory, first) {
            // From here on neither can be written: after a power cut there may be both, or only the old one.
            self.give_up();
            self.refuse_from_now_on(&error);
            return Err(error);
        }
        self.segment = Some(Open::new(file, segment::path(&self.directory, first), first));
        Ok(first)
    }

    /// Begins the segment that the snapshot after a break will go with.
    fn mend(&mut self, first: u64) -> Result<u64, FilesError> {
        // One that broke because too much waited is still here.
        self.give_up();
        let begun = segment::prepare(&*self.disk, &self.directory, first, self.held)
            .and_then(|file| segment::reveal(&*self.disk, &self.directory, first).map(|()| file));
        match begun {
            Ok(file) => {
                self.segment = Some(Open::new(file, segment::path(&self.directory, first), first));
                self.shared.desk().begun(first);
                Ok(first)
            }
            Err(error) => {
                self.refuse_from_now_on(&error);
                Err(error)
            }
        }
    }
}

impl Drop for Writer {
    /// However the writer ends, nobody waits for it in vain.
    fn drop(&mut self) {
        let mut desk = self.shared.desk();
        desk.gone = true;
        desk.begin = None;
        desk.break_off("the journal is closed");
        self.shared.publish(desk);
    }
}
