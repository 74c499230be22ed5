//! `portcullis store salvage`: a new directory from what damaged files still tell.
//!
//! Guarantees: nothing is written over, and nothing is written where it reads; what is lost is said, and told apart from
//! what a start would have left out as well.
//! Does not know: keys. It says that they are needed.

use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::clock;
use crate::store::files::{self, Recovered, Replay};
use crate::token::{Restoration, Session, SessionId, Timestamp};

use super::StoreError;
use super::place;

/// Returns whether nothing is lost.
pub(super) fn run(directory: &Path, to: &Path, out: &mut impl Write) -> Result<bool, StoreError> {
    if place::is_empty(directory)? {
        return Err(StoreError::Nothing(directory.to_owned()));
    }
    let in_use = place::is_in_use(directory);
    if in_use {
        writeln!(out, "note: {}", place::use_of(directory))?;
    }
    // Where a start would succeed, what is skipped is what it would leave out too.
    let start: Option<Recovered> = place::read::<Nothing>(directory).ok().map(|(_, recovered)| recovered);
    let made = make(directory, to)?;
    let salvaged = files::salvage(directory, &to.join(files::SNAPSHOT), clock::wall()).inspect_err(|_| {
        if made {
            // If it cannot be removed it is an empty directory, into which the next try may write.
            let _ = fs::remove_dir(to);
        }
    })?;
    match &start {
        Some(recovered) => {
            for notice in place::notices(recovered, in_use) {
                writeln!(out, "note: {notice}")?;
            }
            writeln!(out, "note: nothing is lost: a start on {} would succeed as well", directory.display())?;
        }
        None => {
            for skipped in &salvaged.skipped {
                let (file, offset, bytes, why) = (skipped.file.display(), skipped.offset, skipped.bytes, &skipped.why);
                writeln!(out, "skipped: {file}: byte {offset}, {bytes} bytes: {why}")?;
            }
            writeln!(out, "missing: {} changes of the journal", salvaged.missing)?;
        }
    }
    let (sessions, tombstones) = (salvaged.sessions, salvaged.tombstones);
    let written = to.join(files::SNAPSHOT);
    writeln!(out, "written: {}: {sessions} sessions, {tombstones} ended ones", written.display())?;
    let keys = directory.join("keys");
    let (keys, to) = (keys.display(), to.display());
    writeln!(out, "keys are not copied; before a start: cp -a {keys} {to}/")?;
    writeln!(out, "then: portcullis serve --data-dir {to}")?;
    Ok(start.is_some())
}

/// Makes the directory if it is not there, and returns whether it was made.
fn make(directory: &Path, to: &Path) -> Result<bool, StoreError> {
    let trouble = |what| move |source| StoreError::Io { path: to.to_owned(), what, source };
    let made = match fs::read_dir(to) {
        Ok(mut entries) => match entries.next() {
            Some(_) => return Err(StoreError::Occupied(to.to_owned())),
            None => false,
        },
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(StoreError::NotADirectory(to.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(source) => return Err(trouble("list")(source)),
    };
    if within(directory, to).map_err(trouble("look at"))? {
        return Err(StoreError::Within(to.to_owned()));
    }
    if made {
        // It will hold names and addresses.
        DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(trouble("make the directory"))?;
    }
    Ok(made)
}

/// Whether `to`, which need not exist, is or would be in `directory`.
fn within(directory: &Path, to: &Path) -> std::io::Result<bool> {
    let (directory, to): (PathBuf, PathBuf) = (directory.canonicalize()?, std::path::absolute(to)?);
    // The last of its parents that exists, and may be a link.
    let exists = to.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    Ok(exists.is_some_and(|exists| exists.starts_with(directory)))
}

/// Only whether it could be read is asked.
#[derive(Default)]
struct Nothing;

impl Replay for Nothing {
    fn session(&mut self, _: Box<Session>) {}

    fn tombstone(&mut self, _: SessionId, _: Timestamp) {}

    fn restored(&mut self, _: Restoration) {}
}
