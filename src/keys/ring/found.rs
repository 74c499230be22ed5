//! What lies in the directory of keys, beside what the configuration says about the signing key.
//!
//! Guarantees: all files are read as they stood at one moment, also while a command changes them; of two keys that say
//! they are current the one that became it last is, as a change that broke off leaves it; files that contradict each
//! other otherwise are an error that names them; what is missing is named before anything is made.
//! Does not know: whether it may be made. That is [`KeyRing::open`]'s to decide.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::super::directory::{self, Contents, Desk, Listing};
use super::super::file::{self, KeyFile, Random, State};
use super::super::generate::random;
use super::super::signing::Key;
use super::super::{Algorithm, FileProblem, KeyError, Missing, Notice, SigningKey};
use super::{KeyRing, KeySource};

/// The name of the file with the key under which credential versions are made. No kid has this length.
const FINGERPRINT: &str = "fingerprint.key";

/// A command may change the files while they are read; ten times in a row it does not.
const READINGS: usize = 10;

/// [`KeySource`], with the key that the configuration gives.
pub(super) enum Source {
    Ring(Algorithm),
    Configured(Key),
}

impl Source {
    pub(super) fn read(source: KeySource, notices: &mut Vec<Notice>) -> Result<Self, KeyError> {
        match source {
            KeySource::Ring { algorithm } => Ok(Self::Ring(algorithm)),
            KeySource::Secret { algorithm, secret } => {
                Key::from_secret(algorithm, &secret).map(Self::Configured).map_err(KeyError::Secret)
            }
            KeySource::File { algorithm, path } => {
                let problem = |problem| KeyError::File { path: path.clone(), problem };
                let Contents { bytes, mode } =
                    directory::read(&path)?.ok_or_else(|| problem(FileProblem::missing()))?;
                if mode & 0o007 != 0 {
                    // Not refused: it is how Kubernetes mounts a secret unless told otherwise.
                    notices.push(Notice::OpenToAll { path: path.clone(), mode });
                }
                Key::from_pem(algorithm, &bytes).map(Self::Configured).map_err(|error| problem(error.into()))
            }
        }
    }
}

/// What is in the directory.
pub(in super::super) struct Found {
    pub(in super::super) keys: Vec<(PathBuf, KeyFile)>,
    /// The refresh key of the configured key.
    refresh: Option<Random>,
    fingerprint: Option<Random>,
    pub(super) notices: Vec<Notice>,
}

impl Found {
    /// The keys of the ring alone.
    pub(in super::super) fn ring(dir: &Path) -> Result<Self, KeyError> {
        // The algorithm counts for what is made only.
        Self::read(dir, &Source::Ring(Algorithm::default()))
    }

    pub(super) fn read(dir: &Path, source: &Source) -> Result<Self, KeyError> {
        for _ in 1..READINGS {
            let before = Listing::of(dir)?;
            let found = Self::read_once(dir, source);
            if Listing::of(dir)? == before {
                return found;
            }
        }
        Self::read_once(dir, source)
    }

    fn read_once(dir: &Path, source: &Source) -> Result<Self, KeyError> {
        let mut found = Self { keys: Vec::new(), refresh: None, fingerprint: None, notices: Vec::new() };
        for path in directory::key_files(dir)? {
            if path.ends_with(FINGERPRINT) {
                continue;
            }
            if let Source::Configured(_) = source {
                found.notices.push(Notice::Unused { path });
                continue;
            }
            if let Some(contents) = directory::read_own(&path, &mut found.notices)? {
                let problem = |problem| KeyError::File { path: path.clone(), problem };
                let mut file = file::read_key(&contents).map_err(problem)?;
                if file.state == State::Retiring && file.since.is_none() {
                    // Retired by hand: then the file is as old as that.
                    let modified = path.metadata().and_then(|of| of.modified());
                    file.since = Timestamp::try_from(modified.map_err(|error| problem(FileProblem::Read(error)))?).ok();
                }
                found.keys.push((path, file));
            }
        }
        found.fingerprint = found.random(&dir.join(FINGERPRINT))?;
        if let Source::Configured(key) = source {
            found.refresh = found.random(&dir.join(refresh_name(key.kid())))?;
        }
        Ok(found)
    }

    fn random(&mut self, path: &Path) -> Result<Option<Random>, KeyError> {
        let contents = directory::read_own(path, &mut self.notices)?;
        let problem = |problem| KeyError::File { path: path.to_owned(), problem };
        contents.map(|contents| file::parse_random(&contents).map_err(problem)).transpose()
    }

