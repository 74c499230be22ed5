//! A snapshot round: one snapshot beside live traffic, and the journal cut behind it. After a break the same round is the
//! mend.
//!
//! Guarantees: one round at a time; stopped at any instant, by a crash or an error, what the files tell is what it was
//! before, or the same told shorter; no snapshot becomes visible that knows more than the synced journal.
//! Does not know: when a round is due, how memory is walked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use crate::token::Timestamp;

use super::disk::Disk;
use super::error::FilesError;
use super::journal::Shared;
use super::record::Entry;
use super::segment;
use super::snapshot::{self, Draft};

/// Who may write snapshots. There is one of it for each journal.
pub struct Snapshots {
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
}

/// A round that has begun. Dropped unfinished it leaves things as they are; the next one starts from here.
pub struct Round<'a> {
    snapshots: &'a Snapshots,
    base: u64,
    draft: Draft<'a>,
}

impl Snapshots {
    /// Bytes of the snapshot and of the journal. What cannot be read counts as nothing: a round would say why.
    pub fn sizes(&self) -> (u64, u64) {
        let length = |path: &Path| path.metadata().map_or(0, |file| file.len());
        let journal = segment::list(&self.directory).unwrap_or_default();
        let journal = journal.iter().map(|segment| length(&segment.file)).sum();
        (length(&self.directory.join(snapshot::NAME)), journal)
    }

    /// Step one: a new segment. From when this returns, all of memory has to be shown to [`Round::put`], each entry as it
    /// is at some instant after this call. Blocks for a few syncs.
    ///
    /// # Errors
    /// When the files cannot be made. The journal goes on as it is, healthy or not.
    pub fn begin(&mut self, now: Timestamp) -> Result<Round<'_>, FilesError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let mut desk = self.shared.desk();
        match desk.gone {
            true => drop(answer),
            false => desk.begin = Some(answer),
        }
        self.shared.wake(desk);
        let base = answered.recv().map_err(|_| FilesError::Broken { why: "the journal is closed".into() })??;
        let path = self.directory.join(snapshot::SCRATCH);
        // One that a crash has left behind may have any mode, and even be a link.
        let _ = self.disk.remove(&path);
        let draft = Draft::create(&*self.disk, path, base - 1, now)?;
        Ok(Round { snapshots: self, base, draft })
    }
}

impl Round<'_> {
    /// Adds an entry. It is only copied, so this may be called under the lock of the entry.
    pub fn put(&mut self, entry: Entry<'_>) {
        self.draft.put(entry);
    }

    /// Writes what was added, if it is much. To be called now and then while no lock is held.
    ///
    /// # Errors
    /// When the disk refuses; then the round is over.
    pub fn drain(&mut self) -> Result<(), FilesError> {
        self.draft.drain()
    }

    /// Step two: the snapshot takes its place, and what the journal held before it is deleted. A broken journal is
    /// healthy from then on. Blocks until the snapshot is on the disk.
    ///
    /// # Errors
    /// When the disk refuses. The files are whole in any case: if only the deleting failed, the snapshot stands, and the
    /// next round deletes.
    pub fn finish(mut self, newest: Timestamp) -> Result<(), FilesError> {
        let Snapshots { shared, disk, directory, .. } = self.snapshots;
        self.draft.close(newest)?;
        // The walk has seen changes that were appended after the segment began. Were the snapshot to stand before they are
        // in the journal, a restart would know some that nobody was told of, and not those before them.
        shared.sync()?;
        self.draft.replace(&directory.join(snapshot::NAME))?;
        disk.sync_directory(directory).map_err(FilesError::io(directory, "sync"))?;
        let mut desk = shared.desk();
        desk.heal(self.base);
        shared.publish(desk);
        for segment in segment::list(directory)?.iter().filter(|segment| segment.first < self.base) {
            disk.remove(&segment.file).map_err(FilesError::io(&segment.file, "delete"))?;
        }
        disk.sync_directory(directory).map_err(FilesError::io(directory, "sync"))
    }
}
