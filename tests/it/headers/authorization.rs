//! What the upstream gets to know the caller by, in each mode.

use super::{JUDGED, PASSTHROUGH, PUBLIC};
use crate::support::{Gate, Start, Upstream};

/// Z2F0ZTpob3VzZQ== is the gate's account; the others are the clients' own.
const HOUSE: &str = "Basic Z2F0ZTpob3VzZQ==";
const BOB: &str = "Basic Ym9iOmJ1aWxkZXI=";

#[track_caller]
fn sent_on(upstream: &Upstream, gate: &Gate, target: &str, authorization: &str) -> Option<String> {
    gate.get(target).header("Authorization", authorization).send().expect(200);
    upstream.seen().pop().unwrap().header("authorization").map(String::from)
}

/// What goes through of a token, of a password, and of either on the routes that demand nothing.
#[track_caller]
fn mode(start: Start, upstream: &Upstream, by_token: impl Fn(&str) -> Option<String>, by_password: Option<&str>) {
    let gate = start.start();
    let token = format!("Bearer {}", gate.sign_in("bob", "builder", &["messages:read"]).field("access_token"));
    let one = "/3rdparty/v1/messages/1";
    assert_eq!(sent_on(upstream, &gate, one, &token), by_token(&token), "by token");
    assert_eq!(sent_on(upstream, &gate, one, BOB).as_deref(), by_password, "by password");
    for own in [&*token, BOB, "Bearer opaque", "Code 123456", "x"] {
        assert_eq!(sent_on(upstream, &gate, PUBLIC, own), None, "on a public route: {own}");
        assert_eq!(sent_on(upstream, &gate, PASSTHROUGH, own).as_deref(), Some(own), "handed through");
    }
}

#[test]
fn strip_keeps_credentials_from_the_upstream() {
    let upstream = Upstream::start();
    mode(Start::before(upstream.address), &upstream, |_| None, None);
    let upstream = Upstream::start();
    mode(Start::before(upstream.address).set("upstream.credentials", "strip"), &upstream, |_| None, None);
}

#[test]
fn bearer_hands_on_the_token_and_nothing_else() {
    let upstream = Upstream::start();
    let start = Start::before(upstream.address).set("upstream.credentials", "bearer");
    // A password is for the gate alone: it is no access token.
    mode(start, &upstream, |token| Some(token.to_owned()), None);
}

#[test]
fn basic_is_the_gates_own_account_whoever_calls() {
    let upstream = Upstream::start();
    let start = Start::before(upstream.address)
        .set("upstream.credentials", "basic")
        .set("upstream.username", "gate")
        .set("upstream.password", "house");
    mode(start, &upstream, |_| Some(HOUSE.into()), Some(HOUSE));
}

#[test]
fn the_gates_account_cannot_be_nominated_away() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address)
        .set("upstream.credentials", "basic")
        .set("upstream.username", "gate")
        .set("upstream.password", "house")
        .start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    gate.get(JUDGED).bearer(&token).header("Connection", "Authorization").send().expect(200);
    assert_eq!(upstream.only().header("authorization"), Some(HOUSE));
    for line in gate.whole_log() {
        assert!(!line.contains("house"), "{line}");
    }
}
