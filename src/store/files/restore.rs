//! Restoring: an older copy takes the place of the files of a directory.
//!
//! Guarantees: the change is one rename, before which all is as it was and after which a start finds what was restored;
//! nothing is deleted that is not in the folder for what was replaced first; sequences do not fall.
//! Does not know: which tokens are lost by that ([`Restoration`] does), who else might write: the caller holds the lock.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::token::{Restoration, Timestamp};

use super::disk::{Disk, LocalDisk};
use super::error::FilesError;
use super::record::Entry;
use super::replay::{Known, Replayed};
use super::snapshot::{self, Draft};
use super::{salvage, segment};

/// What is to be restored.
pub struct Plan<'a> {
    /// All that the backup holds, and what has been decided about it.
    pub memory: &'a Replayed,
    /// The sequence up to which the backup tells.
    pub covers: u64,
    pub restoration: Restoration,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Restored {
    pub sessions: u64,
    pub tombstones: u64,
    /// Where the files went that stood there before, if there were any.
    pub aside: Option<PathBuf>,
}

/// How far the files of `directory` have come, damaged as they may be: the last sequence, and the newest time.
///
/// Of what a newer version has written no more is known than the names of the segments.
///
/// # Errors
/// When a file cannot be read at all.
pub fn reach(directory: &Path) -> Result<(u64, Timestamp), FilesError> {
    match salvage::reach(directory) {
        Err(FilesError::Newer { .. }) => {
            let last = segment::list(directory)?.last().map_or(0, |segment| segment.first);
            Ok((last, Timestamp::default()))
        }
        reached => reached,
    }
}

/// Writes `plan` as the snapshot of `directory`. What stands there goes into the folder `aside`, which must not exist.
///
/// # Errors
/// When the disk refuses. Either nothing has happened but that the folder may be there, or all that counts.
pub fn restore(plan: &Plan<'_>, directory: &Path, aside: &Path) -> Result<Restored, FilesError> {
    let disk = LocalDisk;
    let (last, _) = reach(directory)?;
    let scratch = directory.join(snapshot::SCRATCH);
    // One that a crash has left behind may have any mode, and even be a link.
    let _ = disk.remove(&scratch);
    let mut restored = Restored::default();
    let draft = write(&disk, plan, scratch, plan.covers.max(last), &mut restored)?;
    let replaced = replaced(directory)?;
    if !replaced.is_empty() {
        set_aside(&disk, &replaced, aside)?;
        restored.aside = Some(aside.to_owned());
    }
    disk.sync_directory(directory).map_err(FilesError::io(directory, "sync"))?;
    let snapshot = directory.join(snapshot::NAME);
    draft.replace(&snapshot)?;
    disk.sync_directory(directory).map_err(FilesError::io(directory, "sync"))?;
    // The snapshot covers all of them: until they are gone, a start passes over them.
    for file in replaced.iter().filter(|file| **file != snapshot) {
        disk.remove(file).map_err(FilesError::io(file, "delete"))?;
    }
    disk.sync_directory(directory).map_err(FilesError::io(directory, "sync"))?;
    Ok(restored)
}

fn write<'a>(
    disk: &'a dyn Disk,
    plan: &Plan<'_>,
    scratch: PathBuf,
    covers: u64,
    restored: &mut Restored,
) -> Result<Draft<'a>, FilesError> {
    let Plan { memory, restoration, .. } = plan;
    let mut draft = Draft::create(disk, scratch, covers, restoration.restored)?;
    for restoration in memory.restorations.iter().chain([restoration]) {
        draft.put(Entry::Restored(restoration));
    }
    for (id, known) in &memory.entries {
        match known {
            Known::Live(_) => restored.sessions += 1,
            Known::Ended { .. } => restored.tombstones += 1,
        }
        draft.put(known.as_entry(*id));
        draft.drain()?;
    }
    // No clock may run behind the restoration: what is issued from now on must not be taken for lost.
    draft.close(restoration.restored)?;
    Ok(draft)
}

/// The files that count in a directory.
fn replaced(directory: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let mut files: Vec<_> = segment::list(directory)?.into_iter().map(|segment| segment.file).collect();
    files.push(directory.join(snapshot::NAME));
    files.retain(|file| file.symlink_metadata().is_ok());
    Ok(files)
}

/// Gives the files a second name in the folder. A file system that cannot has them copied.
fn set_aside(disk: &dyn Disk, files: &[PathBuf], aside: &Path) -> Result<(), FilesError> {
    DirBuilder::new().mode(0o700).create(aside).map_err(FilesError::io(aside, "make the folder"))?;
    for file in files {
        let Some(name) = file.file_name() else { continue };
        let other = aside.join(name);
        fs::hard_link(file, &other).or_else(|_| copy(file, &other)).map_err(FilesError::io(&other, "be made"))?;
    }
    disk.sync_directory(aside).map_err(FilesError::io(aside, "sync"))
}

fn copy(file: &Path, other: &Path) -> io::Result<()> {
    // With its mode.
    fs::copy(file, other)?;
    fs::File::open(other)?.sync_all()
}
