//! What each endpoint reads and answers.

use super::*;

#[test]
fn a_login_gives_a_pair_of_the_documented_shape() {
    let gate = gate(&[]);
    let pair = alice(&gate);
    let mut names: Vec<_> = pair.json().as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["accessToken", "expiresIn", "refreshToken", "tokenType"], "seed Z1");
    assert_eq!(pair.field("tokenType"), "Bearer");
    assert_eq!(pair.json()["expiresIn"], 300, "seed Z10");
    assert_eq!(pair.header("cache-control"), Some("no-store"));
    let claims = pair.claims("accessToken");
    assert_eq!(
        (&claims["sub"], claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap()),
        (&"alice".into(), 300)
    );
    list(&gate, &pair).expect(200);
}

#[test]
fn the_refresh_token_tells_nothing() {
    let gate = gate(&[]);
    let token = alice(&gate).field("refreshToken");
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{token}");
    assert_ne!(token, alice(&gate).field("refreshToken"));
}

#[test]
fn tokens_carry_the_address_and_the_roles_of_the_users_file_and_any_algorithm() {
    let users = crate::support::user("carol", "hush", &[], "email = \"carol@example.org\"\nroles = [\"admin\"]");
    let start = Start::before(Upstream::start().address).users(&users);
    let gate = start.set("profiles.form.enabled", "true").set("token.algorithm", "HS512").start();
    let pair = login(&gate, "carol", "hush").expect(200);
    let claims = pair.claims("accessToken");
    assert_eq!((&claims["email"], &claims["roles"]), (&"carol@example.org".into(), &serde_json::json!(["admin"])));
    assert_eq!(claims["scopes"], serde_json::json!([]), "roles are enough");
    refresh(&gate, &pair).expect(200);
}

#[test]
fn what_is_missing_is_said_in_the_words_of_the_guide() {
    let gate = gate(&[]);
    refused(post(&gate, "/login", &[("password", "x")]).send(), 400, "Missing username");
    refused(post(&gate, "/login", &[("username", "x")]).send(), 400, "Missing password");
    for path in ["/refresh", "/logout"] {
        refused(post(&gate, path, &[("token", "x")]).send(), 400, "Missing refreshToken");
    }
    for path in ["/login", "/refresh", "/logout"] {
        let json = gate.post(path).json(&serde_json::json!({"username": "alice", "refreshToken": "x"})).send();
        refused(json, 400, "Expected form-encoded data");
        let answer = gate.get(path).send();
        assert_eq!(refused(answer, 405, "Method not allowed").header("allow"), Some("POST"));
    }
}

#[test]
fn a_wrong_password_and_an_unknown_name_read_alike() {
    let gate = gate(&[]);
    for (name, password) in [("alice", "wrong"), ("nobody", "wonderland"), ("", "")] {
        refused(login(&gate, name, password), 401, "Invalid username or password.");
    }
}

#[test]
fn guesses_are_limited_as_everywhere() {
    let gate = gate(&[("limits.signin.user_burst", "2")]);
    for _ in 0..2 {
        refused(login(&gate, "alice", "wrong"), 401, "Invalid username or password.");
    }
    let throttled = refused(login(&gate, "alice", "wonderland"), 429, "Too many failed attempts, try again later");
    assert!(throttled.header("retry-after").is_some());
}

#[test]
fn a_device_is_remembered_and_shown() {
    let gate = gate(&[]);
    let fields =
        [("username", "alice"), ("password", "wonderland"), ("deviceId", "d-1"), ("deviceName", "Anna’s phone")];
    post(&gate, "/login", &fields).send().expect(200);
    let sessions = gate.get("/3rdparty/v1/auth/sessions").basic("alice", "wonderland").send().expect(200).json();
    assert_eq!(sessions[0]["device"], serde_json::json!({"id": "d-1", "name": "Anna’s phone"}), "seed Z26");
}

#[test]
fn paths_can_be_chosen_and_nothing_beneath_them_is_the_upstreams() {
    let paths = [
        ("profiles.form.login_path", "/api/session/login"),
        ("profiles.form.refresh_path", "/api/session/refresh"),
        ("profiles.form.logout_path", "/api/session/logout"),
        ("profiles.form.realm", "Members"),
    ];
    let gate = gate(&paths);
    let fields = [("username", "alice"), ("password", "wonderland")];
    post(&gate, "/API/session/login/", &fields).send().expect(200);
    let refused = post(&gate, "/api/session/refresh", &[("refreshToken", "x")]).send().expect(401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"Members\""));
    gate.get("/api/session/login/x").send().expect(404);
    post(&gate, "/login", &fields).send().expect_refusal(403);
}

#[test]
fn a_dialect_that_is_not_spoken_has_no_paths() {
    let gate = gate(&[("profiles.form.enabled", "false")]);
    login(&gate, "alice", "wonderland").expect_refusal(403);
}
