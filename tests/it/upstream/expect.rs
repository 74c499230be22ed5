//! Clients that wait to be asked for their body: nobody is asked for what is refused anyway.

use super::Stage;
use crate::support::{Call, Connection, Start};

/// Judged: it demands `messages:send`.
const PATH: &str = "/3rdparty/v1/messages";
const LENGTH: &str = "7";
const BODY: &[u8] = b"an SMS!";

fn expecting(call: Call) -> Vec<u8> {
    call.header("Expect", "100-continue").header("Content-Length", LENGTH).raw()
}

/// The first word is the refusal, and nobody waits for a body behind it.
#[track_caller]
fn refused(stage: &Stage, call: Call, status: u16) {
    let mut client = stage.client();
    client.write(&expecting(call));
    let answer = client.read_any().expect("an answer");
    assert_eq!(answer.status, status, "{}", answer.text());
    answer.expect_refusal(status);
    assert_eq!(client.rest(), b"", "whether a body follows is unclear, so nothing may");
}

#[test]
fn whoever_is_refused_is_not_asked_for_a_body() {
    let stage = Stage::new();
    refused(&stage, stage.gate.post(PATH), 401);
    refused(&stage, stage.gate.post(PATH).bearer("nonsense"), 401);
    let weak = stage.gate.alice(&["messages:list"]).field("access_token");
    refused(&stage, stage.gate.post(PATH).bearer(&weak), 403);
    refused(&stage, stage.gate.post("/no/such/rule"), 403);
    refused(&stage, stage.gate.post("/mobile/v1/%2e%2e/x"), 400);
    stage.upstream.expect_nobody();
}

#[test]
fn a_body_that_is_too_large_for_the_gate_is_not_asked_for() {
    let stage = Stage::with(|start| start.set("limits.max_body_bytes", "1KiB"));
    let mut client = stage.client();
    let call = stage.gate.post("/3rdparty/v1/auth/token").basic("alice", "wonderland");
    client.write(&call.header("Expect", "100-continue").header("Content-Length", "1000000").raw());
    client.read_any().expect("an answer").expect_refusal(413);
    assert_eq!(client.rest(), b"");
}

#[test]
fn whoever_is_let_in_is_asked_and_the_upstream_hears_of_the_expectation_too() {
    let stage = Stage::new();
    let token = stage.gate.alice(&["messages:send"]).field("access_token");
    let mut client = stage.client();
    for _ in 0..2 {
        client.write(&expecting(stage.gate.post(PATH).bearer(&token)));
        assert_eq!(client.read_any().expect("an interim answer").status, 100);
        client.write(BODY);
        let mut leg = stage.upstream.accept();
        let seen = leg.request();
        assert_eq!((seen.header("expect"), &*seen.body), (Some("100-continue"), BODY));
        leg.send("HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-length: 4\r\n\r\nsent");
        assert_eq!(client.read_any().expect("an answer").expect(201).text(), "sent");
    }
}

#[test]
fn a_refusal_of_the_upstream_goes_through_although_no_body_was_sent() {
    let stage = Stage::new();
    let token = stage.gate.alice(&["messages:send"]).field("access_token");
    let mut client = stage.client();
    client.write(&expecting(stage.gate.post(PATH).bearer(&token)));
    let mut leg = stage.upstream.accept();
    leg.head();
    // RFC 9110 section 10.1.1: its to fulfil or to refuse.
    leg.send("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\nno");
    assert_eq!(client.read().expect("an answer").expect(417).text(), "no");
    // The body that was asked for may come, and belongs to that request.
    client.write(BODY);
    assert_eq!(leg.take(BODY.len()), BODY);
    client.write(&stage.get("next").raw());
    super::answers(&mut leg, &mut client, "next");
}

#[test]
fn where_there_is_no_upstream_nobody_is_asked_for_a_body() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = Start::before(nowhere).start();
    let token = gate.alice(&["messages:send"]).field("access_token");
    let mut client = Connection::open(gate.address);
    client.write(&expecting(gate.post(PATH).bearer(&token)));
    client.read_any().expect("an answer").expect_refusal(502);
    assert_eq!(client.rest(), b"");
}
