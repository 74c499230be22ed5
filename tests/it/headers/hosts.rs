//! The host a request is for: exactly one, and the upstream reads the one that was meant.

use http::Request;

use super::PUBLIC;
use crate::support::{Start, Upstream, exchange, exchange_h2};

#[test]
fn a_request_names_one_host() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    for (name, target, headers) in [
        ("none", PUBLIC, ""),
        ("two", PUBLIC, "Host: a.example\r\nHost: b.example\r\n"),
        ("the same twice", PUBLIC, "Host: a.example\r\nhost: a.example\r\n"),
        ("an empty one", PUBLIC, "Host:\r\n"),
        ("a blank one", PUBLIC, "Host:   \r\n"),
        ("an empty one beside another", PUBLIC, "Host: a.example\r\nHost:\r\n"),
        ("a user in it", PUBLIC, "Host: user@a.example\r\n"),
        ("a user and a password in it", PUBLIC, "Host: user:secret@a.example\r\n"),
        ("a list", PUBLIC, "Host: a.example, b.example\r\n"),
        ("a space", PUBLIC, "Host: a.example b.example\r\n"),
        ("a path", PUBLIC, "Host: a.example/x\r\n"),
        ("a query", PUBLIC, "Host: a.example?x\r\n"),
        ("a fragment", PUBLIC, "Host: a.example#x\r\n"),
        ("a scheme", PUBLIC, "Host: http://a.example\r\n"),
        ("a quote", PUBLIC, "Host: \"a.example\"\r\n"),
        ("other alphabets", PUBLIC, "Host: b\u{fc}cher.example\r\n"),
        ("a user in the target", "http://user@a.example/health", "Host: a.example\r\n"),
        ("a user and a password in the target", "http://user:secret@a.example/health", "Host: a.example\r\n"),
        ("a list in the target", "http://a.example,b.example/health", "Host: a.example\r\n"),
        ("two beside an absolute target", "http://a.example/health", "Host: a.example\r\nHost: b.example\r\n"),
    ] {
        let answer = exchange(gate.address, format!("GET {target} HTTP/1.1\r\n{headers}\r\n").as_bytes());
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        answer.expect_refusal(400);
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
    assert!(gate.whole_log().iter().all(|line| !line.contains("secret")));
}

#[test]
fn the_upstream_reads_the_host_that_was_meant() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    for (version, target, headers, expected) in [
        ("1.1", PUBLIC, "Host: a.example\r\n", "a.example"),
        ("1.1", PUBLIC, "Host: a.example:8080\r\n", "a.example:8080"),
        ("1.1", PUBLIC, "Host: [2001:db8::1]:80\r\n", "[2001:db8::1]:80"),
        ("1.1", PUBLIC, "Host: sms_gate\r\n", "sms_gate"),
        // RFC 9112 section 3.2.2: the target's authority wins.
        ("1.1", "http://a.example/health", "Host: b.example\r\n", "a.example"),
        ("1.1", "http://a.example:81/health", "Host: a.example\r\n", "a.example:81"),
        ("1.0", PUBLIC, "Host: a.example\r\n", "a.example"),
        // Allowed in HTTP/1.0; what leaves is HTTP/1.1, which demands one (RFC 9112 section 3.2).
        ("1.0", PUBLIC, "", ""),
    ] {
        let raw = format!("GET {target} HTTP/{version}\r\n{headers}Connection: close\r\n\r\n");
        exchange(gate.address, raw.as_bytes()).expect(200);
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(seen.header("host"), Some(expected), "{target} {headers}");
        assert!(seen.header("x-forwarded-host").is_none_or(|host| host == expected), "{target} {headers}");
        assert_eq!(seen.target, PUBLIC, "{target} {headers}");
    }
}

#[test]
fn over_http_2_authority_and_host_agree() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let get = |authority: &str| Request::get(format!("http://{authority}{PUBLIC}"));
    let ask = |request: http::request::Builder| exchange_h2(gate.address, request.body(&b""[..]).unwrap());
    ask(get("a.example")).unwrap().expect(200);
    ask(get("a.example").header("host", "A.EXAMPLE")).unwrap().expect(200);
    for seen in upstream.seen() {
        assert_eq!(seen.header("host"), Some("a.example"));
    }
    let before = upstream.seen().len();
    for (name, request) in [
        ("another host", get("a.example").header("host", "b.example")),
        ("a port less", get("a.example:81").header("host", "a.example")),
        ("two hosts", get("a.example").header("host", "a.example").header("host", "a.example")),
        ("an empty host", get("a.example").header("host", "")),
        ("a user", get("user@a.example")),
    ] {
        // Refused, or the stream is reset as malformed: both say no.
        if let Ok(answer) = ask(request) {
            assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        }
    }
    assert_eq!(upstream.seen().len(), before);
}
