//! What lasts ends with the token of another issuer: it has no session that could vouch for it.

use super::provider::{Key, Reply};
use super::{before, good, one, table_of};
use crate::support::forge::with;
use crate::support::{Connection, Gate, Upstream};

/// An upstream that begins a stream of events and leaves it open.
fn events() -> Upstream {
    Upstream::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n".to_vec())
}

#[track_caller]
fn listen(gate: &Gate, token: &str) -> Connection {
    let mut client = Connection::open(gate.address);
    client.write(&gate.get("/read").bearer(token).raw());
    assert!(client.until(b"\r\n\r\n").starts_with(b"HTTP/1.1 200 OK\r\n"));
    client.until(b"data: 1\n\n\r\n");
    client
}

#[test]
fn a_stream_ends_when_the_token_has_expired() {
    let (provider, key) = one("ES256");
    let upstream = events();
    let gate = before(&upstream, &table_of(&provider, "")).set("token.leeway", "0s").start();
    gate.wait_for_log("the keys of an issuer are known");
    let claims = good(&provider);
    let mut short = listen(&gate, &key.token(&with(&claims, "exp", claims["iat"].as_u64().unwrap() + 3)));
    let mut long = listen(&gate, &key.token(&claims));
    assert_eq!(short.rest(), b"");
    long.expect_silence();
}

#[test]
fn a_stream_ends_when_the_key_is_gone_and_no_other_does() {
    let (provider, old) = one("ES256");
    let new = Key::new("second", "EdDSA");
    provider.reply(Reply::keys(&[&old, &new]));
    let upstream = events();
    let gate = before(&upstream, &table_of(&provider, "refresh_interval = '1s'")).start();
    gate.wait_for_log("the keys of an issuer are known");
    let mut gone = listen(&gate, &old.token(&good(&provider)));
    let mut kept = listen(&gate, &new.token(&good(&provider)));
    provider.reply(Reply::keys(&[&new]));
    assert_eq!(gone.rest(), b"");
    kept.expect_silence();
}
