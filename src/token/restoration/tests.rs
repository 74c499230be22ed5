//! What a restoration does, row by row, and over whole lives in which copies are restored again and again.
//!
//! Guarantees: the lives are told from a truth that the rules do not see: which token was really issued when, and by which
//! line of its session.
//! Does not know: stores and files.

use proptest::prelude::*;

use super::super::tests::{T0, moved, policy, session};
use super::super::{CredentialVersion, Profile, Scopes, Sender};
use super::*;

const SECOND: i64 = 1_000_000;

/// Restored an hour after the backup, whose newest record is 0.3 s after a full second.
fn restoration(adopt: bool, revoked_after: Option<i64>) -> Restoration {
    Restoration {
        backup: moved(T0, 300_000),
        restored: moved(T0, 3600 * SECOND),
        adopt,
        revoked_after: revoked_after.map(|micros| moved(T0, micros)),
        sessions_end: T0,
    }
}

fn one(adopt: bool, revoked_after: Option<i64>) -> Restorations {
    Restorations(vec![restoration(adopt, revoked_after)])
}

fn name(rotation: &Rotation) -> String {
    match rotation {
        Rotation::Rotated(session) => format!("rotated to {}", session.generation),
        Rotation::Retried(_) => "retried".into(),
        Rotation::Raced => "raced".into(),
        Rotation::Reused(_) => "reused".into(),
        Rotation::Disowned(_) => "disowned".into(),
        Rotation::Refused(why) => format!("{why:?}").to_lowercase(),
    }
}

fn present(
    restorations: &Restorations,
    session: &mut Session,
    token: (u32, i64),
    now: i64,
    policy: &Policy,
) -> Rotation {
    let presented = Presented {
        session: session.id,
        generation: token.0,
        issued_at: Timestamp::from_secs(moved(T0, token.1 * SECOND).as_secs()),
        profile: Profile::Smsgate,
        arrived_at: moved(T0, now),
        sender: Sender::default(),
        by: None,
        certificate: None,
    };
    let user =
        Standing { scopes: Scopes::new(["messages:send", "messages:read"]), credential: CredentialVersion([7; 8]) };
    restorations.rotate(session, &presented, Some(&user), &"next".into(), moved(T0, now), policy)
}

/// The session of the backup: generation 5, of the very second of its newest record.
fn restored() -> Session {
    let policy = policy();
    Session { rotated_at: moved(T0, 200_000), generation: 5, ..session(1, "anna", moved(T0, -60 * SECOND), &policy) }
}

/// Presents tokens, of a generation and issued in a second from `T0` on, one after another, a minute apart.
#[track_caller]
fn row(restorations: &Restorations, tokens: &[(u32, i64)], expected: &[&str]) {
    let mut session = restored();
    let mut now = 3600 * SECOND;
    let outcomes = tokens.iter().map(|token| {
        let before = session.clone();
        let rotation = present(restorations, &mut session, *token, now, &policy());
        match &rotation {
            Rotation::Rotated(next) => assert_eq!(**next, session),
            _ => assert_eq!(session, before),
        }
        session.answered(session.generation, moved(T0, now));
        now += 60 * SECOND;
        name(&rotation)
    });
    assert_eq!(outcomes.collect::<Vec<_>>(), expected, "{tokens:?}");
}

#[test]
fn the_backups_own_tokens_are_what_they_were() {
    for restorations in [one(false, None), one(true, None), one(true, Some(500_000)), Restorations::default()] {
        row(&restorations, &[(5, 0), (6, 3600), (7, 3660)], &["rotated to 6", "rotated to 7", "rotated to 8"]);
        row(&restorations, &[(4, -9)], &["reused"]);
        row(&restorations, &[(5, 0), (5, 0)], &["rotated to 6", "reused"]);
        row(&restorations, &[(5, 0), (6, 3600), (6, 3600)], &["rotated to 6", "rotated to 7", "reused"]);
    }
}

#[test]
fn nothing_lost_is_accepted_unless_it_is_adopted() {
    let restorations = one(false, None);
    row(&restorations, &[(6, 0), (6, 10), (9, 3599), (5, 0)], &["ahead", "ahead", "ahead", "rotated to 6"]);
    // The numbers are given once more, and the lost ones bear them too.
    row(&restorations, &[(5, 0), (6, 10), (6, 3600)], &["rotated to 6", "lost", "rotated to 7"]);
    row(&restorations, &[(5, 0), (6, 3600), (6, 10), (7, 20)], &["rotated to 6", "rotated to 7", "lost", "lost"]);
    row(
        &restorations,
        &[(5, 0), (6, 3600), (6, 0), (7, 3660)],
        &["rotated to 6", "rotated to 7", "lost", "rotated to 8"],
    );
}

