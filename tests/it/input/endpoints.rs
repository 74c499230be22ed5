//! Methods and paths at the gate's own endpoints, and the profile switched off.

use super::{Desk, REFRESH, SESSIONS, TOKEN};

#[test]
fn an_unknown_method_is_told_which_ones_there_are() {
    let desk = Desk::new();
    let one = format!("{TOKEN}/AAAAAAAAAAAAAAAA.0");
    let session = format!("{SESSIONS}/AAAAAAAAAAAAAAAA");
    for (target, allowed) in
        [(TOKEN, "POST"), (REFRESH, "POST"), (&one, "DELETE"), (SESSIONS, "GET, DELETE"), (&session, "DELETE, PATCH")]
    {
        for method in ["GET", "PUT", "PATCH", "OPTIONS", "FOO", "PROPFIND", "post", "Delete", "GETS"] {
            if allowed.split(", ").any(|own| own == method) {
                continue;
            }
            let call = desk.gate.call(method, target).basic("alice", "wonderland");
            let answer = desk.refused(&format!("{method} {target}"), &call, 405);
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {target}");
        }
        // Methods that no gate forwards are unknown as such, everywhere.
        for method in ["TRACE", "CONNECT"] {
            let answer = desk.send(&desk.gate.call(method, target).basic("alice", "wonderland"));
            assert!(matches!(answer.status, 400 | 405 | 501), "{method} {target}: {}", answer.status);
        }
    }
    desk.unharmed();
}

#[test]
fn what_lies_under_auth_is_ours_and_nobody_elses() {
    let desk = Desk::new();
    for rest in [
        "",
        "/",
        "/tokens",
        "/toke",
        "/token2",
        "/token/a/b",
        "/token/refresh/again",
        "/token/refresh/a/b/c/d",
        "/session",
        "/sessions/a/b",
        "/login",
        "/otp",
        "/.well-known/jwks.json",
        "/%2A",
        "/token%20",
        "/tok%20en",
    ] {
        for method in ["GET", "POST", "DELETE", "PUT", "OPTIONS"] {
            for auth in ["/3rdparty/v1/auth", "/3RDPARTY/v1/AUTH", "/3rdparty/v1/%61uth"] {
                let call = desk.gate.call(method, &format!("{auth}{rest}")).basic("alice", "wonderland");
                desk.refused(&format!("{method} {auth}{rest}"), &call, 404);
            }
        }
    }
    // Where the upstream may have token endpoints of its own, under any prefix that it is known by.
    for path in ["/api/3rdparty/v1/auth/token", "/api/3rdparty/v1/auth", "/API/3rdparty/V1/Auth/token/"] {
        desk.refused(path, &desk.post(path).basic("alice", "wonderland").body("{}"), 404);
    }
    desk.unharmed();
}

#[test]
fn a_variant_of_an_endpoint_is_the_endpoint() {
    let desk = Desk::new();
    for target in [
        "/3rdparty/v1/auth/token/",
        "/3rdparty/v1/AUTH/Token",
        "/3RDPARTY/V1/auth/token",
        "/3rdparty/v1/auth/%74oken",
        "/3rdparty/v1/auth/token?x=y",
    ] {
        let call = desk.post(target).basic("alice", "wonderland").body(r#"{"scopes":["messages:list"]}"#);
        let answer = desk.send(&call);
        assert_eq!(answer.status, 201, "{target}: {}", answer.text());
    }
    for target in ["/3rdparty/v1/auth//token", "/3rdparty/v1/auth%2ftoken", "/3rdparty/v1/auth/./token"] {
        desk.refused(target, &desk.post(target).basic("alice", "wonderland").body("{}"), 400);
    }
    desk.unharmed();
}

#[test]
fn ending_what_does_not_exist_is_no_mistake() {
    let desk = Desk::new();
    let pair = desk.send(&desk.sign_in().body(r#"{"scopes":["messages:list"]}"#)).expect(201);
    let id = pair.field("id");
    let long = "x".repeat(4000);
    for garbage in [
        "x",
        "AAAAAAAAAAAAAAAA.0",
        "AAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAA.4294967296",
        "%00x",
        "..",
        "*",
        "null",
        "undefined",
        "0",
        "-1",
        "a'%20OR%20'1'='1",
        "caf%C3%A9",
        &id[1..],
        &id.to_uppercase(),
        &format!("{id}0000000000"),
        &long,
    ] {
        let answer = desk.send(&desk.gate.call("DELETE", &format!("{TOKEN}/{garbage}")).basic("alice", "wonderland"));
        // A path that has no one reading is refused before anybody asks what it names.
        let expected = if ["%00x", ".."].contains(&garbage) { 400 } else { 204 };
        assert_eq!(answer.status, expected, "{garbage:.60}: {}", answer.text());
        let session = desk.gate.call("DELETE", &format!("{SESSIONS}/{garbage}")).basic("alice", "wonderland");
        assert_eq!(desk.send(&session).status, expected, "session {garbage:.60}");
    }
    // A stranger's id ends nothing either.
    desk.send(&desk.gate.call("DELETE", &format!("{TOKEN}/{id}")).basic("bob", "builder")).expect(204);
    let next = desk.send(&desk.post(REFRESH).bearer(&pair.field("refresh_token"))).expect(200);
    for _ in 0..2 {
        desk.send(&desk.gate.call("DELETE", &format!("{TOKEN}/{id}")).basic("alice", "wonderland")).expect(204);
    }
    desk.refused("ended", &desk.post(REFRESH).bearer(&next.field("refresh_token")), 401);
    desk.unharmed();
}

#[test]
fn a_token_where_an_id_belongs_is_not_logged() {
    let desk = Desk::new();
    let pair = desk.send(&desk.sign_in().body(r#"{"scopes":["messages:list"]}"#)).expect(201);
    for token in [pair.field("access_token"), pair.field("refresh_token")] {
        let call = |target: String| desk.gate.call("DELETE", &target).basic("alice", "wonderland");
        assert_eq!(desk.send(&call(format!("{TOKEN}/{token}"))).status, 204);
        assert_eq!(desk.send(&call(format!("{SESSIONS}/{token}"))).status, 204);
        assert_eq!(desk.send(&call(format!("/elsewhere/{token}/x"))).status, 403);
        assert_eq!(desk.send(&call(format!("/3rdparty/v1/messages?token={token}"))).status, 403);
    }
    desk.unharmed();
}

#[test]
fn a_profile_that_is_switched_off_says_so() {
    let desk = Desk::with(|start| start.set("profiles.smsgate.enabled", "false"));
    for (method, target) in [
        ("POST", TOKEN),
        ("POST", REFRESH),
        ("DELETE", &*format!("{TOKEN}/x.0")),
        ("GET", TOKEN),
        ("GET", "/3rdparty/v1/auth/unknown"),
    ] {
        let call = desk.gate.call(method, target).basic("alice", "wonderland").body("{}");
        let answer = desk.refused(&format!("{method} {target}"), &call, 501);
        assert_eq!(answer.field("message"), "token service disabled, contact your administrator");
    }
    // Sessions of the other dialects are seen and ended all the same.
    let call = |method: &str, target: &str| desk.gate.call(method, target).basic("alice", "wonderland");
    desk.send(&call("GET", SESSIONS)).expect(200);
    desk.send(&call("DELETE", &format!("{SESSIONS}/x"))).expect(204);
    assert!(desk.upstream.seen().is_empty());
}
