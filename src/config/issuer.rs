//! `[[issuer]]`: another issuer whose access tokens are accepted.
//!
//! Guarantees: its name cannot be ours nor another table's, and cannot be mistaken for a part of a subject; its keys have
//! exactly one source, which nobody on the way can change (https, this machine, or a file); only algorithms with public
//! keys; no scope here is one that only this gate gives.
//! Does not know: keys, tokens.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use figment::value::Value;
use http::Uri;

use super::effective::{quote, quote_all};
use super::mistake::quoted;
use super::reader::Reader;
use super::route;
use super::shape;
use super::token::{self, Token};
use crate::issuer::{DIVIDER, Endpoint, Source};
use crate::keys::Algorithm;
use crate::token::{TOKENS_MANAGE, TOKENS_REFRESH};

#[derive(Clone, Debug, PartialEq)]
pub struct Issuer {
    /// Its name: exactly what stands in `iss`.
    pub issuer: String,
    pub source: Source,
    /// A token has to name one of these.
    pub audience: Vec<String>,
    pub algorithms: Vec<Algorithm>,
    pub scopes_claim: String,
    pub roles_claim: Option<String>,
    /// What its scopes mean here. `None`: they mean what they say.
    pub scopes: Option<BTreeMap<String, Vec<String>>>,
    /// Between two fetches that nobody asks for.
    pub refresh_interval: Duration,
    /// Between two fetches that tokens with unknown keys cause.
    pub cooldown: Duration,
}

impl Issuer {
    pub(super) fn read_all(r: &mut Reader, token: &Token) -> Vec<Self> {
        let mut issuers: Vec<Self> = Vec::new();
        for n in 0..r.tables("issuer") {
            let Some(issuer) = Self::read(r, n) else {
                continue;
            };
            let of_name = format!("issuer.{n}.issuer");
            let ours = issuer.issuer == token.issuer;
            r.contradiction_if(ours, &[&of_name, "token.issuer"], "is this gate itself: token.issuer is the same");
            let twice = issuers.iter().any(|earlier| earlier.issuer == issuer.issuer);
            r.contradiction_if(twice, &[&of_name], "is named by an earlier [[issuer]] already");
            issuers.push(issuer);
        }
        issuers
    }

    fn read(r: &mut Reader, n: usize) -> Option<Self> {
        let (hour, second) = (Duration::from_hours(1), Duration::from_secs(1));
        let key = |word: &str| format!("issuer.{n}.{word}");
        let issuer = r.optional_parsed(&key("issuer"), name);
        let url = r.optional_parsed(&key("jwks_url"), |text| endpoint(text).map(Source::Url));
        let file = r.optional_path(&key("jwks_file"));
        let ca_file = r.optional_path(&key("ca_file"));
        let audience = r.list(&key("audience"), token::name);
        let algorithms = r.list(&key("algorithms"), algorithm);
        let scopes_claim = r.parsed(&key("scopes_claim"), "scope".into(), token::name);
        let roles_claim = r.optional_parsed(&key("roles_claim"), token::name);
        let scopes = read_scopes(r, &key("scopes"));
        let refresh_interval = r.duration(&key("refresh_interval"), hour, second..=hour * 24);
        let cooldown = r.duration(&key("cooldown"), second * 30, second / 10..=hour);

        let table = format!("issuer.{n}");
        let keys = ["issuer", "jwks_url", "jwks_file", "ca_file", "audience", "algorithms"].map(key);
        let [of_issuer, of_url, of_file, of_ca_file, of_audience, of_algorithms] = keys.each_ref().map(String::as_str);
        r.contradiction_if(issuer.is_none(), &[&table, of_issuer], "lacks an issuer");
        r.contradiction_if(audience.is_empty(), &[&table, of_audience], "lacks an audience: whom its tokens are for");
        r.contradiction_if(algorithms.is_empty(), &[&table, of_algorithms], "lacks algorithms, such as [\"RS256\"]");
        let text = match url.is_some() {
            true => "contradicts jwks_url: leave one of them out",
            false => "needs jwks_url or jwks_file",
        };
        let keys = if url.is_some() { [of_file, of_url, of_url] } else { [&table, of_url, of_file] };
        r.contradiction_if(url.is_some() == file.is_some(), &keys, text);
        let https = matches!(&url, Some(Source::Url(endpoint)) if endpoint.https);
        let needless = ca_file.is_some() && !https;
        r.contradiction_if(needless, &[of_ca_file, of_url], "is used only with a jwks_url that begins with https://");
        let source = match (url, file) {
            (Some(Source::Url(endpoint)), _) => Source::Url(Endpoint { ca_file, ..endpoint }),
            (_, file) => Source::File(file?),
        };
        Some(Self {
            issuer: issuer?,
            source,
            audience,
            algorithms,
            scopes_claim,
            roles_claim,
            scopes,
            refresh_interval,
            cooldown,
        })
    }
}

