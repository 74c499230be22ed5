//! Grant `refresh_token`: single use, theft, whose it is, and a narrower scope.

use super::*;

fn narrowed(gate: &Gate, pair: &Answer, scope: &str) -> Answer {
    let token_ = pair.field("refresh_token");
    token(gate, "web", &[("grant_type", "refresh_token"), ("refresh_token", &token_), ("scope", scope)])
}

#[test]
fn a_refresh_gives_a_new_pair_and_uses_the_token_up() {
    let gate = gate(&[]);
    let first = alice(&gate, "web");
    let second = refresh(&gate, "web", &first).expect(200);
    assert_eq!(names(&second), ["access_token", "expires_in", "refresh_token", "scope", "token_type"]);
    assert_ne!(second.field("refresh_token"), first.field("refresh_token"));
    list(&gate, &second).expect(200);
    refresh(&gate, "web", &second).expect(200);
}

#[test]
fn a_second_use_ends_the_session_and_no_other() {
    let gate = gate(&[("token.access_overlap", "0s")]);
    let (first, other) = (alice(&gate, "web"), alice(&gate, "web"));
    let second = refresh(&gate, "web", &first).expect(200);
    refused(refresh(&gate, "web", &first), 400, "invalid_grant");
    refused(refresh(&gate, "web", &second), 400, "invalid_grant");
    list(&gate, &second).expect_refusal(401);
    refresh(&gate, "web", &other).expect(200);
    gate.wait_for_log("\"reuse\"");
}

#[test]
fn another_clients_token_is_refused_and_stays_good() {
    let gate = gate(&[]);
    let (web, phone) = (alice(&gate, "web"), alice(&gate, "phone"));
    for _ in 0..2 {
        refused(refresh(&gate, "phone", &web), 400, "invalid_grant");
        refused(refresh(&gate, "web", &phone), 400, "invalid_grant");
    }
    // Nor is a used one of another client a theft.
    let next = refresh(&gate, "web", &web).expect(200);
    refused(refresh(&gate, "phone", &web), 400, "invalid_grant");
    refresh(&gate, "web", &next).expect(200);
    refresh(&gate, "phone", &phone).expect(200);
    gate.wait_for_log("refresh_other_client");
}

#[test]
fn a_narrower_scope_narrows_the_access_token_only() {
    let gate = gate(&[]);
    let pair = alice(&gate, "web");
    let narrow = narrowed(&gate, &pair, "messages:send").expect(200);
    assert_eq!(narrow.field("scope"), "messages:send");
    assert_eq!(narrow.claims("access_token")["scope"], "messages:send");
    list(&gate, &narrow).expect_refusal(403);
    let whole = refresh(&gate, "web", &narrow).expect(200);
    assert_eq!(whole.field("scope"), "messages:list messages:send tokens:manage");
    list(&gate, &whole).expect(200);
}

#[test]
fn a_wider_scope_is_refused_and_the_token_stays_good() {
    let gate = gate(&[]);
    let pair = alice(&gate, "web");
    for scope in ["logs:read", "messages:send logs:read", "all:any", "tokens:refresh", "\"", "ä"] {
        refused(narrowed(&gate, &pair, scope), 400, "invalid_scope");
    }
    refresh(&gate, "web", &pair).expect(200);
}

#[test]
fn within_the_retry_window_the_same_pair_comes_again() {
    let gate = gate(&[("token.retry_window", "30s")]);
    let pair = alice(&gate, "web");
    let next = narrowed(&gate, &pair, "messages:send").expect(200);
    let again = refresh(&gate, "web", &pair).expect(200);
    assert_eq!(again.field("refresh_token"), next.field("refresh_token"));
    assert_eq!(again.field("scope"), "messages:send");
}

#[test]
fn a_changed_password_ends_what_was_begun_with_it() {
    let gate = gate(&[]);
    let pair = alice(&gate, "web");
    gate.write_users(&crate::support::user("alice", "another", &["all:any"], ""));
    gate.wait_for_log("the users file has changed");
    crate::support::until("the session to end", || (list(&gate, &pair).status == 401).then_some(()));
    refused(refresh(&gate, "web", &pair), 400, "invalid_grant");
}
