//! What lies in the directory of keys, beside what the configuration says about the signing keys.
//!
//! Guarantees: all files are read as they stood at one moment, also while a command changes them; of two keys that say
//! they are current the one that became it last is, as a change that broke off leaves it; files that contradict each
//! other otherwise are an error that names them; what is missing is named before anything is made.
//! Does not know: whether it may be made. That is [`KeyRing::open`]'s to decide.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::super::directory::{self, Contents, Desk, Listing};
use super::super::file::{self, KeyFile, Random, State};
use super::super::generate::random;
use super::super::signing::Key;
use super::super::{Algorithm, FileProblem, KeyError, Missing, Notice, SigningKey};
use super::{GivenKey, KeyRing, KeySource};

/// The name of the file with the key under which credential versions are made. No kid has this length.
const FINGERPRINT: &str = "fingerprint.key";

/// A command may change the files while they are read; ten times in a row it does not.
const READINGS: usize = 10;

/// [`KeySource`], with the keys that the configuration gives.
pub(super) enum Source {
    Ring(Algorithm),
    Configured(Vec<Configured>),
}

/// A key that the configuration gives.
pub(super) struct Configured {
    key: Key,
    state: State,
    /// The file of its refresh key. It is named for the key itself: another key under the same kid is another one here.
    refresh: String,
}

impl Source {
    pub(super) fn read(source: KeySource, notices: &mut Vec<Notice>) -> Result<Self, KeyError> {
        match source {
            KeySource::Ring { algorithm } => Ok(Self::Ring(algorithm)),
            KeySource::Secret { algorithm, secret } => {
                Key::from_secret(algorithm, &secret).map(Self::one).map_err(KeyError::Secret)
            }
            KeySource::File { algorithm, path } => {
                let problem = |problem| KeyError::File { path: path.clone(), problem };
                let Contents { bytes, mode } =
                    directory::read(&path)?.ok_or_else(|| problem(FileProblem::missing()))?;
                notices.extend(open_to_all(&path, mode));
                Key::from_pem(algorithm, &bytes).map(Self::one).map_err(|error| problem(error.into()))
            }
            KeySource::Several(given) => {
                let read = |given: GivenKey| {
                    let mode = given.path.as_ref().and_then(|path| Some(path.metadata().ok()?.permissions().mode()));
                    notices.extend(given.path.zip(mode).and_then(|(path, mode)| open_to_all(&path, mode & 0o7777)));
                    let key = Key::from_text(given.algorithm, &given.text).map_err(KeyError::Given)?;
                    let key = Configured::new(key, given.state);
                    Ok(Configured { key: key.key.named(given.kid), ..key })
                };
                Ok(Self::Configured(given.into_iter().map(read).collect::<Result<_, KeyError>>()?))
            }
        }
    }

    fn one(key: Key) -> Self {
        Self::Configured(vec![Configured::new(key, State::Current)])
    }
}

impl Configured {
    fn new(key: Key, state: State) -> Self {
        let refresh = format!("{}.refresh", key.kid());
        Self { key, state, refresh }
    }
}

/// Not refused: it is how Kubernetes mounts a secret unless told otherwise.
fn open_to_all(path: &Path, mode: u32) -> Option<Notice> {
    (mode & 0o007 != 0).then(|| Notice::OpenToAll { path: path.to_owned(), mode })
}

/// What is in the directory.
pub(in super::super) struct Found {
    pub(in super::super) keys: Vec<(PathBuf, KeyFile)>,
    /// The refresh keys of the configured keys, in their order.
    refresh: Vec<Option<Random>>,
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
        let mut found = Self { keys: Vec::new(), refresh: Vec::new(), fingerprint: None, notices: Vec::new() };
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
        if let Source::Configured(keys) = source {
            found.refresh = keys.iter().map(|key| found.random(&dir.join(&key.refresh))).collect::<Result<_, _>>()?;
        }
        Ok(found)
    }

    fn random(&mut self, path: &Path) -> Result<Option<Random>, KeyError> {
        let contents = directory::read_own(path, &mut self.notices)?;
        let problem = |problem| KeyError::File { path: path.to_owned(), problem };
        contents.map(|contents| file::parse_random(&contents).map_err(problem)).transpose()
    }

    /// What has to be there and is not: first what cannot be replaced while there are sessions.
    pub(super) fn missing(&self, dir: &Path, source: &Source) -> Option<(Missing, PathBuf)> {
        let fingerprint = || self.fingerprint.is_none().then(|| (Missing::Fingerprint, dir.join(FINGERPRINT)));
        match source {
            Source::Ring(_) if self.keys.is_empty() => Some((Missing::SigningKey, dir.to_owned())),
            Source::Ring(_) => fingerprint(),
            Source::Configured(keys) => {
                // If none is there the directory is another one, or lost. A key that retires has been there before.
                let alone = self.refresh.iter().all(Option::is_none);
                let lost = |key: &&Configured| alone || key.state == State::Retiring;
                let missing = |(key, _): &(&Configured, _)| (Missing::RefreshKey, dir.join(&key.refresh));
                let mut lacking = keys.iter().zip(&self.refresh).filter(|(_, refresh)| refresh.is_none());
                let lost = lacking.clone().find(|(key, _)| lost(key)).as_ref().map(missing);
                let joining = || lacking.next().map(|(key, _)| (Missing::Joining, dir.join(&key.refresh)));
                lost.or_else(fingerprint).or_else(joining)
            }
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
            Source::Configured(keys) => {
                for (key, _) in keys.iter().zip(&self.refresh).filter(|(_, refresh)| refresh.is_none()) {
                    desk.write(&key.refresh, file::random_text(&*random()?).as_bytes())?;
                }
                Ok(None)
            }
            Source::Ring(algorithm) if self.keys.is_empty() => {
                let created = i64::try_from(now_secs).ok().and_then(|secs| Timestamp::from_second(secs).ok());
                let (kid, contents) = file::fresh(*algorithm, State::Current, created.unwrap_or_default())?;
                let name = file_name(&kid);
                desk.write(&name, contents.as_bytes())?;
                Ok(Some(Notice::Created { path: dir.join(name), kid, algorithm: *algorithm }))
            }
            Source::Ring(_) => Ok(None),
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
            Source::Configured(keys) => {
                let entry = |(key, refresh): (Configured, Option<Random>)| {
                    let refresh = refresh.ok_or_else(|| vanished(&key.refresh))?;
                    Ok((Arc::new(SigningKey::new(key.key, &refresh)), key.state))
                };
                let entries = keys.into_iter().zip(self.refresh).map(entry).collect::<Result<Vec<_>, KeyError>>()?;
                let current = entries.iter().find(|(_, state)| *state == State::Current).map(|(key, _)| key.clone());
                Ok(KeyRing { entries, current: current.ok_or(KeyError::NoneGivenIsCurrent)?, fingerprint })
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
