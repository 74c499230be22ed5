//! Clients that wait to be asked for the body of their request (RFC 9110 section 10.1.1): only whoever is let in is asked,
//! and an upstream that refuses before it has read is heard.

use super::{FINE, OPEN, Stage};
use crate::support::{Answer, Connection, Leg, Start};

const JUDGED: &str = "/3rdparty/v1/messages";
const TOKEN: &str = "/3rdparty/v1/auth/token";
const LENGTH: &str = "Content-Length: 5\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

fn head(target: &str, version: &str, fields: &str) -> Vec<u8> {
    format!("POST {target} HTTP/{version}\r\nHost: x\r\n{fields}\r\n").into_bytes()
}

fn body(fields: &str) -> &'static [u8] {
    if fields == LENGTH { b"hello" } else { b"5\r\nhello\r\n0\r\n\r\n" }
}

/// A client that waits, and the head of its request at the upstream.
#[track_caller]
fn waiting(stage: &Stage, fields: &str) -> (Connection, Leg) {
    let mut client = stage.client();
    client.write(&head(OPEN, "1.1", &format!("{fields}Expect: 100-continue\r\n")));
    let mut leg = stage.upstream.accept();
    assert_eq!(leg.head().header("expect"), Some("100-continue"), "the upstream may refuse before it reads");
    (client, leg)
}

#[track_caller]
fn asked(client: &mut Connection) -> Answer {
    client.read_any().expect("an interim answer").expect(100)
}

#[test]
fn whoever_is_let_in_is_asked_once() {
    let stage = Stage::keeping_nothing();
    for fields in [LENGTH, CHUNKED] {
        let (mut client, mut leg) = waiting(&stage, fields);
        asked(&mut client);
        leg.expect_silence();
        client.write(body(fields));
        assert_eq!(leg.take(body(fields).len()), body(fields));
        leg.send(FINE);
        // No other interim answer comes before it.
        assert_eq!(client.read_any().expect("an answer").expect(200).text(), "fine");
    }
}

#[test]
fn whoever_is_refused_is_not_asked_and_its_body_is_not_read() {
    let stage = Stage::with(|start| start.set("limits.max_body_bytes", "1KiB"));
    let weak = stage.gate.alice(&["messages:list"]).field("access_token");
    let bearer = format!("Authorization: Bearer {weak}\r\n");
    let large = "Authorization: Basic YWxpY2U6d29uZGVybGFuZA==\r\nContent-Type: application/json\r\n";
    for (name, target, fields, length, status) in [
        ("no credentials", JUDGED, "", 5_u64, 401),
        ("no scope", JUDGED, &*bearer, 5, 403),
        ("a path without a rule", "/nowhere", "", 5, 403),
        ("an ambiguous path", "/a/%2e%2e/b", "", 5, 400),
        ("too large for an endpoint", TOKEN, large, 1025, 413),
        ("very large", JUDGED, "", 1 << 50, 401),
    ] {
        let mut client = stage.client();
        client.write(&head(target, "1.1", &format!("{fields}Content-Length: {length}\r\nExpect: 100-continue\r\n")));
        let answer = client.read_any().expect("an answer");
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        answer.expect_refusal(status);
        // Nobody can tell whether the body comes now: whatever comes is not read as a request.
        assert!(client.rest().is_empty(), "{name}: more behind the refusal");
    }
    stage.upstream.expect_nobody();
}

#[test]
fn an_upstream_that_refuses_before_it_has_read_is_heard() {
    let stage = Stage::new();
    for fields in [LENGTH, CHUNKED] {
        for status in [401, 413, 417] {
            let (mut client, mut leg) = waiting(&stage, fields);
            leg.send(format!("HTTP/1.1 {status} No\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno"));
            let answer = client.read().expect("an answer").expect(status);
            assert_eq!((answer.text(), answer.header("x-portcullis")), ("no".to_owned(), None), "{fields}{status}");
            // Nothing of a body has left, and no end of one.
            leg.expect_silence();
            drop(leg);
            // What the client had been asked for may still come, and is no request.
            client.write(body(fields));
            client.write(&stage.get("another").header("Connection", "close").raw());
            super::answers(&mut stage.upstream.accept(), &mut client, "another");
        }
    }
}

#[test]
fn an_upstream_that_refuses_and_reads_on_gets_the_body_all_the_same() {
    let stage = Stage::new();
    let (mut client, mut leg) = waiting(&stage, LENGTH);
    leg.send("HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno");
    assert_eq!(client.read().expect("an answer").expect(413).text(), "no");
    client.write(b"hello");
    assert_eq!(leg.take(5), b"hello");
    client.write(&stage.get("next").raw());
    super::answers(&mut leg, &mut client, "next");
}

#[test]
fn where_there_is_no_upstream_nobody_is_asked() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = Start::before(nowhere).start();
    let mut client = Connection::open(gate.address);
    client.write(&head(OPEN, "1.1", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
    client.read_any().expect("an answer").expect_refusal(502);
    assert!(client.rest().is_empty());
}

#[test]
fn an_upstream_that_asks_too_is_not_heard_twice() {
    let stage = Stage::keeping_nothing();
    let (mut client, mut leg) = waiting(&stage, LENGTH);
    asked(&mut client);
    leg.send("HTTP/1.1 100 Continue\r\n\r\n");
    client.write(b"hello");
    assert_eq!(leg.take(5), b"hello");
    leg.send(FINE);
    assert_eq!(client.read_any().expect("an answer").expect(200).text(), "fine");
}

#[test]
fn whoever_does_not_wait_to_the_end_is_served_all_the_same() {
    let stage = Stage::new();
    let mut client = stage.client();
    // The body right behind its head, and another request behind that.
    let first = head(OPEN, "1.1", "Content-Length: 5\r\nExpect: 100-continue\r\n");
    client.write(&[&first, &b"hello"[..], &stage.get("next").raw()].concat());
    let mut leg = stage.upstream.accept();
    assert_eq!(leg.request().body, b"hello");
    leg.send(FINE);
    assert_eq!(client.read().expect("an answer").expect(200).text(), "fine");
    super::answers(&mut leg, &mut client, "next");
}

#[test]
fn where_there_is_nothing_to_ask_for_nobody_is_asked() {
    let stage = Stage::keeping_nothing();
    for (name, version, fields, sent) in [
        ("no body", "1.1", "Content-Length: 0\r\nExpect: 100-continue\r\n", &b""[..]),
        ("another expectation", "1.1", "Content-Length: 5\r\nExpect: gold\r\n", b"hello"),
        ("HTTP/1.0", "1.0", "Content-Length: 5\r\nExpect: 100-continue\r\n", b"hello"),
    ] {
        let mut client = stage.client();
        client.write(&head(OPEN, version, fields));
        let mut leg = stage.upstream.accept();
        leg.head();
        client.expect_silence();
        client.write(sent);
        assert_eq!(leg.take(sent.len()), sent, "{name}");
        leg.send(FINE);
        assert_eq!(client.read_any().expect("an answer").expect(200).text(), "fine", "{name}");
    }
}
