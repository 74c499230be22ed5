//! `portcullis store restore`: an older copy takes the place of the store, and what it does not know is refused.
//!
//! Guarantees: the backup is read to its end before anything is written; no gate runs on the directory meanwhile; nothing
//! is deleted; when it returns, nothing that is issued from then on can be taken for what is lost.
//! Does not know: keys. They stay.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::store::files::{self, Known, Plan, Recovered, Replayed, Restored};
use crate::token::{Restoration, Restorations, Session, SessionId, Timestamp};

use super::StoreError;
use super::place;
use super::view::rfc3339;

/// Beyond the leeway that any configuration allows.
const MARGIN: Duration = Duration::from_mins(10);
const SECOND: Duration = Duration::from_secs(1);

/// How to restore.
#[derive(Debug, clap::Args)]
pub(in crate::command) struct How {
    /// The copy of a data directory to restore: its snapshot, its journal, or both
    #[arg(long, value_name = "BACKUP")]
    from: PathBuf,
    /// Take tokens of the lost time as they are, so that clients need not sign in again
    #[arg(long)]
    adopt: bool,
    /// Refuse what was issued after this and until now: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    revoke_issued_after: Option<Instant>,
}

/// A time as a person writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command) struct Instant(Timestamp);

impl FromStr for Instant {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(secs) = text.parse() {
            return Ok(Self(Timestamp::from_secs(secs)));
        }
        let at = text.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_microsecond()).ok());
        let at = at.ok_or("must be a time such as 2026-11-22T12:46:37Z or 1795351597")?;
        Ok(Self(Timestamp::from_micros(at)))
    }
}

pub(super) fn run(directory: &Path, how: &How, out: &mut impl Write) -> Result<(), StoreError> {
    let backup = &how.from;
    place::look(backup)?;
    make(directory)?;
    let _lock = lock(directory)?;
    if is_same(backup, directory) {
        return Err(StoreError::Itself(backup.clone()));
    }
    if place::is_in_use(backup) {
        return Err(StoreError::InUse { directory: backup.clone(), what: "stop it, or copy its files first" });
    }
    if place::is_empty(backup)? {
        return Err(StoreError::NothingToRestore(backup.clone()));
    }
    let mut memory = Replayed::default();
    let recovered = files::read(backup, &mut memory)?;
    if memory.restorations.iter().count() >= Restorations::MOST {
        return Err(StoreError::TooOften(backup.clone()));
    }
    let (_, newest) = files::reach(directory)?;
    let moment = clock::wall().max(recovered.newest).max(newest);
    if how.revoke_issued_after.is_some_and(|Instant(after)| after > moment) {
        return Err(StoreError::Future);
    }
    let restoration = Restoration {
        backup: recovered.newest,
        restored: Timestamp::from_secs(moment.as_secs().saturating_add(1)),
        adopt: how.adopt,
        revoked_after: how.revoke_issued_after.map(|Instant(after)| after),
        sessions_end: sessions(&memory).map(|session| session.expires_at).max().unwrap_or_default(),
    };
    let ended = revoke(&mut memory, &restoration);
    let aside = directory.join(format!("replaced-{}", stamp(restoration.restored)));
    let restored =
        files::restore(&Plan { memory: &memory, covers: recovered.next - 1, restoration }, directory, &aside)?;
    tell(directory, &recovered, &restoration, &restored, ended, out)?;
    out.flush()?;
    wait(restoration.restored);
    Ok(())
}

/// A directory to restore into may have to be made anew.
pub(super) fn make(directory: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| StoreError::Io { path: directory.to_owned(), what: "make the directory", source })?;
    place::look(directory)
}

/// The lock that a gate holds as long as it lives.
pub(super) fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let trouble = |what| move |source| StoreError::Io { path: directory.join("lock"), what, source };
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let lock = lock.map_err(trouble("open"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::InUse { directory: directory.to_owned(), what: "stop it first" })
        }
        Err(TryLockError::Error(source)) => Err(trouble("lock")(source)),
    }
}