/// A subject is the issuer, the divider and a name, so that the divider must not be in the issuer; and its scheme keeps
/// it from being taken for one of ours.
fn name(text: &str) -> Result<String, String> {
    let scheme = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if scheme.is_none_or(str::is_empty) {
        return Err("must be a URL as it stands in `iss`, such as `https://idp.example.org`".into());
    }
    if text.contains(DIVIDER) || text.contains(char::is_whitespace) {
        return Err(format!("must not contain `{DIVIDER}` or blanks"));
    }
    token::name(text)
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::asymmetric().find(|known| known.as_str() == text).ok_or_else(|| {
        let known: Vec<_> = Algorithm::asymmetric().map(Algorithm::as_str).collect();
        format!("{} is not one of {}: another issuer's keys are public", quoted(text), known.join(", "))
    })
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let https = match text.split_once("://") {
        Some(("https", _)) => true,
        Some(("http", _)) => false,
        _ => return Err("must begin with https://".into()),
    };
    // The parser drops a fragment without a word.
    if text.contains('#') {
        return Err("must not have a fragment".into());
    }
    if text.contains('@') {
        return Err("must not hold a user name or password".into());
    }
    let uri: Uri = text.parse().map_err(|error| format!("is not a URL: {error}"))?;
    let authority = uri.authority().ok_or("has no host")?;
    let host = authority.host();
    let port = match authority.as_str().strip_prefix(host) {
        Some("") => {
            if https {
                443
            } else {
                80
            }
        }
        Some(_) => authority.port_u16().filter(|port| *port != 0).ok_or("has no usable port")?,
        None => return Err("has no usable host".into()),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if bare.is_empty() {
        return Err("has no host".into());
    }
    let loopback = bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !https && !loopback && !bare.eq_ignore_ascii_case("localhost") {
        return Err("must begin with https://: http:// is taken for this machine only".into());
    }
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    Ok(Endpoint { https, host: bare.into(), port, target: target.into(), ca_file: None })
}

/// A table of theirs to ours: a text or a list of texts.
fn read_scopes(r: &mut Reader, key: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let show = |map: &BTreeMap<String, Vec<String>>| {
        let entries =
            map.iter().map(|(theirs, ours)| format!("{} = {}", quote(theirs), quote_all(ours.iter().cloned())));
        format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
    };
    r.optional(key, show, |value, _| {
        let Value::Dict(_, table) = value else {
            return Err("must be a table of their scopes, such as `{ \"api.read\" = \"messages:read\" }`".into());
        };
        let mut map = BTreeMap::new();
        for (theirs, ours) in table {
            let wrong = |text| format!("has for {} what {text}", quoted(theirs));
            let ours = match ours {
                Value::String(..) => vec![shape::text(ours)],
                _ => shape::texts(ours, false).map_err(wrong)?,
            };
            let ours = ours.into_iter().map(|scope| scope.and_then(|scope| own_scope(&scope)).map_err(wrong));
            map.insert(theirs.clone(), ours.collect::<Result<_, _>>()?);
        }
        Ok(map)
    })
}

fn own_scope(text: &str) -> Result<String, String> {
    if [TOKENS_MANAGE, TOKENS_REFRESH].contains(&text) {
        return Err(format!("only this gate gives: {text}"));
    }
    route::scope(text).map_err(|_| format!("is not one scope: {}", quoted(text)))
}
