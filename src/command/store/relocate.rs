//! `portcullis store move`: all sessions from the files to Redis, or back.
//!
//! Guarantees: no gate runs on the files meanwhile, nor, as far as can be seen, on the engine; nothing is written over; what
//! was moved is found at its old place no more, so that no gate goes on from a state that was left; nobody is signed out.
//! Does not know: keys. They are the same at both places.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::clock;
use crate::config::Config;
use crate::run::{engine, policy};
use crate::store::redis::{self, Everything, MoveError};
use crate::store::{Remembered, SNAPSHOT};
use crate::token::Timestamp;

use super::restore::{lock, make, stamp};
use super::{StoreError, files, place};

/// Where the sessions are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::command) enum To {
    Redis,
    Files,
}

pub(super) fn run(directory: &Path, config: &Config, to: To, out: &mut impl Write) -> Result<(), StoreError> {
    let engine = engine(config).map_err(|error| StoreError::Engine(Box::new(error)))?.ok_or(StoreError::NoEngine)?;
    let policy = Arc::new(policy(config));
    make(directory)?;
    let _lock = lock(directory)?;
    let now = clock::wall();
    match to {
        To::Redis => {
            if place::is_empty(directory)? {
                return Err(StoreError::Nothing(directory.to_owned()));
            }
            let remembered = Remembered::read(directory)?;
            let now = now.max(remembered.newest());
            let (sessions, ends, restorations) = remembered.all();
            if restorations.iter().any(|restoration| !restoration.is_spent(now, &policy)) {
                return Err(StoreError::Restored(directory.to_owned()));
            }
            redis::keep(&engine, &policy, &sessions, &ends, now)?;
            let aside = put_aside(directory, now)?;
            writeln!(out, "moved to Redis: {} sessions, {} ended ones", sessions.len(), ends.len())?;
            writeln!(out, "the files that they were in are now in {aside}")?;
        }
        To::Files => {
            if !place::is_empty(directory)? {
                return Err(StoreError::Kept(directory.to_owned()));
            }
            let Everything { sessions, ends } = redis::remembered(&engine)?;
            let (live, ended) = (sessions.len(), ends.len());
            Remembered::write(directory, sessions, ends, policy, now)?;
            redis::forget(&engine)?;
            writeln!(out, "moved to {}: {live} sessions, {ended} ended ones", directory.display())?;
            writeln!(out, "then: store.kind = \"memory\", with the same keys")?;
        }
    }
    Ok(())
}

/// What was moved is not to be found by a gate that is started with the old configuration.
fn put_aside(directory: &Path, now: Timestamp) -> Result<String, StoreError> {
    let aside = directory.join(format!("replaced-{}", stamp(Timestamp::from_secs(now.as_secs()))));
    let trouble = |what| {
        let path = aside.clone();
        move |source| StoreError::Io { path, what, source }
    };
    fs::create_dir(&aside).map_err(trouble("make the directory"))?;
    // The snapshot last: without it the journal would be taken for all there is.
    let journal = files::list(directory)?.into_iter().rev().map(|segment| segment.file);
    for file in journal.chain([directory.join(SNAPSHOT)]) {
        if let Some(name) = file.file_name()
            && file.exists()
        {
            fs::rename(&file, aside.join(name)).map_err(trouble("move files to"))?;
        }
    }
    Ok(aside.display().to_string())
}

impl From<MoveError> for StoreError {
    fn from(error: MoveError) -> Self {
        Self::Move(error)
    }
}
