//! `[token]`: the tokens that the gate issues and accepts.
//!
//! Guarantees: lifetimes nest, and a key is given in the one way that its algorithm takes, with no feeble secret.
//! Does not know: key files (the keys room opens them), claims and sessions.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::kind::{Choice, TEN_YEARS};
use super::mistake::quoted;
use super::quantity;
use super::reader::Reader;
use super::secret::Secret;
use super::signing_secret;
use crate::keys::Algorithm;
use crate::token::{AccessOverlap, OnReuse};

#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The `iss` claim, written and demanded.
    pub issuer: String,
    /// The `aud` claim, written and demanded; empty for none.
    pub audience: Vec<String>,
    /// Of the key created at first start. A given key has its own in [`KeySource`], which is the same.
    pub algorithm: Algorithm,
    pub key: KeySource,
    pub token_type: TokenType,
    /// How far clocks may differ, in whole seconds.
    pub leeway: Duration,
    /// An access token's lifetime if none is asked for; whole seconds, like all lifetimes here.
    pub access_ttl: Duration,
    /// The longest that can be asked for.
    pub access_ttl_max: Duration,
    /// A session's idle lifetime: it ends if it is not refreshed for this long.
    pub refresh_ttl: Duration,
    /// A session's absolute lifetime.
    pub session_ttl: Duration,
    pub access_overlap: AccessOverlap,
    /// How long the last refresh token may be presented again for the same answer; zero is strictly single use.
    pub retry_window: Duration,
    pub on_reuse: OnReuse,
}

/// Where the signing key comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum KeySource {
    /// The key ring in the data directory.
    Ring,
    Secret {
        algorithm: Algorithm,
        secret: Secret,
    },
    /// A private key in PEM, not opened yet.
    File {
        algorithm: Algorithm,
        path: PathBuf,
    },
}

/// The `typ` of an access token's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// `at+jwt` (RFC 9068).
    AtJwt,
    /// `JWT`, for validators that know no other.
    Jwt,
}

const SECRET: &str = "token.secret";
const SECRET_FILE: &str = "token.secret_file";
const KEY_FILE: &str = "token.key_file";
const ALGORITHM: &str = "token.algorithm";

impl Token {
    pub(super) fn read(r: &mut Reader) -> Self {
        let (second, five_minutes) = (Duration::from_secs(1), Duration::from_mins(5));
        let lifetime = second..=TEN_YEARS;
        let issuer = r.parsed("token.issuer", "portcullis".into(), name);
        let audience = r.list("token.audience", name);
        let algorithm =
            r.parsed(ALGORITHM, Algorithm::HS256, |text| text.parse::<Algorithm>().map_err(|error| error.to_string()));
        let token = Self {
            issuer,
            audience,
            algorithm,
            key: read_key(r, algorithm),
            token_type: r.choice("token.type", TokenType::AtJwt),
            leeway: r.seconds("token.leeway", Duration::from_secs(30), Duration::ZERO..=five_minutes),
            access_ttl: r.seconds("token.access_ttl", Duration::from_mins(15), lifetime.clone()),
            access_ttl_max: r.seconds("token.access_ttl_max", Duration::from_hours(1), lifetime.clone()),
            refresh_ttl: r.seconds("token.refresh_ttl", Duration::from_hours(720), lifetime.clone()),
            session_ttl: r.seconds("token.session_ttl", Duration::from_hours(8760), lifetime),
            access_overlap: r.parsed("token.access_overlap", AccessOverlap::For(Duration::from_secs(30)), overlap),
            retry_window: r.seconds("token.retry_window", Duration::ZERO, Duration::ZERO..=five_minutes),
            on_reuse: r.choice("token.on_reuse", OnReuse::Session),
        };
        let nested = [
            ("token.access_ttl", token.access_ttl, "token.access_ttl_max", token.access_ttl_max),
            ("token.access_ttl", token.access_ttl, "token.refresh_ttl", token.refresh_ttl),
            ("token.refresh_ttl", token.refresh_ttl, "token.session_ttl", token.session_ttl),
        ];
        for (inner, shorter, outer, longer) in nested {
            let (short, long) = (quantity::show_duration(&shorter), quantity::show_duration(&longer));
            let text = format!("{inner} ({short}) must not be longer than {outer} ({long})");
            r.contradiction_if(shorter > longer, &[inner, outer], text);
        }
        token
    }
}

fn read_key(r: &mut Reader, algorithm: Algorithm) -> KeySource {
    let secret = r.secret(SECRET);
    let path = r.optional_path(KEY_FILE);
    let secret_key = r.given(&[SECRET, SECRET_FILE]);
    let takes_secret = algorithm.is_hmac();
    let (has_secret, has_file) = (secret.is_some(), path.is_some());
    if has_secret && has_file {
        let text = format!("contradicts {secret_key}: give a secret or a private key, not both");
        r.contradiction_if(true, &[KEY_FILE, secret_key], text);
        return KeySource::Ring;
    }
    r.contradiction_if(
        has_secret && !takes_secret,
        &[secret_key, ALGORITHM],
        format!("is of no use to {algorithm}, which signs with a private key: give {KEY_FILE}"),
    );
    r.contradiction_if(
        has_file && takes_secret,
        &[KEY_FILE, ALGORITHM],
        format!("is of no use to {algorithm}, which signs with a secret: give {SECRET}, or another {ALGORITHM}"),
    );
    match (secret, path) {
        (Some(secret), _) => {
            if let Err(text) = signing_secret::check(secret.expose(), algorithm) {
                r.contradiction_if(true, &[secret_key, ALGORITHM], text);
            }
            KeySource::Secret { algorithm, secret }
        }
        (None, Some(path)) => KeySource::File { algorithm, path },
        (None, None) => KeySource::Ring,
    }
}

/// A name as it stands in a claim.
pub(super) fn name(text: &str) -> Result<String, String> {
    match text {
        "" => Err("must not be empty".into()),
        text if text.len() > 255 => Err("must be at most 255 bytes long".into()),
        text if text.contains(char::is_control) => Err("must not contain control characters".into()),
        text => Ok(text.into()),
    }
}

const UNTIL_EXPIRY: &str = "until-expiry";

fn overlap(text: &str) -> Result<AccessOverlap, String> {
    if text == UNTIL_EXPIRY {
        return Ok(AccessOverlap::UntilExpiry);
    }
    match quantity::duration(text) {
        Ok(overlap) if overlap > TEN_YEARS => Err(format!("is too long: write \"{UNTIL_EXPIRY}\"")),
        Ok(overlap) if overlap.subsec_nanos() != 0 => Err("must be whole seconds".into()),
        Ok(overlap) => Ok(AccessOverlap::For(overlap)),
        Err(_) => Err(format!("{} is neither a duration such as `30s` nor `{UNTIL_EXPIRY}`", quoted(text))),
    }
}

impl fmt::Display for AccessOverlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(duration) => f.write_str(&quantity::show_duration(duration)),
            Self::UntilExpiry => f.write_str(UNTIL_EXPIRY),
        }
    }
}

impl Choice for TokenType {
    const NAMES: &'static [(&'static str, Self)] = &[("at+jwt", Self::AtJwt), ("JWT", Self::Jwt)];
}

impl Choice for OnReuse {
    const NAMES: &'static [(&'static str, Self)] = &[("session", Self::Session), ("user", Self::User)];
}
