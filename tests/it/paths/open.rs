//! Routes that demand nothing: public ones, and the devices' own API, whose credentials are the upstream's to judge.

use super::{arrives, newest, stopped};
use crate::support::{Start, Upstream};

const OPEN: [&str; 9] = [
    "/health",
    "/health/live",
    "/health/ready",
    "/health/startup",
    "/3rdparty/v1/health",
    "/3rdparty/v1/health/live",
    "/3rdparty/v1/health/ready",
    "/3rdparty/v1/health/startup",
    "/.well-known/api-catalog",
];

#[test]
fn public_paths_are_open_in_their_exact_spelling() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    for path in OPEN {
        arrives(&upstream, path, &gate.get(path), path);
        arrives(&upstream, path, &gate.get(&format!("{path}?verbose=1")), &format!("{path}?verbose=1"));
        let with_rubbish = gate.get(path).bearer("rubbish").header("Authorization", "Basic x");
        assert_eq!(arrives(&upstream, path, &with_rubbish, path).header("authorization"), None, "{path}");
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FOO"] {
            stopped(&upstream, &format!("{method} {path}"), &gate.call(method, path), 403);
        }
    }
    for variant in [
        "/health/",
        "/HEALTH",
        "/Health/live",
        "/health/LIVE",
        "/health/live/",
        "/health/x",
        "/healthz",
        "/health.json",
        "/3RDPARTY/v1/health",
        "/3rdparty/v1/health/",
        "/3rdparty/v1/health/live/x",
        "/.well-known/api-catalog/",
        "/.Well-Known/api-catalog",
        "/.well-known",
        "/.well-known/openid-configuration",
        "/api/health",
        "/",
    ] {
        stopped(&upstream, variant, &gate.get(variant), 403);
    }
    // An escape that need not be is no other path: it is undone before anybody reads the path.
    arrives(&upstream, "/%68ealth", &gate.get("/%68ealth"), "/health");
}

#[test]
fn a_devices_own_traffic_passes_untouched() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    for (method, path, authorization) in [
        ("POST", "/mobile/v1/device", "Bearer private-token-of-a-server"),
        ("POST", "/mobile/v1/device", "Basic dXNlcjpwYXNz"),
        ("POST", "/mobile/v1/device", "Code 123456"),
        ("PATCH", "/mobile/v1/device", "Bearer opaque.device.token"),
        ("GET", "/mobile/v1/message?limit=1", "Bearer !#$%&'*+-.^_`|~"),
        ("PATCH", "/mobile/v1/message", "bearer   two  spaces"),
        ("GET", "/mobile/v1/webhooks", "Negotiate YII="),
        ("GET", "/mobile/v1/user/code", "Basic YWxpY2U6d29uZGVybGFuZA=="),
        ("FOO", "/mobile/v1/anything/at/all/", "x"),
        ("GET", "/mobile/v1/", "Bearer x"),
    ] {
        let body = "{\"name\":\"phone\u{0}\",\n \"pushToken\": \"ü\"}";
        let call = gate.call(method, path).header("Authorization", authorization).header("X-Device", "7");
        let seen = arrives(&upstream, path, &call.header("Content-Type", "text/odd").body(body), path);
        assert_eq!(seen.method, method);
        assert_eq!(seen.header("authorization"), Some(authorization));
        assert_eq!(seen.header("content-type"), Some("text/odd"));
        assert_eq!(seen.header("x-device"), Some("7"));
        assert_eq!(seen.body, body.as_bytes());
    }
    assert_eq!(
        arrives(&upstream, "none", &gate.get("/mobile/v1/device"), "/mobile/v1/device").header("authorization"),
        None
    );
    // The gate's own tokens mean nothing here, and gain nothing.
    let token = gate.alice(&["all:any"]).field("access_token");
    let seen = arrives(&upstream, "ours", &gate.get("/mobile/v1/device").bearer(&token), "/mobile/v1/device");
    assert_eq!(seen.header("x-auth-subject"), None);
    for variant in [
        "/Mobile/v1/device",
        "/mobile/V1/device",
        "/mobile/v1",
        "/mobile/v2/device",
        "/mobile",
        "/api/mobile/v1/device",
    ] {
        stopped(&upstream, variant, &gate.post(variant).bearer("opaque"), 403);
    }
}

#[test]
fn registration_of_devices_can_be_closed() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).set("routes.device_registration", "deny").start();
    let token = gate.alice(&["all:any"]).field("access_token");
    for variant in [
        "/mobile/v1/device",
        "/mobile/v1/device/",
        "/mobile/v1/DEVICE",
        "/MOBILE/v1/device",
        "/mobile/v1/%64evice",
        "/mobile/v1/device?x=y",
    ] {
        stopped(&upstream, variant, &gate.post(variant), 403);
        stopped(&upstream, variant, &gate.post(variant).bearer("opaque"), 403);
        stopped(&upstream, variant, &gate.post(variant).bearer(&token), 403);
        stopped(&upstream, variant, &gate.post(variant).basic("alice", "wonderland"), 403);
        let disguised = gate.post(variant).header("X-HTTP-Method-Override", "PATCH");
        stopped(&upstream, variant, &disguised, 403);
    }
    let disguised = gate.get("/mobile/v1/device").header("X-HTTP-Method-Override", "POST");
    arrives(&upstream, "a disguised GET", &disguised, "/mobile/v1/device");
    assert_eq!(newest(&upstream).header("x-http-method-override"), None);
    for (method, path) in [
        ("PATCH", "/mobile/v1/device"),
        ("GET", "/mobile/v1/device"),
        ("POST", "/mobile/v1/message"),
        ("POST", "/mobile/v1/device/7"),
        ("POST", "/mobile/v1/devices"),
    ] {
        arrives(&upstream, path, &gate.call(method, path).bearer("opaque"), path);
    }
    let open = Start::before(upstream.address).start();
    arrives(&upstream, "open", &open.post("/mobile/v1/device"), "/mobile/v1/device");
}
