//! `[token]`: the tokens that the gate issues and accepts.
//!
//! Guarantees: lifetimes nest, and a key is given in the one way that its algorithm takes, with no feeble secret.
//! Does not know: the key files of data_dir (the keys room opens them), claims and sessions.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::kind::{Choice, TEN_YEARS};
use super::mistake::quoted;
use super::quantity;
use super::reader::Reader;
use super::secret::Secret;
use super::signing_secret;
use super::token_keys::TokenKey;
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
    pub lifetimes: Lifetimes,
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
    /// The `[[token.keys]]` tables in the order of the file; exactly one is current.
    Several(Vec<TokenKey>),
}

/// What lifetimes are if they are not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetimes {
    /// As each profile has them.
    Standard,
    /// As for a bank: five minutes, and an hour without use.
    Strict,
}

impl Lifetimes {
    /// The default of an access token's lifetime, which is `standard` otherwise.
    pub(super) fn access(self, standard: Duration) -> Duration {
        match self {
            Self::Standard => standard,
            Self::Strict => Duration::from_mins(5),
        }
    }

    /// Likewise of a session that is not refreshed.
    pub(super) fn refresh(self, standard: Duration) -> Duration {
        match self {
            Self::Standard => standard,
            Self::Strict => Duration::from_hours(1),
        }
    }

    /// Says where the defaults of `keys` come from.
    pub(super) fn tell(self, r: &mut Reader, keys: &[&str]) {
        if self != Self::Standard {
            r.preset(LIFETIMES, keys);
        }
    }
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
const LIFETIMES: &str = "token.lifetimes";
const ACCESS_TTL: &str = "token.access_ttl";
const ACCESS_TTL_MAX: &str = "token.access_ttl_max";
const REFRESH_TTL: &str = "token.refresh_ttl";

impl Token {
    pub(super) fn read(r: &mut Reader) -> Self {
        let (second, five_minutes) = (Duration::from_secs(1), Duration::from_mins(5));
        let lifetime = second..=TEN_YEARS;
        let issuer = r.parsed("token.issuer", "portcullis".into(), name);
        let audience = r.list("token.audience", name);
        let algorithm =
            r.parsed(ALGORITHM, Algorithm::HS256, |text| text.parse::<Algorithm>().map_err(|error| error.to_string()));
        let key = read_key(r, algorithm);
        let token_type = r.choice("token.type", TokenType::AtJwt);
        let leeway = r.seconds("token.leeway", Duration::from_secs(30), Duration::ZERO..=five_minutes);
        let lifetimes = r.choice(LIFETIMES, Lifetimes::Standard);
        let quarter = lifetimes.access(Duration::from_mins(15));
        let hour = lifetimes.access(Duration::from_hours(1));
        let month = lifetimes.refresh(Duration::from_hours(720));
        let mut token = Self {
            issuer,
            audience,
            algorithm,
            key,
            token_type,
            leeway,
            lifetimes,
            access_ttl: r.seconds(ACCESS_TTL, quarter, lifetime.clone()),
            access_ttl_max: r.seconds(ACCESS_TTL_MAX, hour, lifetime.clone()),
            refresh_ttl: r.seconds(REFRESH_TTL, month, lifetime.clone()),
            session_ttl: r.seconds("token.session_ttl", Duration::from_hours(8760), lifetime),
            access_overlap: r.parsed("token.access_overlap", AccessOverlap::For(Duration::from_secs(30)), overlap),
            retry_window: r.seconds("token.retry_window", Duration::ZERO, Duration::ZERO..=five_minutes),
            on_reuse: r.choice("token.on_reuse", OnReuse::Session),
        };
        lifetimes.tell(r, &[ACCESS_TTL, ACCESS_TTL_MAX, REFRESH_TTL]);
        let nested = [
            (ACCESS_TTL, token.access_ttl, ACCESS_TTL_MAX, token.access_ttl_max),
            (ACCESS_TTL, token.access_ttl, REFRESH_TTL, token.refresh_ttl),
            (REFRESH_TTL, token.refresh_ttl, "token.session_ttl", token.session_ttl),
        ];
        for (inner, shorter, outer, longer) in nested {
            let (short, long) = (quantity::show_duration(&shorter), quantity::show_duration(&longer));
            let text = format!("{inner} ({short}) must not be longer than {outer} ({long})");
            r.contradiction_if(shorter > longer, &[inner, outer], text);
        }
        // Last, because these tables must follow the section's own keys.
        let keys = TokenKey::read_all(r);
        if !keys.is_empty() {
            let single = r.given(&[SECRET, SECRET_FILE, KEY_FILE]);
            let text = "contradicts [[token.keys]]: leave one of them out";
            r.contradiction_if(token.key != KeySource::Ring, &[single], text);
            token.key = KeySource::Several(keys);
        }
        token
    }
}

fn read_key(r: &mut Reader, algorithm: Algorithm) -> KeySource {
    let secret = r.secret(SECRET);
    let path = r.optional_path(KEY_FILE);
    r.made_of(path.as_deref());
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

impl Choice for Lifetimes {
    const NAMES: &'static [(&'static str, Self)] = &[("standard", Self::Standard), ("strict", Self::Strict)];
}

impl Choice for OnReuse {
    const NAMES: &'static [(&'static str, Self)] = &[("session", Self::Session), ("user", Self::User)];
}
