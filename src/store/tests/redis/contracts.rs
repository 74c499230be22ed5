//! What holds for every store, on an engine.

use super::super::contract;
use super::*;

#[track_caller]
fn check(sessions_per_user: usize, contract: fn(&Store)) {
    let engine = Engine::start();
    let caps = Caps { sessions: 10_000, sessions_per_user, tombstones: 10_000 };
    contract(&Gate::start(engine.terms(), caps, &policy()));
}

macro_rules! hold {
    ($($name:ident: $sessions_per_user:literal,)*) => {
        $(
            #[test]
            #[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
            fn $name() {
                check($sessions_per_user, contract::$name);
            }
        )*
    };
}

hold! {
    at_the_cap_per_user_the_least_recently_used_session_ends: 3,
    a_session_that_makes_room_takes_those_minted_with_its_tokens_along: 4,
    a_session_never_makes_room_for_one_that_descends_from_it: 3,
    a_sign_in_that_is_refused_ends_nobody: 1,
    a_sign_in_is_overtaken_by_a_change_of_its_user: 1000,
    minting_is_overtaken_by_the_end_of_the_parent: 1000,
    ending_a_subject_ends_all_its_sessions_and_nobody_elses: 1000,
    sessions_are_listed_newest_sign_in_first: 1000,
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn of_many_who_present_one_token_at_once_one_gets_a_successor() {
    let engine = Engine::start();
    let store = engine.gate();
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
    let outcomes = at_once(50, |_| refresh(&store, id, 4, T0 + SECOND * 60));
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Rotation::Reused(_))).count(), 1);
    assert_eq!((store.find(id), store.live()), (None, 0));
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn a_retry_within_its_window_gets_the_same_successor_at_another_gate() {
    let engine = Engine::start();
    let policy = Policy { retry_window: Duration::from_secs(10), ..policy() };
    let gates = [0; 2].map(|_| Gate::start(engine.terms(), CAPS, &policy));
    let id = sign_in(&gates[0], 1, "anna", 0).unwrap();
    let Rotation::Rotated(first) = refresh(&gates[0], id, 0, T0 + SECOND) else { panic!() };
    let Rotation::Retried(again) = refresh(&gates[1], id, 0, T0 + SECOND * 9) else { panic!() };
    assert_eq!((again.generation, again.rotated_at, &again.kid), (first.generation, first.rotated_at, &first.kid));
    assert!(matches!(refresh(&gates[1], id, 0, T0 + SECOND * 12), Rotation::Reused(_)));
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn users_that_change_end_and_cut_their_sessions_at_every_gate() {
    let engine = Engine::start();
    let gates = [engine.gate(), engine.gate()];
    let ids: Vec<_> = ["anna", "ben", "cleo"]
        .iter()
        .enumerate()
        .map(|(n, subject)| sign_in(&gates[0], n as u64, subject, 0).unwrap())
        .collect();
    until("all are known", || gates[1].live() == 3);
    let users = |subject: &Subject, _: Option<&str>| match subject.as_str() {
        "anna" => None,
        "ben" => Some(Standing { scopes: Scopes::new(["messages:read"]), credential: CredentialVersion([7; 8]) }),
        _ => known(subject, None),
    };
    assert_eq!(run(gates[1].users_changed(&users)).unwrap(), 1);
    until("the other gate knows", || {
        let standing = |n: usize| gates[0].access_standing(access(ids[n], 0), T0);
        standing(0) == AccessStanding::Ended && standing(1) == AccessStanding::Superseded
    });
    assert_eq!(gates[0].access_standing(access(ids[2], 0), T0), AccessStanding::Good { until: None });
    assert_eq!(run(gates[0].users_changed(&users)).unwrap(), 0);
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn a_new_name_is_known_at_every_gate_and_by_those_that_start_later() {
    let engine = Engine::start();
    let gates = [engine.gate(), engine.gate()];
    let id = sign_in(&gates[0], 1, "anna", 0).unwrap();
    until("the session is known", || gates[1].find(id).is_some());
    let anna = Subject::new("anna");
    assert!(run(gates[1].rename(id, &Subject::new("ben"), Some("mine".into()))).unwrap().is_none());
    assert!(run(gates[1].rename(id, &anna, Some("phone".into()))).unwrap().is_some());
    let name = |gate: &Gate| gate.find(id)?.device?.name;
    until("the name is known", || name(&gates[0]).as_deref() == Some("phone"));
    assert_eq!(name(&engine.gate()).as_deref(), Some("phone"));
}
