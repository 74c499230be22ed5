//! What a restart keeps: sessions as they were, and the ends of those that ended.

use serde_json::json;

use super::{TOKEN, gate, list, refresh, revoke};
use crate::support::{Answer, Start, Upstream};

/// The generation of a pair: the number in its id.
fn generation(pair: &Answer) -> u32 {
    pair.field("id").rsplit_once('.').unwrap().1.parse().unwrap()
}

#[test]
fn tokens_of_before_work_and_sessions_go_on_where_they_were() {
    let mut gate = gate();
    let mut pair = gate.alice(&["messages:list"]);
    let untouched = gate.alice(&["messages:list"]);
    for restarts in 0..3 {
        assert_eq!(generation(&pair), restarts * 2);
        pair = refresh(&gate, &pair).expect(200);
        gate = gate.restart();
        list(&gate, &pair).expect(200);
        list(&gate, &untouched).expect(200);
        pair = refresh(&gate, &pair).expect(200);
        list(&gate, &pair).expect(200);
    }
    let sid = |pair: &Answer| pair.claims("access_token")["sid"].clone();
    assert_eq!(sid(&refresh(&gate, &untouched).expect(200)), sid(&untouched));
}

#[test]
fn a_token_that_was_used_before_the_restart_is_used_after_it() {
    let gate = gate();
    let first = gate.alice(&["messages:list"]);
    let second = refresh(&gate, &first).expect(200);
    let gate = gate.restart();
    refresh(&gate, &first).expect_refusal(401);
    // And it was a reuse, as it would have been before.
    list(&gate, &second).expect_refusal(401);
    refresh(&gate, &second).expect_refusal(401);
    gate.wait_for_log("\"reuse\"");
}

#[test]
fn what_has_ended_stays_ended_over_any_number_of_restarts() {
    let mut gate = gate();
    let revoked = gate.alice(&["messages:list"]);
    let stolen = gate.alice(&["messages:list"]);
    let next = refresh(&gate, &stolen).expect(200);
    revoke(&gate, &revoked);
    refresh(&gate, &stolen).expect_refusal(401);
    for _ in 0..3 {
        gate = gate.restart();
        for pair in [&revoked, &stolen, &next] {
            assert_eq!(list(&gate, pair).expect_refusal(401).field("message"), "Token revoked");
            refresh(&gate, pair).expect_refusal(401);
        }
    }
}

#[test]
fn a_replaced_access_token_stays_replaced() {
    let gate = Start::before(Upstream::start().address).set("token.access_overlap", "0s").start();
    let first = gate.alice(&["messages:list"]);
    let second = refresh(&gate, &first).expect(200);
    let gate = gate.restart();
    assert_eq!(list(&gate, &first).expect_refusal(401).field("message"), "Token revoked");
    list(&gate, &second).expect(200);
}

#[test]
fn a_minted_session_still_ends_with_the_one_that_minted_it() {
    let gate = gate();
    let parent = gate.alice(&["all:any"]);
    let mint = gate.post(TOKEN).bearer(&parent.field("access_token")).json(&json!({"scopes": ["messages:list"]}));
    let child = mint.send().expect(201);
    let gate = gate.restart();
    list(&gate, &child).expect(200);
    revoke(&gate, &parent);
    list(&gate, &child).expect_refusal(401);
    refresh(&gate, &child).expect_refusal(401);
}

#[test]
fn the_list_of_sessions_reads_as_before() {
    let gate = gate();
    let device = json!({"id": "d-1", "name": "Pixel"});
    let body = json!({"scopes": ["messages:list"], "ttl": 77, "device": device});
    let pair = gate.post(TOKEN).basic("alice", "wonderland").json(&body).send().expect(201);
    let pair = refresh(&gate, &pair).expect(200);
    let other = gate.alice(&["logs:read"]);
    revoke(&gate, &other);
    let listed =
        |gate: &crate::support::Gate| gate.get("/3rdparty/v1/auth/sessions").basic("alice", "wonderland").send().json();
    let before = listed(&gate);
    let gate = gate.restart();
    assert_eq!(listed(&gate), before);
    assert_eq!(before.as_array().unwrap().len(), 1);
    assert_eq!(before[0]["device"], device);
    let claims = refresh(&gate, &pair).expect(200).claims("access_token");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 77);
}

#[test]
fn a_gate_that_is_told_to_end_while_it_is_used_loses_nothing_that_it_acknowledged() {
    let mut gate = gate();
    let mut pairs: Vec<_> = (0..20).map(|_| gate.alice(&["messages:list"])).collect();
    for pair in &mut pairs[..10] {
        *pair = refresh(&gate, pair).expect(200);
    }
    gate.stop();
    let gate = gate.start_again();
    for pair in &pairs {
        list(&gate, pair).expect(200);
        list(&gate, &refresh(&gate, pair).expect(200)).expect(200);
    }
}
