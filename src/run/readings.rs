//! What is read off the rooms when somebody asks for numbers.
//!
//! Guarantees: reading holds up nobody: it is a look at what is there; every name here is documented in
//! `docs/metrics.md`, and a test holds that.
//! Does not know: who asks.

use std::sync::Arc;
use std::time::Instant;

use crate::admin::Status;
use crate::gateway::Charter;
use crate::keys::State;
use crate::metrics::Reading;
use crate::store::Freshness;
use crate::store::redis::Counts;
use crate::tls::InForce;

/// Tells the numbers where to look.
pub(super) fn hand_in(charter: &Charter, status: &Arc<Status>, certificates: Option<&Arc<InForce>>) {
    let mut readings = of_store(charter);
    readings.extend(of_engine(charter));
    readings.extend(of_keys(charter));
    readings.push(of_sunset(charter));
    readings.extend(certificates.map(of_certificates));
    let status = Arc::clone(status);
    let ready = move || Some(f64::from(u8::from(status.is_ready())));
    readings.push(Reading::gauge("portcullis_ready", "Whether /readyz says so", ready));
    charter.metrics.read_from(readings);
}

fn of_store(charter: &Charter) -> Vec<Reading> {
    let store = || Arc::clone(&charter.store);
    let (live, ended, healthy, fresh) = (store(), store(), store(), store());
    let (uncovered, snapshot, syncs) = (store(), store(), store());
    let clock = Arc::clone(&charter.clock);
    vec![
        Reading::gauge("portcullis_sessions", "Sessions that live", move || Some(live.live() as f64)),
        Reading::gauge("portcullis_ended_sessions", "Ended sessions that are remembered", move || {
            Some(ended.tombstones() as f64)
        }),
        Reading::gauge("portcullis_journal_healthy", "Whether changes of sessions can be acknowledged", move || {
            Some(f64::from(u8::from(healthy.health().is_healthy())))
        }),
        Reading::gauge(
            "portcullis_journal_uncovered_records",
            "Records of the journal that a start would replay over the snapshot",
            move || uncovered.uncovered().map(|records| records as f64),
        ),
        Reading::durations(
            "portcullis_journal_sync_seconds",
            "How long the disk takes to sync the journal",
            move |observed| syncs.observe_syncs(observed),
        ),
        Reading::gauge("portcullis_snapshot_age_seconds", "Time since the last snapshot began", move || {
            snapshot.snapshot_age(clock.now()).map(|age| age.as_secs_f64())
        }),
        Reading::gauge(
            "portcullis_replica_stale_seconds",
            "For how long the primary's files have told nothing new; zero while they do",
            move || {
                fresh.is_replica().then(|| match fresh.freshness(Instant::now()) {
                    Freshness::Fresh => 0.0,
                    Freshness::Stale { since, .. } => since.elapsed().as_secs_f64(),
                })
            },
        ),
    ]
}

fn of_engine(charter: &Charter) -> Vec<Reading> {
    let counts = |read: fn(Counts) -> u64| {
        let store = Arc::clone(&charter.store);
        move || store.engine().map_or(0, read)
    };
    if charter.store.engine().is_none() {
        return Vec::new();
    }
    let (up, fresh, pending) =
        (Arc::clone(&charter.store), Arc::clone(&charter.store), counts(|counts| counts.pending));
    vec![
        Reading::gauge("portcullis_redis_up", "Whether the store on Redis takes changes", move || {
            Some(f64::from(u8::from(up.health().is_healthy())))
        }),
        Reading::gauge(
            "portcullis_redis_stale_seconds",
            "For how long Redis has told nothing, once that is longer than store.max_stale; zero before",
            move || {
                Some(match fresh.freshness(Instant::now()) {
                    Freshness::Fresh => 0.0,
                    Freshness::Stale { since, .. } => since.elapsed().as_secs_f64(),
                })
            },
        ),
        Reading::gauge("portcullis_redis_pending", "Ends and doubts that Redis has not taken yet", move || {
            Some(pending() as f64)
        }),
        Reading::counter(
            "portcullis_redis_collisions",
            "Changes that another gate was quicker with",
            counts(|counts| counts.collisions),
        ),
        Reading::counter(
            "portcullis_redis_restored",
            "Sessions and ends that Redis had lost and this gate has put there again",
            counts(|counts| counts.restored),
        ),
        Reading::counter(
            "portcullis_redis_readings",
            "How often all sessions were read from Redis",
            counts(|counts| counts.readings),
        ),
    ]
}

fn of_keys(charter: &Charter) -> Vec<Reading> {
    let keys = Arc::clone(&charter.keys);
    let read = move || {
        let ring = keys.ring();
        let count = |state| ring.iter().filter(|(_, found)| *found == state).count() as f64;
        let states = [("next", State::Next), ("current", State::Current), ("retiring", State::Retiring)];
        states.map(|(name, state)| (name.into(), count(state))).into()
    };
    vec![Reading::gauges("portcullis_signing_keys", "Signing keys, by what they do", "state", read)]
}

fn of_sunset(charter: &Charter) -> Reading {
    let sunset = Arc::clone(&charter.sunset);
    Reading::counters(
        "portcullis_basic_uses",
        "Calls with a password in place of a token, since it is deprecated",
        "user",
        move || sunset.uses().into_iter().map(|(user, uses)| (user, uses as f64)).collect(),
    )
}

fn of_certificates(in_force: &Arc<InForce>) -> Reading {
    let in_force = Arc::clone(in_force);
    Reading::gauge(
        "portcullis_certificate_expiry_seconds",
        "When the first certificate that clients are shown expires, in seconds since 1970",
        move || in_force.footing().expires_at().map(|at| at as f64),
    )
}
