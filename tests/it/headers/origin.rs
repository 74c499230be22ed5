//! Where a request came from: the gate's word, unless a trusted proxy has one.

use super::{calls, read_loosely};
use crate::support::{Call, Seen, Start, Upstream};

const LIES: [(&str, &str); 14] = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Forwarded-For", "6.6.6.7"),
    ("x_forwarded_for", "6.6.6.6"),
    ("X-Forwarded-Proto", "gopher"),
    ("X_Forwarded-Proto", "gopher"),
    ("X-Forwarded-Host", "evil.example"),
    ("x_forwarded_host", "evil.example"),
    ("X-Forwarded-Port", "666"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Forwarded-Server", "evil.example"),
    ("X-Real-IP", "6.6.6.6"),
    ("x_real_ip", "6.6.6.6"),
    ("Forwarded", "for=6.6.6.6;host=evil.example;proto=gopher"),
    ("X-Request-Id", "evil"),
];

fn lying(call: Call) -> Call {
    LIES.iter().fold(call, |call, (name, value)| call.header(name, value))
}

/// Address, scheme and host, as the upstream reads them: without a word on it, `Host` is the host.
#[track_caller]
fn told(name: &str, seen: &Seen) -> [String; 3] {
    let value = |header: &str| seen.header(header).unwrap_or_else(|| panic!("{name}: no {header}")).to_owned();
    let host = seen.header("x-forwarded-host").map_or_else(|| value("host"), String::from);
    [value("x-forwarded-for"), value("x-forwarded-proto"), host]
}

#[test]
fn what_a_stranger_says_of_its_origin_is_replaced() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    for (name, call) in calls(&gate, &token) {
        let answer = lying(call).send().expect(200);
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(told(name, &seen), ["127.0.0.1", "http", &gate.address.to_string()], "{name}");
        // The request's id is random, and may hold any of these by chance.
        for (header, value) in seen.headers.iter().filter(|(header, _)| header != "x-request-id") {
            let lie = ["6.6.6", "gopher", "evil", "666"].iter().any(|lie| value.contains(lie));
            assert!(!lie, "{name}: {header}: {value}");
            assert!(!["forwarded", "x-real-ip"].contains(&&*read_loosely(header)), "{name}: {header}: {value}");
        }
        // The id is the gate's own, so that its log and the upstream's can be joined.
        let id = seen.header("x-request-id").expect("a request id");
        assert_ne!(id, "evil", "{name}");
        assert_ne!(answer.header("x-request-id"), Some("evil"), "{name}");
        gate.wait_for_log(id);
    }
}

#[test]
fn a_trusted_proxys_word_is_kept_and_added_to() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).set("server.trusted_proxies", "127.0.0.0/8").start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    for (name, call) in calls(&gate, &token) {
        let proxied = call
            .header("X-Forwarded-For", "198.51.100.7")
            .header("X-Forwarded-For", "10.1.1.1, 10.1.1.2")
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Host", "sms.example");
        proxied.send().expect(200);
        let seen = upstream.seen().pop().unwrap();
        let expected = ["198.51.100.7, 10.1.1.1, 10.1.1.2, 127.0.0.1", "https", "sms.example"];
        assert_eq!(told(name, &seen), expected, "{name}");
    }
    // What it does not say, the gate says.
    for (name, call) in calls(&gate, &token) {
        call.send().expect(200);
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(told(name, &seen), ["127.0.0.1", "http", &gate.address.to_string()], "{name}");
    }
    // Trust is about the way, not about who is let in.
    for (name, call) in calls(&gate, &token) {
        call.header("X-Auth-Subject", "mallory").header("x_forwarded_for", "6.6.6.6").send().expect(200);
        let seen = upstream.seen().pop().unwrap();
        assert!(seen.headers.iter().all(|(_, value)| value != "mallory" && value != "6.6.6.6"), "{name}");
    }
}

#[test]
fn another_proxys_trust_is_not_ours() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).set("server.trusted_proxies", "10.0.0.0/8,127.0.0.2,::1").start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    for (name, call) in calls(&gate, &token) {
        lying(call).send().expect(200);
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(told(name, &seen), ["127.0.0.1", "http", &gate.address.to_string()], "{name}");
    }
}
