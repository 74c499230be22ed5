//! `[[client]]`: one OAuth client.
//!
//! Guarantees: an id that reads alike wherever it stands, and that no other client has; a secret's hash or none, and no
//! grant that a client without a secret must not have.
//! Does not know: how a client proves itself, what a grant hands out.

use std::collections::HashSet;
use std::time::Duration;

use crate::account::{Grant, StoredHash};
use crate::token::TOKENS_REFRESH;

use super::kind::TEN_YEARS;
use super::mistake::quoted;
use super::profiles::OauthProfile;
use super::reader::Reader;
use super::route;

#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    pub id: String,
    /// Nothing for a public client.
    pub secret_hash: Option<StoredHash>,
    pub grants: Vec<Grant>,
    pub scopes: Vec<String>,
    pub access_ttl: Duration,
    pub refresh_ttl: Duration,
}

/// An id is repeated in every token, session and log line.
const MAX_ID_BYTES: usize = 255;

impl Client {
    pub(super) fn read_all(r: &mut Reader, oauth: &OauthProfile) -> Vec<Self> {
        let mut ids = HashSet::new();
        let mut clients = Vec::new();
        for n in 0..r.tables("client") {
            let Some(client) = Self::read(r, n, oauth) else { continue };
            if !ids.insert(client.id.clone()) {
                r.mistake(&format!("client.{n}.id"), "is an earlier [[client]]'s already");
            }
            clients.push(client);
        }
        clients
    }

    fn read(r: &mut Reader, n: usize, oauth: &OauthProfile) -> Option<Self> {
        let key = |word: &str| format!("client.{n}.{word}");
        let table = format!("client.{n}");
        let [of_id, of_hash, of_public, of_grants] = ["id", "secret_hash", "public", "grants"].map(key);
        let [of_access, of_refresh] = ["access_ttl", "refresh_ttl"].map(key);
        let id = r.optional_parsed(&of_id, id);
        let secret = r.secret(&of_hash);
        let public = r.flag(&of_public, false);
        let grants = r.list(&of_grants, grant);
        let scopes = r.list(&key("scopes"), scope);
        let lifetime = Duration::from_secs(1)..=TEN_YEARS;
        let access_ttl = r.seconds(&of_access, oauth.access_ttl, lifetime.clone());
        let refresh_ttl = r.seconds(&of_refresh, oauth.refresh_ttl, lifetime);

        r.contradiction_if(id.is_none(), &[&table, &of_id], "lacks an id");
        let in_file = key("secret_hash_file");
        let given = r.given(&[&of_hash, &in_file]).to_owned();
        let secret_hash = secret.as_ref().and_then(|secret| match read_hash(secret.expose()) {
            Ok(hash) => Some(hash),
            Err(text) => {
                r.mistake(&given, text);
                None
            }
        });
        let lacks = "needs secret_hash, secret_hash_file, or public = true";
        r.contradiction_if(secret.is_none() && !public, &[&table, &of_hash, &in_file, &of_public], lacks);
        let both = "a public client has no secret: leave one of them out";
        r.contradiction_if(secret.is_some() && public, &[&of_public, &given], both);
        // RFC 6749 section 4.4.
        let alone = public && grants.contains(&Grant::ClientCredentials);
        r.contradiction_if(alone, &[&of_grants, &of_public], "client_credentials needs a client with a secret");
        let off = grants.contains(&Grant::Password) && !oauth.password_grant;
        let text = "password needs profiles.oauth.password_grant = true";
        r.contradiction_if(off, &[&of_grants, "profiles.oauth.password_grant"], text);
        let text = "must not be longer than refresh_ttl";
        r.contradiction_if(access_ttl > refresh_ttl, &[&of_access, &of_refresh], text);
        Some(Self { id: id?, secret_hash, grants, scopes, access_ttl, refresh_ttl })
    }
}

/// RFC 6749 appendix A.1 would allow more. These read alike in a form, in a header and in a URL, encoded or not, which
/// not every client does.
fn id(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    match text.len() {
        1..=MAX_ID_BYTES if text.bytes().all(plain) => Ok(text.into()),
        1..=MAX_ID_BYTES => Err(format!("{} must consist of letters, digits and `. _ ~ -`", quoted(text))),
        0 => Err("must not be empty".into()),
        _ => Err(format!("must be at most {MAX_ID_BYTES} characters long")),
    }
}

fn grant(text: &str) -> Result<Grant, String> {
    let names = || Grant::ALL.map(Grant::as_str).join(", ");
    Grant::named(text).ok_or_else(|| format!("{} is not one of {}", quoted(text), names()))
}

fn scope(text: &str) -> Result<String, String> {
    if text == TOKENS_REFRESH {
        return Err(format!("`{TOKENS_REFRESH}` belongs to refresh tokens alone and cannot be granted"));
    }
    route::scope(text)
}

/// No mistake repeats what was written: it may be a secret in the clear.
fn read_hash(bytes: &[u8]) -> Result<StoredHash, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not text")?;
    StoredHash::parse(text).map_err(|mistake| format!("{mistake}: `portcullis hash-password` makes one"))
}
