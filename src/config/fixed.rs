//! What a running gate cannot change: key by key, what needs a restart.
//!
//! Guarantees: every key is here, either as one that stays as it was at the start, or as one that takes effect; what stays
//! is named.
//! Does not know: how anything takes effect.

use super::{Config, StoreKind};

/// A key that stays as it was. Whoever adds a key decides here: a test asks for it.
struct Fixed {
    key: &'static str,
    /// Leaves it in the new configuration as it was in the one in force. Whether it was another.
    keep: fn(&mut Config, &Config) -> bool,
}

macro_rules! fixed {
    ($($key:literal $($field:ident).+),* $(,)?) => {
        &[$(Fixed {
            key: $key,
            keep: |new, old| {
                let other = new.$($field).+ != old.$($field).+;
                new.$($field).+.clone_from(&old.$($field).+);
                other
            },
        }),*]
    };
}

const FIXED: &[Fixed] = fixed! {
    // Sockets stay bound, and threads are as many as they are.
    "server.listen" server.listen,
    "admin.listen" admin.listen,
    "admin.token_file" admin.token,
    "admin.socket" admin.socket,
    "tls.redirect_listen" tls.redirect_listen,
    "tls.redirect_port" tls.redirect_port,
    "workers" workers,
    // The lock, the journal and its writer.
    "data_dir" data_dir,
    "store.max_stale" store.max_stale,
    "store.poll_interval" store.poll_interval,
    "store.fsync" store.fsync,
    "store.fsync_interval" store.fsync_interval,
    "store.snapshot_interval" store.snapshot_interval,
    // Connections to a primary are made by what the start knew.
    "store.tls" store.tls,
    // The log is made before anything else.
    "log.format" log.format,
    "log.level" log.level,
    "log.audit" log.audit,
    // What is counted by them would be forgotten: a message might be sent twice.
    "limits.once_window" limits.once_window,
    "limits.once_entries" limits.once_entries,
    "limits.max_handshakes" limits.max_handshakes,
};

macro_rules! of_engine {
    ($($key:literal $field:ident),* $(,)?) => {
        &[$(Fixed {
            key: $key,
            keep: |new, old| match (&mut new.store.kind, &old.store.kind) {
                (StoreKind::Redis(new), StoreKind::Redis(old)) => {
                    let other = new.$field != old.$field;
                    new.$field.clone_from(&old.$field);
                    other
                }
                _ => false,
            },
        }),*]
    };
}

/// How the engine is spoken with, where sessions are on one: a start has connected.
const OF_ENGINE: &[Fixed] = of_engine! {
    "store.urls" servers,
    "store.sentinel" sentinel,
    "store.username" username,
    "store.password" password,
    "store.password_file" password,
    "store.key_prefix" key_prefix,
    "store.timeout" timeout,
    "store.wait_replicas" wait_replicas,
};

/// Those that hang together with others.
const FIXED_TOGETHER: &[Fixed] = &[
    Fixed { key: "store.kind", keep: |new, old| !same_kind(new, old) && keep_kind(new, old) },
    Fixed { key: "store.primary_url", keep: keep_kind },
    Fixed { key: "tls.certificate", keep: keep_tls },
];

/// What takes effect: keys, and the tables of which all others do.
#[cfg(test)]
const LIVE: &[&str] = &[
    "server.trusted_proxies",
    "server.proxy_protocol",
    "server.trace",
    "server.drain_delay",
    "server.drain_timeout",
    "store.record_addresses",
    "log.access",
    "tls.",
    "limits.",
    "upstream.",
    "token.",
    "users.",
    "routes.",
    "route.",
    "profiles.",
    "client.",
    "cors.",
    "issuer.",
    "realm.",
];

impl Config {
    /// Leaves what a running gate cannot change as it was in `old`, and names that of it which was meant to be another.
    pub fn keep_fixed(&mut self, old: &Self) -> Vec<&'static str> {
        let all = FIXED.iter().chain(OF_ENGINE).chain(FIXED_TOGETHER);
        let other: Vec<_> = all.filter(|fixed| (fixed.keep)(self, old)).map(|fixed| fixed.key).collect();
        for setting in self.settings.iter_mut().filter(|setting| other.contains(&&*setting.key)) {
            if let Some(kept) = old.settings.iter().find(|kept| kept.key == setting.key) {
                setting.clone_from(kept);
            }
        }
        other
    }
}

fn same_kind(new: &Config, old: &Config) -> bool {
    std::mem::discriminant(&new.store.kind) == std::mem::discriminant(&old.store.kind)
}

fn keep_kind(new: &mut Config, old: &Config) -> bool {
    let other = new.store.kind != old.store.kind;
    new.store.kind.clone_from(&old.store.kind);
    other
}

/// Whether there is TLS stays; which certificates there are need not.
fn keep_tls(new: &mut Config, old: &Config) -> bool {
    let other = new.tls.certificates.is_empty() != old.tls.certificates.is_empty();
    if other {
        new.tls.clone_from(&old.tls);
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = &'static str> {
        FIXED.iter().chain(OF_ENGINE).chain(FIXED_TOGETHER).map(|fixed| fixed.key)
    }

    #[test]
    fn of_every_key_it_is_decided_whether_it_takes_effect() {
        let fixed = |key: &str| all().any(|fixed| fixed == key || key.starts_with(&format!("{fixed}.")));
        let live = |key: &str| LIVE.iter().any(|live| *live == key || (live.ends_with('.') && key.starts_with(live)));
        for setting in Config::default().settings() {
            assert!(fixed(&setting.key) || live(&setting.key), "{}: decide whether it needs a restart", setting.key);
        }
        for key in all() {
            let is_it = |known: &str| known == key || known.starts_with(&format!("{key}."));
            assert!(Config::default().settings().iter().any(|setting| is_it(&setting.key)), "{key} is no key");
        }
    }

    #[test]
    fn what_needs_a_restart_is_named_and_stays() {
        let old = Config::default();
        let mut new = old.clone();
        (new.server.listen, new.data_dir) = (([127, 0, 0, 1], 1).into(), "elsewhere".into());
        new.limits.max_connections = 7;
        assert_eq!(new.keep_fixed(&old), ["server.listen", "data_dir"]);
        assert_eq!((new.server.listen, &new.data_dir), (old.server.listen, &old.data_dir));
        assert_eq!(new.limits.max_connections, 7);
        assert!(new.keep_fixed(&old).is_empty());
    }

    #[test]
    fn a_replica_stays_one_and_keeps_its_primary() {
        let of = |kind| {
            let mut config = Config::default();
            config.store.kind = kind;
            config
        };
        let replica = |port| StoreKind::Replica {
            primary: super::super::Origin { https: false, host: "gate-0".into(), port, base: String::new() },
        };
        let named = |new, old| of(new).keep_fixed(&of(old));
        assert_eq!(named(replica(1), StoreKind::Memory), ["store.kind"]);
        assert_eq!(named(StoreKind::Memory, replica(1)), ["store.kind"]);
        assert_eq!(named(replica(1), replica(2)), ["store.primary_url"]);
        assert!(named(replica(1), replica(1)).is_empty());
    }

    #[test]
    fn the_manual_names_all_that_needs_a_restart() {
        let manual = include_str!("../../docs/operations.md");
        for key in all() {
            assert!(manual.contains(&format!("`{key}`")), "{key} in docs/operations.md");
        }
    }
}
