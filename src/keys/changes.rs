//! Changes of the ring: a key is added, becomes the current one, goes.
//!
//! Guarantees: one change at a time, whichever process makes it; whenever one breaks off, the files are a ring with
//! exactly one current key, and the next change mends what is left; time of the ring does not run backwards.
//! Does not know: sessions, and so whether a key may go; who looks at the ring.
//!
//! A key becomes the current one by its own file being replaced: of two that say so the later one is. That the one
//! before is written down as retiring follows, and may be missing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::directory::{self, Desk};
use super::file::{self, KeyFile, State};
use super::ring::found::{Found, file_name, settle};
use super::{Algorithm, FileProblem, KeyError};

/// One key of the ring, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    pub kid: Arc<str>,
    pub algorithm: Algorithm,
    pub state: State,
    /// Not known of a key of the configuration.
    pub created: Option<Timestamp>,
    /// When it came into its state, if that is known; of a retiring key of the ring it always is.
    pub since: Option<Timestamp>,
}

/// The keys of the ring in `data_dir/keys`, the oldest first. None before the first start.
///
/// # Errors
/// When they could not be opened as a ring.
pub fn list(data_dir: &Path) -> Result<Vec<KeyEntry>, KeyError> {
    Ok(entries(&read(&data_dir.join("keys"))?))
}

/// The right to change the ring.
pub struct Changes {
    dir: PathBuf,
    desk: Desk,
    keys: Vec<(PathBuf, KeyFile)>,
}

enum Step {
    Write { name: String, contents: Zeroizing<String> },
    Remove { name: String },
}

impl Changes {
    /// Waits until no other process changes the ring. `None` if there is none yet.
    ///
    /// # Errors
    /// When it cannot be read, or not be written.
    pub fn begin(data_dir: &Path) -> Result<Option<Self>, KeyError> {
        let dir = data_dir.join("keys");
        // Locking would make the directory.
        if read(&dir)?.is_empty() {
            return Ok(None);
        }
        let desk = Desk::lock(&dir)?;
        let keys = read(&dir)?;
        Ok(Some(Self { dir, desk, keys }))
    }

    /// The oldest first.
    pub fn entries(&self) -> Vec<KeyEntry> {
        entries(&self.keys)
    }

    /// Makes a key that verifies and does not sign yet. Returns its kid.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn add(&mut self, algorithm: Algorithm, now: Timestamp) -> Result<Arc<str>, KeyError> {
        let (kid, contents) = file::fresh(algorithm, State::Next, self.after_all(now))?;
        let mut steps = self.mending()?;
        steps.push(Step::Write { name: file_name(&kid), contents });
        self.take(steps)?;
        Ok(kid)
    }

    /// Makes the key `kid` the one that signs, and the one before it a retiring one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn promote(&mut self, kid: &str, now: Timestamp) -> Result<(), KeyError> {
        let steps = self.promotion(kid, now)?;
        self.take(steps)
    }

    /// Deletes the key `kid`: what it has signed counts no more.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub fn remove(&mut self, kid: &str) -> Result<(), KeyError> {
        let steps = self.removal(kid)?;
        self.take(steps)
    }

    fn promotion(&self, kid: &str, now: Timestamp) -> Result<Vec<Step>, KeyError> {
        let since = self.after_all(now);
        let mut steps = self.mending()?;
        steps.push(self.rewriting(kid, State::Current, since)?);
        for (_, file) in &self.keys {
            if file.state == State::Current && **file.key.kid() != *kid {
                steps.push(self.rewriting(file.key.kid(), State::Retiring, since)?);
            }
        }
        Ok(steps)
    }

    fn removal(&self, kid: &str) -> Result<Vec<Step>, KeyError> {
        let mut steps = self.mending()?;
        steps.push(Step::Remove { name: file_name(kid) });
        Ok(steps)
    }

    /// What a change that broke off has left undone. It comes first: the key it follows from may be the next to go.
    fn mending(&self) -> Result<Vec<Step>, KeyError> {
        let implied = self.keys.iter().filter(|(_, file)| file.is_implied);
        implied
            .map(|(_, file)| self.rewriting(file.key.kid(), file.state, file.since.unwrap_or(file.created)))
            .collect()
    }

    fn rewriting(&self, kid: &str, state: State, since: Timestamp) -> Result<Step, KeyError> {
        let name = file_name(kid);
        let path = self.dir.join(&name);
        let problem = |problem| KeyError::File { path: path.clone(), problem };
        let contents = directory::read_own(&path, &mut Vec::new())?.ok_or_else(|| problem(FileProblem::missing()))?;
        let contents = file::with_state(&contents, state, since).map_err(problem)?;
        Ok(Step::Write { name, contents })
    }

    fn take(&mut self, steps: Vec<Step>) -> Result<(), KeyError> {
        for step in steps {
            match step {
                Step::Write { name, contents } => self.desk.write(&name, contents.as_bytes())?,
                Step::Remove { name } => self.desk.remove(&name)?,
            }
        }
        self.keys = read(&self.dir)?;
        Ok(())
    }

    /// Later than all that stands in the files: the order of these times says which key is current.
    fn after_all(&self, now: Timestamp) -> Timestamp {
        let newest = self.keys.iter().filter_map(|(_, file)| file.since).max().unwrap_or(Timestamp::MIN);
        now.max(newest.saturating_add(SignedDuration::from_micros(1)).unwrap_or(newest))
    }
}

/// The keys as they are among themselves; none if there is no ring.
fn read(dir: &Path) -> Result<Vec<(PathBuf, KeyFile)>, KeyError> {
    let mut keys = Found::ring(dir)?.keys;
    if !keys.is_empty() {
        settle(dir, &mut keys)?;
    }
    Ok(keys)
}

fn entries(keys: &[(PathBuf, KeyFile)]) -> Vec<KeyEntry> {
    let entry = |(_, file): &(PathBuf, KeyFile)| KeyEntry {
        kid: file.key.kid().clone(),
        algorithm: file.key.algorithm(),
        state: file.state,
        created: Some(file.created),
        since: file.since,
    };
    let mut entries: Vec<_> = keys.iter().map(entry).collect();
    entries.sort_by(|a, b| (a.created, &a.kid).cmp(&(b.created, &b.kid)));
    entries
}

#[cfg(test)]
mod tests;
