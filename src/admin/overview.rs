//! All that there is to know of a gate at a glance.
//!
//! Guarantees: no secret, nobody's name; looking for the upstream takes a second at most.
//! Does not know: who asks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::clock;
use crate::keys::State;
use crate::observe::chain;
use crate::profile::rfc3339;
use crate::store::{Freshness, Health};
use crate::tls::Expiry;
use crate::token::Timestamp;
use crate::upstream::Dial;

use super::desk::{Desk, Rooms};

const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn of(desk: &Desk) -> Value {
    let readiness = desk.status.readiness(&[]);
    let (started, at) = desk.started;
    let mut overview = json!({
        "name": "portcullis",
        "version": env!("CARGO_PKG_VERSION"),
        "started_at": rfc3339(at),
        "uptime_seconds": started.elapsed().as_secs(),
        "ready": readiness.ready,
        "checks": readiness.checks,
    });
    if let (Some(rooms), Some(overview)) = (desk.rooms(), overview.as_object_mut()) {
        let known = &rooms.charter().store;
        let role = match (known.is_replica(), known.is_shared()) {
            (true, _) => "replica",
            (_, true) => "shared",
            _ => "primary",
        };
        overview.insert("role".into(), role.into());
        overview.insert("store".into(), store(rooms));
        overview.insert("keys".into(), keys(rooms));
        overview.insert("certificates".into(), certificates(rooms));
        overview.insert("upstream".into(), upstream(&rooms.charter().upstream.dial).await);
    }
    overview
}

fn store(rooms: &Rooms) -> Value {
    let charter = rooms.charter();
    let (store, now) = (&charter.store, charter.clock.now());
    let journal = match store.health() {
        _ if store.is_replica() => None,
        Health::Healthy => Some("healthy".to_owned()),
        Health::Broken { why, .. } | Health::Mending { why, .. } => Some(why.to_string()),
    };
    let stale = match store.freshness(Instant::now()) {
        Freshness::Fresh => None,
        Freshness::Stale { since, why } => Some(json!({"seconds": since.elapsed().as_secs(), "why": &*why})),
    };
    json!({
        "sessions": store.live(),
        "ended_sessions": store.tombstones(),
        "journal": journal,
        "uncovered_records": store.uncovered(),
        "snapshot_age_seconds": store.snapshot_age(now).map(|age| age.as_secs()),
        "stale": stale,
    })
}

fn keys(rooms: &Rooms) -> Value {
    let charter = rooms.charter();
    let ring = charter.keys.ring();
    let of_key = |(key, state): (&std::sync::Arc<crate::keys::SigningKey>, State)| json!({"kid": &**key.kid(), "algorithm": key.algorithm().as_str(), "state": state.to_string()});
    ring.iter().map(of_key).collect()
}

fn certificates(rooms: &Rooms) -> Value {
    let now = clock::wall().as_secs().cast_signed();
    let of_certificate = |expiry: &Expiry| {
        let at = Timestamp::from_secs(u64::try_from(expiry.not_after).unwrap_or_default());
        let seconds = expiry.not_after.saturating_sub(now);
        json!({"file": expiry.path.display().to_string(), "expires_at": rfc3339(at), "seconds_left": seconds})
    };
    let footing = rooms.certificates.as_ref().map(|in_force| in_force.footing());
    footing.iter().flat_map(|footing| footing.expiries().iter().map(of_certificate)).collect()
}

async fn upstream(dial: &Dial) -> Value {
    let began = Instant::now();
    let trouble = match timeout(PATIENCE, dial.try_out()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(chain(&error)),
        Err(_) => Some("does not accept within a second".into()),
    };
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    json!({"url": dial.to_string(), "reachable": trouble.is_none(), "trouble": trouble, "milliseconds": took})
}
