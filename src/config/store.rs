//! `[store]`: how sessions are kept.
//!
//! Guarantees: intervals are not so short that snapshots or syncs chase each other; a primary is there exactly if it is
//! followed, an engine exactly if it is used.
//! Does not know: files, formats, engines and sessions.

use std::fmt;
use std::time::Duration;

use super::kind::Choice;
use super::reader::Reader;
use super::secret::Secret;
use super::server::Server;
use super::upstream::{self, Origin};
use super::upstream_tls::{Table, Trust, UpstreamTls};

#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    pub kind: StoreKind,
    /// How long a replica may see nothing new in the files before it counts as stale.
    pub max_stale: Duration,
    /// How often a replica looks at them.
    pub poll_interval: Duration,
    pub fsync: Fsync,
    /// Between two syncs with [`Fsync::Interval`].
    pub fsync_interval: Duration,
    /// Between two snapshots while sessions change.
    pub snapshot_interval: Duration,
    pub record_addresses: RecordAddresses,
    /// To the primary or the engine; `None`: in the clear.
    pub tls: Option<UpstreamTls>,
}

/// Who writes the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// This gate, the primary.
    Memory,
    /// Another gate, which this one follows. Whatever changes a session is that one's to do.
    Replica { primary: Origin },
    /// Nobody: several gates keep the sessions on an engine.
    Redis(Box<Redis>),
}

impl StoreKind {
    fn is_reached_through_tls(&self) -> bool {
        match self {
            Self::Memory => false,
            Self::Replica { primary } => primary.https,
            Self::Redis(engine) => engine.servers.iter().any(|server| server.tls),
        }
    }
}

/// A Redis or Valkey, and how it is spoken with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// At least one; of the engine or its sentinels, all with or all without TLS.
    pub servers: Vec<RedisServer>,
    /// What the sentinels call the engine.
    pub sentinel: Option<String>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub key_prefix: String,
    pub timeout: Duration,
    pub wait_replicas: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisServer {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    pub database: u32,
}

impl fmt::Display for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tls, host, port, database } = self;
        let scheme = if *tls { "rediss" } else { "redis" };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}/{database}")
        } else {
            write!(f, "{scheme}://{host}:{port}/{database}")
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Memory,
    Replica,
    Redis,
}

/// When a change is certain enough to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// It is on the disk.
    Always,
    /// The system has it, and is told to write it down now and then.
    Interval,
    /// The system has it.
    Never,
}

/// How much of a client's address a session remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordAddresses {
    Full,
    /// The network only.
    Prefix,
    Off,
}

impl Store {
    pub(super) fn read(r: &mut Reader, server: &Server) -> Self {
        let stale = Duration::from_secs(2)..=Duration::from_hours(24);
        let polls = Duration::from_millis(10)..=Duration::from_secs(10);
        let interval = Duration::from_millis(100)..=Duration::from_hours(24);
        let syncs = Duration::from_millis(10)..=Duration::from_secs(60);
        let mut store = Self {
            kind: read_kind(r, server),
            max_stale: r.duration("store.max_stale", Duration::from_secs(10), stale),
            poll_interval: r.duration("store.poll_interval", Duration::from_millis(100), polls),
            fsync: r.choice("store.fsync", Fsync::Always),
            fsync_interval: r.duration("store.fsync_interval", Duration::from_secs(1), syncs),
            snapshot_interval: r.duration("store.snapshot_interval", Duration::from_secs(60), interval),
            record_addresses: r.choice("store.record_addresses", RecordAddresses::Full),
            tls: None,
        };
        // Last: its keys form a table of their own.
        store.tls = UpstreamTls::read(r, &TLS, store.kind.is_reached_through_tls());
        let engine = matches!(store.kind, StoreKind::Redis(_));
        for (given, key) in [
            (store.tls.as_ref().is_some_and(|tls| tls.trust == Trust::Mozilla), "store.tls.roots"),
            (store.tls.as_ref().is_some_and(|tls| tls.server_name.is_some()), "store.tls.server_name"),
        ] {
            r.contradiction_if(engine && given, &[key, "store.kind"], "is not for store.kind = \"redis\"");
        }
        store
    }
}

