//! Which directory is meant, and whether a gate runs there.
//!
//! Guarantees: a directory that is named needs no configuration; what a running gate does meanwhile is not taken for
//! damage.
//! Does not know: what is done with what is read.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::Whereabouts;
use crate::config::Config;
use crate::store::files::{self, FilesError, Notice, Recovered, Replay};

use super::StoreError;

/// A running gate may replace the files while they are read; ten times in a row it does not.
const READINGS: usize = 10;

/// Where the files are.
#[derive(Debug, clap::Args)]
pub(in crate::command) struct Place {
    /// The directory to look at, for which no configuration is read; without this the configured data_dir
    #[arg(value_name = "DIR", conflicts_with_all = ["data_dir", "set"])]
    directory: Option<PathBuf>,
    #[command(flatten)]
    whereabouts: Whereabouts,
}

impl Place {
    /// # Errors
    /// The exit code, when the configuration is wrong and that has been told.
    pub(super) fn directory(&self) -> Result<PathBuf, ExitCode> {
        match &self.directory {
            Some(directory) => Ok(directory.clone()),
            None => self.whereabouts.configured().map(|config| config.data_dir),
        }
    }
}

impl Place {
    /// The configuration, also beside a directory that is named.
    ///
    /// # Errors
    /// As [`Place::directory`].
    pub(super) fn config(&self) -> Result<Config, ExitCode> {
        self.whereabouts.configured()
    }
}

/// Whether there is anything to look into.
pub(super) fn look(directory: &Path) -> Result<(), StoreError> {
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(StoreError::NotADirectory(directory.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(StoreError::Nowhere(directory.to_owned())),
        Err(source) => Err(StoreError::Io { path: directory.to_owned(), what: "look at", source }),
    }
}

/// Whether there is neither a snapshot nor a journal.
pub(super) fn is_empty(directory: &Path) -> Result<bool, FilesError> {
    let snapshot = directory.join(files::SNAPSHOT).symlink_metadata().is_ok();
    Ok(!snapshot && files::list(directory)?.is_empty())
}

/// What is said of a directory without files.
pub(super) fn emptiness(directory: &Path) -> String {
    format!("{}: no sessions are kept here: there is neither a snapshot nor a journal", directory.display())
}

/// Whether a gate holds the lock.
pub(super) fn is_in_use(directory: &Path) -> bool {
    // Shared, and let go of at once: a gate that starts in this very instant waits for no more than that.
    let lock = File::open(directory.join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// What is said of a directory in use.
pub(super) fn use_of(directory: &Path) -> String {
    format!(
        "{}: a gate is running here, and may change the files at any moment: the end of the newest segment may be a change \
         under way",
        directory.display()
    )
}

/// Reads what a start would read.
///
/// # Errors
/// As a start; beside a running gate only what two readings in a row have found.
pub(super) fn read<M: Replay + Default>(directory: &Path) -> Result<(M, Recovered), FilesError> {
    let mut said = Vec::new();
    loop {
        let mut memory = M::default();
        match files::read(directory, &mut memory) {
            Ok(recovered) => return Ok((memory, recovered)),
            Err(error) => {
                let text = error.to_string();
                if said.last() == Some(&text) || said.len() == READINGS || !is_in_use(directory) {
                    return Err(error);
                }
                said.push(text);
            }
        }
    }
}

/// The notices that mean something: what a running gate is about to rename is not left behind by a crash.
pub(super) fn notices(recovered: &Recovered, in_use: bool) -> impl Iterator<Item = &Notice> {
    recovered.notices.iter().filter(move |notice| !in_use || matches!(notice, Notice::Refused { .. }))
}
