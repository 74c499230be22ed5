//! What can be wrong with the files, and what is worth saying although they could be read.
//!
//! Guarantees: a message is one line, names the file, the byte where there is one, and what to do; it never shows the
//! content of a record.
//! Does not know: where messages go.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files cannot be used as they are, or the disk refuses.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("{}: cannot {what}", file.display())]
    Io {
        file: PathBuf,
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{}: not a {what} of portcullis", file.display())]
    Foreign { file: PathBuf, what: &'static str },
    /// Only reading it as something else could do harm, so it is left alone.
    #[error(
        "{}: format version {version}; this portcullis reads up to {known}; install the newer portcullis again, or \
         restore a backup from before it",
        file.display()
    )]
    Newer { file: PathBuf, version: u32, known: u32 },
    #[error(
        "{}: record of kind {kind} at byte {offset}, which only a newer portcullis can have written; install that again",
        file.display()
    )]
    UnknownKind { file: PathBuf, offset: u64, kind: u8 },
    #[error(
        "{}: damaged at byte {offset}: {what}; restore a backup of the whole directory, or have `portcullis store \
         salvage` write a snapshot of all that is readable",
        file.display()
    )]
    Damaged { file: PathBuf, offset: u64, what: String },
    /// Records are missing between two files.
    #[error(
        "{}: goes on from record {from}, but what stands before it ends with record {end}; restore the missing files, or \
         have `portcullis store salvage` write a snapshot of all that is readable",
        file.display()
    )]
    Gap { file: PathBuf, from: u64, end: u64 },
    /// The journal takes nothing at the moment: see [`super::Health`].
    #[error("the journal is broken: {why}")]
    Broken { why: Arc<str> },
}

impl FilesError {
    pub(super) fn io(file: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { file: file.to_owned(), what, source }
    }

    pub(super) fn damaged(file: &Path, offset: u64, what: impl ToString) -> Self {
        Self::Damaged { file: file.to_owned(), offset, what: what.to_string() }
    }
}

/// Something that a crash, a full disk or an older portcullis has left, and that was dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The end of a file was never acknowledged to anybody: it is left out.
    Cut { file: PathBuf, offset: u64, bytes: u64 },
    /// Before `file` was begun the journal was broken and not mended any more: changes were refused, and are lost.
    Refused { file: PathBuf, changes: u64 },
    /// A file that nothing needs any more is deleted when the journal is opened.
    Leftover { file: PathBuf },
    /// The next snapshot is written in the present format.
    Migrated { file: PathBuf, version: u32 },
}

impl Notice {
    /// Whether something happened that does not happen in an ordinary life.
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::Refused { .. })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { file, offset, bytes } => write!(
                f,
                "{}: cut at byte {offset}: the {bytes} bytes behind it are what a crash leaves of changes that were \
                 never acknowledged",
                file.display()
            ),
            Self::Refused { file, changes } => write!(
                f,
                "{}: {changes} changes before it are not on the disk: they were answered with an error, as the disk \
                 could not be written",
                file.display()
            ),
            Self::Leftover { file } => write!(f, "{}: left behind by a crash, not needed", file.display()),
            Self::Migrated { file, version } => {
                write!(f, "{}: format version {version}, rewritten with the next snapshot", file.display())
            }
        }
    }
}
