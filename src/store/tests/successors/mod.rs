//! One session's tokens in many hands: no interleaving of refreshes, retries, reuses, revocations, restarts, faults and
//! power cuts gives two live successors, nor brings anything back to life.
//!
//! Guarantees: tokens are texts, minted and read as the endpoints do, and whoever has got one may present it at any
//! time: to the store an owner, a second tab and a thief are the same; what would follow is asked after every step of
//! every token ever handed out, by the rules themselves on a copy of the session.
//! Does not know: how the rules come to it; the one who is told here knows only what clients are told.

mod promises;
mod world;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::files::tests::faulty::Unsynced;
use super::*;

use world::World;

#[derive(Clone, Debug)]
enum Step {
    /// Any token that was ever handed out, mostly one of the newest; the answer is awaited.
    Present(usize),
    /// The same, and the answer does not leave yet; what comes next meets it on its way.
    Begin(usize),
    /// An answer that is on its way leaves.
    LetGo(Index),
    /// A client goes away before its answer has left.
    GoAway(Index),
    Revoke,
    ChangePassword,
    Wait(Duration),
    Snapshot,
    Restart,
    /// The power goes, with these presented a moment before.
    CutPower(Vec<usize>, Unsynced),
    Break(&'static [&'static str]),
    Mend,
}

fn step() -> impl Strategy<Value = Step> {
    let back = || prop_oneof![20 => Just(0_usize), 6 => Just(1), 1 => 2..8_usize];
    let millis = Duration::from_millis;
    let spans = select(vec![millis(1), millis(1000), millis(9_000), millis(10_000), millis(30_000)]);
    let left = select(vec![Unsynced::Lost, Unsynced::Kept, Unsynced::Half]);
    let faults: Vec<&'static [&'static str]> = vec![&["write"], &["sync"], &["sync", "truncate"]];
    prop_oneof![
        12 => back().prop_map(Step::Present),
        6 => back().prop_map(Step::Begin),
        5 => any::<Index>().prop_map(Step::LetGo),
        2 => any::<Index>().prop_map(Step::GoAway),
        1 => Just(Step::Revoke),
        1 => Just(Step::ChangePassword),
        5 => spans.prop_map(Step::Wait),
        1 => Just(Step::Snapshot),
        2 => Just(Step::Restart),
        2 => (vec(back(), 0..3), left).prop_map(|(presented, left)| Step::CutPower(presented, left)),
        1 => select(faults).prop_map(Step::Break),
        2 => Just(Step::Mend),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_of_refresh_retry_reuse_and_revoke_gives_two_live_successors(
        window in select(vec![0, 10]),
        on_reuse in select(vec![OnReuse::Session, OnReuse::User]),
        profile in select(vec![Profile::Smsgate, Profile::Form]),
        steps in vec(step(), 1..40),
    ) {
        let mut world = World::new(Policy { retry_window: SECOND * window, on_reuse, ..policy() }, profile);
        for step in steps {
            world.now.set(world.now.get() + Duration::from_micros(1));
            world.take(step);
            world.check();
        }
    }
}

/// As the workers do: threads with a runtime each, and on each of them several requests that take turns.
#[test]
fn of_many_requests_on_many_runtimes_all_get_one_successor_or_nothing_until_a_revocation_and_nothing_after_it() {
    for (round, window) in (0..40_u32).map(|round| (round, round % 2 * 10)) {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, 10, &Policy { retry_window: SECOND * window, ..policy() });
        let id = sign_in(&store, 1, "anna", 0).unwrap();
        for generation in 0..4 {
            let now = T0 + SECOND * (10 + generation);
            let revoked = generation == 3;
            let told: Vec<_> = at_once(4, |thread| {
                let present = || async {
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
                    let settle = async {
                        tokio::task::yield_now().await;
                        if thread == 0 && revoked {
                            assert!(store.end(id).await.is_ok());
                        }
                    };
                    store.rotate(&presented, &known, &"key".into(), now, settle).await.unwrap()
                };
                run(async {
                    if thread == 1 && revoked {
                        store.end(id).await.unwrap();
                    }
                    let all = tokio::join!(present(), present(), present(), present());
                    [all.0, all.1, all.2, all.3]
                })
            });
            let outcomes: Vec<_> = told.into_iter().flatten().collect();
            let rotated = outcomes.iter().filter(|outcome| matches!(outcome, Rotation::Rotated(_))).count();
            assert!(rotated == 1 || revoked && rotated == 0, "{round}: {outcomes:?}");
            let mut successors: Vec<_> = outcomes
                .iter()
                .filter_map(|outcome| match outcome {
                    Rotation::Rotated(next) | Rotation::Retried(next) => Some((next.generation, next.rotated_at)),
                    _ => None,
                })
                .collect();
            assert!(window == 0 && successors.len() == rotated || window > 0 && (revoked || successors.len() == 16));
            successors.dedup();
            assert!(successors.len() <= 1 && successors.iter().all(|next| next.0 == generation + 1), "{successors:?}");
            store.answered(id, generation + 1, now + SETTLE);
        }
        let after = T0 + SECOND * 20;
        let all_refused = |store: &Store| {
            for generation in 0..6 {
                assert_eq!(refresh(store, id, generation, after), Rotation::Refused(RotationRefusal::Ended));
                assert_eq!(store.access_standing(access(id, generation), after), AccessStanding::Ended);
            }
        };
        all_refused(&store);
        drop(store);
        all_refused(&open(&folder, 10, &policy()));
    }
}
