//! Single use, theft, logout.

use super::*;

const WRONG: &str = "Invalid or expired refresh token";

#[test]
fn a_refresh_gives_a_new_pair_and_uses_the_token_up() {
    let gate = gate(&[]);
    let first = alice(&gate);
    let second = refresh(&gate, &first).expect(200);
    assert_ne!(second.field("refreshToken"), first.field("refreshToken"), "seed Z20 and Z21");
    list(&gate, &second).expect(200);
    refresh(&gate, &second).expect(200);
}

#[test]
fn a_second_use_ends_the_session_and_no_other() {
    let gate = gate(&[("token.access_overlap", "0s")]);
    let (first, other) = (alice(&gate), alice(&gate));
    let second = refresh(&gate, &first).expect(200);
    refused(refresh(&gate, &first), 401, WRONG);
    refused(refresh(&gate, &second), 401, WRONG);
    list(&gate, &second).expect_refusal(401);
    refresh(&gate, &other).expect(200);
    gate.wait_for_log("\"reuse\"");
}

#[test]
fn if_so_configured_a_second_use_ends_all_of_the_user() {
    let gate = gate(&[("token.on_reuse", "user")]);
    let (first, other) = (alice(&gate), alice(&gate));
    refresh(&gate, &first).expect(200);
    refused(refresh(&gate, &first), 401, WRONG);
    refused(refresh(&gate, &other), 401, WRONG);
}

#[test]
fn after_a_logout_both_tokens_are_dead_and_a_second_logout_is_as_good() {
    let gate = gate(&[]);
    let pair = alice(&gate);
    for _ in 0..2 {
        let answer = logout(&gate, &pair).expect(200);
        assert_eq!(answer.text(), "Logged out successfully", "seed Z7 and Z8");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    refused(refresh(&gate, &pair), 401, WRONG);
    list(&gate, &pair).expect_refusal(401);
}

#[test]
fn a_logout_with_what_is_no_token_ends_nothing() {
    let gate = gate(&[]);
    let pair = alice(&gate);
    for token in ["", "x", &pair.field("accessToken"), &format!("{}A", pair.field("refreshToken"))] {
        post(&gate, "/logout", &[("refreshToken", token)]).send().expect(200);
    }
    refresh(&gate, &pair).expect(200);
}

#[test]
fn a_restart_forgets_nothing() {
    let gate = gate(&[]);
    let (pair, ended) = (alice(&gate), alice(&gate));
    logout(&gate, &ended).expect(200);
    let gate = gate.restart();
    list(&gate, &pair).expect(200);
    list(&gate, &ended).expect_refusal(401);
    refresh(&gate, &pair).expect(200);
}
