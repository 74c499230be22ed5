//! What a refresh gives.

use serde_json::json;

use super::{TOKEN, gate, lives, refresh};
use crate::support::Answer;

/// The ids of both tokens.
fn ids(pair: &Answer) -> [String; 2] {
    ["access_token", "refresh_token"].map(|token| pair.claims(token)["jti"].to_string())
}

#[test]
fn a_refresh_keeps_the_scopes_and_the_lifetime_of_the_sign_in() {
    let gate = gate(&[]);
    let body = json!({"ttl": 120, "scopes": ["messages:list", "messages:send"]});
    let mut pair = gate.post(TOKEN).basic("alice", "wonderland").json(&body).send().expect(201);
    for _ in 0..3 {
        let claims = pair.claims("access_token");
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 120);
        assert_eq!(claims["scopes"], body["scopes"]);
        assert_eq!(pair.json()["scopes"], body["scopes"]);
        assert_eq!(pair.claims("refresh_token")["original_scopes"], body["scopes"]);
        pair = refresh(&gate, &pair).expect(200);
    }
}

#[test]
fn every_refresh_gives_two_new_tokens_of_the_same_session() {
    let gate = gate(&[]);
    let mut pairs = vec![gate.alice(&["messages:list"])];
    for _ in 0..4 {
        pairs.push(refresh(&gate, pairs.last().unwrap()).expect(200));
    }
    let mut ids: Vec<_> = pairs.iter().flat_map(ids).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2 * pairs.len());
    assert!(pairs.iter().all(|pair| pair.claims("access_token")["sid"] == pairs[0].claims("refresh_token")["sid"]));
    lives(&gate, &pairs[4]);
}

#[test]
fn both_spellings_of_a_pair_say_the_same_and_the_scopes_are_those_granted() {
    let gate = gate(&[]);
    let issued = gate.alice(&["messages:list", "messages:fly", "inbox:read", "messages:list"]);
    for pair in [refresh(&gate, &issued).expect(200), issued] {
        let body = pair.json();
        for (snake, camel) in [
            ("token_type", "tokenType"),
            ("access_token", "accessToken"),
            ("refresh_token", "refreshToken"),
            ("expires_at", "expiresAt"),
            ("expires_in", "expiresIn"),
        ] {
            assert!(!body[snake].is_null(), "no {snake}: {body}");
            assert_eq!(body[snake], body[camel], "{camel}");
        }
        assert_eq!(body["scopes"], json!(["messages:list", "inbox:read"]));
        assert_eq!(body["id"], pair.claims("access_token")["jti"]);
    }
}
