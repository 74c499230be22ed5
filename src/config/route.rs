//! `[[route]]`: one rule, what a path and its methods demand.
//!
//! Guarantees: a rule has a canonical pattern and makes exactly one demand of credentials, and no two rules decide the same
//! request.
//! Does not know: how rules are compiled and matched, or which scopes and roles anybody has.

use std::collections::HashMap;

use http::Method;

use super::kind::Choice;
use super::log::AccessLog;
use super::mistake::quoted;
use super::path;
use super::reader::Reader;
use super::tls::{ClientAuth, Tls};
use super::upstream::Credentials;
use crate::gateway::OnceBy;

#[derive(Clone, Debug, PartialEq)]
pub struct RouteRule {
    /// Absolute; `{name}` stands for one segment, a last segment `*` for any remainder.
    pub path: String,
    /// All methods if absent.
    pub methods: Option<Vec<Method>>,
    /// Besides: whom the certificate of the connection has to name, or how that begins and a `*`.
    pub certificate: Option<String>,
    pub demand: Demand,
    /// In place of `upstream.credentials`.
    pub credentials: Option<Credentials>,
    /// By what a repetition is known.
    pub once: Vec<OnceBy>,
    /// In place of `log.access`.
    pub log: Option<AccessLog>,
}

/// What a rule demands of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A valid token with this scope.
    Scope(String),
    /// A valid token of a user with this role.
    Role(String),
    /// Nothing; the identity headers are still removed.
    Public,
    /// Nothing, and `Authorization` is left for the upstream.
    Passthrough,
    /// Any valid token.
    Authenticated,
}

#[derive(Clone, Copy, PartialEq)]
enum Access {
    Public,
    Passthrough,
    Authenticated,
}

impl RouteRule {
    pub(super) fn read_all(r: &mut Reader, tls: &Tls) -> Vec<Self> {
        let mut rules: Vec<Self> = Vec::new();
        let mut of_shape: HashMap<String, Vec<usize>> = HashMap::new();
        for n in 0..r.tables("route") {
            let Some(rule) = Self::read(r, n) else {
                continue;
            };
            r.contradiction_if(
                rule.certificate.is_some() && tls.client_auth == ClientAuth::Off,
                &[&*format!("route.{n}.certificate"), "tls.client_auth"],
                "can never be met: tls.client_auth is off, and no client is asked for a certificate",
            );
            let earlier = of_shape.entry(shape(&rule.path)).or_default();
            if earlier.iter().any(|earlier| rules[*earlier].shares_methods_with(&rule)) {
                r.mistake(&format!("route.{n}.path"), "is decided by an earlier [[route]] already");
            }
            earlier.push(rules.len());
            rules.push(rule);
        }
        rules
    }

    fn read(r: &mut Reader, n: usize) -> Option<Self> {
        let key = |word: &str| format!("route.{n}.{word}");
        let path = r.optional_parsed(&key("path"), path::pattern);
        let methods = r.optional_list(&key("methods"), method);
        let scope = r.optional_parsed(&key("scope"), scope);
        let role = r.optional_parsed(&key("role"), role);
        let access = r.optional_choice::<Access>(&key("access"));
        let certificate = r.optional_parsed(&key("certificate"), certificate);

        let credentials = r.optional_choice(&key("credentials"));
        let once = r.optional_list(&key("once"), |text| once_by(text).map(|_| text.to_owned())).unwrap_or_default();
        let once = once.iter().filter_map(|text| once_by(text).ok()).collect();
        let log = r.optional_choice(&key("log"));
        let table = format!("route.{n}");
        let keys = [key("path"), key("methods"), key("scope"), key("role"), key("access")];
        let [of_path, of_methods, of_scope, of_role, of_access] = keys.each_ref().map(String::as_str);
        r.contradiction_if(path.is_none(), &[&table, of_path], "lacks a path");
        if methods.as_ref().is_some_and(Vec::is_empty) {
            r.contradiction_if(true, &[of_methods], "must not be empty: leave it out for all methods");
        }
        let made = [scope.is_some(), role.is_some(), access.is_some()].iter().filter(|made| **made).count();
        let text = match made {
            0 => "needs one of scope, role and access",
            _ => "must have only one of scope, role and access",
        };
        r.contradiction_if(made != 1, &[&table, of_scope, of_role, of_access], text);
        let demand = match (scope, role, access) {
            (Some(scope), ..) => Demand::Scope(scope),
            (_, Some(role), _) => Demand::Role(role),
            (.., Some(Access::Public)) => Demand::Public,
            (.., Some(Access::Passthrough)) => Demand::Passthrough,
            (.., Some(Access::Authenticated)) => Demand::Authenticated,
            (None, None, None) => return None,
        };
        let open = matches!(demand, Demand::Public | Demand::Passthrough);
        let text = "has no meaning where nobody is asked who they are";
        r.contradiction_if(open && credentials.is_some(), &[&key("credentials"), of_access], text);
        Some(Self { path: path?, methods, certificate, demand, credentials, once, log })
    }

    /// Whether both rules, if their paths match, match some request equally well.
    fn shares_methods_with(&self, other: &Self) -> bool {
        match (&self.methods, &other.methods) {
            (Some(ours), Some(theirs)) => ours.iter().any(|method| theirs.contains(method)),
            // A rule for named methods is more particular than one for all.
            (None, None) => true,
            _ => false,
        }
    }
}

/// The pattern without the names in it, and without case, which matching ignores.
fn shape(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/").to_ascii_lowercase()
}

pub(super) fn method(text: &str) -> Result<Method, String> {
    let right = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    let wrong = || match text.to_ascii_uppercase() {
        upper if !upper.is_empty() && upper.bytes().all(|b| b.is_ascii_uppercase()) => {
            format!("{} is not a method: write `{upper}`", quoted(text))
        }
        _ => format!("{} is not a method", quoted(text)),
    };
    if right { Method::from_bytes(text.as_bytes()).map_err(|_| wrong()) } else { Err(wrong()) }
}

/// RFC 6749 section 3.3: one scope-token.
pub(super) fn scope(text: &str) -> Result<String, String> {
    let right = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if !text.is_empty() && text.bytes().all(right) {
        return Ok(text.into());
    }
    Err(format!("{} is not one scope, such as `items:read`", quoted(text)))
}

/// `header:Name`, `query:name` or `path`.
fn once_by(text: &str) -> Result<OnceBy, String> {
    let wrong = || format!("{} is not `header:Idempotency-Key`, `query:id` or the like, nor `path`", quoted(text));
    match text.split_once(':') {
        None if text == "path" => Ok(OnceBy::Path),
        Some(("header", name)) => name.parse().map(OnceBy::Header).map_err(|_| wrong()),
        Some(("query", name)) if !name.is_empty() => Ok(OnceBy::Query(name.into())),
        _ => Err(wrong()),
    }
}

fn role(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(format!("{} is not a role's name", quoted(text)));
    }
    Ok(text.into())
}

fn certificate(text: &str) -> Result<String, String> {
    let names = ["URI=", "DNS=", "CN="].iter().any(|kind| text.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
    if !names || text.contains(char::is_control) {
        return Err(format!("{} is not whom a certificate names, such as `DNS=client.example`", quoted(text)));
    }
    match text.find('*') {
        Some(at) if at + 1 < text.len() => Err("may have a `*` at its end only".into()),
        _ => Ok(text.into()),
    }
}

impl Choice for Access {
    const NAMES: &'static [(&'static str, Self)] =
        &[("public", Self::Public), ("passthrough", Self::Passthrough), ("authenticated", Self::Authenticated)];
}
