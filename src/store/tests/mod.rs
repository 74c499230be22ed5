//! The store: bounds, what is remembered and for how long, and many hands at once.
//!
//! Guarantees: every instant is an argument; every file lies in a folder of its own.
//! Does not know: the rules row by row; those are tested where they stand.

mod contract;
mod doubts;
mod following;
mod model;
mod redis;
mod restarts;
mod steps;
mod successors;

use std::future::Future;
use std::ops::Deref;
use std::sync::Barrier;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Builder;

use crate::token::tests::{T0, moved, policy, session};
use crate::token::{
    ALL_ANY, AccessOverlap, CredentialVersion, OnReuse, Presented, Profile, Rotation, RotationRefusal, SETTLE, Scopes,
    Sender, TokenKind,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn run<F: Future>(future: F) -> F::Output {
    Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// A store and its writer. Dropping it ends both without a snapshot, as a crash does.
struct Running {
    store: Arc<Store>,
    writer: Option<JoinHandle<()>>,
}

impl Deref for Running {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Running {
    fn end_writing(&mut self) {
        self.store.close();
        if let Some(writer) = self.writer.take() {
            writer.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_writing();
    }
}

fn start(folder: &Path, caps: Caps, policy: &Policy) -> Running {
    // The disk itself is tried elsewhere; here it would only be slow.
    let remembered = Remembered::read(folder).unwrap();
    let (store, writer) = remembered.open(Fsync::Never, caps, Arc::new(policy.clone())).unwrap();
    Running { store: Arc::new(store), writer: Some(thread::spawn(|| writer.run())) }
}

fn open(folder: &TempDir, per_user: usize, policy: &Policy) -> Running {
    start(folder.path(), Caps { sessions: 10_000, sessions_per_user: per_user, tombstones: 10_000 }, policy)
}

fn access(session: SessionId, generation: u32) -> TokenId {
    TokenId { session, generation, kind: TokenKind::Access }
}

fn empty() -> (TempDir, Running) {
    capped(10_000, 1000)
}

fn capped(sessions: usize, sessions_per_user: usize) -> (TempDir, Running) {
    let folder = tempfile::tempdir().unwrap();
    let store = start(folder.path(), Caps { sessions, sessions_per_user, tombstones: 10_000 }, &policy());
    (folder, store)
}

/// A user with the password of the sessions made here, who may have everything.
fn known(_: &Subject, _: Option<&str>) -> Option<Standing> {
    Some(Standing { scopes: Scopes::new([ALL_ANY]), credential: CredentialVersion([7; 8]) })
}

/// Signs in as number `id`, so many seconds after the beginning.
fn sign_in(store: &Store, id: u64, subject: &str, second: u32) -> Result<SessionId, StoreError> {
    let now = T0 + SECOND * second;
    let session = session(id, subject, now, &policy());
    let id = session.id;
    run(store.issue(session, &known, now)).map(|()| id)
}

/// Mints a session with a token of `parent`.
fn mint(store: &Store, id: u64, parent: SessionId, second: u32) -> Result<SessionId, StoreError> {
    let now = T0 + SECOND * second;
    let session = Session { parent: Some(parent), ..session(id, "anna", now, &policy()) };
    let id = session.id;
    run(store.issue(session, &known, now)).map(|()| id)
}

fn refresh(store: &Store, id: SessionId, generation: u32, now: Timestamp) -> Rotation {
    let presented = Presented {
        session: id,
        generation,
        issued_at: T0,
        profile: Profile::Smsgate,
        arrived_at: now,
        sender: Sender::default(),
        by: None,
        certificate: None,
    };
    run(store.rotate(&presented, &known, &"key".into(), now, async {})).unwrap()
}

fn live(store: &Store, ids: &[SessionId]) -> Vec<bool> {
    ids.iter().map(|id| store.find(*id).is_some()).collect()
}

#[test]
fn at_the_cap_per_user_the_least_recently_used_session_ends() {
    let (_folder, store) = capped(10_000, 3);
    contract::at_the_cap_per_user_the_least_recently_used_session_ends(&store);
}

#[test]
fn a_session_that_makes_room_takes_those_minted_with_its_tokens_along() {
    let (_folder, store) = capped(10_000, 4);
    contract::a_session_that_makes_room_takes_those_minted_with_its_tokens_along(&store);
}

#[test]
fn a_session_never_makes_room_for_one_that_descends_from_it() {
    let (_folder, store) = capped(10_000, 3);
    contract::a_session_never_makes_room_for_one_that_descends_from_it(&store);
}

#[test]
fn a_sign_in_that_is_refused_ends_nobody() {
    let (_folder, store) = capped(10_000, 1);
    contract::a_sign_in_that_is_refused_ends_nobody(&store);
}

#[test]
fn at_the_total_cap_nobody_signs_in_until_something_ends() {
    let (_folder, store) = capped(2, 2);
    let anna = sign_in(&store, 1, "anna", 1).unwrap();
    sign_in(&store, 2, "ben", 1).unwrap();
    assert!(matches!(sign_in(&store, 3, "cleo", 2), Err(StoreError::Full)));
    assert!(matches!(refresh(&store, anna, 0, T0 + SECOND * 3), Rotation::Rotated(_)), "refreshing goes on");
    assert!(run(store.end(anna)).unwrap());
    sign_in(&store, 3, "cleo", 4).unwrap();
    let after_all = T0 + policy().session_ttl + SECOND * 10;
    store.sweep(after_all);
    assert_eq!((store.live(), store.is_empty()), (0, true));
}

#[test]
fn a_sign_in_needs_room_for_its_end_and_no_end_is_forgotten_for_want_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let caps = Caps { sessions: 2, sessions_per_user: 10, tombstones: 1 };
    let store = start(folder.path(), caps, &policy());
    let ids: Vec<_> = (1..=3)
        .map(|n| {
            let id = sign_in(&store, n, "anna", 0).unwrap();
            assert!(run(store.end(id)).unwrap());
            id
        })
        .collect();
    assert!(matches!(sign_in(&store, 4, "anna", 1), Err(StoreError::Full)));
    for id in ids {
        assert_eq!(store.access_standing(access(id, 0), T0 + SECOND), AccessStanding::Ended);
    }
    store.sweep(T0 + policy().smsgate.access_ttl + policy().leeway);
    sign_in(&store, 5, "anna", 1000).unwrap();
    assert_eq!((store.live(), store.tombstones()), (1, 0));
}

#[test]
fn a_tombstone_stands_until_the_last_access_token_has_expired() {
    let policy = policy();
    let (_folder, store) = empty();
    let id = sign_in(&store, 1, "anna", 0).unwrap();
    assert!(matches!(refresh(&store, id, 0, T0 + SECOND * 100), Rotation::Rotated(_)));
    assert!(run(store.end(id)).unwrap());
    assert!(!run(store.end(id)).unwrap(), "it had ended");
    let over = T0 + SECOND * 100 + policy.smsgate.access_ttl + policy.leeway;
    for (now, expected) in [
        (T0 + SECOND * 101, AccessStanding::Ended),
        (moved(over, -1), AccessStanding::Ended),
        (over, AccessStanding::Good { until: None }),
    ] {
        store.sweep(now);
        for generation in [0, 1, 2] {
            assert_eq!(store.access_standing(access(id, generation), now), expected);
        }
    }
    assert_eq!(refresh(&store, id, 1, over), Rotation::Refused(RotationRefusal::Unknown));
}

#[test]
fn an_expired_session_leaves_a_tombstone_as_long_as_it_has_an_access_token() {
    let policy = Policy {
        smsgate: crate::token::Lifetimes { refresh_ttl: Duration::from_mins(5), ..policy().smsgate },
        ..policy()
    };
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, 10, &policy);
    let session = session(1, "anna", T0, &policy);
    let id = session.id;
    run(store.issue(session, &known, T0)).unwrap();
    let idle_end = T0 + policy.smsgate.refresh_ttl;
    store.sweep(moved(idle_end, -1));
    assert_eq!(store.live(), 1);
    store.sweep(idle_end);
    assert_eq!(store.live(), 0);
    assert_eq!(store.access_standing(access(id, 0), idle_end), AccessStanding::Ended);
    assert_eq!(refresh(&store, id, 0, idle_end), Rotation::Refused(RotationRefusal::Ended));
}

#[test]
fn a_session_ends_when_the_one_whose_token_minted_it_expires() {
    let policy = policy();
    let (_folder, store) = empty();
    let parent = sign_in(&store, 1, "anna", 0).unwrap();
    let child = mint(&store, 2, parent, 1).unwrap();
    let halfway = T0 + policy.smsgate.refresh_ttl / 2;
    assert!(matches!(refresh(&store, child, 0, halfway), Rotation::Rotated(_)));
    let parent_expires = T0 + policy.smsgate.refresh_ttl;
    // Before a sweep has found out, too.
    assert_eq!(refresh(&store, child, 1, parent_expires), Rotation::Refused(RotationRefusal::Ended));
    assert!(matches!(mint(&store, 3, child, 720 * 3600), Err(StoreError::Overtaken)));
    store.sweep(parent_expires);
    assert_eq!(live(&store, &[parent, child]), [false, false]);
    assert_eq!(store.access_standing(access(child, 1), parent_expires), AccessStanding::Ended);
}

#[test]
fn a_sign_in_is_overtaken_by_a_change_of_its_user() {
    let (_folder, store) = empty();
    contract::a_sign_in_is_overtaken_by_a_change_of_its_user(&store);
}

#[test]
fn minting_is_overtaken_by_the_end_of_the_parent() {
    let (_folder, store) = empty();
    contract::minting_is_overtaken_by_the_end_of_the_parent(&store);
}

#[test]
fn ending_a_subject_ends_all_its_sessions_and_nobody_elses() {
    let (_folder, store) = empty();
    contract::ending_a_subject_ends_all_its_sessions_and_nobody_elses(&store);
}

/// Runs `work` on several threads that begin at the same moment.
fn at_once<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    let (work, barrier) = (&work, &barrier);
    std::thread::scope(|scope| {
        let begin = |thread| {
            scope.spawn(move || {
                barrier.wait();
                work(thread)
            })
        };
        let handles: Vec<_> = (0..threads).map(begin).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    })
}

#[test]
fn of_many_who_present_one_token_at_once_one_gets_a_successor() {
    for _ in 0..20 {
        let (_folder, store) = empty();
        let id = sign_in(&store, 1, "anna", 0).unwrap();
        for generation in 0..5 {
            let now = T0 + SECOND * (10 + generation);
            let outcomes = at_once(50, |_| refresh(&store, id, generation, now));
            let rotated = outcomes.iter().filter(|outcome| matches!(outcome, Rotation::Rotated(_))).count();
            let raced = outcomes.iter().filter(|outcome| matches!(outcome, Rotation::Raced)).count();
            assert_eq!((rotated, raced), (1, 49));
            store.answered(id, generation + 1, now + SETTLE);
        }
        assert_eq!(store.find(id).unwrap().generation, 5);
        // Later the same token is a theft, and ends the session once.
        let outcomes = at_once(50, |_| refresh(&store, id, 4, T0 + SECOND * 60));
        assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Rotation::Reused(_))).count(), 1);
        assert_eq!((store.find(id), store.live()), (None, 0));
    }
}

