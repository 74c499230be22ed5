//! Forged refresh tokens, and what old ones cost.

use super::TOKEN;
use crate::support::{Start, Upstream};

#[test]
fn forged_refresh_tokens_are_stopped_and_neither_sign_ins_nor_old_tokens_are() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address)
        .set("limits.signin.address_burst", "1")
        .set("limits.signin.address_refill", "10h")
        .start();
    let pair = gate.alice(&["all:any"]);
    let (old, new) = (pair.field("refresh_token"), gate.refresh(&pair.field("refresh_token")).expect(200));
    // A client in trouble tries its old token again and again, then its password.
    for _ in 0..20 {
        gate.refresh(&old).expect_refusal(401);
    }
    gate.alice(&["all:any"]);
    let mut forged = new.field("refresh_token").into_bytes();
    let at = forged.len() - 5;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for _ in 0..10 {
        gate.refresh(&forged).expect_refusal(401);
    }
    let refusal = gate.refresh(&forged).expect_refusal(429);
    assert!(refusal.header("retry-after").is_some_and(|wait| wait.parse::<u64>().unwrap() > 60));
    let scopes = serde_json::json!({"scopes": ["messages:list"]});
    gate.post(TOKEN).basic("alice", "wonderland").json(&scopes).send().expect(201);
}
