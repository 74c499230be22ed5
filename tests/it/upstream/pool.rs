//! Connections to the upstream: kept as long as they are good, and no longer.

use super::{FINE, OPEN, Stage, answers, named};
use crate::support::{Connection, Leg};

/// Clients whose requests are all at the upstream, each over a connection of its own.
#[track_caller]
fn at_once(stage: &Stage, number: usize) -> Vec<(Connection, Leg)> {
    let begin = |n: usize| {
        let mut client = stage.client();
        client.write(&stage.get(&n.to_string()).raw());
        let mut leg = stage.upstream.accept();
        assert_eq!(leg.request().target, named(&n.to_string()));
        (client, leg)
    };
    (0..number).map(begin).collect()
}

#[test]
fn requests_one_after_the_other_share_a_connection() {
    let stage = Stage::new();
    let (mut client, mut leg) = stage.kept();
    for (method, fields) in [
        ("GET", "content-length: 5\r\n\r\nhello"),
        ("GET", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"),
        ("GET", "connection: keep-alive\r\ncontent-length: 0\r\n\r\n"),
        ("POST", "content-length: 5\r\n\r\nhello"),
    ] {
        client.write(&stage.gate.call(method, OPEN).body("some body").raw());
        leg.request();
        leg.send(format!("HTTP/1.1 200 OK\r\n{fields}"));
        client.read().expect("an answer").expect(200);
        // Those of other clients, too.
        let mut other = stage.client();
        other.write(&stage.get("other").raw());
        answers(&mut leg, &mut other, "other");
    }
    stage.upstream.expect_nobody();
}

#[test]
fn an_upstream_that_means_to_close_is_believed() {
    let stage = Stage::new();
    for head in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\n",
        "HTTP/1.1 200 OK\r\nConnection: x-hop, Close\r\n",
        "HTTP/1.1 200 OK\r\nconnection: x-hop\r\nconnection: close\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n",
    ] {
        let mut client = stage.client();
        client.write(&stage.gate.get(OPEN).raw());
        let mut leg = stage.upstream.accept();
        leg.request();
        leg.send(format!("{head}content-length: 5\r\n\r\nhello"));
        let answer = client.read().expect("an answer").expect(200);
        // That is between the gate and its upstream.
        assert_eq!((answer.text().as_str(), answer.header("connection")), ("hello", None), "{head}");
        leg.closed();
        client.write(&stage.get("next").raw());
        answers(&mut stage.upstream.accept(), &mut client, "next");
    }
}

#[test]
fn requests_at_once_have_a_connection_each() {
    let stage = Stage::with(|start| start.set("limits.upstream_idle_connections", "2"));
    let mut pairs = at_once(&stage, 4);
    // Answered in another order than they came, each client still gets its own.
    for (n, (client, leg)) in pairs.iter_mut().enumerate().rev() {
        leg.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{n}"));
        assert_eq!(client.read().expect("an answer").expect(200).text(), n.to_string());
    }
    // Two are kept, and the one that was used last is used first.
    let (mut clients, mut legs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    legs.drain(..2).for_each(|leg| assert!(leg.closed().is_empty()));
    clients[0].write(&stage.get("next").raw());
    answers(&mut legs[0], &mut clients[0], "next");
    stage.upstream.expect_nobody();
}

#[test]
fn a_client_that_goes_away_takes_its_connection_with_it() {
    let stage = Stage::new();
    for said in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
    ] {
        let mut client = stage.client();
        client.write(&stage.gate.get(OPEN).raw());
        let mut leg = stage.upstream.accept();
        leg.request();
        leg.send(said);
        if said.contains("hello") {
            client.take(20);
        }
        drop(client);
        assert!(leg.closed().is_empty(), "{said:?}");
    }
    stage.recovers();
}

#[test]
fn a_connection_that_nobody_uses_is_closed() {
    let stage = Stage::with(|start| start.set("upstream.keepalive", "200ms"));
    let (mut client, leg) = stage.kept();
    assert!(leg.closed().is_empty());
    client.write(&stage.get("next").raw());
    answers(&mut stage.upstream.accept(), &mut client, "next");
}

#[test]
fn where_none_are_kept_each_request_has_its_own() {
    for (key, value) in [("upstream.keepalive", "0s"), ("limits.upstream_idle_connections", "0")] {
        let stage = Stage::with(|start| start.set(key, value));
        let mut client = stage.client();
        for _ in 0..3 {
            client.write(&stage.gate.get(OPEN).raw());
            let mut leg = stage.upstream.accept();
            leg.request();
            leg.send(FINE);
            client.read().expect("an answer").expect(200);
            assert!(leg.closed().is_empty(), "{key}");
        }
    }
}