#[test]
fn with_a_window_all_who_present_one_token_at_once_get_the_same_successor() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, 10, &Policy { retry_window: Duration::from_secs(10), ..policy() });
    let id = sign_in(&store, 1, "anna", 0).unwrap();
    let outcomes = at_once(50, |_| refresh(&store, id, 0, T0 + SECOND));
    let rotated = outcomes.iter().filter(|outcome| matches!(outcome, Rotation::Rotated(_))).count();
    assert_eq!(rotated, 1);
    for outcome in outcomes {
        let (Rotation::Rotated(next) | Rotation::Retried(next)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(Some(*next), store.find(id));
    }
}

#[test]
fn nobody_slips_in_while_a_user_is_signed_out_everywhere() {
    use std::sync::atomic::{AtomicBool, Ordering};
    for round in 0..50 {
        let (_folder, store) = empty();
        let gone = AtomicBool::new(false);
        let users =
            |subject: &Subject, client: Option<&str>| known(subject, client).filter(|_| !gone.load(Ordering::SeqCst));
        let parent = sign_in(&store, 999, "anna", 0).unwrap();
        at_once(8, |thread| {
            if thread == 0 {
                gone.store(true, Ordering::SeqCst);
                run(store.users_changed(&users)).unwrap();
                return;
            }
            for n in 0..20 {
                let id = u64::try_from(thread * 100 + n).unwrap();
                let parent = (n % 2 == 0).then_some(parent);
                let session = Session { parent, ..session(id, "anna", T0, &policy()) };
                // Taken or overtaken: what counts is what is left.
                let _ = run(store.issue(session, &users, T0));
            }
        });
        assert_eq!((store.live(), store.sessions_of(&Subject::new("anna"), T0).len()), (0, 0), "round {round}");
    }
}

#[test]
fn sessions_are_listed_newest_sign_in_first() {
    let (_folder, store) = empty();
    contract::sessions_are_listed_newest_sign_in_first(&store);
}
