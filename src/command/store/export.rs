//! `portcullis store export`: everything as JSON, one object per line.
//!
//! Guarantees: standard output holds nothing else; names of fields stay what `--help` says.
//! Does not know: who reads it.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::StoreError;
use super::contents;
use super::view::{RestorationView, SessionView, TombstoneView};

pub(super) fn run(directory: &Path, out: &mut impl Write) -> Result<(), StoreError> {
    let contents = contents::read(directory)?;
    contents.tell_notes(directory)?;
    for session in &contents.sessions {
        line(out, &SessionView::new(session, contents.now))?;
    }
    for (id, until) in &contents.tombstones {
        line(out, &TombstoneView::new(*id, *until))?;
    }
    for restoration in contents.restorations.iter() {
        line(out, &RestorationView::new(restoration))?;
    }
    Ok(())
}

/// One object.
pub(in crate::command) fn line(out: &mut impl Write, view: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, view)?;
    out.write_all(b"\n")
}
