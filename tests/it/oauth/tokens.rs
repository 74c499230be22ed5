//! `POST /oauth/token`: what each grant hands out, and every way in which it does not.

use super::*;

#[test]
fn a_client_gets_a_token_for_itself_and_nothing_to_renew_it_with() {
    let gate = gate(&[]);
    let answer = own(&gate, "reports");
    assert_eq!(names(&answer), ["access_token", "expires_in", "scope", "token_type"], "RFC 6749 section 4.4.3");
    assert_eq!((answer.field("token_type"), answer.json()["expires_in"].as_u64()), ("Bearer".into(), Some(900)));
    assert_eq!(answer.field("scope"), "messages:list messages:read");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let claims = answer.claims("access_token");
    assert_eq!((&claims["sub"], &claims["client_id"]), (&"client:reports".into(), &"reports".into()));
    list(&gate, &answer).expect(200);
}

#[test]
fn a_client_with_the_name_of_a_user_is_not_that_user() {
    let gate = gate(&[]);
    let (client, user) = (own(&gate, "alice"), gate.alice(&["messages:list"]));
    assert_eq!(client.claims("access_token")["sub"], "client:alice");
    let sessions = gate.get("/3rdparty/v1/auth/sessions").basic("alice", "wonderland").send().expect(200).json();
    assert_eq!(sessions.as_array().unwrap().len(), 1);
    // With its token it sees and ends its own, and signs in nobody.
    let seen = gate.get("/3rdparty/v1/auth/sessions").bearer(&client.field("access_token")).send().expect(200).json();
    assert_eq!((seen.as_array().unwrap().len(), &seen[0]["id"]), (1, &client.claims("access_token")["sid"]));
    let body = serde_json::json!({"scopes": ["messages:list"]});
    let mint = gate.post("/3rdparty/v1/auth/token").bearer(&client.field("access_token")).json(&body).send();
    mint.expect_refusal(403);
    let foreign = format!("/3rdparty/v1/auth/token/{}", user.field("id"));
    gate.call("DELETE", &foreign).bearer(&client.field("access_token")).send().expect(204);
    list(&gate, &user).expect(200);
    gate.get(LIST).basic("alice", "not-wonderland").send().expect_refusal(401);
    gate.get(LIST).basic("client:alice", "not-wonderland").send().expect_refusal(401);
}

#[test]
fn a_user_signs_in_by_way_of_a_client_and_gets_no_more_than_both_may_have() {
    let gate = gate(&[]);
    let answer = alice(&gate, "web");
    assert_eq!(names(&answer), ["access_token", "expires_in", "refresh_token", "scope", "token_type"]);
    assert_eq!(answer.field("scope"), "messages:list messages:send tokens:manage", "of all:any what the client may");
    let claims = answer.claims("access_token");
    assert_eq!((&claims["sub"], &claims["client_id"]), (&"alice".into(), &"web".into()));
    list(&gate, &answer).expect(200);
    let bob = [("grant_type", "password"), ("username", "bob"), ("password", "builder")];
    assert_eq!(token(&gate, "web", &bob).expect(200).field("scope"), "messages:send");
}

#[test]
fn a_client_that_may_not_refresh_gets_nothing_to_refresh_with() {
    let answer = alice(&gate(&[]), "kiosk");
    assert_eq!(names(&answer), ["access_token", "expires_in", "scope", "token_type"]);
}

#[test]
fn a_public_client_says_its_id() {
    let gate = gate(&[]);
    let pair = alice(&gate, "phone");
    assert_eq!(pair.field("scope"), "messages:list");
    refresh(&gate, "phone", &pair).expect(200);
}

