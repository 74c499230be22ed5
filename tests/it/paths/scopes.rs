//! The table of the SMS API: every endpoint and its scope.

use super::{arrives, stopped};
use crate::support::{SCOPES, Start, Upstream, ok};

const TABLE: [(&str, &str, &str); 25] = [
    ("GET", "/messages", "messages:list"),
    ("POST", "/messages", "messages:send"),
    ("GET", "/messages/PyDmBQZZXYmyxMwED8Fzy", "messages:read"),
    ("DELETE", "/messages/PyDmBQZZXYmyxMwED8Fzy", "messages:cancel"),
    ("POST", "/messages/inbox/export", "messages:export"),
    ("GET", "/message", "messages:list"),
    ("POST", "/message", "messages:send"),
    ("GET", "/message/PyDmBQZZXYmyxMwED8Fzy", "messages:read"),
    ("DELETE", "/message/PyDmBQZZXYmyxMwED8Fzy", "messages:cancel"),
    ("POST", "/message/inbox/export", "messages:export"),
    ("GET", "/inbox", "inbox:list"),
    ("GET", "/inbox/7", "inbox:read"),
    ("POST", "/inbox/export", "messages:export"),
    ("POST", "/inbox/refresh", "inbox:refresh"),
    ("GET", "/devices", "devices:list"),
    ("DELETE", "/devices/d-1", "devices:delete"),
    ("GET", "/device", "devices:list"),
    ("DELETE", "/device/d-1", "devices:delete"),
    ("GET", "/webhooks", "webhooks:list"),
    ("POST", "/webhooks", "webhooks:write"),
    ("DELETE", "/webhooks/w-1", "webhooks:delete"),
    ("GET", "/settings", "settings:read"),
    ("PUT", "/settings", "settings:write"),
    ("PATCH", "/settings", "settings:write"),
    ("GET", "/logs", "logs:read"),
];

#[test]
fn every_endpoint_demands_its_scope() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    for (method, path, scope) in TABLE {
        assert!(SCOPES.contains(&scope), "{scope}");
        let name = format!("{method} {path}");
        let target = format!("/3rdparty/v1{path}");
        let call = || gate.call(method, &target);
        let token = |scopes: &[&str]| gate.alice(scopes).field("access_token");

        arrives(&upstream, &name, &call().bearer(&token(&[scope])), &target);
        arrives(&upstream, &name, &call().bearer(&token(&["all:any"])), &target);

        let others: Vec<&str> = SCOPES.into_iter().filter(|other| ![scope, "all:any"].contains(other)).collect();
        let refusal = stopped(&upstream, &name, &call().bearer(&token(&others)), 403);
        assert_eq!(refusal.field("message"), format!("scope required: {scope}"), "{name}");
        assert_eq!(refusal.field("error"), "insufficient_scope", "{name}");
        let challenge = refusal.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"insufficient_scope\""), "{name}: {challenge}");
        assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{name}: {challenge}");

        let refusal = stopped(&upstream, &name, &call(), 401);
        assert_eq!(refusal.header("www-authenticate"), Some("Bearer realm=\"portcullis\""), "{name}");
    }
}

#[test]
fn a_scope_opens_nothing_but_its_endpoints() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    for scope in SCOPES.into_iter().filter(|scope| *scope != "all:any") {
        let token = gate.alice(&[scope]).field("access_token");
        for (method, path, demanded) in TABLE {
            let status = gate.call(method, &format!("/3rdparty/v1{path}")).bearer(&token).send().status;
            assert_eq!(status, if demanded == scope { 200 } else { 403 }, "{scope} at {method} {path}");
        }
    }
}

#[test]
fn get_covers_head_and_nothing_else_does() {
    let upstream = Upstream::answering(|seen| match &*seen.method {
        "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-Total-Count: 3\r\n\r\n".to_vec(),
        _ => ok(b"{\"ok\":true}"),
    });
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    let head = |target: &str| gate.call("HEAD", target).header("Connection", "close");
    let answer = head("/3rdparty/v1/messages").bearer(&token).send().expect(200);
    assert_eq!((answer.header("x-total-count"), answer.header("content-length")), (Some("3"), Some("11")));
    assert_eq!(upstream.only().method, "HEAD");
    // Its refusals have a length and no body.
    for (target, token, status) in
        [("/3rdparty/v1/messages", None, 401), ("/3rdparty/v1/inbox", Some(&token), 403), ("/nowhere", None, 403)]
    {
        let call = token.into_iter().fold(head(target), |call, token| call.bearer(token));
        let answer = call.send().expect(status);
        assert_eq!(answer.header("x-portcullis"), Some("denied"), "{target}");
        assert!(answer.body.is_empty(), "{target}");
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_method_that_the_table_does_not_know_is_closed() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["all:any"]).field("access_token");
    for (method, path) in [
        ("PUT", "/messages"),
        ("PATCH", "/messages"),
        ("DELETE", "/messages"),
        ("get", "/messages"),
        ("Post", "/messages"),
        ("HEAD ", "/messages"),
        ("PROPFIND", "/messages"),
        ("QUERY", "/messages"),
        ("FOO", "/messages"),
        ("POST", "/logs"),
        ("POST", "/settings"),
        ("DELETE", "/settings"),
        ("GET", "/webhooks/w-1"),
        ("POST", "/devices"),
        ("HEAD", "/webhooks/w-1"),
        ("OPTIONS", "/messages"),
    ] {
        let name = format!("{method} {path}");
        let call = gate.call(method.trim(), &format!("/3rdparty/v1{path}")).header("Connection", "close");
        let before = upstream.seen().len();
        let status = call.bearer(&token).send().status;
        // `HEAD` is covered by `GET`; nothing else in this list is covered by anything.
        assert_eq!(status, if name == "HEAD  /messages" { 200 } else { 403 }, "{name}");
        assert_eq!(upstream.seen().len() - before, usize::from(status == 200), "{name}");
    }
    for method in ["TRACE", "CONNECT"] {
        let answer = gate.call(method, "/3rdparty/v1/messages").bearer(&token).send();
        assert!([400, 405, 501].contains(&answer.status), "{method}: {}", answer.status);
        let answer = gate.call(method, "/health").send();
        assert!([400, 405, 501].contains(&answer.status), "{method} /health: {}", answer.status);
    }
    assert!(upstream.seen().iter().all(|seen| seen.method == "HEAD"));
}
