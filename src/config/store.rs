//! `[store]`: how sessions are kept.
//!
//! Guarantees: intervals are not so short that snapshots or syncs chase each other; a primary is there exactly if it is
//! followed.
//! Does not know: files, formats and sessions.

use std::time::Duration;

use super::kind::Choice;
use super::reader::Reader;
use super::server::Server;
use super::upstream::{self, Origin};
use super::upstream_tls::{Table, UpstreamTls};

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
    /// To the primary; `None`: in the clear.
    pub tls: Option<UpstreamTls>,
}

/// Who writes the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// This gate, the primary.
    Memory,
    /// Another gate, which this one follows. Whatever changes a session is that one's to do.
    Replica { primary: Origin },
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Memory,
    Replica,
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
        store.tls = UpstreamTls::read(r, &TLS, matches!(&store.kind, StoreKind::Replica { primary } if primary.https));
        store
    }
}

const TLS: Table = Table { name: "store.tls", url: "store.primary_url", scheme: "https://", unchecked: false };

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
    match (kind, primary) {
        (Kind::Replica, Some(primary)) => StoreKind::Replica { primary },
        _ => StoreKind::Memory,
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
    const NAMES: &'static [(&'static str, Self)] = &[("memory", Self::Memory), ("replica", Self::Replica)];
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
