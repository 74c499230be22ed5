//! `portcullis keys`: the keys that sign tokens, which ones are needed, and how they follow one another.
//!
//! Guarantees: works beside a running gate, which finds out by itself; a key of which anything may still be of use goes
//! only by force; what is refused is told with numbers and times.
//! Does not know: key files, and what a session may do.

mod help;
mod need;
mod view;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::command::store::contents::{self, Contents};
use crate::command::store::export::line;
use crate::config::{Config, KeySource, TokenKey};
use crate::keys::{self, Algorithm, Changes, KeyEntry, KeyError, State};
use crate::observe::chain;
use crate::store::FilesError;

use super::keygen::algorithm_parser;
use super::{EXIT_CODES, Whereabouts};
use need::{Bounds, Need, instant};
use view::{GoneView, HEADING, KeyView, until_second};

/// How long a key is known before it signs: gates look every second, and one that does not know it refuses its tokens.
const KNOWN_FOR: Duration = Duration::from_secs(3);

/// List, add, rotate and retire the keys that sign tokens, also beside a running gate
#[derive(Debug, clap::Subcommand)]
#[command(after_help = format!("{}\n\n{EXIT_CODES}", help::KEYS))]
pub(super) enum KeysVerb {
    /// Print all keys, how many sessions depend on each, and when a retiring one is not needed any more
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", help::LIST))]
    List {
        #[command(flatten)]
        whereabouts: Whereabouts,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Make a key that verifies, and will sign after a rotation
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", help::ADD))]
    Add {
        #[command(flatten)]
        whereabouts: Whereabouts,
        /// What the key will sign with; without this token.algorithm
        #[arg(long, value_name = "NAME", value_parser = algorithm_parser())]
        algorithm: Option<Algorithm>,
    },
    /// Sign with the next key from now on, and with a new one if there is none
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", help::ROTATE))]
    Rotate {
        #[command(flatten)]
        whereabouts: Whereabouts,
        /// The next key that is meant; without this the oldest
        #[arg(value_name = "KID", allow_hyphen_values = true, value_parser = kid)]
        kid: Option<String>,
    },
    /// Delete a key that nothing depends on any more
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", help::RETIRE))]
    Retire {
        #[command(flatten)]
        whereabouts: Whereabouts,
        /// The key, as `keys list` names it
        #[arg(value_name = "KID", allow_hyphen_values = true, value_parser = kid)]
        kid: String,
        /// Also one that is needed: its sessions have to sign in again
        #[arg(long)]
        force: bool,
    },
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
enum KeysError {
    #[error(
        "{0} names the key that signs, so there is no ring of keys to list or change; take it out and keys are kept in \
         data_dir"
    )]
    Configured(&'static str),
    #[error(
        "[[token.keys]] names the keys: they are rotated by editing the configuration, and these commands only list them"
    )]
    Several,
    #[error("{}: there are no keys yet; they are made at the first start", .0.display())]
    NoKeys(PathBuf),
    #[error("no key {0} is known here; `portcullis keys list` names all")]
    Unknown(String),
    #[error("the key {kid} is {state}; only a next one can be made the current one")]
    NotNext { kid: String, state: State },
    #[error("the key {0} is the current one; `portcullis keys rotate` puts another one in its place")]
    Current(String),
    #[error(
        "the key {kid} is still needed until {until}: sessions that depend on it: {sessions}{access}; with --force it \
         goes now, and they have to sign in again"
    )]
    Needed { kid: String, until: String, sessions: usize, access: String },
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] FilesError),
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Runs a command and tells how it went.
pub(super) fn run(verb: KeysVerb) -> ExitCode {
    let (KeysVerb::List { whereabouts, .. }
    | KeysVerb::Add { whereabouts, .. }
    | KeysVerb::Rotate { whereabouts, .. }
    | KeysVerb::Retire { whereabouts, .. }) = &verb;
    let config = match whereabouts.configured() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let done = own_ring(&config, &verb).and_then(|()| match verb {
        KeysVerb::List { json, .. } => list(&config, json, &mut out),
        KeysVerb::Add { algorithm, .. } => add(&config, algorithm, &mut out),
        KeysVerb::Rotate { kid, .. } => rotate(&config, kid.as_deref(), &mut out),
        KeysVerb::Retire { kid, force, .. } => retire(&config, &kid, force, &mut out),
    });
    match done.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has read enough.
        Err(KeysError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = out.flush();
            eprintln!("portcullis: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// A name that one of our keys can have: what looks like a flag is none.
fn kid(text: &str) -> Result<String, &'static str> {
    let is_name = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_name { Ok(text.to_owned()) } else { Err("must be 16 letters, digits, `-` or `_`") }
}

fn own_ring(config: &Config, verb: &KeysVerb) -> Result<(), KeysError> {
    match &config.token.key {
        KeySource::Ring => Ok(()),
        KeySource::Several(_) if matches!(verb, KeysVerb::List { .. }) => Ok(()),
        KeySource::Secret { .. } => Err(KeysError::Configured("token.secret")),
        KeySource::File { .. } => Err(KeysError::Configured("token.key_file")),
        KeySource::Several(_) => Err(KeysError::Several),
    }
}

fn list(config: &Config, json: bool, out: &mut impl Write) -> Result<(), KeysError> {
    let keys = match &config.token.key {
        KeySource::Several(given) => given.iter().map(entry).collect(),
        _ => keys::list(&config.data_dir)?,
    };
    if keys.is_empty() {
        return Err(KeysError::NoKeys(config.data_dir.clone()));
    }
    let Contents { sessions, now, .. } = contents::read(&config.data_dir)?;
    if !json {
        writeln!(out, "{HEADING}")?;
    }
    for key in &keys {
        let view = KeyView::new(key, &Need::of(key, &sessions, now, Bounds::of(config)));
        if json { line(out, &view)? } else { writeln!(out, "{view}")? }
    }
    let mut gone = BTreeMap::<Arc<str>, usize>::new();
    for session in sessions.iter().filter(|session| !session.expired(now)) {
        if keys.iter().all(|key| key.kid != session.kid) {
            *gone.entry(Arc::clone(&session.kid)).or_default() += 1;
        }
    }
    for (kid, sessions) in gone {
        let view = GoneView { kind: "gone", kid: &kid, sessions };
        if json { line(out, &view)? } else { writeln!(out, "{view}")? }
    }
    Ok(())
}

fn entry(given: &TokenKey) -> KeyEntry {
    let TokenKey { kid, algorithm, state, .. } = given;
    KeyEntry { kid: Arc::clone(kid), algorithm: *algorithm, state: *state, created: None, since: None }
}

fn add(config: &Config, algorithm: Option<Algorithm>, out: &mut impl Write) -> Result<(), KeysError> {
    let algorithm = algorithm.unwrap_or(config.token.algorithm);
    let kid = begin(config)?.add(algorithm, now())?;
    Ok(writeln!(out, "{kid}: made for {algorithm}; it verifies, and signs after `portcullis keys rotate`")?)
}

fn rotate(config: &Config, kid: Option<&str>, out: &mut impl Write) -> Result<(), KeysError> {
    let mut changes = begin(config)?;
    let keys = changes.entries();
    let next = match kid {
        Some(kid) => match find(&keys, kid)? {
            key if key.state == State::Next => Arc::clone(&key.kid),
            key => return Err(KeysError::NotNext { kid: kid.to_owned(), state: key.state }),
        },
        None => match keys.iter().find(|key| key.state == State::Next) {
            Some(key) => Arc::clone(&key.kid),
            None => changes.add(config.token.algorithm, now())?,
        },
    };
    let made = find(&changes.entries(), &next)?.created;
    // A clock that was set back must not keep us for longer.
    let known_for = made.map_or(KNOWN_FOR, |made| clock::wall().saturating_since(instant(made)));
    thread::sleep(KNOWN_FOR.saturating_sub(known_for));
    changes.promote(&next, now())?;
    let keys = changes.entries();
    writeln!(out, "{next}: signs from now on ({})", find(&keys, &next)?.algorithm)?;
    for key in keys.iter().filter(|key| key.state == State::Retiring) {
        writeln!(out, "{}: retiring; `portcullis keys list` says when it is not needed any more", key.kid)?;
    }
    Ok(())
}

fn retire(config: &Config, kid: &str, force: bool, out: &mut impl Write) -> Result<(), KeysError> {
    let mut changes = begin(config)?;
    let keys = changes.entries();
    let key = find(&keys, kid)?;
    let need = match key.state {
        State::Current => return Err(KeysError::Current(kid.to_owned())),
        // It has signed nothing.
        State::Next => Need::default(),
        State::Retiring => {
            let Contents { sessions, now, .. } = contents::read(&config.data_dir)?;
            Need::of(key, &sessions, now, Bounds::of(config))
        }
    };
    if let Some(until) = need.until().filter(|_| !force) {
        let access =
            need.access_until.map(|at| format!(", and its access tokens can be valid until {}", until_second(at)));
        return Err(KeysError::Needed {
            kid: kid.to_owned(),
            until: until_second(until),
            sessions: need.sessions,
            access: access.unwrap_or_default(),
        });
    }
    changes.remove(kid)?;
    writeln!(out, "{kid}: gone; sessions that have to sign in again: {}", need.sessions)?;
    Ok(())
}

fn begin(config: &Config) -> Result<Changes, KeysError> {
    Changes::begin(&config.data_dir)?.ok_or_else(|| KeysError::NoKeys(config.data_dir.clone()))
}

fn find<'a>(keys: &'a [KeyEntry], kid: &str) -> Result<&'a KeyEntry, KeysError> {
    keys.iter().find(|key| *key.kid == *kid).ok_or_else(|| KeysError::Unknown(kid.to_owned()))
}

fn now() -> jiff::Timestamp {
    let micros = i64::try_from(clock::wall().as_micros()).ok();
    // Only a clock beyond the year 9999 has no such time.
    micros.and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok()).unwrap_or_default()
}
