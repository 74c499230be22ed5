//! Rotation, as the announcement promises it.

use serde_json::json;

use super::{MESSAGES, TOKEN, example, gate, issue, lifetime, refresh, sms};

/// Seed S13.
#[test]
fn each_refresh_gives_a_new_access_token_and_a_new_refresh_token_with_the_original_scopes() {
    let gate = gate(&[]);
    let old = example(&gate);
    let new = refresh(&gate, &old).expect(200);
    for token in ["access_token", "refresh_token"] {
        assert_ne!(old.field(token), new.field(token));
        assert_ne!(old.claims(token)["jti"], new.claims(token)["jti"]);
    }
    assert_eq!(new.claims("access_token")["scopes"], old.claims("access_token")["scopes"]);
    assert_eq!(new.claims("access_token")["scopes"], json!(["messages:send", "messages:read"]));
}

/// Seed S14.
#[test]
fn a_refresh_token_is_good_for_one_use() {
    let gate = gate(&[]);
    let pair = example(&gate);
    refresh(&gate, &pair).expect(200);
    refresh(&gate, &pair).expect_refusal(401);
}

/// Seed S15. The overlap for calls under way is the operator's to shorten.
#[test]
fn the_old_tokens_are_revoked_by_themselves() {
    let gate = gate(&[("token.access_overlap", "0s")]);
    let old = example(&gate);
    let send = |pair: &crate::support::Answer| gate.post(MESSAGES).bearer(&pair.field("access_token")).send();
    send(&old).expect(200);
    let new = refresh(&gate, &old).expect(200);
    send(&old).expect_refusal(401);
    send(&new).expect(200);
    refresh(&gate, &old).expect_refusal(401);
}

/// Seed S16.
#[test]
fn the_latest_refresh_token_always_works() {
    let gate = gate(&[]);
    let mut pair = example(&gate);
    for _ in 0..25 {
        pair = refresh(&gate, &pair).expect(200);
        gate.post(MESSAGES).bearer(&pair.field("access_token")).send().expect(200);
    }
}

/// Seed S17: the 30 days begin anew with each refresh, up to the session's absolute end.
#[test]
fn refreshing_needs_no_password_and_slides_by_30_days() {
    let gate = gate(&[]);
    let mut pair = example(&gate);
    for _ in 0..3 {
        pair = refresh(&gate, &pair).expect(200);
        assert_eq!(lifetime(&pair, "refresh_token"), 720 * 3600);
    }
}

/// Seeds S24 and S25: a daemon that checks every minute, refreshes early, and never sees its password again.
#[test]
fn a_daemon_that_refreshes_long_before_the_end_goes_on_for_ever() {
    let (_upstream, gate) = sms();
    let mut pair = example(&gate);
    for round in 0..20 {
        // "Refresh 60 seconds before the end" with a token of 60 seconds is: at once.
        pair = refresh(&gate, &pair).expect(200);
        let message = json!({"phoneNumbers": ["+15550100"], "textMessage": {"text": format!("{round}")}});
        gate.post(MESSAGES).bearer(&pair.field("access_token")).json(&message).send().expect(202);
    }
    assert_eq!(pair.claims("access_token")["iat"], pair.claims("access_token")["nbf"]);
}

/// Seed S38.
#[test]
fn a_change_of_password_revokes_all_tokens_of_the_user() {
    let gate = gate(&[]);
    let pairs = [example(&gate), refresh(&gate, &example(&gate)).expect(200)];
    gate.write_users(&crate::support::user("alice", "looking-glass", &["all:any"], ""));
    gate.wait_for_log("sessions of removed users or changed passwords have ended");
    for pair in &pairs {
        gate.post(MESSAGES).bearer(&pair.field("access_token")).send().expect_refusal(401);
        refresh(&gate, pair).expect_refusal(401);
    }
    issue(&gate).json(&json!({"scopes": ["messages:send"]})).send().expect_refusal(401);
    let again = gate.post(TOKEN).basic("alice", "looking-glass").json(&json!({"scopes": ["messages:send"]}));
    again.send().expect(201);
}
