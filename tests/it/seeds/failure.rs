//! What fails, and how clients go on.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{MESSAGES, REFRESH, TOKEN, example, gate, issue, refresh};
use crate::support::until;

/// Seed S18.
#[test]
fn a_used_or_malformed_refresh_token_is_an_invalid_refresh_token() {
    let gate = gate(&[]);
    let pair = example(&gate);
    refresh(&gate, &pair).expect(200);
    let used = pair.field("refresh_token");
    for token in [&used, &used, "garbage", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", &used[..used.len() - 1]] {
        let refusal = gate.refresh(token).expect_refusal(401);
        assert_eq!(refusal.field("message"), "Invalid refresh token", "{token}");
    }
}

/// Seed S19: clients put `response.text` behind "Token refresh failed: ".
#[test]
fn an_expired_or_revoked_refresh_token_is_refused_in_readable_text() {
    let gate = gate(&[("token.refresh_ttl", "1s"), ("token.access_ttl", "1s"), ("token.access_ttl_max", "1s")]);
    let revoked = example(&gate);
    let revoke = gate.call("DELETE", &format!("{TOKEN}/{}", revoked.field("id"))).basic("alice", "wonderland");
    revoke.send().expect(204);
    let (start, expired) = (Instant::now(), example(&gate));
    until("the refresh token to expire", || {
        gate.get("/3rdparty/v1/health").send().expect(200);
        (start.elapsed() > Duration::from_secs(2)).then_some(())
    });
    for pair in [&revoked, &expired] {
        let refusal = refresh(&gate, pair).expect_refusal(401);
        assert_eq!(refusal.field("message"), "Invalid refresh token");
        assert!(refusal.text().is_ascii() && refusal.text().len() < 300, "{}", refusal.text());
    }
}

/// Seed S20: the samples fall back to the password at once, so failed refreshes must not count as guesses.
#[test]
fn after_any_number_of_failed_refreshes_the_password_still_works() {
    let gate = gate(&[]);
    let used = example(&gate);
    refresh(&gate, &used).expect(200);
    for token in ["garbage", &used.field("refresh_token"), &used.field("access_token"), ""].repeat(20) {
        assert!((400..500).contains(&gate.refresh(token).status));
    }
    refresh(&gate, &example(&gate)).expect(200);
}

/// Seed S22.
#[test]
fn bad_basic_credentials_are_401() {
    let gate = gate(&[]);
    let body = json!({"scopes": ["messages:send"]});
    for (name, password) in [("alice", "wrong"), ("nobody", "wonderland"), ("alice", "")] {
        let refusal = gate.post(TOKEN).basic(name, password).json(&body).send().expect_refusal(401);
        assert!(refusal.header("www-authenticate").unwrap().starts_with("Basic "));
    }
    gate.post(TOKEN).json(&body).send().expect_refusal(401);
}

/// Seed S23.
#[test]
fn every_error_has_a_body_that_says_something() {
    let gate = gate(&[]);
    let pair = example(&gate);
    let access = pair.field("access_token");
    let bearer = |method: &str, target: &str| gate.call(method, target).bearer(&access);
    for (status, call) in [
        (400, issue(&gate).body("{")),
        (400, bearer("GET", "/3rdparty/v1/messages//x")),
        (401, gate.get(MESSAGES)),
        (401, gate.get(MESSAGES).bearer("x")),
        (403, bearer("GET", MESSAGES)),
        (403, bearer("GET", "/nowhere")),
        (404, bearer("POST", "/3rdparty/v1/auth/nothing")),
        (405, bearer("GET", TOKEN)),
        (401, gate.post(REFRESH)),
        (413, issue(&gate).body("x".repeat(100_000))),
    ] {
        let refusal = call.send().expect_refusal(status);
        assert!(refusal.field("message").len() > 5, "{}", refusal.text());
        assert_eq!(refusal.header("content-type"), Some("application/json"));
    }
}

/// Seed S26: who is told to try again is told when.
#[test]
fn who_has_to_wait_is_told_how_long() {
    let gate = gate(&[("limits.signin.user_burst", "3"), ("limits.signin.user_refill", "7s")]);
    let guess = gate.post(TOKEN).basic("alice", "guess").json(&json!({"scopes": ["messages:send"]}));
    for _ in 0..3 {
        guess.send().expect_refusal(401);
    }
    let refusal = guess.send().expect_refusal(429);
    let wait: u64 = refusal.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=7).contains(&wait), "{wait}");
}
