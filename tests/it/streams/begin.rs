//! How a tunnel begins over HTTP/1.1, and what begins none.

use super::{ACCEPT, KEY, PATH, SWITCHED, Stage, alive, wish};
use crate::support::{Call, Connection, Start, Upstream, until};

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

#[test]
fn a_websocket_is_judged_like_any_request_and_begins_with_the_upstreams_101() {
    let stage = Stage::new();
    stage.gate.get(PATH).send().expect_refusal(401);
    wish(stage.gate.get(PATH)).send().expect_refusal(401);
    let weak = stage.gate.alice(&["messages:send"]);
    stage.wish(&weak.field("access_token")).send().expect_refusal(403);
    stage.upstream.expect_nobody();

    let pair = stage.pair();
    let mut client = Connection::open(stage.gate.address);
    client.write(&stage.wish(&pair.field("access_token")).raw());
    let mut leg = stage.upstream.accept();
    let seen = leg.head();
    for (name, value) in [
        ("connection", Some("upgrade")),
        ("upgrade", Some("websocket")),
        ("sec-websocket-key", Some(KEY)),
        ("sec-websocket-version", Some("13")),
        ("sec-websocket-protocol", Some("chat")),
        ("x-auth-subject", Some("alice")),
        ("authorization", None),
    ] {
        assert_eq!(seen.header(name), value, "{name}");
    }
    // What the upstream says right behind its consent comes first.
    leg.send(format!("{SWITCHED}hello"));
    let answer = client.read_any().expect("an answer").expect(101);
    for (name, value) in [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", ACCEPT)] {
        assert_eq!(answer.header(name), Some(value));
    }
    for absent in ["content-length", "transfer-encoding", "x-portcullis"] {
        assert_eq!(answer.header(absent), None);
    }
    assert_eq!(client.take(5), b"hello");
    for _ in 0..100 {
        alive(&mut client, &mut leg);
    }
}

#[test]
fn no_byte_of_the_tunnel_reaches_the_upstream_before_its_consent() {
    let stage = Stage::new();
    let token = stage.pair().field("access_token");
    let mut client = Connection::open(stage.gate.address);
    client.write(&[stage.wish(&token).raw(), b"early".to_vec()].concat());
    let mut leg = stage.upstream.accept();
    leg.head();
    client.write(b" and more");
    leg.expect_silence();
    leg.send(SWITCHED);
    client.read_any().expect("an answer").expect(101);
    assert_eq!(leg.take(14), b"early and more");
    alive(&mut client, &mut leg);
}

#[test]
fn bytes_that_come_before_the_consent_are_bounded() {
    let stage = Stage::new();
    let token = stage.pair().field("access_token");
    let mut client = Connection::open(stage.gate.address);
    client.write(&stage.wish(&token).raw());
    let mut leg = stage.upstream.accept();
    leg.head();
    let before = stage.gate.memory();
    // The sockets hold some, the gate next to nothing.
    assert!(client.offer(64 << 20) < 32 << 20);
    assert!(stage.gate.memory() < before + (8 << 20));
    leg.expect_silence();
}