const TLS: Table = Table {
    name: "store.tls",
    urls: &["store.primary_url", "store.urls"],
    if_secure: "store.primary_url begins with https://, or store.urls with rediss://",
    unchecked: false,
};

fn read_kind(r: &mut Reader, server: &Server) -> StoreKind {
    const KIND: &str = "store.kind";
    const URL: &str = "store.primary_url";
    let kind = r.choice(KIND, Kind::Memory);
    let primary = r.optional_parsed(URL, primary);
    let replica = kind == Kind::Replica;
    // Whoever names a primary believes to run a replica; a second gate that waits for the lock is not what was meant.
    let needless = format!("is used only with {KIND} = \"replica\"");
    r.contradiction_if(!replica && primary.is_some(), &[URL, KIND], needless);
    r.contradiction_if(replica && primary.is_none(), &[KIND, URL], format!("\"replica\" needs {URL}"));
    r.contradiction_if(
        primary.as_ref().is_some_and(|primary| primary.is_ours(server)),
        &[URL, "server.listen"],
        format!("the primary is the gate itself: {URL} and server.listen are the same"),
    );
    let redis = read_redis(r, kind == Kind::Redis);
    match (kind, primary, redis) {
        (Kind::Replica, Some(primary), _) => StoreKind::Replica { primary },
        (Kind::Redis, _, Some(redis)) => StoreKind::Redis(Box::new(redis)),
        _ => StoreKind::Memory,
    }
}

fn read_redis(r: &mut Reader, used: bool) -> Option<Redis> {
    const URLS: &str = "store.urls";
    let servers = r.optional_list(URLS, redis_server);
    let sentinel = r.optional_parsed("store.sentinel", word);
    let username = r.optional_parsed("store.username", word);
    let password = r.secret("store.password");
    let key_prefix = r.parsed("store.key_prefix", "{portcullis}:".into(), key_prefix);
    let timeouts = Duration::from_millis(50)..=Duration::from_secs(30);
    let timeout = r.duration("store.timeout", Duration::from_secs(1), timeouts);
    let wait_replicas = r.number("store.wait_replicas", 0, 0..=100);
    // Whoever names an engine believes that the sessions are there.
    let needless = "is used only with store.kind = \"redis\"";
    for (key, given) in [
        (URLS, servers.is_some()),
        ("store.sentinel", sentinel.is_some()),
        ("store.username", username.is_some()),
        (r.given(&["store.password", "store.password_file"]), password.is_some()),
    ] {
        r.contradiction_if(!used && given, &[key, "store.kind"], needless);
    }
    let servers = servers.unwrap_or_default();
    let nowhere = format!("\"redis\" needs {URLS}");
    r.contradiction_if(used && servers.is_empty(), &["store.kind", URLS], nowhere);
    let tls = servers.iter().filter(|server| server.tls).count();
    r.contradiction_if(tls != 0 && tls != servers.len(), &[URLS], "either all or none begin with rediss://");
    let engine = Redis { servers, sentinel, username, password, key_prefix, timeout, wait_replicas };
    (used && !engine.servers.is_empty()).then_some(engine)
}

