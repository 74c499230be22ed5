//! `portcullis store`: looking at the files of the store without a gate, saving what damaged ones still tell,
//! restoring an older copy, and moving all of it to Redis or back.
//!
//! Guarantees: but for `restore` and `move`, nothing in the directory is changed, made or deleted, and no gate is kept from running on
//! it; what cannot be read is told with the words of a start, so with file, byte and what to do.
//! Does not know: formats, and what a session may do.

pub(super) mod contents;
pub(super) mod export;
mod help;
mod inspect;
mod journal;
mod place;
mod relocate;
mod restore;
mod salvage;
mod step;
mod verify;
mod view;

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::observe::chain;
use crate::store::files::{self, FilesError};
use crate::store::redis::MoveError;

use super::EXIT_CODES;
use place::Place;

/// Salvaged, but not everything.
const SKIPPED: u8 = 3;

/// Look at the files of the store, also beside a running gate; save what damaged ones still tell; restore a backup
#[derive(Debug, clap::Subcommand)]
#[command(after_help = format!("{EXIT_CODES} `salvage` also: 3 something is lost."))]
pub(super) enum StoreVerb {
    /// Read all files, say what is wrong with each, and whether a start would succeed
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", help::VERIFY))]
    Verify {
        #[command(flatten)]
        place: Place,
    },
    /// Print what the files tell: a summary, single sessions, or the journal record by record
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", help::INSPECT))]
    Inspect {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        filter: inspect::Filter,
    },
    /// Print all sessions and ends as JSON, one per line, for other tools
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", help::EXPORT))]
    Export {
        #[command(flatten)]
        place: Place,
    },
    /// Put a backup in the place of the store, and refuse the tokens that it does not know
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", help::RESTORE))]
    Restore {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        how: restore::How,
    },
    /// Move all sessions from the files to Redis, or back; nobody is signed out
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", help::MOVE))]
    Move {
        #[command(flatten)]
        place: Place,
        /// Where the sessions are to be
        #[arg(long, value_enum)]
        to: relocate::To,
    },
    /// Write a new directory with all that can still be read
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", help::SALVAGE))]
    Salvage {
        #[command(flatten)]
        place: Place,
        /// The directory to write, which must be empty or not exist
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
enum StoreError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("{}: there is no such directory", .0.display())]
    Nowhere(PathBuf),
    #[error("{}: not a directory", .0.display())]
    NotADirectory(PathBuf),
    #[error("{}: cannot {what}", path.display())]
    Io {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{}: no session {id} is known here", directory.display())]
    Unknown { directory: PathBuf, id: crate::token::SessionId },
    #[error("{}: not empty, and nothing is written over", .0.display())]
    Occupied(PathBuf),
    #[error("{}: lies in the directory that is read, where nothing is changed", .0.display())]
    Within(PathBuf),
    #[error("{}: neither a snapshot nor a journal is here, so there is nothing to save", .0.display())]
    Nothing(PathBuf),
    #[error("{}: neither a snapshot nor a journal is here, so there is nothing to restore", .0.display())]
    NothingToRestore(PathBuf),
    #[error("{}: a gate is running here; {what}", directory.display())]
    InUse { directory: PathBuf, what: &'static str },
    #[error("{}: the backup must be another directory than the one that is restored", .0.display())]
    Itself(PathBuf),
    #[error("{}: has been restored too often for its sessions to be told apart; move the snapshot and the journal away", .0.display())]
    TooOften(PathBuf),
    #[error("--revoke-issued-after lies in the future, so nothing was issued after it")]
    Future,
    #[error("store.kind is not \"redis\", so that nobody knows where the engine is")]
    NoEngine,
    #[error(transparent)]
    Engine(Box<crate::run::StartError>),
    #[error(transparent)]
    Move(MoveError),
    #[error("{}: sessions are kept here already, and nothing is written over", .0.display())]
    Kept(PathBuf),
    #[error(
        "{}: was restored from a backup, and tokens from the time that was lost are still about; they could not be told \
         apart on Redis: move the sessions when those have expired",
        .0.display()
    )]
    Restored(PathBuf),
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Runs a command and tells how it went.
pub(super) fn run(verb: StoreVerb) -> ExitCode {
    let (StoreVerb::Verify { place }
    | StoreVerb::Inspect { place, .. }
    | StoreVerb::Export { place }
    | StoreVerb::Restore { place, .. }
    | StoreVerb::Move { place, .. }
    | StoreVerb::Salvage { place, .. }) = &verb;
    let directory = match place.directory() {
        Ok(directory) => directory,
        Err(code) => return code,
    };
    let config = match &verb {
        StoreVerb::Move { place, .. } => match place.config() {
            Ok(config) => Some(config),
            Err(code) => return code,
        },
        _ => None,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    // What is restored may be all that there is.
    let there = if matches!(verb, StoreVerb::Restore { .. } | StoreVerb::Move { .. }) {
        Ok(())
    } else {
        place::look(&directory)
    };
    let done = there.and_then(|()| match verb {
        StoreVerb::Verify { .. } => verify::run(&directory, &mut out).map(|()| ExitCode::SUCCESS),
        StoreVerb::Inspect { filter, .. } => inspect::run(&directory, &filter, &mut out).map(|()| ExitCode::SUCCESS),
        StoreVerb::Export { .. } => export::run(&directory, &mut out).map(|()| ExitCode::SUCCESS),
        StoreVerb::Restore { how, .. } => restore::run(&directory, &how, &mut out).map(|()| ExitCode::SUCCESS),
        StoreVerb::Move { to, .. } => {
            let config = config.ok_or(StoreError::NoEngine)?;
            relocate::run(&directory, &config, to, &mut out).map(|()| ExitCode::SUCCESS)
        }
        StoreVerb::Salvage { to, .. } => {
            let lossless = salvage::run(&directory, &to, &mut out)?;
            Ok(if lossless { ExitCode::SUCCESS } else { ExitCode::from(SKIPPED) })
        }
    });
    // What was found out before something failed stands before the reason.
    match done.and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        // Whoever reads has read enough.
        Err(StoreError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = out.flush();
            eprintln!("portcullis: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}