#[test]
fn any_other_answer_is_an_ordinary_one_and_what_follows_is_a_request() {
    for (status, body) in [("200 OK", "fine"), ("403 Forbidden", "none"), ("426 Upgrade Required", ""), ("500 Oh", "x")]
    {
        let stage = Stage::new();
        let token = stage.pair().field("access_token");
        let mut client = Connection::open(stage.gate.address);
        // Bytes that would be the tunnel's are judged as the request that they are now.
        client.write(&[stage.wish(&token).raw(), stage.gate.get(PATH).raw()].concat());
        let mut leg = stage.upstream.accept();
        leg.head();
        leg.send(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        let answer = client.read().expect("an answer").expect(status[..3].parse().unwrap());
        assert_eq!(answer.text(), body);
        client.read().expect("an answer").expect_refusal(401);
        leg.expect_silence();
        // The connection to the upstream is as good as before.
        client.write(&stage.gate.get(PATH).bearer(&token).raw());
        assert_eq!(leg.head().header("upgrade"), None);
        leg.send(FINE);
        assert_eq!(client.read().expect("an answer").expect(200).text(), "fine");
    }
}

/// What is sent on has no word of an upgrade, and a 101 to it is none.
#[track_caller]
fn not_offered(stage: &Stage, name: &str, call: &Call) {
    let mut client = Connection::open(stage.gate.address);
    client.write(&call.raw());
    let mut leg = stage.upstream.accept();
    let seen = leg.request();
    for field in ["connection", "upgrade", "http2-settings"] {
        assert_eq!(seen.header(field), None, "{name}");
    }
    leg.send(format!("{SWITCHED}smuggled"));
    client.read().expect("an answer").expect_refusal(502);
    leg.closed();
}

#[test]
fn what_is_not_offered_is_an_ordinary_request_and_a_101_to_it_is_nonsense() {
    let stage = Stage::new();
    let token = stage.pair().field("access_token");
    let get = || stage.gate.get(PATH).bearer(&token);
    let upgrade = |protocol: &str| get().header("Connection", "Upgrade").header("Upgrade", protocol);
    for (name, call) in [
        ("nothing asked for", get()),
        ("another protocol", upgrade("chat/2")),
        ("h2c", upgrade("h2c").header("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")),
        ("h2c, nominated", get().header("Connection", "Upgrade, HTTP2-Settings").header("Upgrade", "h2c")),
        ("TLS", upgrade("TLS/1.0")),
        ("not nominated", get().header("Upgrade", "websocket")),
        ("nominated alone", get().header("Connection", "Upgrade")),
        ("with a body", stage.wish(&token).body("body")),
    ] {
        not_offered(&stage, name, &call);
    }
    let sender = stage.gate.alice(&["messages:send"]).field("access_token");
    not_offered(&stage, "not a GET", &wish(stage.gate.post(PATH)).bearer(&sender));
    let closed = Stage::with(|start| start.env("PORTCULLIS_UPSTREAM__UPGRADES", "[]"));
    let token = closed.pair().field("access_token");
    not_offered(&closed, "switched off", &closed.wish(&token));
}

#[test]
fn of_several_protocols_the_one_that_is_allowed_is_offered() {
    let stage = Stage::new();
    let token = stage.pair().field("access_token");
    let mut client = Connection::open(stage.gate.address);
    let call = stage.gate.get(PATH).bearer(&token).header("Connection", "upgrade");
    client.write(&call.header("Upgrade", "h2c, WebSocket").raw());
    let mut leg = stage.upstream.accept();
    assert_eq!(leg.head().header("upgrade"), Some("websocket"));
    leg.send(SWITCHED);
    client.read_any().expect("an answer").expect(101);
    alive(&mut client, &mut leg);
}

#[test]
fn another_protocol_that_the_operator_names_is_a_tunnel_too() {
    let stage = Stage::with(|start| start.env("PORTCULLIS_UPSTREAM__UPGRADES", "[\"SPDY/3.1\"]"));
    let token = stage.gate.alice(&["messages:send"]).field("access_token");
    let mut client = Connection::open(stage.gate.address);
    let call = stage.gate.post(PATH).bearer(&token).header("Connection", "upgrade").header("Upgrade", "spdy/3.1");
    client.write(&call.raw());
    let mut leg = stage.upstream.accept();
    assert_eq!(leg.head().header("upgrade"), Some("SPDY/3.1"));
    leg.send("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n");
    client.read_any().expect("an answer").expect(101);
    alive(&mut client, &mut leg);
}

#[test]
fn consent_to_something_else_is_none() {
    for answer in [
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket, chat\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.0 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
    ] {
        let stage = Stage::new();
        let token = stage.pair().field("access_token");
        let mut client = Connection::open(stage.gate.address);
        client.write(&stage.wish(&token).raw());
        let mut leg = stage.upstream.accept();
        leg.head();
        leg.send(answer);
        client.read().unwrap_or_else(|| panic!("no answer: {answer}")).expect_refusal(502);
        leg.closed();
        client.write(&stage.gate.get(PATH).raw());
        client.read().expect("an answer").expect_refusal(401);
    }
}

#[test]
fn an_upstream_that_never_consents_is_given_up() {
    let stage = Stage::with(|start| start.set("upstream.first_byte_timeout", "200ms"));
    let token = stage.pair().field("access_token");
    let mut client = Connection::open(stage.gate.address);
    client.write(&stage.wish(&token).raw());
    let mut leg = stage.upstream.accept();
    leg.head();
    client.read().expect("an answer").expect_refusal(504);
    leg.closed();
}

#[test]
fn the_last_request_of_a_connection_may_become_a_tunnel() {
    let stage = Stage::with(|start| start.set("limits.max_requests_per_connection", "1"));
    let (mut client, mut leg) = stage.tunnel(&stage.pair());
    alive(&mut client, &mut leg);
}

#[test]
fn there_are_no_more_tunnels_than_allowed() {
    let upstream = Upstream::answering(|_| SWITCHED.into());
    let gate = Start::before(upstream.address).set("limits.max_tunnels", "1").start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    let ask = || {
        let mut client = Connection::open(gate.address);
        client.write(&wish(gate.get(PATH)).bearer(&token).raw());
        (client.read_any().expect("an answer"), client)
    };
    let (answer, client) = ask();
    answer.expect(101);
    let refused = ask().0.expect_refusal(503);
    assert!(refused.header("retry-after").is_some());
    gate.get(PATH).bearer(&token).send().expect_refusal(502);
    drop(client);
    until("the place to be free", || (ask().0.status == 101).then_some(()));
}
