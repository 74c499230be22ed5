//! A replica beside its primary, on one directory: whatever becomes of the files, both know the same in the end.
//!
//! Guarantees: every look at the files is a call, and every instant an argument; the primary is a real one.
//! Does not know: threads that look at files.

mod crashes;
mod interleavings;
mod trouble;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::*;

/// A follower and its store.
struct Replica {
    store: Store,
    follower: Follower,
    began: Instant,
}

impl Deref for Replica {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Replica {
    fn of(folder: &Path) -> Self {
        let began = Instant::now();
        let (store, follower) = Store::following(folder, Arc::new(policy()), SECOND * 10, began);
        Self { store, follower, began }
    }

    /// Looks, so many seconds after it began.
    fn poll_at(&mut self, second: u32) -> Result<Seen, FilesError> {
        self.follower.poll(&self.store, self.began + SECOND * second)
    }

    #[track_caller]
    fn poll(&mut self) -> Seen {
        self.poll_at(0).unwrap()
    }

    #[track_caller]
    fn knows_what_is_known_to(&mut self, primary: &Store) {
        self.poll();
        assert_eq!(contents(&self.store), contents(primary));
        assert_eq!((self.live(), self.tombstones()), (primary.live(), primary.tombstones()));
        for id in contents(primary).into_keys() {
            for generation in 0..4 {
                let [ours, theirs] =
                    [&self.store, primary].map(|store| store.access_standing(access(id, generation), T0 + SECOND * 50));
                assert_eq!(ours, theirs);
            }
        }
    }
}

/// All that a store knows: sessions, and of ended ones nothing.
fn contents(store: &Store) -> BTreeMap<SessionId, Option<Session>> {
    let mut contents = BTreeMap::new();
    let all: Result<(), ()> = store.memory.visit(|change| {
        match change {
            // When an answer left is not written.
            memory::Change::Session(session) => {
                contents.insert(session.id, Some(Session { answered_at: Timestamp::default(), ..session.clone() }))
            }
            memory::Change::Tombstone { id, .. } => contents.insert(id, None),
        };
        Ok(())
    });
    all.unwrap();
    contents
}

fn newest_segment(folder: &Path) -> PathBuf {
    files::list(folder).unwrap().pop().unwrap().file
}

fn renew(store: &Store, id: SessionId, generation: u32, second: u32) {
    let now = T0 + SECOND * second;
    assert!(matches!(refresh(store, id, generation, now), Rotation::Rotated(_)));
    store.answered(id, generation + 1, now);
}

#[test]
fn what_the_primary_does_is_known_with_the_next_look() {
    let (folder, primary) = empty();
    let mut replica = Replica::of(folder.path());
    let first = sign_in(&primary, 1, "anna", 0).unwrap();
    replica.knows_what_is_known_to(&primary);
    assert_eq!(replica.poll(), Seen::Quiet);
    renew(&primary, first, 0, 5);
    let second = sign_in(&primary, 2, "ben", 6).unwrap();
    let epoch = replica.epoch();
    replica.knows_what_is_known_to(&primary);
    assert_ne!(replica.epoch(), epoch);
    assert_eq!(replica.newest(), T0 + SECOND * 6);
    assert!(run(primary.end(first)).unwrap());
    run(primary.users_changed(&|_, _| {
        Some(Standing { scopes: Scopes::default(), ..known(&Subject::new(""), None).unwrap() })
    }))
    .unwrap();
    replica.knows_what_is_known_to(&primary);
    assert_eq!(replica.access_standing(access(first, 1), T0 + SECOND * 7), AccessStanding::Ended);
    assert_eq!(replica.access_standing(access(second, 0), T0 + SECOND * 7), AccessStanding::Superseded);
}

#[test]
fn rounds_are_passed_over_one_by_one_and_several_at_once() {
    let (folder, primary) = empty();
    let mut replica = Replica::of(folder.path());
    let id = sign_in(&primary, 1, "anna", 0).unwrap();
    replica.knows_what_is_known_to(&primary);
    for (round, missed) in [0, 1, 1, 3, 2].into_iter().enumerate() {
        for n in 0..=missed {
            let round = u64::try_from(round).unwrap();
            let other = sign_in(&primary, 100 + round * 10 + n, "ben", 1).unwrap();
            assert!(run(primary.end(other)).unwrap());
            primary.snapshot(T0).unwrap();
        }
        replica.knows_what_is_known_to(&primary);
        let generation = primary.find(id).unwrap().generation;
        renew(&primary, id, generation, generation + 2);
        replica.knows_what_is_known_to(&primary);
    }
}

#[test]
fn a_replica_that_comes_late_reads_snapshot_and_journal() {
    let (folder, primary) = empty();
    let id = sign_in(&primary, 1, "anna", 0).unwrap();
    primary.snapshot(T0).unwrap();
    renew(&primary, id, 0, 5);
    Replica::of(folder.path()).knows_what_is_known_to(&primary);
    drop(primary);
    let mut replica = Replica::of(folder.path());
    assert_eq!((replica.poll(), replica.poll()), (Seen::News, Seen::Quiet));
    let primary = open(&folder, 1000, &policy());
    sign_in(&primary, 2, "anna", 6).unwrap();
    replica.knows_what_is_known_to(&primary);
}

#[test]
fn a_record_on_its_way_is_waited_for() {
    let (folder, primary) = empty();
    let id = sign_in(&primary, 1, "anna", 0).unwrap();
    let segment = newest_segment(folder.path());
    let before = fs::read(&segment).unwrap().len();
    renew(&primary, id, 0, 5);
    let whole = fs::read(&segment).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join(segment.file_name().unwrap());
    fs::write(&file, &whole[..before]).unwrap();
    let mut replica = Replica::of(copy.path());
    assert_eq!(replica.poll(), Seen::News);
    for length in before..whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        assert_eq!((replica.poll(), replica.find(id).unwrap().generation), (Seen::Quiet, 0), "{length}");
    }
    let Freshness::Stale { why, .. } = replica.freshness(replica.began + SECOND * 11) else { panic!("fresh") };
    assert!(why.contains("ends in the middle of a record"), "{why}");
    fs::write(&file, &whole).unwrap();
    assert_eq!((replica.poll(), replica.find(id).unwrap().generation), (Seen::News, 1));
}

