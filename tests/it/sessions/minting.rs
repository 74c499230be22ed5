//! Sessions that a token begins instead of a password: never more than that token, never longer than its session.

use portcullis::clock;
use serde_json::json;

use super::{SESSIONS, TOKEN, ended, gate, lives, refresh, refused};
use crate::support::{Answer, Gate, until};

/// What comes of minting with a pair's access token.
#[track_caller]
fn mint(gate: &Gate, with: &Answer, scopes: &[&str]) -> Answer {
    gate.post(TOKEN).bearer(&with.field("access_token")).json(&json!({ "scopes": scopes })).send()
}

#[test]
fn a_token_mints_only_what_it_has_itself() {
    let gate = gate(&[]);
    for (own, asked, granted) in [
        (&["tokens:manage", "messages:list"][..], &["messages:list"][..], &["messages:list"][..]),
        (&["tokens:manage", "messages:list"], &["messages:send", "messages:list"], &["messages:list"]),
        (&["tokens:manage", "messages:list"], &["all:any"], &["tokens:manage", "messages:list"]),
        (&["all:any"], &["messages:send", "logs:read"], &["messages:send", "logs:read"]),
        (&["all:any"], &["all:any"], &["all:any"]),
    ] {
        println!("{own:?} asks for {asked:?}");
        let child = mint(&gate, &gate.alice(own), asked).expect(201);
        assert_eq!(child.json()["scopes"], json!(granted));
        assert_eq!(child.claims("access_token")["scopes"], json!(granted));
        assert_eq!(refresh(&gate, &child).expect(200).json()["scopes"], json!(granted));
    }
}

#[test]
fn what_lies_wholly_beyond_the_token_is_refused() {
    let gate = gate(&[]);
    let parent = gate.alice(&["tokens:manage", "messages:list"]);
    for asked in [&["messages:send"][..], &["messages:send", "logs:read"]] {
        let refusal = mint(&gate, &parent, asked).expect_refusal(403);
        assert_eq!(refusal.field("message"), "requested scopes exceed those of the presented token");
    }
    for asked in [&[][..], &["messages:fly"], &["tokens:refresh"]] {
        assert_eq!(mint(&gate, &parent, asked).expect_refusal(400).field("error"), "invalid_scope");
    }
}

#[test]
fn without_tokens_manage_nothing_is_minted() {
    let gate = gate(&[]);
    let pair = gate.alice(&["messages:list"]);
    let refusal = mint(&gate, &pair, &["messages:list"]).expect_refusal(403);
    assert_eq!(refusal.field("message"), "scope required: tokens:manage");
    assert_eq!(refusal.field("error"), "insufficient_scope");
    let refresh_token = pair.field("refresh_token");
    gate.post(TOKEN).bearer(&refresh_token).json(&json!({"scopes": ["messages:list"]})).send().expect_refusal(403);
}

#[test]
fn a_minted_session_ends_with_the_one_that_minted_it_however_that_ends() {
    let gate = gate(&[]);
    for way in ["revoked", "reused"] {
        println!("{way}");
        let parent = gate.alice(&["all:any"]);
        let child = mint(&gate, &parent, &["tokens:manage", "messages:list"]).expect(201);
        let grandchild = mint(&gate, &child, &["messages:list"]).expect(201);
        let child = refresh(&gate, &child).expect(200);
        for pair in [&parent, &child, &grandchild] {
            lives(&gate, if pair.field("id") == child.field("id") { &grandchild } else { pair });
        }
        if way == "revoked" {
            let revoke = gate.call("DELETE", &format!("{TOKEN}/{}", parent.field("id")));
            revoke.basic("alice", "wonderland").send().expect(204);
        } else {
            refresh(&gate, &parent).expect(200);
            refused(&refresh(&gate, &parent));
        }
        for pair in [&parent, &child, &grandchild] {
            ended(&gate, pair);
        }
    }
}

#[test]
fn the_end_of_a_minted_session_ends_none_above_it() {
    let gate = gate(&[]);
    let parent = gate.alice(&["all:any"]);
    let (child, sibling) = (mint(&gate, &parent, &["all:any"]), mint(&gate, &parent, &["messages:list"]).expect(201));
    let child = child.expect(201);
    let grandchild = mint(&gate, &child, &["messages:list"]).expect(201);
    refresh(&gate, &child).expect(200);
    refused(&refresh(&gate, &child));
    ended(&gate, &grandchild);
    lives(&gate, &refresh(&gate, &parent).expect(200));
    lives(&gate, &refresh(&gate, &sibling).expect(200));
}

#[test]
fn refreshing_the_minting_session_leaves_the_minted_one_alone() {
    let gate = gate(&[]);
    let parent = gate.alice(&["all:any"]);
    let child = mint(&gate, &parent, &["messages:list"]).expect(201);
    let next = refresh(&gate, &refresh(&gate, &parent).expect(200)).expect(200);
    lives(&gate, &child);
    lives(&gate, &refresh(&gate, &child).expect(200));
    assert_eq!(refused(&mint(&gate, &parent, &["messages:list"])), "Token revoked");
    mint(&gate, &next, &["messages:list"]).expect(201);
}

#[test]
fn a_minted_session_never_outlives_the_one_that_minted_it() {
    let times = [("access_ttl", "1h"), ("access_ttl_max", "1h"), ("refresh_ttl", "1h"), ("session_ttl", "1h")];
    let settings = times.map(|(key, value)| (format!("token.{key}"), value));
    let settings: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let gate = gate(&settings);
    let exp = |pair: &Answer, token: &str| pair.claims(token)["exp"].as_u64().unwrap();
    let parent = gate.alice(&["all:any"]);
    let end = exp(&parent, "refresh_token");
    // A session that begins now would end later.
    until("the next second", || {
        lives(&gate, &parent);
        (clock::wall().as_secs() + 3600 > end).then_some(())
    });
    let mut child = mint(&gate, &parent, &["tokens:manage"]).expect(201);
    for _ in 0..3 {
        assert_eq!((exp(&child, "access_token"), exp(&child, "refresh_token")), (end, end));
        let listed = gate.get(SESSIONS).basic("alice", "wonderland").send().expect(200).json();
        let listed =
            listed.as_array().unwrap().iter().find(|it| it["id"] == child.claims("access_token")["sid"]).cloned();
        assert_eq!(listed.unwrap()["expires_at"], child.json()["expires_at"]);
        child = refresh(&gate, &child).expect(200);
    }
    let grandchild = mint(&gate, &child, &["tokens:manage"]).expect(201);
    assert_eq!(exp(&grandchild, "refresh_token"), end);
}

#[test]
fn an_ended_session_mints_nothing() {
    let gate = gate(&[]);
    let parent = gate.alice(&["all:any"]);
    let revoke = gate.call("DELETE", &format!("{TOKEN}/{}", parent.field("id")));
    revoke.basic("alice", "wonderland").send().expect(204);
    assert_eq!(refused(&mint(&gate, &parent, &["messages:list"])), "Token revoked");
}