fn is_same(backup: &Path, directory: &Path) -> bool {
    matches!((fs::canonicalize(backup), fs::canonicalize(directory)), (Ok(a), Ok(b)) if a == b)
}

fn sessions(memory: &Replayed) -> impl Iterator<Item = &Session> {
    memory.entries.values().filter_map(|known| match known {
        Known::Live(session) => Some(&**session),
        Known::Ended { .. } => None,
    })
}

/// Ends the sessions whose present pair is among what is refused, and those that were minted with their tokens. Returns
/// how many.
fn revoke(memory: &mut Replayed, restoration: &Restoration) -> usize {
    let Some(after) = restoration.revoked_after else {
        return 0;
    };
    let mut ended: HashSet<SessionId> =
        sessions(memory).filter(|session| session.rotated_at > after).map(|session| session.id).collect();
    loop {
        let minted = |session: &&Session| session.parent.is_some_and(|parent| ended.contains(&parent));
        let more: Vec<_> =
            sessions(memory).filter(minted).map(|session| session.id).filter(|id| !ended.contains(id)).collect();
        if more.is_empty() {
            break;
        }
        ended.extend(more);
    }
    for id in &ended {
        if let Some(known) = memory.entries.get_mut(id)
            && let Known::Live(session) = known
        {
            // The last access token of the session may be one of the lost time.
            *known = Known::Ended { until: restoration.restored + session.access_ttl + MARGIN };
        }
    }
    ended.len()
}

fn tell(
    directory: &Path,
    recovered: &Recovered,
    restoration: &Restoration,
    restored: &Restored,
    ended: usize,
    out: &mut impl Write,
) -> Result<(), StoreError> {
    let Restoration { backup, restored: until, adopt, revoked_after, .. } = *restoration;
    for notice in place::notices(recovered, false) {
        writeln!(out, "note: {notice}")?;
    }
    let snapshot = directory.join(files::SNAPSHOT);
    let (sessions, tombstones) = (restored.sessions, restored.tombstones);
    writeln!(out, "written: {}: {sessions} sessions, {tombstones} ended ones", snapshot.display())?;
    match &restored.aside {
        Some(aside) => writeln!(out, "replaced: what stood there is in {}", aside.display())?,
        None => writeln!(out, "replaced: nothing, there were no sessions")?,
    }
    let (from, to) = (rfc3339(backup), rfc3339(until));
    let seconds = until.saturating_since(backup).as_secs();
    writeln!(out, "backup: its newest record is of {from}")?;
    writeln!(out, "lost: what happened from then to {to}, {seconds} s")?;
    match adopt {
        false => writeln!(out, "refused from now on: access and refresh tokens that were issued in that time")?,
        true => writeln!(out, "adopted: tokens that were issued in that time; a refresh token once for each session")?,
    }
    if let Some(after) = revoked_after {
        let after = rfc3339(after);
        writeln!(out, "refused from now on: all tokens that were issued from {after} to {to}")?;
        writeln!(out, "ended: {ended} sessions of the backup that were begun or refreshed after {after}")?;
    }
    writeln!(out, "alive again: what was revoked, stolen or signed out in the lost time; end it once more")?;
    if !directory.join("keys").is_dir() {
        writeln!(
            out,
            "keys are not restored, and none are here: put those of the backup into {}",
            directory.display()
        )?;
    }
    writeln!(out, "then: portcullis check, and start the gate")?;
    Ok(())
}

/// In names of files.
pub(super) fn stamp(at: Timestamp) -> String {
    let text: String = rfc3339(at).chars().filter(|c| !matches!(c, '-' | ':')).collect();
    text.replace(".000000", "")
}

/// What is issued in the very second of the restoration would be taken for lost. A clock that is behind the newest record
/// is not waited for: the gate's own stands still until then.
fn wait(until: Timestamp) {
    let left = until.saturating_since(clock::wall());
    thread::sleep(left.min(SECOND));
}
