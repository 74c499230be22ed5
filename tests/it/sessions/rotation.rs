//! What a refresh gives, and what a retry of it gives.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{TOKEN, call_until, ended, gate, list, lives, refresh, refused};
use crate::support::Answer;

/// Both tokens' ids and ends: what makes a retry's answer the same one.
fn identity(pair: &Answer) -> [String; 5] {
    let (access, renewal) = (pair.claims("access_token"), pair.claims("refresh_token"));
    let [a, b, c, d] = [&access["jti"], &access["exp"], &renewal["jti"], &renewal["exp"]].map(ToString::to_string);
    [a, b, c, d, pair.field("expires_at")]
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
    let mut ids: Vec<_> =
        pairs.iter().flat_map(|pair| [identity(pair)[0].clone(), identity(pair)[2].clone()]).collect();
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

#[test]
fn within_the_retry_window_a_retry_gets_the_same_pair() {
    let gate = gate(&[("token.retry_window", "10s")]);
    let first = gate.alice(&["messages:list"]);
    let start = Instant::now();
    let second = refresh(&gate, &first).expect(200);
    // By then a pair made anew would have other times.
    call_until(&gate, &second, start, Duration::from_millis(1100));
    for _ in 0..3 {
        assert_eq!(identity(&refresh(&gate, &first).expect(200)), identity(&second));
    }
    let third = refresh(&gate, &second).expect(200);
    lives(&gate, &third);
    // The successor was used: whoever still has the parent is not the one who used it.
    assert_eq!(refused(&refresh(&gate, &first)), "Invalid refresh token");
    ended(&gate, &third);
}

#[test]
fn after_the_retry_window_a_retry_is_a_theft() {
    let gate = gate(&[("token.retry_window", "1s")]);
    let first = gate.alice(&["messages:list"]);
    let second = refresh(&gate, &first).expect(200);
    call_until(&gate, &second, Instant::now(), Duration::from_secs(1));
    assert_eq!(refused(&refresh(&gate, &first)), "Invalid refresh token");
    ended(&gate, &second);
}

#[test]
fn a_retry_after_a_restart_gets_the_same_pair() {
    let gate = gate(&[("token.retry_window", "1m")]);
    let first = gate.alice(&["messages:list"]);
    let start = Instant::now();
    let second = refresh(&gate, &first).expect(200);
    call_until(&gate, &second, start, Duration::from_millis(1100));
    let gate = gate.restart();
    assert_eq!(identity(&refresh(&gate, &first).expect(200)), identity(&second));
    list(&gate, &refresh(&gate, &second).expect(200)).expect(200);
}
