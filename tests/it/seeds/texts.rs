//! Seed S37: the texts that the troubleshooting pages tell people to look for.

use std::time::{Duration, Instant};

use super::{MESSAGES, TOKEN, example, gate, refresh};
use crate::support::{Answer, Gate, until};

#[track_caller]
fn says(answer: Answer, status: u16, text: &str) {
    let message = answer.expect_refusal(status).field("message");
    assert!(message.to_lowercase().contains(&text.to_lowercase()), "{message:?} does not say {text:?}");
}

fn send(gate: &Gate, pair: &Answer) -> Answer {
    gate.post(MESSAGES).bearer(&pair.field("access_token")).send()
}

#[test]
fn an_invalid_token_is_an_invalid_token() {
    let gate = gate(&[]);
    let token = example(&gate).field("access_token");
    for wrong in ["garbage", &format!("{token}x"), &token[1..], &token.replace('.', "")] {
        says(gate.post(MESSAGES).bearer(wrong).send(), 401, "Invalid token");
    }
}

#[test]
fn an_expired_token_is_expired() {
    let gate = gate(&[("token.leeway", "0s"), ("token.access_ttl", "1s"), ("token.access_ttl_max", "1s")]);
    let (start, pair) = (Instant::now(), example(&gate));
    let refusal = until("the token to expire", || Some(send(&gate, &pair)).filter(|answer| answer.status != 200));
    says(refusal, 401, "Token expired");
    assert!(start.elapsed() < Duration::from_secs(5));
    // The session goes on.
    refresh(&gate, &pair).expect(200);
}

#[test]
fn a_missing_scope_is_a_required_scope() {
    let gate = gate(&[]);
    let pair = example(&gate);
    let list = gate.get(MESSAGES).bearer(&pair.field("access_token")).send();
    assert_eq!(list.json()["message"], "scope required: messages:list");
    says(list, 403, "Scope required");
}

#[test]
fn a_revoked_token_is_revoked() {
    let gate = gate(&[]);
    let pair = example(&gate);
    gate.call("DELETE", &format!("{TOKEN}/{}", pair.field("id"))).basic("alice", "wonderland").send().expect(204);
    says(send(&gate, &pair), 401, "Token revoked");
    says(refresh(&gate, &pair), 401, "Invalid refresh token");
}
