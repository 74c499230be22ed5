//! `[[token.keys]]`: several signing keys that the operator gives, and rotates by editing them.
//!
//! Guarantees: exactly one key signs; no two have a name or a key in common; each has a name that stands in a header as
//! it is, and fits its algorithm.
//! Does not know: refresh keys, sessions, and which of the keys were there before.

use std::path::PathBuf;
use std::sync::Arc;

use super::effective::quote;
use super::kind::{Choice, read_path, read_secret};
use super::mistake::quoted;
use super::reader::Reader;
use super::secret::Secret;
use super::signing_secret;
use crate::keys::{self, Algorithm, State};

/// A key of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenKey {
    /// As it is written; else the name that follows from the key.
    pub kid: Arc<str>,
    pub algorithm: Algorithm,
    pub state: State,
    /// The secret, or the text of the PEM file.
    pub text: Secret,
    /// Where it was read, if `file` names that.
    pub file: Option<PathBuf>,
}

pub(super) const TABLES: &str = "token.keys";

/// A kid is repeated in every token and session.
const MAX_KID_BYTES: usize = 64;

/// What an earlier table has.
#[derive(Default)]
struct Taken {
    kids: Vec<Arc<str>>,
    own_names: Vec<Arc<str>>,
}

impl TokenKey {
    pub(super) fn read_all(r: &mut Reader) -> Vec<Self> {
        let count = r.tables(TABLES);
        let (mut taken, mut keys) = (Taken::default(), Vec::new());
        let states: Vec<_> = (0..count).map(|n| format!("{TABLES}.{n}.state")).collect();
        let mut currents = 0;
        for (n, of_state) in states.iter().enumerate() {
            let (state, key) = Self::read(r, n, &mut taken);
            currents += usize::from(state == Some(State::Current));
            let again = state == Some(State::Current) && currents > 1;
            r.contradiction_if(again, &[of_state], "is an earlier key's already, and exactly one signs");
            keys.extend(key);
        }
        let first = format!("{TABLES}.0");
        let about: Vec<_> = [&first].into_iter().chain(&states).map(String::as_str).collect();
        let none = count > 0 && currents == 0;
        r.contradiction_if(none, &about, "needs one key with state = \"current\", which signs");
        keys
    }

    /// The state also of a key that is mistaken otherwise.
    fn read(r: &mut Reader, n: usize, taken: &mut Taken) -> (Option<State>, Option<Self>) {
        let table = format!("{TABLES}.{n}");
        let [of_kid, of_algorithm, of_state, of_secret, of_secret_file, of_file] =
            ["kid", "algorithm", "state", "secret", "secret_file", "file"].map(|word| format!("{table}.{word}"));
        let kid = r.optional_parsed(&of_kid, kid);
        let algorithm =
            r.optional_parsed(&of_algorithm, |text| text.parse::<Algorithm>().map_err(|error| error.to_string()));
        let state = r.optional_choice::<State>(&of_state);
        let secret = r.secret(&of_secret);
        let mut read = None;
        let file = r.optional(
            &of_file,
            |path: &PathBuf| quote(&path.to_string_lossy()),
            |value, loose| {
                let path = read_path(value, loose)?;
                read = Some(read_secret(&path)?);
                Ok(path)
            },
        );
        r.made_of(file.as_deref());
        r.contradiction_if(algorithm.is_none(), &[&table, &of_algorithm], "lacks an algorithm, such as \"ES256\"");
        r.contradiction_if(state.is_none(), &[&table, &of_state], "lacks a state: next, current or retiring");
        let given = r.given(&[&of_file, &of_secret, &of_secret_file]).to_owned();
        let both = secret.is_some() && read.is_some();
        r.contradiction_if(both, &[&of_file, &of_secret], "contradicts the secret: leave one of them out");
        let neither = secret.is_none() && read.is_none();
        let all = [&*table, &of_file, &of_secret, &of_secret_file];
        r.contradiction_if(neither, &all, "needs file, secret or secret_file");
        let (Some(algorithm), Some(text)) = (algorithm, read.or(secret)) else {
            return (state, None);
        };
        if !algorithm.is_hmac() && file.is_none() {
            let text = format!("is of no use to {algorithm}, which signs with a private key: give file");
            r.contradiction_if(true, &[&given, &of_algorithm], text);
            return (state, None);
        }
        match own_name(algorithm, &text) {
            Ok(own_name) => {
                let kid = kid.unwrap_or_else(|| Arc::clone(&own_name));
                let (same_key, same_kid) = (taken.own_names.contains(&own_name), taken.kids.contains(&kid));
                r.contradiction_if(same_key, &[&given], "is the key of an earlier [[token.keys]] already");
                r.contradiction_if(same_kid && !same_key, &[&of_kid, &table], "is an earlier key's name already");
                taken.kids.push(Arc::clone(&kid));
                taken.own_names.push(own_name);
                (state, state.map(|state| Self { kid, algorithm, state, text, file }))
            }
            Err(text) => {
                r.contradiction_if(true, &[&given, &of_algorithm], text);
                (state, None)
            }
        }
    }
}

/// The name that follows from a key, if that is one for `algorithm`.
fn own_name(algorithm: Algorithm, text: &Secret) -> Result<Arc<str>, String> {
    if algorithm.is_hmac() {
        signing_secret::check(text.expose(), algorithm)?;
    }
    keys::own_name(algorithm, text.expose()).map_err(|error| error.to_string())
}

/// It is written into headers without being escaped.
fn kid(text: &str) -> Result<Arc<str>, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    match text.len() {
        1..=MAX_KID_BYTES if text.bytes().all(plain) => Ok(text.into()),
        1..=MAX_KID_BYTES => Err(format!("{} must consist of letters, digits and `. _ ~ -`", quoted(text))),
        0 => Err("must not be empty".into()),
        _ => Err(format!("must be at most {MAX_KID_BYTES} characters long")),
    }
}

impl Choice for State {
    const NAMES: &'static [(&'static str, Self)] =
        &[("next", Self::Next), ("current", Self::Current), ("retiring", Self::Retiring)];
}
