//! `POST /oauth/revoke`: RFC 7009.

use super::*;

#[track_caller]
fn empty(answer: Answer) {
    let answer = answer.expect(200);
    assert_eq!((answer.text().as_str(), answer.header("cache-control")), ("", Some("no-store")));
}

#[test]
fn either_token_ends_the_session_and_again_is_as_good() {
    let gate = gate(&[]);
    for (name, client) in [("access_token", "web"), ("refresh_token", "web"), ("refresh_token", "phone")] {
        let pair = alice(&gate, client);
        for _ in 0..2 {
            empty(revoke(&gate, client, &pair.field(name)));
        }
        list(&gate, &pair).expect_refusal(401);
        refused(refresh(&gate, client, &pair), 400, "invalid_grant");
    }
}

#[test]
fn a_token_for_the_client_itself_can_be_revoked() {
    let gate = gate(&[]);
    let (one, other) = (own(&gate, "reports"), own(&gate, "reports"));
    empty(revoke(&gate, "reports", &one.field("access_token")));
    list(&gate, &one).expect_refusal(401);
    list(&gate, &other).expect(200);
    list(&gate.restart(), &one).expect_refusal(401);
}

#[test]
fn a_hint_is_only_a_hint() {
    let gate = gate(&[]);
    for hint in ["access_token", "refresh_token", "pineapple", ""] {
        let pair = alice(&gate, "web");
        let fields = [("token", &*pair.field("refresh_token")), ("token_type_hint", hint)];
        empty(as_client(&gate, "web", "/oauth/revoke", &fields));
        list(&gate, &pair).expect_refusal(401);
    }
}

#[test]
fn what_is_no_token_is_as_good_as_revoked() {
    let gate = gate(&[]);
    let pair = alice(&gate, "web");
    let (access, refresh_) = (pair.field("access_token"), pair.field("refresh_token"));
    for token in ["x", "a.b.c", &format!("{access}A"), &format!("{refresh_}A"), &access[1..], &refresh_[1..]] {
        empty(revoke(&gate, "web", token));
    }
    list(&gate, &pair).expect(200);
    refresh(&gate, "web", &pair).expect(200);
}

#[test]
fn another_clients_token_is_refused_and_stays_good() {
    let gate = gate(&[]);
    let (web, own_) = (alice(&gate, "web"), own(&gate, "reports"));
    for token in [web.field("access_token"), web.field("refresh_token"), own_.field("access_token")] {
        refused(revoke(&gate, "phone", &token), 400, "invalid_grant");
        refused(revoke(&gate, "guard", &token), 400, "invalid_grant");
    }
    list(&gate, &own_).expect(200);
    list(&gate, &web).expect(200);
    refresh(&gate, "web", &web).expect(200);
}

#[test]
fn a_request_without_a_token_is_none() {
    let gate = gate(&[]);
    for path in ["/oauth/revoke", "/oauth/introspect"] {
        refused(as_client(&gate, "guard", path, &[]), 400, "invalid_request");
        refused(as_client(&gate, "guard", path, &[("token", "")]), 400, "invalid_request");
        refused(as_client(&gate, "guard", path, &[("token", "x"), ("token", "y")]), 400, "invalid_request");
    }
}