/// Mistakes do not repeat the URL: it may hold a password, which is what is wrong with it.
fn redis_server(text: &str) -> Result<RedisServer, String> {
    let (tls, rest) = match text.split_once("://") {
        Some(("redis" | "valkey", rest)) => (false, rest),
        Some(("rediss" | "valkeys", rest)) => (true, rest),
        _ => return Err("must begin with redis:// or rediss://".into()),
    };
    if rest.contains('@') {
        return Err("must not hold a user name or password: use store.username and store.password_file".into());
    }
    if rest.contains(['?', '#']) {
        return Err("must not have a query or a fragment".into());
    }
    let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
    let database = match database {
        "" => 0,
        number => number.parse().map_err(|_| "has a path that is not the number of a database")?,
    };
    let authority: http::uri::Authority = place.parse().map_err(|error| format!("is not a URL: {error}"))?;
    let host = authority.host();
    let port = match authority.as_str().strip_prefix(host) {
        Some("") => 6379,
        _ => authority.port_u16().filter(|port| *port != 0).ok_or("has no usable port")?,
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if bare.is_empty() { Err("has no host".into()) } else { Ok(RedisServer { tls, host: bare.into(), port, database }) }
}

fn word(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("must be one word".into());
    }
    Ok(text.into())
}

/// The braces make a cluster keep all of it in one slot: a change is of a session and of the log.
fn key_prefix(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:{}".contains(&b));
    let tag = text.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    match (plain, tag) {
        (false, _) => Err("must consist of letters, digits, `-`, `_`, `.`, `:` and braces".into()),
        (true, None | Some("")) => Err("must have a part in braces, such as `{portcullis}:`".into()),
        (true, Some(_)) => Ok(text.into()),
    }
}

fn primary(text: &str) -> Result<Origin, String> {
    // What the upstream's reader would say of it speaks of the upstream.
    if text.contains('@') {
        return Err("must not hold a user name or password".into());
    }
    let origin = upstream::origin(text)?;
    if origin.base.is_empty() {
        Ok(origin)
    } else {
        Err("must not have a path: both gates serve the same paths".into())
    }
}

impl Choice for Kind {
    const NAMES: &'static [(&'static str, Self)] =
        &[("memory", Self::Memory), ("replica", Self::Replica), ("redis", Self::Redis)];
}

impl Choice for Fsync {
    const NAMES: &'static [(&'static str, Self)] =
        &[("always", Self::Always), ("interval", Self::Interval), ("never", Self::Never)];
}

impl Choice for RecordAddresses {
    const NAMES: &'static [(&'static str, Self)] =
        &[("full", Self::Full), ("prefix", Self::Prefix), ("off", Self::Off)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_a_host_a_port_and_a_database() {
        for (text, shown) in [
            ("redis://cache", "redis://cache:6379/0"),
            ("rediss://cache:1234/7", "rediss://cache:1234/7"),
            ("valkey://[::1]:1", "redis://[::1]:1/0"),
        ] {
            assert_eq!(redis_server(text).unwrap().to_string(), shown);
        }
        for (text, part) in [
            ("http://cache", "must begin with redis://"),
            ("redis://user:hush@cache", "must not hold"),
            ("redis://cache/hush", "number of a database"),
            ("redis://cache/0?hush", "query"),
            ("redis://:6379", "host"),
            ("redis://cache:0", "port"),
        ] {
            let mistake = redis_server(text).unwrap_err();
            assert!(mistake.contains(part) && !mistake.contains("hush"), "{text}: {mistake}");
        }
    }

    #[test]
    fn a_prefix_keeps_all_keys_in_one_slot() {
        assert!(key_prefix("{portcullis}:").is_ok() && key_prefix("a:{b}.").is_ok());
        for wrong in ["", "portcullis:", "{}:", "{a b}:", "{a}*"] {
            assert!(key_prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_primary_is_an_origin_without_a_path() {
        for right in ["http://gate-0:8080", "https://gate-0:8443"] {
            assert_eq!(primary(right).unwrap().to_string(), right);
        }
        for (text, part) in [
            ("gate-0:8080", "must be a URL"),
            ("http://user:hush@gate-0", "must not hold"),
            ("http://gate-0/base", "must not have a path"),
            ("http://gate-0/?hush", "query"),
        ] {
            let mistake = primary(text).unwrap_err();
            assert!(mistake.contains(part) && !mistake.contains("hush"), "{text}: {mistake}");
        }
    }
}
