//! The documentation's pages on authentication: revocation, scopes, bodies, claims.

use serde_json::json;

use super::{MESSAGES, REFRESH, TOKEN, example, gate, issue, refresh};

/// Seed S31.
#[test]
fn a_token_is_revoked_by_its_id_with_204_as_often_as_one_likes() {
    let gate = gate(&[]);
    for by_token in [false, true] {
        let (pair, bobs) = (example(&gate), gate.sign_in("bob", "builder", &["messages:send"]));
        let delete = |id: &str| {
            let call = gate.call("DELETE", &format!("{TOKEN}/{id}"));
            if by_token {
                call.bearer(&gate.alice(&["tokens:manage"]).field("access_token")).send()
            } else {
                call.basic("alice", "wonderland").send()
            }
        };
        for _ in 0..2 {
            assert!(delete(&pair.field("id")).expect(204).body.is_empty());
        }
        delete("w8pxz0a4Fwa4xgzyCvSeC").expect(204);
        delete(&bobs.field("id")).expect(204);
        gate.post(MESSAGES).bearer(&pair.field("access_token")).send().expect_refusal(401);
        refresh(&gate, &pair).expect_refusal(401);
        gate.post(MESSAGES).bearer(&bobs.field("access_token")).send().expect(200);
    }
}

const TABLE: &[(&str, &str, &str)] = &[
    ("GET", "/messages", "messages:list"),
    ("POST", "/messages", "messages:send"),
    ("GET", "/messages/m1", "messages:read"),
    ("DELETE", "/messages/m1", "messages:cancel"),
    ("POST", "/messages/inbox/export", "messages:export"),
    ("POST", "/inbox/export", "messages:export"),
    ("GET", "/inbox", "inbox:list"),
    ("POST", "/inbox/refresh", "inbox:refresh"),
    ("GET", "/devices", "devices:list"),
    ("DELETE", "/devices/d1", "devices:delete"),
    ("GET", "/webhooks", "webhooks:list"),
    ("POST", "/webhooks", "webhooks:write"),
    ("DELETE", "/webhooks/w1", "webhooks:delete"),
    ("GET", "/settings", "settings:read"),
    ("PUT", "/settings", "settings:write"),
    ("PATCH", "/settings", "settings:write"),
    ("GET", "/logs", "logs:read"),
    // The old aliases.
    ("POST", "/message", "messages:send"),
    ("GET", "/message/m1", "messages:read"),
    ("GET", "/device", "devices:list"),
];

/// Seeds S32 and S33.
#[test]
fn every_endpoint_demands_its_scope_and_all_any_has_them_all() {
    let gate = gate(&[]);
    let everything = gate.alice(&["all:any"]).field("access_token");
    let mut scopes: Vec<_> = TABLE.iter().map(|(_, _, scope)| *scope).collect();
    scopes.sort_unstable();
    scopes.dedup();
    for scope in &scopes {
        let others: Vec<_> = scopes.iter().copied().filter(|other| other != scope).collect();
        let (right, wrong) = (gate.alice(&[scope]).field("access_token"), gate.alice(&others).field("access_token"));
        for (method, path, _) in TABLE.iter().filter(|(_, _, demanded)| demanded == scope) {
            println!("{method} {path}");
            let call = |token: &str| gate.call(method, &format!("/3rdparty/v1{path}")).bearer(token).send();
            call(&right).expect(200);
            call(&everything).expect(200);
            let refusal = call(&wrong).expect_refusal(403);
            assert_eq!(refusal.field("message"), format!("scope required: {scope}"));
            assert_eq!(refusal.field("error"), "insufficient_scope");
            let challenge = refusal.header("www-authenticate").unwrap();
            assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{challenge}");
        }
    }
}

/// Seed S32: managing tokens is a scope too.
#[test]
fn the_token_endpoints_demand_tokens_manage_of_a_token() {
    let gate = gate(&[]);
    let body = json!({"scopes": ["messages:send"]});
    for (scope, status) in [("messages:send", 403), ("tokens:manage", 403), ("all:any", 201)] {
        let token = gate.alice(&[scope]).field("access_token");
        let answer = gate.post(TOKEN).bearer(&token).json(&body).send().expect(status);
        let expected =
            if scope == "messages:send" { "scope required: tokens:manage" } else { "requested scopes exceed" };
        assert!(status == 201 || answer.field("message").starts_with(expected), "{}", answer.text());
    }
}

