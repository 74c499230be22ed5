//! Opening: the directory as recovery has found it becomes one that is written to.
//!
//! Guarantees: what recovery has read is on the disk, and what it has left out is gone, before anything is added; a
//! segment that another process has written is never appended to; a crash in between is one more recovery.
//! Does not know: threads; whoever opens runs the writer.

use std::fs::OpenOptions;
use std::sync::Arc;
use std::time::Instant;

use super::desk::Desk;
use super::disk::{Disk, LocalDisk};
use super::error::FilesError;
use super::journal::{Fsync, Journal, Shared};
use super::recovery::Recovered;
use super::round::Snapshots;
use super::segment;
use super::writer::{Open, Writer};

/// The three hands on the files.
pub struct Opened {
    pub journal: Journal,
    pub snapshots: Snapshots,
    /// To be run on a thread of its own; until then nothing is written.
    pub writer: Writer,
}

/// Begins a new segment behind what was recovered. Nobody else may write to the directory.
///
/// A snapshot round should follow soon: until then the files that a crash has left are needed.
///
/// # Errors
/// When the disk refuses.
pub fn open(recovered: &Recovered, fsync: Fsync) -> Result<Opened, FilesError> {
    open_on(Arc::new(LocalDisk), recovered, fsync)
}

pub(in crate::store) fn open_on(
    disk: Arc<dyn Disk>,
    recovered: &Recovered,
    fsync: Fsync,
) -> Result<Opened, FilesError> {
    let Recovered { directory, next, covers, held, last, leftovers, .. } = recovered;
    if let Some((segment, length)) = last {
        let io = |what| FilesError::io(&segment.file, what);
        let file = OpenOptions::new().write(true).open(&segment.file).map_err(io("open"))?;
        if file.metadata().map_err(io("read"))?.len() > *length {
            disk.truncate(&file, *length).map_err(io("cut"))?;
        }
        // A process that was killed may have left its last records to the system: memory has them, and what follows
        // builds on that.
        disk.sync(&file).map_err(io("sync"))?;
    }
    for leftover in leftovers {
        disk.remove(leftover).map_err(FilesError::io(leftover, "delete"))?;
    }
    let file = segment::prepare(&*disk, directory, *next, *held)?;
    segment::reveal(&*disk, directory, *next)?;
    let shared = Arc::new(Shared::new(Desk::new(*next, covers + 1)));
    Ok(Opened {
        journal: Journal { shared: Arc::clone(&shared) },
        snapshots: Snapshots { shared: Arc::clone(&shared), disk: Arc::clone(&disk), directory: directory.clone() },
        writer: Writer {
            shared,
            disk,
            directory: directory.clone(),
            fsync,
            segment: Some(Open::new(file, segment::path(directory, *next), *next)),
            held: *held,
            batch: Vec::new(),
            synced_at: Instant::now(),
        },
    })
}