#[test]
fn of_the_scopes_asked_for_those_are_granted_that_can_be() {
    let gate = gate(&[]);
    let with = |scope| token(&gate, "reports", &[("grant_type", "client_credentials"), ("scope", scope)]);
    assert_eq!(with("messages:read unheard:of").expect(200).field("scope"), "messages:read");
    assert_eq!(with("all:any").expect(200).field("scope"), "messages:list messages:read");
    assert_eq!(with("").expect(200).field("scope"), "messages:list messages:read");
    refused(with("logs:read"), 400, "invalid_scope");
    refused(with("tokens:refresh"), 400, "invalid_scope");
    refused(with("messages:\"read"), 400, "invalid_scope");
}

#[test]
fn a_wrong_password_is_the_grants_fault_and_not_the_clients() {
    let gate = gate(&[]);
    let with =
        |name, password| token(&gate, "web", &[("grant_type", "password"), ("username", name), ("password", password)]);
    let wrong = refused(with("alice", "wrong"), 400, "invalid_grant");
    let unknown = refused(with("nobody", "wonderland"), 400, "invalid_grant");
    assert_eq!(wrong.text(), unknown.text());
    // Nor is a client's secret a password.
    refused(with("client:alice", "not-wonderland"), 400, "invalid_grant");
}

#[test]
fn guesses_at_a_users_password_are_limited_by_way_of_a_client_too() {
    let gate = gate(&[("limits.signin.user_burst", "2")]);
    let with =
        |password| token(&gate, "web", &[("grant_type", "password"), ("username", "alice"), ("password", password)]);
    for _ in 0..2 {
        refused(with("wrong"), 400, "invalid_grant");
    }
    assert!(refused(with("wonderland"), 429, "slow_down").header("retry-after").is_some());
}

#[test]
fn every_error_of_the_token_endpoint_has_its_code() {
    let gate = gate(&[]);
    let with = |client, fields: &[(&str, &str)]| token(&gate, client, fields);
    refused(with("web", &[]), 400, "invalid_request");
    refused(with("web", &[("grant_type", "")]), 400, "invalid_request");
    refused(with("web", &[("grant_type", "password"), ("username", "alice")]), 400, "invalid_request");
    refused(with("web", &[("grant_type", "refresh_token")]), 400, "invalid_request");
    refused(with("web", &[("grant_type", "password"), ("grant_type", "password")]), 400, "invalid_request");
    refused(with("web", &[("grant_type", "authorization_code"), ("code", "x")]), 400, "unsupported_grant_type");
    refused(with("web", &[("grant_type", "client_credentials")]), 400, "unauthorized_client");
    refused(with("phone", &[("grant_type", "client_credentials")]), 400, "unauthorized_client");
    refused(with("reports", &[("grant_type", "refresh_token"), ("refresh_token", "x")]), 400, "unauthorized_client");
    refused(with("guard", &[("grant_type", "client_credentials")]), 400, "unauthorized_client");
    for token_ in ["x", "a.b.c", &"A".repeat(87)] {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token_)];
        refused(with("web", &fields), 400, "invalid_grant");
    }
}

#[test]
fn what_is_not_a_form_that_was_posted_is_refused() {
    let gate = gate(&[]);
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        assert_eq!(refused(gate.get(path).send(), 405, "invalid_request").header("allow"), Some("POST"));
        let json = serde_json::json!({"grant_type": "client_credentials"});
        refused(
            gate.post(path).json(&json).header("Authorization", &basic("reports", ODD)).send(),
            400,
            "invalid_request",
        );
        let long = format!("token={}", "x".repeat(70_000));
        let call = gate.post(path).header("Content-Type", "application/x-www-form-urlencoded").body(long);
        refused(call.send(), 413, "invalid_request");
        refused(gate.post(&format!("{path}/more")).send(), 404, "invalid_request");
    }
    // Credentials in the target are none (RFC 6749 section 2.3.1).
    let target = "/oauth/token?grant_type=password&client_id=phone&username=alice&password=wonderland";
    refused(post(&gate, target, &[]).send(), 401, "invalid_client");
}