#[test]
fn a_quiet_primary_is_told_from_a_dead_one() {
    let (folder, primary) = empty();
    let mut replica = Replica::of(folder.path());
    replica.poll();
    let looks = |replica: &mut Replica, second| {
        replica.poll_at(second).unwrap();
        replica.freshness(replica.began + SECOND * second)
    };
    assert!(looks(&mut replica, 10).is_fresh());
    assert!(!looks(&mut replica, 11).is_fresh());
    primary.pulse(T0 + SECOND * 77);
    // The writer is another thread.
    while replica.poll_at(30).unwrap() == Seen::Quiet {}
    assert_eq!(replica.newest(), T0 + SECOND * 77, "so the clock here does not run behind the primary's");
    assert!(looks(&mut replica, 40).is_fresh());
    let Freshness::Stale { since, why } = looks(&mut replica, 41) else { panic!("fresh") };
    assert_eq!((since, &*why), (replica.began + SECOND * 30, "the primary has written nothing since"));
    assert!(primary.freshness(replica.began + SECOND * 1000).is_fresh(), "a primary knows all there is");
}

#[test]
fn heartbeats_are_no_news() {
    let (_folder, primary) = empty();
    sign_in(&primary, 1, "anna", 0).unwrap();
    assert!(primary.has_news());
    primary.snapshot(T0).unwrap();
    primary.pulse(T0);
    assert!(!primary.has_news() && !primary.snapshot_is_due(T0));
}

#[test]
fn a_replica_changes_nothing() {
    let (folder, primary) = empty();
    let id = sign_in(&primary, 1, "anna", 0).unwrap();
    drop(primary);
    let mut replica = Replica::of(folder.path());
    replica.poll();
    let before = contents(&replica);
    let presented = Presented {
        session: id,
        generation: 0,
        issued_at: T0,
        profile: Profile::Smsgate,
        arrived_at: T0,
        sender: Sender::default(),
        by: None,
        certificate: None,
    };
    let read_only = |result: Result<(), StoreError>| matches!(result, Err(StoreError::ReadOnly));
    assert!(read_only(sign_in(&replica, 2, "anna", 1).map(drop)));
    assert!(read_only(run(replica.rotate(&presented, &known, &"key".into(), T0, async {})).map(drop)));
    assert!(read_only(run(replica.end(id)).map(drop)));
    assert!(read_only(run(async { replica.end_subject(&Subject::new("anna"), None, T0).await.1 })));
    assert!(read_only(run(replica.users_changed(&|_, _| None)).map(drop)));
    assert!(replica.snapshot(T0).is_err() && !replica.has_news() && replica.is_replica());
    replica.pulse(T0);
    replica.close();
    assert_eq!(contents(&replica), before);
    assert_eq!(replica.sessions_of(&Subject::new("anna"), T0).len(), 1);
}

#[test]
fn a_replica_sweeps_long_after_the_primary_and_by_its_time() {
    let (folder, primary) = empty();
    let id = sign_in(&primary, 1, "anna", 0).unwrap();
    let end = T0 + policy().smsgate.refresh_ttl;
    let mut replica = Replica::of(folder.path());
    replica.poll();
    let lives_at = |replica: &Replica, now| {
        replica.sweep(now);
        replica.find(id).is_some()
    };
    assert!(lives_at(&replica, end + policy().session_ttl), "however far its own clock is ahead");
    for (newest, lives) in [(end + SECOND * 69, true), (end + SECOND * 70, false)] {
        primary.pulse(newest);
        while replica.newest() < newest {
            replica.poll();
        }
        assert_eq!(lives_at(&replica, end + SECOND * 1000), lives);
    }
    primary.sweep(end);
    replica.knows_what_is_known_to(&primary);
}
