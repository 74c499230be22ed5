//! `[users]` and `[[realm]]`: where it is written, or who knows, who may sign in.
//!
//! Guarantees: no status of a check is a yes and a no; a realm has a name that no subject can be mistaken by, a place of
//! its own among requests, and a source.
//! Does not know: what stands in the files, and whether anybody answers.

use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use http::uri::PathAndQuery;

use super::kind::TEN_YEARS;
use super::mistake::quoted;
use super::path;
use super::reader::Reader;
use super::route;
use crate::account::{StatusRange, Statuses};

/// `[users]`
#[derive(Clone, Debug, PartialEq)]
pub struct Users {
    /// The users file.
    pub file: PathBuf,
    pub htpasswd: Option<Htpasswd>,
    pub check: Option<Check>,
    /// From looking up the upstream's name to the head of its answer.
    pub check_timeout: Duration,
    /// Checks under way at once, and waiting for their turn.
    pub check_parallel: usize,
    pub check_queue: usize,
    pub realms: Vec<Realm>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Htpasswd {
    pub file: PathBuf,
    /// What its people may have.
    pub scopes: Vec<String>,
}

/// A request that the upstream answers differently to a right and to a wrong password.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// As the upstream has it, below its url.
    pub target: String,
    pub method: Method,
    pub accepted: Statuses,
    pub refused: Statuses,
    /// What whoever the upstream knows may have.
    pub scopes: Vec<String>,
}

/// A set of users of its own, for some of the requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Realm {
    pub name: String,
    pub place: RealmPlace,
    pub file: Option<PathBuf>,
    pub htpasswd: Option<Htpasswd>,
    pub check: Option<Check>,
}

/// Which requests a realm is for.
#[derive(Clone, Debug, PartialEq)]
pub enum RealmPlace {
    /// Those to this host, without a port, in small letters.
    Host(String),
    /// Those whose path lies under this.
    Prefix(String),
}

impl Users {
    /// Everything but the realms.
    pub(super) fn read(r: &mut Reader) -> Self {
        let second = Duration::from_secs(1);
        Self {
            file: r.path("users.file", "users.toml"),
            htpasswd: read_htpasswd(r, |word| format!("users.{word}")),
            check: read_check(r, |word| format!("users.check.{word}")),
            check_timeout: r.duration("users.check.timeout", second * 5, second / 1000..=TEN_YEARS),
            check_parallel: r.number("users.check.parallel", 16, 1..=1024),
            check_queue: r.number("users.check.queue", 64, 0..=65_536),
            realms: Vec::new(),
        }
    }
}

impl Realm {
    pub(super) fn read_all(r: &mut Reader) -> Vec<Self> {
        let mut realms: Vec<Self> = Vec::new();
        for n in 0..r.tables("realm") {
            let Some(realm) = Self::read(r, n) else { continue };
            let taken = realms.iter().any(|earlier| earlier.name == realm.name);
            r.contradiction_if(taken, &[&format!("realm.{n}.name")], "is the name of an earlier [[realm]] already");
            let taken = realms.iter().any(|earlier| earlier.place == realm.place);
            r.contradiction_if(taken, &[&format!("realm.{n}")], "is for the same requests as an earlier [[realm]]");
            realms.push(realm);
        }
        realms
    }

