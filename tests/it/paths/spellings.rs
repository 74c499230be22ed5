//! One path in many spellings: judged as one, forwarded in one, and refused where it could be two.

use super::{arrives, stopped};
use crate::support::{Connection, Start, Upstream, exchange};

const SCOPED: &str = "/3rdparty/v1/messages";

#[test]
fn a_variant_is_judged_like_the_path_it_stands_for() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let right = gate.alice(&["messages:list"]).field("access_token");
    let wrong = gate.alice(&["messages:send", "messages:read", "inbox:list"]).field("access_token");
    for (variant, forwarded) in [
        ("/3rdparty/v1/messages", "/3rdparty/v1/messages"),
        ("/3rdparty/v1/messages/", "/3rdparty/v1/messages/"),
        ("/3rdparty/v1/MESSAGES", "/3rdparty/v1/MESSAGES"),
        ("/3RdParty/V1/Messages/", "/3RdParty/V1/Messages/"),
        ("/3rdparty/v1/%6dessages", "/3rdparty/v1/messages"),
        ("/3rdparty/v1/%6D%65%73%73%61%67%65%73", "/3rdparty/v1/messages"),
        ("/%33rdparty/v1/messages", "/3rdparty/v1/messages"),
        ("/3rdparty/v1/%4dessages?q=%6d", "/3rdparty/v1/Messages?q=%6d"),
    ] {
        arrives(&upstream, variant, &gate.get(variant).bearer(&right), forwarded);
        let refusal = stopped(&upstream, variant, &gate.get(variant).bearer(&wrong), 403);
        assert_eq!(refusal.field("message"), "scope required: messages:list", "{variant}");
        stopped(&upstream, variant, &gate.get(variant), 401);
        let absolute = format!("http://{}{variant}", gate.address);
        arrives(&upstream, &absolute, &gate.get(&absolute).bearer(&right), forwarded);
        stopped(&upstream, &absolute, &gate.get(&absolute), 401);
    }
    // An id keeps its spelling, but for escapes that need not be.
    let token = gate.alice(&["messages:read"]).field("access_token");
    for (id, forwarded) in [
        ("Abc-._~9", "Abc-._~9"),
        ("a%20b", "a%20b"),
        ("caf%c3%a9", "caf%C3%A9"),
        ("100%25", "100%25"),
        ("a%3fb%23c", "a%3Fb%23c"),
        ("%61%62", "ab"),
        ("a:b@c!$&'()*+,=", "a:b@c!$&'()*+,="),
    ] {
        let call = gate.get(&format!("{SCOPED}/{id}")).bearer(&token);
        arrives(&upstream, id, &call, &format!("{SCOPED}/{forwarded}"));
    }
}

#[test]
fn a_path_that_could_be_two_is_refused_before_anything_else() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).set("routes.unmatched", "authenticated").start();
    let token = gate.alice(&["all:any"]).field("access_token");
    for suffix in [
        "/messages%2f1",
        "/messages%2F1",
        "/messages%5c1",
        "/messages\\1",
        "/messages/%2e",
        "/messages/%2e%2e/logs",
        "/messages/.",
        "/messages/./1",
        "/messages/../logs",
        "/messages/..",
        "/messages/%2e./logs",
        "/messages/.%2E/logs",
        "//messages",
        "/messages//1",
        "/messages//",
        "/messages/%2f",
        "/messages%252f1",
        "/messages/%252e%252e/logs",
        "/messages%25252f",
        "/messages%00",
        "/messages%0a",
        "/messages%0d%0aX-Evil:1",
        "/messages%7f",
        "/messages%1b",
        "/messages%ff",
        "/messages%c3",
        "/messages%c0%ae",
        "/messages%ed%a0%80",
        "/messages%",
        "/messages%6",
        "/messages%zz",
        "/messages%u006d",
        "/messages;x=1",
        "/messages;/1",
        "/messages/1%3bx",
        "/..;/messages",
        "/messages/..%2flogs",
        "/messages/..%5clogs",
        "/caf\u{e9}",
    ] {
        for prefix in ["/3rdparty/v1", "/mobile/v1", "/health", "/.well-known", ""] {
            let target = format!("{prefix}{suffix}");
            stopped(&upstream, &target, &gate.get(&target).bearer(&token), 400);
            stopped(&upstream, &target, &gate.post(&target), 400);
        }
        let absolute = format!("http://{}{suffix}", gate.address);
        stopped(&upstream, &absolute, &gate.get(&absolute).bearer(&token), 400);
    }
    stopped(&upstream, "*", &gate.call("OPTIONS", "*").bearer(&token), 400);
    // What is not even a request target is refused by the parser, as nobody's request.
    for target in ["/messages/\u{7f}", "/a b", "messages", "", "/<x>", "/\"x\"", "/{x}"] {
        let mut connection = Connection::open(gate.address);
        connection.write(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        connection.end();
        let answer = connection.read();
        assert!(answer.as_ref().is_none_or(|answer| [400, 401].contains(&answer.status)), "{target:?}: {answer:?}");
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}

#[test]
fn a_query_arrives_byte_for_byte() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    for query in [
        "",
        "?",
        "a=1&b=2",
        "a=%2f%2F%6d&b=+%20",
        "a=%zz&b=%",
        "&&==&;;a;b=c",
        "q=../../x&r=//y\\z",
        "q='()*,!$@:/?~",
        "url=http://x/y?z=1%23",
        "a=%00%0d%0a%ff",
        "a=[1]&b={2}|^`",
    ] {
        let target = format!("{SCOPED}?{query}");
        arrives(&upstream, query, &gate.get(&target).bearer(&token), &target);
    }
    let long = format!("{SCOPED}?q={}", "x".repeat(8000));
    arrives(&upstream, "a long one", &gate.get(&long).bearer(&token), &long);
}

#[test]
fn a_fragment_is_never_forwarded() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    for target in ["/3rdparty/v1/messages#x", "/3rdparty/v1/messages?a=b#x", "/3rdparty/v1/messages#/../logs"] {
        let raw = format!("GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
        let answer = exchange(gate.address, raw.as_bytes());
        assert!([200, 400].contains(&answer.status), "{target}: {}", answer.status);
    }
    for seen in upstream.seen() {
        assert!(!seen.target.contains('#') && seen.target.starts_with(SCOPED), "{}", seen.target);
    }
}
