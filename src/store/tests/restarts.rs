//! Endings and beginnings: what memory and files know of each other.
//!
//! Guarantees: an end without a snapshot is tried as well as one with it.
//! Does not know: what the files look like; every fault of theirs is tried where they are written.

use crate::token::{Device, Sender};

use super::*;

/// A store of three sessions and a tombstone, with something in every field.
fn filled() -> (TempDir, Running) {
    let (folder, store) = empty();
    let policy = policy();
    let plain = session(1, "anna", T0, &policy);
    let rich = Session {
        device: Some(Box::new(Device { id: Some("d-1".into()), name: Some("Anna’s phone".into()) })),
        begun_from: Sender { address: Some("2001:db8::7".parse().unwrap()), agent: Some("a/1".into()) },
        used_from: Sender { address: None, agent: Some("b/2 (c)".into()) },
        parent: Some(plain.id),
        access_floor: 3,
        generation: 4_000_000_000,
        kid: "other".into(),
        granted: Scopes::new(["messages:read"]),
        rotated_at: T0 + SECOND * 5,
        ..session(2, "anna", T0, &policy)
    };
    let odd = Session {
        device: Some(Box::new(Device { id: None, name: Some(String::new()) })),
        begun_from: Sender { address: Some("192.0.2.7".parse().unwrap()), agent: Some("a/1".into()) },
        used_from: Sender { address: None, agent: Some("b/2 (c)".into()) },
        scopes: Scopes::default(),
        granted: Scopes::default(),
        access_ttl: Duration::from_micros(1),
        ..session(3, "", T0, &policy)
    };
    let gone = session(4, "ben", T0 + SECOND * 9, &policy);
    let id = gone.id;
    for session in [plain, rich, odd, gone] {
        run(store.issue(session, &known, T0)).unwrap();
    }
    assert!(run(store.end(id)).unwrap());
    (folder, store)
}

fn again(folder: &TempDir) -> Running {
    open(folder, 1000, &policy())
}

fn all(store: &Store) -> Vec<Session> {
    let mut all: Vec<_> =
        ["anna", "ben", ""].iter().flat_map(|name| store.sessions_of(&Subject::new(*name), T0)).collect();
    for session in &mut all {
        // What was on its way is gone with the process, so when an answer left need not be kept.
        session.answered_at = Timestamp::default();
    }
    all.sort_by_key(|session| session.id);
    all
}

#[track_caller]
fn everything_is_back(store: &Store, before: &[Session]) {
    assert_eq!((&*all(store), store.live()), (before, 3));
    assert_eq!(store.newest(), T0 + SECOND * 9, "also the time of what has ended");
    let gone = session(4, "ben", T0, &policy()).id;
    assert_eq!(store.access_standing(access(gone, 0), T0 + SECOND * 10), AccessStanding::Ended);
    assert_eq!(refresh(store, gone, 0, T0 + SECOND * 10), Rotation::Refused(RotationRefusal::Ended));
}

#[test]
fn everything_comes_back_from_the_journal_from_a_snapshot_and_from_both() {
    let (folder, mut store) = filled();
    let before = all(&store);
    for round in 0..4 {
        if round % 2 == 1 {
            store.snapshot(T0).unwrap();
        }
        drop(store);
        store = again(&folder);
        everything_is_back(&store, &before);
    }
    assert!(run(store.end(before[0].id)).unwrap());
    let id = sign_in(&store, 9, "anna", 20).unwrap();
    assert!(matches!(refresh(&store, id, 0, T0 + SECOND * 21), Rotation::Rotated(_)));
    let before = all(&store);
    drop(store);
    assert_eq!(all(&again(&folder)), before);
}

#[test]
fn a_snapshot_is_due_only_if_something_has_changed() {
    let (folder, store) = filled();
    assert!(store.has_news());
    store.snapshot(T0).unwrap();
    assert!(!store.has_news());
    drop(store);
    let store = again(&folder);
    assert!(!store.has_news());
    sign_in(&store, 9, "anna", 1).unwrap();
    assert!(store.has_news());
}

#[test]
fn a_parent_is_used_up_also_after_a_restart() {
    let (folder, store) = empty();
    let id = sign_in(&store, 1, "anna", 0).unwrap();
    assert!(matches!(refresh(&store, id, 0, T0 + SECOND), Rotation::Rotated(_)));
    drop(store);
    let store = again(&folder);
    assert_eq!(refresh(&store, id, 0, T0 + SECOND * 2), Rotation::Reused(Subject::new("anna")));
    drop(store);
    assert_eq!(again(&folder).access_standing(access(id, 1), T0 + SECOND * 3), AccessStanding::Ended);
}

#[test]
fn snapshots_beside_live_traffic_lose_nothing() {
    let (folder, store) = empty();
    at_once(5, |thread| {
        for n in 0..100 {
            if thread == 0 {
                store.snapshot(T0).unwrap();
                continue;
            }
            let id = sign_in(&store, u64::try_from(thread * 1000 + n).unwrap(), "anna", 1).unwrap();
            assert!(matches!(refresh(&store, id, 0, T0 + SECOND * 2), Rotation::Rotated(_)));
            if n % 3 == 0 {
                assert!(run(store.end(id)).unwrap());
            }
        }
    });
    let before = all(&store);
    drop(store);
    let again = again(&folder);
    assert_eq!((again.live(), &all(&again)), (264, &before));
}

#[test]
fn a_closed_store_acknowledges_nothing_and_forgets_nothing_it_was_told_to_end() {
    let (folder, mut store) = empty();
    let (kept, ended) = (sign_in(&store, 1, "anna", 0).unwrap(), sign_in(&store, 2, "anna", 0).unwrap());
    store.end_writing();
    assert!(matches!(sign_in(&store, 3, "anna", 1), Err(StoreError::Unwritten)));
    assert!(matches!(run(store.end(ended)), Err(StoreError::Unwritten)));
    assert!(matches!(run(store.end(ended)), Err(StoreError::Unwritten)), "asked again it is as uncertain");
    assert_eq!(store.access_standing(access(ended, 0), T0 + SECOND), AccessStanding::Ended);
    assert_eq!(store.live(), 1);
    drop(store);
    assert_eq!(live(&again(&folder), &[kept, ended]), [true, true]);
}