/// Seed S34.
#[test]
fn refreshing_is_for_refresh_tokens_and_they_are_for_nothing_else() {
    let gate = gate(&[]);
    let pair = gate.alice(&["all:any"]);
    let refusal = gate.refresh(&pair.field("access_token")).expect_refusal(403);
    assert_eq!(refusal.field("message"), "scope required: tokens:refresh");
    for (method, target) in [("GET", MESSAGES), ("POST", MESSAGES), ("POST", TOKEN), ("GET", "/3rdparty/v1/logs")] {
        let refusal = gate.call(method, target).bearer(&pair.field("refresh_token")).send().expect_refusal(403);
        assert!(refusal.field("message").starts_with("scope required: "), "{}", refusal.text());
        assert_eq!(refusal.field("error"), "insufficient_scope");
    }
    // Nobody can have it granted.
    issue(&gate).json(&json!({"scopes": ["tokens:refresh"]})).send().expect_refusal(400);
    let granted = issue(&gate).json(&json!({"scopes": ["tokens:refresh", "logs:read"]})).send().expect(201);
    assert_eq!(granted.json()["scopes"], json!(["logs:read"]));
    // None of this was held against the session.
    refresh(&gate, &pair).expect(200);
}

/// Seed S35.
#[test]
fn empty_scopes_unreadable_bodies_and_negative_ttls_are_400() {
    let gate = gate(&[]);
    for body in [
        "{\"scopes\": []}",
        "{\"ttl\": 60}",
        "{}",
        "{\"scopes\": [\"\"]}",
        "{\"scopes\": \"messages:send\"}",
        "{\"scopes\": null}",
        "{\"scopes\": [1]}",
        "{\"scopes\": [\"messages:fly\"]}",
        "{\"ttl\": -1, \"scopes\": [\"messages:send\"]}",
        "{\"ttl\": 1.5, \"scopes\": [\"messages:send\"]}",
        "{\"ttl\": \"3600\", \"scopes\": [\"messages:send\"]}",
        "{\"ttl\": 1e400, \"scopes\": [\"messages:send\"]}",
        "[]",
        "no json",
        "",
        "{\"scopes\": [\"messages:send\"]",
        "{\"scopes\": [\"messages:send\"]} more",
    ] {
        let answer = issue(&gate).header("Content-Type", "application/json").body(body).send();
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        answer.expect_refusal(400);
    }
    // Clients without a content type are many.
    issue(&gate).body("{\"scopes\": [\"messages:send\"]}").send().expect(201);
}

/// The vendor's own examples ask for a scope that does not exist.
#[test]
fn unknown_scopes_are_left_out_and_the_granted_ones_told() {
    let gate = gate(&[]);
    let body = json!({"scopes": ["devices:write", "devices:list", "messages:send"]});
    let pair = issue(&gate).json(&body).send().expect(201);
    assert_eq!(pair.json()["scopes"], json!(["devices:list", "messages:send"]));
    let beyond = gate.post(TOKEN).basic("bob", "builder").json(&json!({"scopes": ["messages:send", "logs:read"]}));
    beyond.send().expect_refusal(403);
}

/// Seed S36. Keys that will not do stop the start instead of answering 500 for ever.
#[test]
fn a_token_service_that_is_switched_off_says_so_with_501() {
    let gate = gate(&[("profiles.smsgate.enabled", "false")]);
    for (method, target) in [("POST", TOKEN.to_owned()), ("POST", REFRESH.to_owned()), ("DELETE", format!("{TOKEN}/x"))]
    {
        let refusal = gate.call(method, &target).basic("alice", "wonderland").send().expect_refusal(501);
        assert_eq!(refusal.field("message"), "token service disabled, contact your administrator");
    }
    gate.get(MESSAGES).basic("alice", "wonderland").send().expect(200);
}

/// Seed S39.
#[test]
fn the_claims_are_those_of_the_api() {
    let gate = gate(&[("token.issuer", "sms-gate.app")]);
    let pair = example(&gate);
    for token in ["access_token", "refresh_token"] {
        let claims = pair.claims(token);
        assert_eq!(claims["iss"], "sms-gate.app");
        assert_eq!((&claims["sub"], &claims["user_id"]), (&json!("alice"), &json!("alice")));
        assert!(claims["jti"].is_string() && claims["iat"].is_u64() && claims["exp"].is_u64());
    }
    let scopes = json!(["messages:send", "messages:read"]);
    assert_eq!(pair.claims("access_token")["scopes"], scopes);
    assert_eq!(pair.claims("refresh_token")["scopes"], json!(["tokens:refresh"]));
    assert_eq!(pair.claims("refresh_token")["original_scopes"], scopes);
}
