//! What is no answer, or could be read in two ways: the client hears 502, and the connection is given up.

use super::{OPEN, Stage};

#[track_caller]
fn is_no_answer(stage: &Stage, name: &str, raw: impl AsRef<[u8]>, bytewise: bool) {
    let mut client = stage.client();
    client.write(&stage.gate.get(OPEN).raw());
    let mut leg = stage.upstream.accept();
    leg.request();
    match bytewise {
        true => leg.send_bytewise(&raw),
        false => leg.send(&raw),
    }
    let answer = client.read().unwrap_or_else(|| panic!("{name}: no answer"));
    assert_eq!(answer.status, 502, "{name}: {}", answer.text());
    let answer = answer.expect_refusal(502);
    leg.closed();
    let told = stage.gate.wait_for_log(answer.header("x-request-id").unwrap());
    assert!(told.contains("upstream_garbled"), "{name}: {told}");
    // It was the upstream's fault, so the client may go on.
    client.write(&stage.get("next").raw());
    super::answers(&mut stage.upstream.accept(), &mut client, "next");
}

#[test]
fn bytes_of_another_protocol_are_no_answer() {
    let stage = Stage::keeping_nothing();
    let rows: [(&str, &[u8]); 10] = [
        ("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x28"),
        ("HTTP/2 settings", b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff"),
        ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("a mail server", b"220 mail.example ESMTP\r\n"),
        ("a page without a head", b"<!DOCTYPE html><p>hello"),
        ("a request", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("another version", b"HTTP/2 200 OK\r\n\r\n"),
        ("an old version", b"HTTP/0.9 200 OK\r\n\r\n"),
        ("zeros", &[0; 100]),
    ];
    for (name, raw) in rows {
        is_no_answer(&stage, name, raw, false);
        is_no_answer(&stage, name, raw, true);
    }
}

#[test]
fn a_head_that_cannot_be_read_in_one_way_is_no_answer() {
    let stage = Stage::keeping_nothing();
    for head in [
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 200 OK\r\nno colon",
        "HTTP/1.1 200 OK\r\nspace : 1",
        "HTTP/1.1 200 OK\r\nfolded: 1\r\n 2",
        "HTTP/1.1 200 OK\r\nsome name: 1",
        "HTTP/1.1 200 OK\r\n: nameless",
        "HTTP/1.1 200 OK\r\nx: a\0b",
        "HTTP/1.1 200 OK\r\nx: a\rb",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols",
        "HTTP/1.1 100 Continue\r\n\r\nhello",
    ] {
        is_no_answer(&stage, head, format!("{head}\r\n\r\n"), false);
    }
}

#[test]
fn a_length_that_can_be_read_in_two_ways_is_none() {
    let stage = Stage::keeping_nothing();
    for fields in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: 5\r\ntransfer-encoding: chunked\r\ncontent-length: 6",
        "content-length: -1",
        "content-length: +5",
        "content-length: 0x5",
        "content-length: 5 5",
        "content-length:",
        "content-length: five",
        "content-length: 18446744073709551616",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: gzip",
        "transfer-encoding: identity",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: \"chunked\"",
        "transfer-encoding:",
    ] {
        is_no_answer(&stage, fields, format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhello"), false);
    }
    is_no_answer(&stage, "old chunks", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", false);
}

#[test]
fn a_head_beyond_its_limits_is_no_answer() {
    let stage = Stage::keeping_nothing();
    for (name, fields) in [
        ("129 fields", "x-n: 1\r\n".repeat(129)),
        ("a long field", format!("x-long: {}\r\n", "y".repeat(64 * 1024))),
        ("many long fields", format!("x-long: {}\r\n", "y".repeat(1024)).repeat(65)),
    ] {
        is_no_answer(&stage, name, format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n"), false);
    }
    for (name, endless) in [
        ("an endless field", format!("HTTP/1.1 200 OK\r\nx-long: {}", "y".repeat(70_000))),
        ("an endless name", format!("HTTP/1.1 200 OK\r\n{}", "y".repeat(70_000))),
        ("an endless status line", format!("HTTP/1.1 200 {}", "y".repeat(70_000))),
        ("endless empty lines", "\r\n".repeat(35_000)),
    ] {
        is_no_answer(&stage, name, endless, false);
    }
}
