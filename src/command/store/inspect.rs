//! `portcullis store inspect`: a summary, or the sessions in question.
//!
//! Guarantees: with `--json` standard output holds one object per line and nothing else.
//! Does not know: how a single session is spelled.

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::store::files::{self, FilesError, SnapshotReader};
use crate::token::SessionId;

use super::StoreError;
use super::contents::{self, Contents};
use super::export::line;
use super::journal;
use super::view::{RestorationView, SessionView, TombstoneView, rfc3339};

/// What to print instead of a summary.
#[derive(Debug, clap::Args)]
pub(in crate::command) struct Filter {
    /// This session, live or ended
    #[arg(long, value_name = "ID", group = "view", allow_hyphen_values = true)]
    session: Option<SessionId>,
    /// The sessions of this user
    #[arg(long, value_name = "NAME", group = "view", allow_hyphen_values = true)]
    subject: Option<String>,
    /// Ended sessions that are remembered, as their access tokens may still be about
    #[arg(long, group = "view")]
    tombstones: bool,
    /// The journal, record by record
    #[arg(long, group = "view")]
    journal: bool,
    /// With --journal: from this sequence number on
    #[arg(long, value_name = "SEQ", requires = "journal")]
    from: Option<u64>,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(directory: &Path, filter: &Filter, out: &mut impl Write) -> Result<(), StoreError> {
    if filter.journal {
        return journal::run(directory, filter.from.unwrap_or(0), filter.json, out);
    }
    let contents = contents::read(directory)?;
    contents.tell_notes(directory)?;
    if filter.session.is_none() && filter.subject.is_none() && !filter.tombstones {
        return Ok(print(out, filter.json, &Summary::new(directory, &contents)?)?);
    }
    let Contents { sessions, tombstones, now, .. } = &contents;
    let mut found = 0;
    for session in sessions {
        let named = filter.subject.as_deref() == Some(session.subject.as_str());
        if named || filter.session == Some(session.id) {
            found += 1;
            print(out, filter.json, &SessionView::new(session, *now))?;
        }
    }
    for (id, until) in tombstones {
        if filter.tombstones || filter.session == Some(*id) {
            found += 1;
            print(out, filter.json, &TombstoneView::new(*id, *until))?;
        }
    }
    match filter.session {
        Some(id) if found == 0 => Err(StoreError::Unknown { directory: directory.to_owned(), id }),
        _ => Ok(()),
    }
}

/// One object, or one for people.
pub(super) fn print(out: &mut impl Write, json: bool, view: &(impl Serialize + Display)) -> io::Result<()> {
    if json { line(out, view) } else { writeln!(out, "{view}") }
}

#[derive(Serialize)]
struct Summary {
    kind: &'static str,
    directory: String,
    in_use: bool,
    live: usize,
    expired: usize,
    /// Who has a live session.
    users: usize,
    tombstones: usize,
    restorations: Vec<RestorationView>,
    newest_change: Option<String>,
    next_sequence: u64,
    snapshot: Option<Snapshot>,
    journal: Journal,
}

#[derive(Serialize)]
struct Snapshot {
    format: u32,
    covers: u64,
    written_at: Option<String>,
    age: Option<u64>,
    bytes: u64,
}

#[derive(Serialize)]
struct Journal {
    files: usize,
    bytes: u64,
}

impl Summary {
    fn new(directory: &Path, contents: &Contents) -> Result<Self, FilesError> {
        let Contents { sessions, tombstones, restorations, recovered, now, in_use } = contents;
        let length = |file: &Path| file.metadata().map_or(0, |metadata| metadata.len());
        let live: Vec<_> = sessions.iter().filter(|session| !session.expired(*now)).collect();
        let file = directory.join(files::SNAPSHOT);
        let snapshot = SnapshotReader::open(&file)?.map(|reader| Snapshot {
            format: reader.version(),
            covers: reader.covers(),
            written_at: reader.written_at().map(rfc3339),
            age: reader.written_at().map(|at| now.saturating_since(at).as_secs()),
            bytes: length(&file),
        });
        let segments = files::list(directory)?;
        Ok(Self {
            kind: "summary",
            directory: directory.display().to_string(),
            in_use: *in_use,
            live: live.len(),
            expired: sessions.len() - live.len(),
            users: live.iter().map(|session| &session.subject).collect::<HashSet<_>>().len(),
            tombstones: tombstones.len(),
            restorations: restorations.iter().map(RestorationView::new).collect(),
            newest_change: (recovered.newest.as_micros() > 0).then(|| rfc3339(recovered.newest)),
            next_sequence: recovered.next,
            snapshot,
            journal: Journal {
                files: segments.len(),
                bytes: segments.iter().map(|segment| length(&segment.file)).sum(),
            },
        })
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "directory      {}{}", self.directory, if self.in_use { " (a gate is running)" } else { "" })?;
        writeln!(f, "sessions       {} live, {} expired", self.live, self.expired)?;
        writeln!(f, "users          {} with a live session", self.users)?;
        writeln!(f, "tombstones     {}", self.tombstones)?;
        for restoration in &self.restorations {
            writeln!(f, "{restoration}")?;
        }
        writeln!(f, "newest change  {}", self.newest_change.as_deref().unwrap_or("none"))?;
        writeln!(f, "next sequence  {}", self.next_sequence)?;
        match &self.snapshot {
            None => writeln!(f, "snapshot       none")?,
            Some(Snapshot { format, covers, written_at, age, bytes }) => {
                write!(f, "snapshot       {bytes} bytes, format {format}, covers sequence {covers}")?;
                match (written_at, age) {
                    (Some(at), Some(age)) => writeln!(f, ", written {at}, {age} s ago")?,
                    _ => writeln!(f)?,
                }
            }
        }
        write!(f, "journal        {} bytes in {} files", self.journal.bytes, self.journal.files)
    }
}
