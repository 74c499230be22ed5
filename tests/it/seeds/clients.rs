//! What clients do with tokens.

use serde_json::json;

use super::{MESSAGES, example, gate, issue, refresh};
use crate::support::{SCOPES, Start, Upstream};

/// Seed S27: encrypted and encoded again, a token still has to fit into a cookie, a header or a column.
#[test]
fn tokens_are_of_a_length_that_can_be_stored() {
    let gate = gate(&[]);
    let pair = issue(&gate).json(&json!({ "scopes": SCOPES })).send().expect(201);
    assert_eq!(pair.json()["scopes"].as_array().unwrap().len(), SCOPES.len());
    for token in ["access_token", "refresh_token"] {
        assert!(pair.field(token).len() < 2048, "{token}: {}", pair.field(token).len());
        assert!(example(&gate).field(token).len() < 600);
    }
}

/// Seed S28: clients log it.
#[test]
fn a_refresh_token_has_an_id_of_its_own() {
    let gate = gate(&[]);
    let first = example(&gate);
    let second = refresh(&gate, &first).expect(200);
    let ids =
        [&first, &second].map(|pair| ["access_token", "refresh_token"].map(|token| pair.claims(token)["jti"].clone()));
    let mut ids: Vec<_> = ids.concat().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

/// Seed S29: such a client signs in whenever its token runs out, and leaves a session behind each time.
#[test]
fn a_client_that_knows_nothing_of_refresh_tokens_works_as_before() {
    let gate = gate(&[]);
    for _ in 0..120 {
        let token = example(&gate).field("access_token");
        gate.post(MESSAGES).bearer(&token).send().expect(200);
    }
}

/// Seed S30.
#[test]
fn basic_credentials_on_the_api_work_unless_they_are_switched_off() {
    for (setting, status) in [("allow", 200), ("deny", 401)] {
        let upstream = Upstream::start();
        let gate = Start::before(upstream.address).set("routes.basic_auth", setting).start();
        for _ in 0..3 {
            gate.post(MESSAGES).basic("bob", "builder").send().expect(status);
        }
        gate.get(MESSAGES).basic("bob", "builder").send().expect_refusal(if status == 200 { 403 } else { 401 });
        gate.post(MESSAGES).basic("bob", "wrong").send().expect_refusal(401);
        // Tokens can be had with them all the same.
        gate.sign_in("bob", "builder", &["messages:send"]);
        for seen in upstream.seen() {
            assert_eq!(seen.header("x-auth-subject"), Some("bob"));
            assert_eq!(seen.header("authorization"), None);
        }
        assert_eq!(upstream.seen().len(), if status == 200 { 3 } else { 0 });
    }
}