#[test]
fn a_lost_token_is_adopted_once_and_carries_its_session_on() {
    let restorations = one(true, None);
    row(&restorations, &[(7, 20), (8, 3600)], &["rotated to 8", "rotated to 9"]);
    row(&restorations, &[(7, 0), (8, 3600)], &["rotated to 8", "rotated to 9"]);
    row(&restorations, &[(7, 20), (7, 20), (8, 3600)], &["rotated to 8", "lost", "rotated to 9"]);
    row(&restorations, &[(7, 20), (6, 10), (9, 30), (8, 3600)], &["rotated to 8", "lost", "ahead", "rotated to 9"]);
    // The backup's own has been passed by then, and whoever has it has used it before.
    row(&restorations, &[(7, 20), (5, -1)], &["rotated to 8", "reused"]);
    // Not after the session has gone on.
    row(&restorations, &[(5, 0), (7, 20), (6, 10)], &["rotated to 6", "ahead", "lost"]);
    // Nothing from after the restoration is lost: there the store knows all.
    row(&restorations, &[(7, 3600)], &["ahead"]);
}

#[test]
fn a_lost_answer_to_an_adoption_is_told_again() {
    let policy = Policy { retry_window: Duration::from_secs(10), ..policy() };
    let (restorations, now) = (one(true, None), 3600 * SECOND);
    let mut session = restored();
    let mut outcome = |token, late| name(&present(&restorations, &mut session, token, now + late * SECOND, &policy));
    assert_eq!(outcome((7, 20), 0), "rotated to 8");
    assert_eq!(outcome((7, 20), 9), "retried");
    assert_eq!(outcome((8, 3600), 10), "rotated to 9");
    // Another token of the number of the parent is not the parent.
    assert_eq!(outcome((8, 30), 11), "lost");
    assert_eq!(outcome((8, 3600), 12), "retried");
}

#[test]
fn what_is_revoked_is_not_adopted() {
    let restorations = one(true, Some(20 * SECOND + 1));
    row(&restorations, &[(7, 20)], &["ahead"]);
    row(&restorations, &[(9, 30)], &["ahead"]);
    row(&restorations, &[(6, 19)], &["rotated to 7"]);
    row(&restorations, &[(5, 0), (6, 3600)], &["rotated to 6", "rotated to 7"]);
}

#[test]
fn access_tokens_are_refused_by_the_second_in_which_they_were_issued() {
    #[track_caller]
    fn check(restorations: &Restorations, refused: &[(i64, bool)]) {
        for (second, expected) in refused {
            assert_eq!(restorations.refuse_access(moved(T0, second * SECOND)), *expected, "{second}");
        }
    }
    check(&Restorations::default(), &[(0, false), (10, false)]);
    // A minute before the backup's newest record something may have been under way.
    check(&one(false, None), &[(-61, false), (-60, true), (0, true), (3599, true), (3600, false)]);
    check(&one(true, None), &[(0, false), (10, false), (3599, false)]);
    check(&one(true, Some(10 * SECOND)), &[(9, false), (10, true), (3599, true), (3600, false)]);
    check(&one(true, Some(10 * SECOND + 999_999)), &[(9, false), (10, false), (11, true)]);
    check(&one(true, Some(-100 * SECOND)), &[(-101, false), (-100, true), (0, true)]);
}

#[test]
fn a_restoration_has_served_when_nothing_of_its_time_can_be_alive() {
    let policy = policy();
    let restoration = restoration(false, None);
    let over = restoration.restored + policy.session_ttl + policy.leeway;
    let long = Restoration { sessions_end: over, ..restoration };
    assert_eq!([moved(over, -1), over].map(|now| restoration.is_spent(now, &policy)), [false, true]);
    assert!(!long.is_spent(over, &policy), "sessions that were made to last longer are waited for");
    let mut both = Restorations::default();
    [restoration, long, restoration].into_iter().for_each(|restoration| both.add(restoration));
    assert_eq!(both.iter().count(), 2);
}

/// A refresh token as it really is.
#[derive(Clone, Copy, Debug)]
struct Token {
    generation: u32,
    issued: Timestamp,
    /// The last restoration that has lost it.
    lost: Option<Restoration>,
}

#[derive(Clone, Debug)]
struct State {
    session: Session,
    /// Which tokens are really the session's current one and its parent.
    current: usize,
    parent: Option<usize>,
}

