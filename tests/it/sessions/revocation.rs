//! Ending sessions by a token's id.

use super::{TOKEN, ended, gate, lives, refresh};
use crate::support::{Answer, Gate};

/// Revokes as alice, by password.
#[track_caller]
fn revoke(gate: &Gate, id: &str) {
    let answer = gate.call("DELETE", &format!("{TOKEN}/{id}")).basic("alice", "wonderland").send().expect(204);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.body.is_empty());
}

fn id(pair: &Answer, token: &str) -> String {
    pair.claims(token)["jti"].as_str().unwrap().to_owned()
}

#[test]
fn any_id_of_a_session_ends_it_whole() {
    let gate = gate(&[]);
    for (name, generation, token) in [
        ("the current access token", 2, "access_token"),
        ("the current refresh token", 2, "refresh_token"),
        ("the replaced access token", 1, "access_token"),
        ("the first refresh token", 0, "refresh_token"),
    ] {
        let mut pairs = vec![gate.alice(&["messages:list"])];
        let other = gate.alice(&["messages:list"]);
        for _ in 0..2 {
            pairs.push(refresh(&gate, pairs.last().unwrap()).expect(200));
        }
        println!("{name}");
        revoke(&gate, &id(&pairs[generation], token));
        for pair in &pairs {
            ended(&gate, pair);
        }
        lives(&gate, &refresh(&gate, &other).expect(200));
    }
}

#[test]
fn revoking_twice_is_as_good_as_once() {
    let gate = gate(&[]);
    let pair = gate.alice(&["messages:list"]);
    for _ in 0..3 {
        revoke(&gate, &pair.field("id"));
        ended(&gate, &pair);
    }
}

#[test]
fn ids_of_others_and_of_nobody_are_answered_alike_and_end_nothing() {
    let gate = gate(&[]);
    let (alices, bobs) = (gate.alice(&["messages:list"]), gate.sign_in("bob", "builder", &["messages:send"]));
    for foreign in [
        id(&bobs, "access_token"),
        id(&bobs, "refresh_token"),
        "w8pxz0a4Fwa4xgzyCvSeC".into(),
        "AAAAAAAAAAAAAAAA.0".into(),
        "AAAAAAAAAAAAAAAA.0r".into(),
        super::session_of(&alices),
        format!("{}0", id(&alices, "access_token")).replace(".00", ".01"),
        "~".into(),
    ] {
        println!("{foreign}");
        revoke(&gate, &foreign);
        lives(&gate, &alices);
        gate.post("/3rdparty/v1/messages").bearer(&bobs.field("access_token")).send().expect(200);
    }
    refresh(&gate, &bobs).expect(200);
    refresh(&gate, &alices).expect(200);
}

#[test]
fn a_token_may_revoke_only_with_the_scope_for_it() {
    let gate = gate(&[]);
    let victim = gate.alice(&["messages:list"]);
    let revoke = |pair: &Answer, token: &str| {
        gate.call("DELETE", &format!("{TOKEN}/{}", victim.field("id"))).bearer(&pair.field(token)).send()
    };
    let plain = gate.alice(&["messages:list"]);
    assert_eq!(revoke(&plain, "access_token").expect_refusal(403).field("message"), "scope required: tokens:manage");
    assert_eq!(revoke(&victim, "access_token").expect_refusal(403).field("error"), "insufficient_scope");
    let manager = gate.alice(&["tokens:manage"]);
    revoke(&manager, "refresh_token").expect_refusal(403);
    lives(&gate, &victim);
    revoke(&manager, "access_token").expect(204);
    ended(&gate, &victim);
    refresh(&gate, &manager).expect(200);
}

#[test]
fn a_token_may_revoke_its_own_session_and_is_dead_then() {
    let gate = gate(&[]);
    let pair = gate.alice(&["all:any"]);
    let revoke = gate.call("DELETE", &format!("{TOKEN}/{}", pair.field("id"))).bearer(&pair.field("access_token"));
    revoke.send().expect(204);
    revoke.send().expect_refusal(401);
    ended(&gate, &pair);
}

#[test]
fn without_credentials_nothing_is_revoked() {
    let gate = gate(&[]);
    let pair = gate.alice(&["messages:list"]);
    let target = format!("{TOKEN}/{}", pair.field("id"));
    gate.call("DELETE", &target).send().expect_refusal(401);
    gate.call("DELETE", &target).basic("alice", "wrong").send().expect_refusal(401);
    gate.call("DELETE", &target).bearer("garbage").send().expect_refusal(401);
    lives(&gate, &pair);
}