    fn read(r: &mut Reader, n: usize) -> Option<Self> {
        let key = |word: &str| format!("realm.{n}.{word}");
        let name = r.optional_parsed(&key("name"), name);
        let host = r.optional_parsed(&key("host"), host);
        let prefix = r.optional_parsed(&key("prefix"), |text| match path::prefix(text)? {
            prefix if prefix.is_empty() => Err("must not be `/`: that is for the sources in [users]".into()),
            prefix => Ok(prefix.to_ascii_lowercase()),
        });
        let file = r.optional_path(&key("users_file"));
        let htpasswd = read_htpasswd(r, key);
        let check = read_check(r, |word| key(&format!("check_{word}")));

        let table = format!("realm.{n}");
        r.contradiction_if(name.is_none(), &[&table, &key("name")], "lacks a name");
        let text = "needs one of host and prefix, and not both";
        r.contradiction_if(host.is_some() == prefix.is_some(), &[&table, &key("host"), &key("prefix")], text);
        let none = file.is_none() && htpasswd.is_none() && check.is_none();
        let keys = [key("users_file"), key("htpasswd_file"), key("check_path")];
        let [of_file, of_htpasswd, of_check] = keys.each_ref().map(String::as_str);
        let text = "has no users: it needs users_file, htpasswd_file or check_path";
        r.contradiction_if(none, &[&table, of_file, of_htpasswd, of_check], text);
        let place = host.map(RealmPlace::Host).or(prefix.map(RealmPlace::Prefix))?;
        Some(Self { name: name?, place, file, htpasswd, check })
    }
}

fn read_htpasswd(r: &mut Reader, key: impl Fn(&str) -> String) -> Option<Htpasswd> {
    let file = r.optional_path(&key("htpasswd_file"));
    let scopes = r.list_or(&key("htpasswd_scopes"), &["all:any"], route::scope);
    file.map(|file| Htpasswd { file, scopes })
}

fn read_check(r: &mut Reader, key: impl Fn(&str) -> String) -> Option<Check> {
    let target = r.optional_parsed(&key("path"), target);
    let method = r.parsed(&key("method"), Method::GET, route::method);
    let accepted = r.list_or(&key("accepted"), &["2xx"], |text| statuses(text).map(|range| range.to_string()));
    let refused = r.list_or(&key("refused"), &["401", "403"], |text| statuses(text).map(|range| range.to_string()));
    let scopes = r.list_or(&key("scopes"), &["all:any"], route::scope);
    let ranges = |list: &[String]| Statuses(list.iter().filter_map(|text| statuses(text).ok()).collect());
    let (accepted, refused) = (ranges(&accepted), ranges(&refused));
    let (of_accepted, of_refused) = (key("accepted"), key("refused"));
    let both = accepted.0.iter().any(|yes| refused.0.iter().any(|no| yes.overlaps(*no)));
    r.contradiction_if(both, &[&of_refused, &of_accepted], "has a status that means a right password too");
    for (list, name) in [(&accepted, &of_accepted), (&refused, &of_refused)] {
        r.contradiction_if(list.0.is_empty(), &[name], "must not be empty");
    }
    target.map(|target| Check { target, method, accepted, refused, scopes })
}

fn statuses(text: &str) -> Result<StatusRange, String> {
    let wrong = || format!("{} is neither a status such as `401` nor a range such as `2xx`", quoted(text));
    if let Some(digit) = text.strip_suffix("xx") {
        let digit = digit.parse().ok().filter(|digit| (2..=5).contains(digit));
        return digit.map(StatusRange::Hundred).ok_or_else(wrong);
    }
    let status = text.parse().ok().filter(|status| (200..=599).contains(status));
    status.map(StatusRange::One).ok_or_else(wrong)
}

/// Path and query.
fn target(text: &str) -> Result<String, String> {
    if !text.starts_with('/') || text.starts_with("//") {
        return Err("must be a path that begins with one `/`".into());
    }
    if text.contains('#') {
        return Err("must not have a fragment".into());
    }
    text.parse::<PathAndQuery>().map(|_| text.into()).map_err(|error| format!("is no path: {error}"))
}

/// What a subject begins with: it must not read as a client's, nor as another issuer's.
fn name(text: &str) -> Result<String, String> {
    let right = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._~-".contains(c);
    if text.is_empty() || !text.chars().all(right) {
        return Err("must consist of small letters, digits and `. _ ~ -`".into());
    }
    if ["client", "http", "https"].contains(&text) {
        return Err(format!("{} is what other subjects begin with", quoted(text)));
    }
    Ok(text.into())
}

fn host(text: &str) -> Result<String, String> {
    let right = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if text.is_empty() || !text.chars().all(right) {
        return Err("must be a host's name, without a port".into());
    }
    Ok(text.to_ascii_lowercase())
}