#[test]
fn the_password_grant_is_off_unless_switched_on() {
    let only_own = clients().replace("'password', 'refresh_token'", "'refresh_token'").replace("'password'", "");
    let gate = start(&[("profiles.oauth.password_grant", "false")]).config_file(&only_own).start();
    let fields = [("grant_type", "password"), ("username", "alice"), ("password", "wonderland")];
    refused(token(&gate, "web", &fields), 400, "unsupported_grant_type");
    own(&gate, "reports");
}

#[test]
fn a_dialect_that_is_not_spoken_has_no_paths() {
    let gate = gate(&[("profiles.oauth.enabled", "false"), ("profiles.oauth.issuer_url", "https://gate.example")]);
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        post(&gate, path, &[]).send().expect_refusal(403);
    }
    for path in ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server"] {
        gate.get(path).send().expect_refusal(403);
    }
}

#[test]
fn paths_and_lifetimes_can_be_chosen() {
    let text = clients() + "access_ttl = '60s'\nrefresh_ttl = '1h'\n";
    let settings = [("profiles.oauth.token_path", "/api/token"), ("profiles.oauth.access_ttl", "2m")];
    let gate = start(&settings).config_file(&text).start();
    let with = |client, fields: &[(&str, &str)]| as_client(&gate, client, "/API/token/", fields).expect(200);
    let password = [("grant_type", "password"), ("username", "alice"), ("password", "wonderland")];
    assert_eq!(with("web", &password).json()["expires_in"], 120);
    assert_eq!(with("phone", &password).json()["expires_in"], 60, "its own");
    post(&gate, "/oauth/token", &password).send().expect_refusal(403);
}

#[test]
fn a_restart_forgets_nothing_of_clients_that_are_as_they_were() {
    let gate = gate(&[]);
    let (own_, pair) = (own(&gate, "reports"), alice(&gate, "web"));
    let gate = gate.restart();
    list(&gate, &own_).expect(200);
    refresh(&gate, "web", &pair).expect(200);
}

#[test]
fn who_is_taken_out_or_narrowed_or_has_another_secret_loses_what_was_given_for_it() {
    let gate = gate(&[]);
    let (own_, of_alice) = (own(&gate, "reports"), own(&gate, "alice"));
    let (web, phone, kiosk) = (alice(&gate, "web"), alice(&gate, "phone"), alice(&gate, "kiosk"));
    let file = gate.folder().join("config.toml");
    let mut changed = std::fs::read_to_string(&file).unwrap();
    // Another secret, another id, fewer scopes; kiosk as it was.
    let hash = bcrypt::hash("new", 4).unwrap();
    let old = changed.lines().nth(2).unwrap().to_owned();
    changed = changed.replace(&old, &format!("secret_hash = '{hash}'"));
    changed = changed.replace("id = 'phone'", "id = 'tablet'");
    changed = changed.replace("'messages:list', 'messages:send', 'tokens:manage'", "'messages:send'");
    std::fs::write(file, changed).unwrap();
    let gate = gate.restart();
    list(&gate, &own_).expect_refusal(401);
    list(&gate, &phone).expect_refusal(401);
    list(&gate, &web).expect_refusal(401);
    list(&gate, &of_alice).expect(200);
    list(&gate, &kiosk).expect(200);
    assert_eq!(refresh(&gate, "web", &web).expect(200).field("scope"), "messages:send");
    refused(refresh(&gate, "phone", &phone), 401, "invalid_client");
}

#[test]
fn a_gate_for_programs_alone_needs_no_users() {
    let start = Start::alone().set("upstream.url", &format!("http://{}", Upstream::start().address));
    let gate = start.config_file(&clients()).set("profiles.oauth.enabled", "true");
    let gate = gate.set("profiles.oauth.password_grant", "true").start();
    let answer = own(&gate, "reports");
    let gate = gate.restart();
    list(&gate, &answer).expect(200);
}
