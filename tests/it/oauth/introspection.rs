//! `POST /oauth/introspect`: RFC 7662.

use serde_json::json;

use super::*;

#[test]
fn an_access_token_is_told_with_all_that_it_says() {
    let gate = gate(&[("token.audience", "api"), ("token.issuer", "https://gate.example")]);
    let pair = alice(&gate, "web");
    let claims = pair.claims("access_token");
    let expected = json!({
        "active": true, "scope": "messages:list messages:send tokens:manage", "client_id": "web", "username": "alice",
        "sub": "alice", "iss": "https://gate.example", "aud": ["api"], "token_type": "Bearer",
        "iat": claims["iat"], "nbf": claims["nbf"], "exp": claims["exp"], "jti": claims["jti"],
    });
    // Whoever is shown a token may ask, not only who got it.
    for client in ["guard", "web"] {
        assert_eq!(introspect(&gate, client, &pair.field("access_token")), expected);
    }
}

#[test]
fn a_clients_own_token_has_no_username() {
    let gate = gate(&[]);
    let told = introspect(&gate, "guard", &own(&gate, "reports").field("access_token"));
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!("client:reports")));
    assert_eq!((&told["client_id"], told.get("username")), (&json!("reports"), None));
}

#[test]
fn tokens_of_other_dialects_have_no_client() {
    let gate = gate(&[]);
    let told = introspect(&gate, "guard", &gate.alice(&["messages:list"]).field("access_token"));
    assert_eq!((&told["active"], &told["username"], told.get("client_id")), (&json!(true), &json!("alice"), None));
}

#[test]
fn a_refresh_token_is_told_to_its_client_alone() {
    let gate = gate(&[]);
    let pair = alice(&gate, "web");
    let told = introspect(&gate, "web", &pair.field("refresh_token"));
    assert_eq!((&told["active"], &told["client_id"], told.get("token_type")), (&json!(true), &json!("web"), None));
    assert_eq!(told["exp"].as_u64().unwrap() - told["iat"].as_u64().unwrap(), 720 * 3600);
    inactive(&gate, "guard", &pair.field("refresh_token"));
    inactive(&gate, "guard", &alice(&gate, "phone").field("refresh_token"));
}

#[test]
fn asking_about_a_used_token_is_not_using_it() {
    let gate = gate(&[]);
    let first = alice(&gate, "web");
    let second = refresh(&gate, "web", &first).expect(200);
    inactive(&gate, "web", &first.field("refresh_token"));
    assert_eq!(introspect(&gate, "web", &second.field("refresh_token"))["active"], true);
    refresh(&gate, "web", &second).expect(200);
}

#[test]
fn what_does_not_count_is_inactive_and_nothing_else_is_said() {
    let gate = gate(&[("token.access_overlap", "0s")]);
    let first = alice(&gate, "web");
    let second = refresh(&gate, "web", &first).expect(200);
    inactive(&gate, "guard", &first.field("access_token"));
    revoke(&gate, "web", &second.field("refresh_token")).expect(200);
    for name in ["access_token", "refresh_token"] {
        inactive(&gate, "web", &second.field(name));
    }
    let own_ = own(&gate, "reports");
    for token in ["x", "a.b.c", &own_.field("access_token")[1..], "\u{0}"] {
        inactive(&gate, "guard", token);
    }
    inactive(&gate, "guard", &gate.alice(&["messages:list"]).field("refresh_token"));
}

#[test]
fn an_id_alone_learns_nothing() {
    let gate = gate(&[]);
    let pair = alice(&gate, "phone");
    for name in ["access_token", "refresh_token"] {
        refused(as_client(&gate, "phone", "/oauth/introspect", &[("token", &pair.field(name))]), 401, "invalid_client");
    }
}
