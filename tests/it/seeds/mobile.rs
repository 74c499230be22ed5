//! The phones' own traffic: seeds S43 and S44.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::sms;
use crate::support::{Start, Upstream};

/// Seed S43: devices have opaque tokens, which are no broken JWTs.
#[test]
fn credentials_of_devices_pass_untouched() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let credentials = [
        "Bearer aXsNp_opaque-device-token",
        "Bearer a.b.c",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Basic cGhvbmU6c2VjcmV0",
        "Code 123456",
        "code 000000",
    ];
    for authorization in credentials {
        let call = gate.post("/mobile/v1/message?x=%20y").header("Authorization", authorization);
        let answer = call.header("X-Auth-Subject", "alice").body("{\"raw\": \u{1}}").send().expect(200);
        assert_eq!(answer.header("x-portcullis"), None);
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), credentials.len());
    for (seen, authorization) in seen.iter().zip(credentials) {
        assert_eq!(seen.header("authorization"), Some(authorization));
        assert_eq!((seen.target.as_str(), &*seen.body), ("/mobile/v1/message?x=%20y", &b"{\"raw\": \x01}"[..]));
        assert_eq!(seen.header("x-auth-subject"), None, "nobody has proven to be alice");
    }
}

/// Seed S43.
#[test]
fn a_phone_registers_and_fetches_its_messages_with_its_own_token() {
    let (_upstream, gate) = sms();
    let device = gate.post("/mobile/v1/device").json(&json!({"name": "Pixel"})).send().expect(201);
    let token = device.field("token");
    gate.get("/mobile/v1/message").bearer(&token).send().expect(200);
    let refused = gate.get("/mobile/v1/message").bearer("another").send().expect(401);
    assert_eq!(refused.header("x-portcullis"), None, "the upstream has judged it");
    // And it is worth nothing on the other side.
    gate.get("/3rdparty/v1/messages").bearer(&token).send().expect_refusal(401);
}

/// Seed S44.
#[test]
fn events_for_phones_begin_at_once() {
    let (_upstream, gate) = sms();
    let token = gate.post("/mobile/v1/device").send().expect(201).field("token");
    let mut stream = BufReader::new(TcpStream::connect(gate.address).unwrap());
    stream.get_ref().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.get_mut().write_all(&gate.get("/mobile/v1/events").bearer(&token).raw()).unwrap();
    let head = read_to(&mut stream, "\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
    read_to(&mut stream, ":keep-alive\n\n");
}

/// Seed S44: each event is passed on when it comes, and silence between two of them ends nothing.
#[test]
fn events_pass_one_by_one_for_as_long_as_the_upstream_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel::<&str>();
    thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        read_to(&mut stream, "\r\n\r\n");
        let mut stream = stream.into_inner();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            .unwrap();
        for event in told {
            let _ = write!(stream, "{:x}\r\n{event}\r\n", event.len());
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    });
    let gate = Start::before(address).set("upstream.first_byte_timeout", "1s").start();
    let mut stream = BufReader::new(TcpStream::connect(gate.address).unwrap());
    stream.get_ref().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.get_mut().write_all(&gate.get("/mobile/v1/events").bearer("opaque").raw()).unwrap();
    read_to(&mut stream, "\r\n\r\n");
    for event in ["event: one\n\n", ":keep-alive\n\n", "event: two\ndata: x\n\n"] {
        tell.send(event).unwrap();
        read_to(&mut stream, event);
    }
    drop(tell);
    assert!(read_to(&mut stream, "0\r\n\r\n").ends_with("0\r\n\r\n"));
}

/// Reads up to and with `end`.
#[track_caller]
fn read_to(stream: &mut BufReader<TcpStream>, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut byte = [0];
        std::io::Read::read_exact(stream, &mut byte).unwrap_or_else(|error| panic!("{error} after {text:?}"));
        text.push(char::from(byte[0]));
    }
    text
}
