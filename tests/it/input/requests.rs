//! Requests that are too large, too slow, or wait to be asked.

use super::{Desk, REFRESH, TOKEN};
use crate::support::{Call, Connection};

const ISSUE: &str = r#"{"scopes":["messages:list"]}"#;

/// The head of a request without the length that its body would give it.
fn head(call: &Call, more: &str) -> Vec<u8> {
    let raw = call.raw();
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    [&raw[..end], b"\r\n", more.as_bytes(), b"\r\n\r\n"].concat()
}

#[test]
fn a_body_too_large_is_refused_however_it_is_framed() {
    let desk = Desk::new();
    let pair = desk.send(&desk.sign_in().body(ISSUE)).expect(201);
    let refresh = pair.field("refresh_token");
    let megabyte = vec![b' '; 1 << 20];
    let mut chunked = Vec::new();
    for chunk in megabyte.chunks(16 * 1024) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    for call in [desk.sign_in(), desk.post(REFRESH).bearer(&refresh)] {
        let raw = [head(&call, "Transfer-Encoding: chunked"), chunked.clone()].concat();
        crate::support::exchange(desk.gate.address, &raw).expect_refusal(413);
        // A length that is only claimed is enough: nobody waits for the rest.
        let mut claimed = Connection::open(desk.gate.address);
        claimed.write(&head(&call, "Content-Length: 1048576"));
        claimed.write(&megabyte[..70_000]);
        claimed.read().expect("an answer").expect_refusal(413);
        desk.refused("with its length", &call.body(megabyte.clone()), 413);
    }
    // One byte decides: 64 KiB pass.
    let padded = |length: usize| format!("{}{ISSUE}", " ".repeat(length - ISSUE.len()));
    desk.send(&desk.sign_in().body(padded(64 * 1024))).expect(201);
    desk.refused("64 KiB and a byte", &desk.sign_in().body(padded(64 * 1024 + 1)), 413);
    // The refresh token was not used up by what was refused.
    desk.send(&desk.post(REFRESH).bearer(&refresh)).expect(200);
    desk.unharmed();
}

#[test]
fn a_body_too_slow_is_cut() {
    let desk = Desk::with(|start| start.set("limits.header_timeout", "300ms"));
    let pair = desk.send(&desk.sign_in().body(ISSUE)).expect(201);
    for call in [desk.sign_in(), desk.post(REFRESH).bearer(&pair.field("refresh_token"))] {
        for more in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
            let mut slow = Connection::open(desk.gate.address);
            slow.write(&head(&call, more));
            let start = std::time::Instant::now();
            slow.read().expect("an answer").expect_refusal(408);
            assert!(start.elapsed().as_secs() < 10, "{more}");
        }
    }
    desk.unharmed();
}

#[test]
fn a_body_that_breaks_off_begins_no_session() {
    let desk = Desk::new();
    let before = sessions(&desk);
    for (more, body) in [
        ("Content-Length: 100", ISSUE.to_owned()),
        ("Transfer-Encoding: chunked", format!("{:x}\r\n{ISSUE}\r\n", ISSUE.len())),
    ] {
        let mut broken = Connection::open(desk.gate.address);
        broken.write(&head(&desk.sign_in(), more));
        broken.write(body.as_bytes());
        broken.end();
        // Refused if anybody is still there to hear it, but never granted.
        if let Some(answer) = broken.read() {
            answer.expect_refusal(400);
        }
    }
    for chunks in ["zz\r\n", "-1\r\n", "5\r\nabc\r\n0\r\n\r\n", "ffffffffffffffffff\r\n", "\r\n"] {
        let mut broken = Connection::open(desk.gate.address);
        broken.write(&head(&desk.sign_in(), "Transfer-Encoding: chunked"));
        broken.write(chunks.as_bytes());
        broken.end();
        if let Some(answer) = broken.read() {
            assert_eq!(answer.status, 400, "{chunks:?}: {}", answer.text());
        }
    }
    assert_eq!(sessions(&desk), before);
    desk.unharmed();
}

fn sessions(desk: &Desk) -> usize {
    let list = desk.send(&desk.gate.get(super::SESSIONS).basic("alice", "wonderland")).expect(200);
    list.json().as_array().unwrap().len()
}

#[test]
fn a_client_that_waits_to_be_asked_is_asked_only_if_it_is_let_in() {
    let desk = Desk::new();
    let expecting = format!("Expect: 100-continue\r\nContent-Length: {}", ISSUE.len());
    let mut client = Connection::open(desk.gate.address);
    client.write(&head(&desk.sign_in(), &expecting));
    assert_eq!(client.read_any().expect("an interim answer").status, 100);
    client.write(ISSUE.as_bytes());
    client.read().expect("an answer").expect(201);

    let mut stranger = Connection::open(desk.gate.address);
    stranger.write(&head(&desk.post(TOKEN).basic("alice", "wrong"), &expecting));
    stranger.read_any().expect("an answer").expect_refusal(401);
    desk.unharmed();
}
