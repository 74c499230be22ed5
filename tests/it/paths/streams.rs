//! Bodies of any length, in either direction, as they were sent.

use aws_lc_rs::digest::{SHA256, digest};
use http::Request;

use super::newest;
use crate::support::{Connection, Start, Upstream, exchange, exchange_h2, ok};

const TEN_MIB: usize = 10 << 20;
const UP: &str = "/3rdparty/v1/messages";
const DOWN: &str = "/3rdparty/v1/logs";

/// Bytes of every value, without a period that a buffer's size could hide.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Chunks of very different sizes.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(body.len() + 100_000);
    let mut rest = body;
    for size in [1, 7, 4096, 65_535, 16_384, 100_000, 3].iter().cycle() {
        let (chunk, more) = rest.split_at(rest.len().min(*size));
        raw.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        raw.extend_from_slice(chunk);
        raw.extend_from_slice(b"\r\n");
        if chunk.is_empty() {
            return raw;
        }
        rest = more;
    }
    unreachable!("the sizes never end")
}

/// By their hash, so that a failure does not print ten megabytes.
#[track_caller]
fn same(name: &str, sent: &[u8], received: &[u8]) {
    assert_eq!(sent.len(), received.len(), "{name}");
    assert_eq!(digest(&SHA256, sent).as_ref(), digest(&SHA256, received).as_ref(), "{name}");
}

#[test]
fn ten_megabytes_go_up_unchanged() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:send"]).field("access_token");
    let body = bytes(TEN_MIB);
    for (name, target, authorization) in
        [("judged", UP, format!("Bearer {token}")), ("passthrough", "/mobile/v1/upload", "Bearer opaque".into())]
    {
        let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n");
        let length = format!("{head}Content-Length: {TEN_MIB}\r\n\r\n");
        exchange(gate.address, &[length.as_bytes(), &body].concat()).expect(200);
        let seen = newest(&upstream);
        same(name, &body, &seen.body);
        assert_eq!(seen.header("content-length"), Some(&*TEN_MIB.to_string()), "{name}");

        let chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        exchange(gate.address, &[chunks.as_bytes(), &chunked(&body)].concat()).expect(200);
        let seen = newest(&upstream);
        same(name, &body, &seen.body);
        assert_eq!(seen.header("transfer-encoding"), Some("chunked"), "{name}");

        let mut asking = Connection::open(gate.address);
        asking.write(format!("{head}Expect: 100-continue\r\nContent-Length: {TEN_MIB}\r\n\r\n").as_bytes());
        assert_eq!(asking.read_any().expect("an interim answer").status, 100, "{name}");
        asking.write(&body);
        asking.read().expect("an answer").expect(200);
        same(name, &body, &newest(&upstream).body);
    }
    // Whoever is refused is refused without having been asked for ten megabytes.
    let mut stranger = Connection::open(gate.address);
    stranger.write(
        format!("POST {UP} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n").as_bytes(),
    );
    stranger.read_any().expect("an answer").expect_refusal(401);
}

#[test]
fn ten_megabytes_come_down_unchanged() {
    let body = bytes(TEN_MIB);
    let sent = body.clone();
    let upstream = Upstream::answering(move |seen| match &*seen.target {
        DOWN => ok(&sent),
        _ => [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), chunked(&sent)].concat(),
    });
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["logs:read"]).field("access_token");
    let by_length = gate.get(DOWN).bearer(&token).send().expect(200);
    same("by length", &body, &by_length.body);
    assert_eq!(by_length.header("content-length"), Some(&*TEN_MIB.to_string()));
    let chunks = gate.get(&format!("{DOWN}?chunks")).bearer(&token).send().expect(200);
    same("chunked", &body, &chunks.body);
    assert_eq!(chunks.header("transfer-encoding"), Some("chunked"));
    for target in [DOWN, "/3rdparty/v1/logs?chunks"] {
        let request = Request::get(format!("http://{}{target}", gate.address));
        let request = request.header("authorization", format!("Bearer {token}")).body(&b""[..]).unwrap();
        same("HTTP/2", &body, &exchange_h2(gate.address, request).unwrap().expect(200).body);
    }
    // The connection is as good as new afterwards.
    let mut kept = Connection::open(gate.address);
    for _ in 0..3 {
        same("kept", &body, &kept.ask(&gate.get(DOWN).bearer(&token)).expect(200).body);
        kept.ask(&gate.get(DOWN)).expect_refusal(401);
    }
}
