//! Requests on their way up: streamed as they come, cut where the client cuts them.

use std::io::Write;
use std::net::TcpStream;

use super::{FINE, OPEN, Stage};
use crate::support::offer;

#[test]
fn a_body_is_framed_as_its_client_frames_it() {
    let stage = Stage::new();
    let (mut client, mut leg) = stage.kept();
    for (fields, sent, length, coding) in [
        ("Content-Length: 5\r\n", "hello", Some("5"), None),
        ("Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\n\r\n", None, Some("chunked")),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", None, Some("chunked")),
        ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", None, Some("chunked")),
        ("Content-Length: 0\r\n", "", Some("0"), None),
        ("", "", Some("0"), None),
    ] {
        client.write(format!("POST {OPEN} HTTP/1.1\r\nHost: x\r\n{fields}\r\n{sent}").as_bytes());
        let seen = leg.request();
        let body = if sent.contains("llo") { "hello" } else { "" };
        assert_eq!(String::from_utf8_lossy(&seen.body), body, "{fields}{sent}");
        assert_eq!(seen.header("content-length"), length, "{fields}{sent}");
        assert_eq!(seen.header("transfer-encoding"), coding, "{fields}{sent}");
        leg.send(FINE);
        client.read().expect("an answer").expect(200);
    }
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        client.write(&stage.gate.call(method, OPEN).raw());
        let seen = leg.request();
        assert_eq!(seen.header("content-length").or(seen.header("transfer-encoding")), None, "{method}");
        leg.send("HTTP/1.1 204 No Content\r\n\r\n");
        client.read().expect("an answer").expect(204);
    }
}

#[test]
fn a_body_leaves_as_it_comes() {
    let stage = Stage::new();
    let mut client = stage.client();
    client.write(&stage.gate.post(OPEN).header("Content-Length", "300").raw());
    let mut leg = stage.upstream.accept();
    leg.head();
    for n in 0..100 {
        let piece = format!("{n:03}");
        client.write(piece.as_bytes());
        assert_eq!(leg.take(3), piece.as_bytes());
    }
    leg.send(FINE);
    client.read().expect("an answer").expect(200);
}

#[test]
fn a_client_that_breaks_off_takes_its_request_with_it() {
    let stage = Stage::new();
    for (fields, begun, arrived) in [
        ("Content-Length: 10", "hello", "hello"),
        ("Content-Length: 10", "", ""),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n", "5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked", "", ""),
    ] {
        for half in [false, true] {
            let mut client = stage.client();
            client.write(format!("POST {OPEN} HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{begun}").as_bytes());
            let mut leg = stage.upstream.accept();
            leg.head();
            assert_eq!(leg.take(arrived.len()), arrived.as_bytes());
            if half {
                client.end();
                assert!(leg.closed().is_empty(), "{fields} {begun:?}");
            } else {
                drop(client);
                assert!(leg.closed().is_empty(), "{fields} {begun:?}");
            }
        }
    }
    stage.recovers();
}

#[test]
fn what_the_upstream_does_not_take_is_not_taken_in() {
    let stage = Stage::new();
    let mut client = TcpStream::connect(stage.gate.address).unwrap();
    let length = 200 << 20;
    client
        .write_all(format!("POST {OPEN} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n").as_bytes())
        .unwrap();
    let mut leg = stage.upstream.accept();
    leg.head();
    let before = stage.gate.memory();
    let taken = offer(&client, length);
    assert!(taken < length / 2, "{taken} bytes were taken of what nobody reads");
    let grown = stage.gate.memory().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more for {taken} offered");
    drop(client);
    let arrived = leg.closed().len();
    assert!(arrived <= taken, "{arrived} of {taken}");
    stage.recovers();
}

#[test]
fn what_the_client_does_not_take_is_not_taken_in() {
    let stage = Stage::new();
    let mut client = stage.client();
    client.write(&stage.gate.get(OPEN).raw());
    let mut leg = stage.upstream.accept();
    leg.request();
    let length = 200 << 20;
    leg.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"));
    client.take(1);
    let before = stage.gate.memory();
    let taken = leg.offer(length);
    assert!(taken < length / 2, "{taken} bytes were taken of what nobody reads");
    let grown = stage.gate.memory().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more for {taken} offered");
    drop(client);
    leg.closed();
    stage.recovers();
}