    pub(super) fn missing(&self, dir: &Path, source: &Source) -> Option<(Missing, PathBuf)> {
        match source {
            Source::Ring(_) if self.keys.is_empty() => Some((Missing::SigningKey, dir.to_owned())),
            Source::Configured(key) if self.refresh.is_none() => {
                Some((Missing::RefreshKey, dir.join(refresh_name(key.kid()))))
            }
            _ if self.fingerprint.is_none() => Some((Missing::Fingerprint, dir.join(FINGERPRINT))),
            _ => None,
        }
    }

    /// Writes what is missing. The signing key comes last: with it the set is whole.
    pub(super) fn complete(
        &self,
        dir: &Path,
        source: &Source,
        desk: &Desk,
        now_secs: u64,
    ) -> Result<Option<Notice>, KeyError> {
        if self.fingerprint.is_none() {
            desk.write(FINGERPRINT, file::random_text(&*random()?).as_bytes())?;
        }
        match source {
            Source::Configured(key) if self.refresh.is_none() => {
                desk.write(&refresh_name(key.kid()), file::random_text(&*random()?).as_bytes())?;
                Ok(None)
            }
            Source::Ring(algorithm) if self.keys.is_empty() => {
                let created = i64::try_from(now_secs).ok().and_then(|secs| Timestamp::from_second(secs).ok());
                let (kid, contents) = file::fresh(*algorithm, State::Current, created.unwrap_or_default())?;
                let name = file_name(&kid);
                desk.write(&name, contents.as_bytes())?;
                Ok(Some(Notice::Created { path: dir.join(name), kid, algorithm: *algorithm }))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn into_ring(
        mut self,
        dir: &Path,
        source: Source,
        notices: &mut Vec<Notice>,
    ) -> Result<KeyRing, KeyError> {
        // Everything was seen or written just before: this only happens if somebody takes the file away right now.
        let vanished = |name: &str| KeyError::File { path: dir.join(name), problem: FileProblem::missing() };
        let fingerprint = self.fingerprint.ok_or_else(|| vanished(FINGERPRINT))?;
        match source {
            Source::Configured(key) => {
                let refresh = self.refresh.ok_or_else(|| vanished(&refresh_name(key.kid())))?;
                let key = Arc::new(SigningKey::new(key, &refresh));
                Ok(KeyRing { entries: vec![(key.clone(), State::Current)], current: key, fingerprint })
            }
            Source::Ring(configured) => {
                let current = settle(dir, &mut self.keys)?;
                let algorithm = current.algorithm();
                if algorithm != configured {
                    notices.push(Notice::AlgorithmKept { kid: current.kid().clone(), algorithm, configured });
                }
                let entries = self.keys.into_iter().map(|(_, file)| (file.key, file.state)).collect();
                Ok(KeyRing { entries, current, fingerprint })
            }
        }
    }
}

/// The current key, once the files are in order among themselves. Those that a change which broke off has left current
/// count as retiring since then.
pub(in super::super) fn settle(dir: &Path, keys: &mut [(PathBuf, KeyFile)]) -> Result<Arc<SigningKey>, KeyError> {
    for (i, (path, file)) in keys.iter().enumerate() {
        let kid = file.key.kid();
        if let Some((first, _)) = keys[..i].iter().find(|(_, earlier)| earlier.key.kid() == kid) {
            return Err(KeyError::SameKid { kid: kid.clone(), first: first.clone(), second: path.clone() });
        }
    }
    let mut currents: Vec<_> = keys.iter_mut().filter(|(_, file)| file.state == State::Current).collect();
    currents.sort_by_key(|(_, file)| file.since);
    let Some(((path, file), earlier)) = currents.split_last_mut() else {
        return Err(KeyError::NoCurrentKey { dir: dir.to_owned() });
    };
    let (current, since) = (file.key.clone(), file.since);
    for (first, file) in earlier {
        if file.since == since {
            return Err(KeyError::TwoCurrentKeys { first: first.clone(), second: path.clone() });
        }
        file.state = State::Retiring;
        file.since = since;
        file.is_implied = true;
    }
    match keys.iter().find(|(path, file)| !path.ends_with(file_name(file.key.kid()))) {
        Some((path, file)) => {
            let kid = file.key.kid().clone();
            Err(KeyError::File { path: path.clone(), problem: FileProblem::OtherName { kid } })
        }
        None => Ok(current),
    }
}

/// Of the file of a key of the ring.
pub(in super::super) fn file_name(kid: &str) -> String {
    format!("{kid}.key")
}

fn refresh_name(kid: &str) -> String {
    format!("{kid}.refresh")
}
