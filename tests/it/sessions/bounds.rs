//! How many sessions there may be.

use serde_json::json;

use super::{SESSIONS, TOKEN, ended, gate, lives, refresh, session_of};
use crate::support::Gate;

#[track_caller]
fn alices(gate: &Gate) -> usize {
    gate.get(SESSIONS).basic("alice", "wonderland").send().expect(200).json().as_array().unwrap().len()
}

#[test]
fn one_sign_in_too_many_ends_the_session_that_was_unused_for_longest() {
    let gate = gate(&[("limits.max_sessions_per_user", "3")]);
    let oldest = gate.alice(&["messages:list"]);
    let unused = gate.alice(&["messages:list"]);
    let young = gate.alice(&["messages:list"]);
    let bobs = gate.sign_in("bob", "builder", &["messages:send"]);
    let oldest = refresh(&gate, &oldest).expect(200);
    let newest = gate.alice(&["messages:list"]);
    ended(&gate, &unused);
    for pair in [&oldest, &young, &newest] {
        lives(&gate, pair);
    }
    refresh(&gate, &bobs).expect(200);
    assert_eq!(alices(&gate), 3);
}

#[test]
fn a_client_that_never_refreshes_does_not_lock_its_user_out() {
    let gate = gate(&[("limits.max_sessions_per_user", "2")]);
    for _ in 0..10 {
        lives(&gate, &gate.alice(&["messages:list"]));
    }
    assert_eq!(alices(&gate), 2);
}

#[test]
fn when_all_places_are_taken_sign_ins_are_put_off_and_the_rest_goes_on() {
    let gate = gate(&[("limits.max_sessions", "3")]);
    let pairs: Vec<_> = (0..3).map(|_| gate.alice(&["all:any"])).collect();
    let body = json!({"scopes": ["messages:send"]});
    let by_password = gate.post(TOKEN).basic("bob", "builder").json(&body);
    let by_token = gate.post(TOKEN).bearer(&pairs[0].field("access_token")).json(&body);
    for call in [&by_password, &by_token] {
        let refusal = call.send().expect_refusal(503);
        let wait: u64 = refusal.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait));
        assert_eq!(refusal.field("error"), "temporarily_unavailable");
    }
    let next = refresh(&gate, &pairs[1]).expect(200);
    for pair in [&pairs[0], &next, &pairs[2]] {
        lives(&gate, pair);
    }
    // A place becomes free, and is taken.
    let end = gate.call("DELETE", &format!("{SESSIONS}/{}", session_of(&pairs[2])));
    end.basic("alice", "wonderland").send().expect(204);
    by_password.send().expect(201);
    by_password.send().expect_refusal(503);
}
