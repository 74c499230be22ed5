//! What stands in a key file.
//!
//! Guarantees: a file that was cut short, edited into nonsense or belongs to another key is an error that says where,
//! without quoting what stands there; a `kid` that does not follow from the key is damage too, so that a changed secret
//! never passes for the old one.
//! Does not know: directories, permissions, which files there should be.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::signing::Key;
use super::{Algorithm, FileProblem, KeyError, SigningKey, generate};

/// What a key of the ring is there for. A key verifies in every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Will sign; verifiers elsewhere have time to learn of it.
    Next,
    /// Signs.
    Current,
    /// Has signed; tokens of it are still out.
    Retiring,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Retiring => "retiring",
        })
    }
}

/// 32 random bytes, as base64url text in a file.
pub(super) type Random = Zeroizing<[u8; 32]>;

/// A `<kid>.key` file, read.
pub(super) struct KeyFile {
    pub(super) key: Arc<SigningKey>,
    pub(super) state: State,
    pub(super) created: Timestamp,
    /// When it came into its state; not known of what the first start made, and of what was edited by hand.
    pub(super) since: Option<Timestamp>,
    /// Its state follows from another file and does not stand in its own yet.
    pub(super) is_implied: bool,
}

/// Fields that are not known here are passed over, so that an older binary starts on the files of a newer one.
#[derive(Deserialize)]
struct Fields {
    kid: String,
    algorithm: Algorithm,
    state: State,
    created: String,
    since: Option<String>,
    secret: Option<Hidden>,
    private_key: Option<Hidden>,
    refresh_key: Hidden,
}

/// A text that is wiped on drop. The copies inside the TOML parser are out of reach.
pub(super) struct Hidden(Zeroizing<String>);

impl Hidden {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// The text of a new key file, with its kid.
pub(super) fn fresh(
    algorithm: Algorithm,
    state: State,
    created: Timestamp,
) -> Result<(Arc<str>, Zeroizing<String>), KeyError> {
    let text = generate(algorithm)?;
    // The text was made a line above for this algorithm, so neither the decoding nor the key can be refused; if one
    // ever were, then as a failure to generate.
    let key = if algorithm.is_hmac() {
        let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).map(Zeroizing::new).map_err(|_| super::GenerateError)?;
        Key::from_secret(algorithm, &bytes)
    } else {
        Key::from_pem(algorithm, text.as_bytes())
    };
    let kid = key.map_err(|_| super::GenerateError)?.kid().clone();
    let refresh_key = random_text(&*super::generate::random()?);
    // A literal string of TOML: base64 and the lines of a PEM text contain no quotes.
    let (field, quote) = if algorithm.is_hmac() { ("secret", "'") } else { ("private_key", "'''") };
    let mut contents = Zeroizing::new(String::with_capacity(text.len() + 1024));
    contents.push_str(&format!(
        "# A signing key of portcullis. Whoever can read this file can sign tokens.\n\
         kid = '{kid}'\nalgorithm = '{algorithm}'\nstate = '{state}'\ncreated = '{created}'\n"
    ));
    for part in [field, " = ", quote, &text, quote, "\nrefresh_key = '", refresh_key.trim_end(), "'\n"] {
        contents.push_str(part);
    }
    Ok((kid, contents))
}

/// Reads a `<kid>.key` file.
pub(super) fn read_key(contents: &[u8]) -> Result<KeyFile, FileProblem> {
    let text = std::str::from_utf8(contents).map_err(|_| damaged("not UTF-8"))?;
    let fields: Fields = toml_edit::de::from_str(text).map_err(|error| {
        // Display would quote the line, and with it the secret.
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        damaged(&format!("line {line}: {}", error.message().replace('\n', ", ")))
    })?;
    let created = time("created", &fields.created)?;
    let since = fields.since.as_deref().map(|since| time("since", since)).transpose()?;
    let key = match (&fields.secret, &fields.private_key) {
        (Some(secret), None) => {
            let secret = URL_SAFE_NO_PAD.decode(secret.0.as_bytes()).map(Zeroizing::new);
            Key::from_secret(fields.algorithm, &secret.map_err(|_| damaged("secret is not base64url"))?)?
        }
        (None, Some(pem)) => Key::from_pem(fields.algorithm, pem.0.as_bytes())?,
        _ => return Err(damaged("it needs either secret or private_key")),
    };
    if **key.kid() != *fields.kid {
        return Err(damaged("the kid does not belong to the key"));
    }
    let refresh_key = parse_random(fields.refresh_key.0.as_bytes())
        .map_err(|_| damaged("refresh_key is not 32 bytes in base64url"))?;
    let key = Arc::new(SigningKey::new(key, &refresh_key));
    Ok(KeyFile { key, state: fields.state, created, since, is_implied: false })
}

/// The text of a `<kid>.key` file with another state; all else stays as it stands there.
pub(super) fn with_state(contents: &[u8], state: State, since: Timestamp) -> Result<Zeroizing<String>, FileProblem> {
    let text = std::str::from_utf8(contents).map_err(|_| damaged("not UTF-8"))?;
    // Its message would quote a line.
    let document = toml_edit::ImDocument::parse(text).map_err(|_| damaged("not TOML"))?;
    let span = |name| document.get(name).and_then(toml_edit::Item::span);
    let of_state = span("state").ok_or_else(|| damaged("it has no state"))?;
    let after_state = text[of_state.end..].find('\n').map_or(text.len(), |at| of_state.end + at);
    let mut edits = vec![(of_state, format!("'{state}'"))];
    edits.push(match span("since") {
        Some(of_since) => (of_since, format!("'{since}'")),
        None => (after_state..after_state, format!("\nsince = '{since}'")),
    });
    edits.sort_by_key(|(span, _)| span.start);
    // With room for all, so that growing leaves no copy behind.
    let mut changed = Zeroizing::new(String::with_capacity(text.len() + 128));
    let mut copied = 0;
    for (span, replacement) in edits {
        changed.push_str(&text[copied..span.start]);
        changed.push_str(&replacement);
        copied = span.end;
    }
    changed.push_str(&text[copied..]);
    Ok(changed)
}

/// The text of a file that holds 32 random bytes.
pub(super) fn random_text(bytes: &[u8; 32]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(64));
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    text.push('\n');
    text
}

/// Reads a file that holds 32 random bytes.
pub(super) fn parse_random(contents: &[u8]) -> Result<Random, FileProblem> {
    let mut bytes = Random::default();
    // One byte more than fits, so that a longer text is seen.
    let mut decoded = Zeroizing::new([0; 48]);
    match URL_SAFE_NO_PAD.decode_slice(contents.trim_ascii_end(), &mut *decoded) {
        Ok(32) => bytes.copy_from_slice(&decoded[..32]),
        _ => return Err(damaged("not 32 bytes in base64url")),
    }
    Ok(bytes)
}

fn time(field: &str, text: &str) -> Result<Timestamp, FileProblem> {
    text.parse().map_err(|_| damaged(&format!("{field} is not a time like 2026-01-31T12:00:00Z")))
}

fn damaged(what: &str) -> FileProblem {
    FileProblem::Damaged(what.to_owned())
}
