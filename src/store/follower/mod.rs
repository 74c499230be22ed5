//! The follower: a memory that keeps up with the files which another process writes.
//!
//! Guarantees: nothing in the directory is changed, made, deleted or locked; whatever the primary has written is known
//! with the next poll; what is known stays in force when the files are gone or damaged, and access tokens are judged
//! without pause. Every call is one look at the files; threads and clocks are the caller's.
//! Does not know: what a session may do, how the files come to be.
//!
//! # How it keeps up
//!
//! A poll reads the journal on from where the last one stopped ([`track`]). Where that is not possible everything is read
//! anew into the same memory ([`reading`]): because the follower was stopped for so long that segments are gone, because
//! the journal had a break, because the files were replaced by others, or because they went back.
//!
//! # Files that go back
//!
//! The follower reads what is written, not what is synced: it may know a change that a power cut at the primary then
//! takes back, and whose sequence is given again to another. Nobody was told of such a change. Until it is noticed it can
//! only refuse: an end or a cut of scopes that the primary does not know refuses access tokens, and so does a generation
//! ahead of the primary's with the parent of the one that the client has, when the overlap is over. A session that the
//! primary does not know has tokens that nobody was given. Ahead of a primary nothing passes that would not pass there,
//! but for what passes at any store that has lost a record: tokens it knows nothing of.
//!
//! It is noticed when the primary starts again, since that begins a new segment: with an earlier sequence than the one
//! that had to come, or behind one that is cut before where we were. Then all is read anew, and what memory knows beyond
//! the files is taken back, ends included.
//!
//! # Files that tell less than the primary knows
//!
//! After a break the primary's memory is ahead of its files until the next snapshot stands, and among what they lack may
//! be ends that hold there. So a reading that finds a break not mended takes nothing back yet; the follower goes on, and
//! reads again when the snapshot has come.

mod pace;
mod reading;
mod track;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::observe::chain;

use super::files::{self, FilesError, Notice, SNAPSHOT, SnapshotReader};
use super::{Source, Store};
use reading::Reading;
use track::{Steps, Track};

pub use pace::Freshness;
pub(super) use pace::Pace;

/// How long files that cannot be read are left alone: reading a million sessions over and over would take a CPU from the
/// requests, and what is damaged does not mend by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a look at the files was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// There are no files. That is never taken for a store without sessions: a volume may not be mounted.
    Nothing,
    /// All is as it was.
    Quiet,
    News,
}

/// Keeps the memory of one store up with the files.
pub struct Follower {
    directory: PathBuf,
    /// `None`: there is no segment to follow, or all has to be read anew.
    track: Option<Track>,
    /// There is a snapshot and no journal, and it was read: until there is one, nothing changes.
    alone: bool,
    /// The snapshot that has to come before the files are complete covers all before this sequence.
    incomplete: Option<u64>,
    /// A reading that has failed: how, and when.
    failed: Option<(String, Instant)>,
    patient: bool,
}

impl Follower {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            track: None,
            alone: false,
            incomplete: None,
            failed: None,
            patient: false,
        }
    }

    /// Looks at the files once, and teaches `store` what is new. Blocks for as long as reading takes.
    ///
    /// # Errors
    /// When the files cannot be read, or are damaged; what is known stays. While the primary finishes a snapshot that may
    /// happen to a look that falls in between: the same twice in a row is trouble.
    pub fn poll(&mut self, store: &Store, now: Instant) -> Result<Seen, FilesError> {
        let Source::Files(pace) = &store.source else {
            return Ok(Seen::Quiet);
        };
        let seen = self.look(store, now);
        match &seen {
            Ok(Seen::News) => pace.news(now),
            Ok(Seen::Quiet) => match self.track.as_ref().map(Track::held_up) {
                Some(Some(why)) => pace.trouble(why),
                Some(None) => pace.quiet(),
                // What has failed is left alone for a while.
                None => {}
            },
            Ok(Seen::Nothing) => pace.trouble("there are no files"),
            Err(error) => pace.trouble(&chain(error)),
        }
        seen
    }

    fn look(&mut self, store: &Store, now: Instant) -> Result<Seen, FilesError> {
        // Put back only if it is worth keeping: a handle may have gone stale for good.
        if let Some(mut track) = self.track.take()
            && let Steps::Read { news } = track.read_on(&self.directory, &store.memory)?
            && !self.is_complete_now()?
        {
            self.track = Some(track);
            return Ok(if news { Seen::News } else { Seen::Quiet });
        }
        self.read_anew(store, now)
    }

    /// Whether the snapshot that was missing has come.
    fn is_complete_now(&self) -> Result<bool, FilesError> {
        let Some(first) = self.incomplete else {
            return Ok(false);
        };
        let snapshot = SnapshotReader::open(&self.directory.join(SNAPSHOT))?;
        Ok(snapshot.is_some_and(|snapshot| snapshot.covers() + 1 >= first))
    }

    fn read_anew(&mut self, store: &Store, now: Instant) -> Result<Seen, FilesError> {
        let (journal, snapshot) = (!files::list(&self.directory)?.is_empty(), self.directory.join(SNAPSHOT));
        if !journal && snapshot.symlink_metadata().is_err() {
            return Ok(Seen::Nothing);
        }
        if !journal && self.alone {
            return Ok(Seen::Quiet);
        }
        if let Some((_, at)) = &self.failed
            && self.patient
            && now.saturating_duration_since(*at) < PATIENCE
        {
            return Ok(Seen::Quiet);
        }
        match self.read_all(store) {
            Ok(()) => {
                (self.failed, self.patient) = (None, false);
                Ok(Seen::News)
            }
            Err(error) => {
                let said = error.to_string();
                self.patient = self.failed.as_ref().is_some_and(|(before, _)| *before == said);
                self.failed = Some((said, now));
                Err(error)
            }
        }
    }

    fn read_all(&mut self, store: &Store) -> Result<(), FilesError> {
        let mut reading = Reading::of(&store.memory);
        let found = files::read(&self.directory, &mut reading)?;
        self.track = match found.end {
            Some(place) => Track::at(&self.directory, place)?,
            None => None,
        };
        self.alone = found.end.is_none();
        store.memory.seen(found.newest);
        store.learn(std::mem::take(&mut reading.restorations));
        let broken = found.notices.iter().any(|notice| matches!(notice, Notice::Refused { .. }));
        self.incomplete = found.end.map(|end| end.segment).filter(|_| broken);
        if !broken {
            reading.settle();
        }
        Ok(())
    }
}