#[derive(Clone, Debug)]
enum Step {
    /// Presents a token so many before the newest.
    Present {
        back: usize,
        after: i64,
    },
    Current {
        after: i64,
    },
    Backup,
    Restore {
        adopt: bool,
        revoked: Option<i64>,
        after: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let after = || prop_oneof![2 => 1..SECOND / 2, 1 => 1..20 * SECOND];
    let revoked = prop::option::weighted(0.3, 0..30 * SECOND);
    let step = prop_oneof![
        4 => (0..8_usize, after()).prop_map(|(back, after)| Step::Present { back, after }),
        4 => after().prop_map(|after| Step::Current { after }),
        1 => Just(Step::Backup),
        2 => (any::<bool>(), revoked, after()).prop_map(|(adopt, revoked, after)| Step::Restore { adopt, revoked, after }),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_restored_a_number_rotates_for_one_token_alone(
        steps in steps(),
        window in prop_oneof![Just(0), Just(10)],
    ) {
        let policy = Policy { retry_window: Duration::from_secs(window), ..policy() };
        let user = Standing { scopes: Scopes::new(["messages:send"]), credential: CredentialVersion([7; 8]) };
        let mut tokens = vec![Token { generation: 0, issued: T0, lost: None }];
        let mut state = State { session: session(1, "anna", T0, &policy), current: 0, parent: None };
        let mut restorations = Restorations::default();
        let mut copy = (state.clone(), restorations.clone(), tokens.len());
        let mut now = T0;
        for step in steps {
            let index = match step {
                Step::Backup => {
                    copy = (state.clone(), restorations.clone(), tokens.len());
                    continue;
                }
                Step::Restore { adopt, revoked, after } => {
                    now = moved(now, after);
                    let mut known;
                    (state, restorations, known) = copy.clone();
                    let newest = restorations.iter().map(|it| it.restored).fold(state.session.rotated_at, Timestamp::max);
                    let restoration = Restoration {
                        backup: newest,
                        restored: Timestamp::from_secs(now.as_secs() + 1),
                        adopt,
                        revoked_after: revoked.map(|ago| moved(now, -ago)),
                        sessions_end: state.session.expires_at,
                    };
                    now = restoration.restored;
                    if restoration.revoked_after.is_some_and(|after| state.session.rotated_at > after) {
                        break;
                    }
                    tokens[known..].iter_mut().for_each(|token| token.lost = Some(restoration));
                    known = tokens.len();
                    restorations.add(restoration);
                    copy = (state.clone(), restorations.clone(), known);
                    continue;
                }
                Step::Present { back, after } => {
                    now = moved(now, after);
                    tokens.len().saturating_sub(back + 1)
                }
                Step::Current { after } => {
                    now = moved(now, after);
                    state.current
                }
            };
            let token = tokens[index];
            let presented = Presented {
                session: state.session.id,
                generation: token.generation,
                issued_at: Timestamp::from_secs(token.issued.as_secs()),
                profile: Profile::Smsgate,
                arrived_at: now,
                sender: Sender::default(),
                by: None,
                certificate: None,
            };
            let before = state.session.clone();
            let rotation = restorations.rotate(&mut state.session, &presented, Some(&user), &"k".into(), now, &policy);
            let case = format!("{token:?} at {before:?}: {}", name(&rotation));
            let revoked = restorations.iter().any(|it| it.revoked_after.is_some_and(|after| token.issued > after) && token.issued < it.restored);
            match &rotation {
                Rotation::Rotated(next) => {
                    prop_assert_eq!(&**next, &state.session);
                    if index != state.current {
                        let lost = token.lost.unwrap();
                        prop_assert!(lost.adopt && !revoked && token.generation > before.generation, "{}", case);
                        prop_assert!(before.rotated_at < lost.restored, "{}", case);
                    }
                    tokens.push(Token { generation: next.generation, issued: now, lost: None });
                    (state.parent, state.current) = (Some(index), tokens.len() - 1);
                    state.session.answered(next.generation, now);
                }
                Rotation::Retried(_) => prop_assert_eq!(Some(index), state.parent, "{}", case),
                Rotation::Reused(_) => {
                    let lost = token.lost.is_some_and(|it| token.issued.as_secs() > it.backup.as_secs());
                    prop_assert!(!lost && index != state.current, "{}", case);
                }
                _ => {
                    prop_assert!(index != state.current, "{}", case);
                    prop_assert_eq!(&before, &state.session);
                }
            }
        }
    }
}
