//! How many connections one address may have open.

use std::net::SocketAddr;

use super::gate;
use crate::support::{Connection, Gate, until};

/// Kept open until it is dropped; with an answer on it, so that it is known to be counted.
#[track_caller]
fn connected(gate: &Gate) -> Connection {
    let mut line = Connection::open(gate.address);
    assert_eq!(line.ask(&gate.get("/health")).status, 200);
    line
}

#[track_caller]
fn turned_away(gate: &Gate) {
    let mut line = Connection::open(gate.address);
    let answer = line.read().expect("an answer that says why");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.field("message"), "Too many connections");
    assert!(line.rest().is_empty(), "and no more");
}

#[test]
fn one_address_has_its_share_of_the_connections_and_gets_it_back() {
    let gate = gate(&[("limits.max_connections_per_address", "3")]);
    let mut open: Vec<_> = (0..3).map(|_| connected(&gate)).collect();
    turned_away(&gate);
    assert_eq!(open[0].ask(&gate.get("/health")).status, 200, "those that are there stay");
    drop(open.pop());
    until("a place to be free", || {
        let mut line = Connection::open(gate.address);
        line.write(&gate.get("/health").raw());
        (line.read()?.status == 200).then_some(())
    });
}

#[test]
fn another_address_is_not_held_up() {
    let gate = gate(&[("limits.max_connections_per_address", "1"), ("server.listen", "0.0.0.0:0")]);
    let _open = connected(&gate);
    turned_away(&gate);
    let other = SocketAddr::from(([127, 0, 0, 1], 0));
    let other = socket2::SockAddr::from(SocketAddr::new("127.0.0.2".parse().unwrap(), other.port()));
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&other).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], gate.address.port())).into()).unwrap();
    let mut line = Connection::over(socket.into());
    assert_eq!(line.ask(&gate.get("/health")).status, 200);
}

#[test]
fn trusted_proxies_speak_for_many() {
    let gate = gate(&[("limits.max_connections_per_address", "1"), ("server.trusted_proxies", "127.0.0.0/8")]);
    let _open: Vec<_> = (0..5).map(|_| connected(&gate)).collect();
}

#[test]
fn behind_a_proxy_with_preambles_the_clients_are_counted() {
    let settings = [
        ("limits.max_connections_per_address", "1"),
        ("server.trusted_proxies", "127.0.0.1"),
        ("server.proxy_protocol", "true"),
    ];
    let gate = gate(&settings);
    let connect = |client: &str| {
        let mut line = Connection::open(gate.address);
        line.write(format!("PROXY TCP4 {client} 192.0.2.1 4711 80\r\n").as_bytes());
        line.write(&gate.get("/health").raw());
        let status = line.read().unwrap().status;
        (line, status)
    };
    let first = connect("203.0.113.7");
    assert_eq!(first.1, 200);
    assert_eq!(connect("203.0.113.7").1, 503);
    assert_eq!(connect("203.0.113.8").1, 200);
}

#[test]
fn when_all_connections_are_taken_the_next_one_is_told_so_and_those_that_are_there_stay() {
    let gate = gate(&[("limits.max_connections", "2")]);
    let mut open = [connected(&gate), connected(&gate)];
    turned_away(&gate);
    // Also one that has said what it wants: its answer is not lost with what nobody has read.
    for _ in 0..20 {
        let mut line = Connection::open(gate.address);
        line.write(&gate.get("/health").raw());
        assert!(line.read().is_none_or(|answer| answer.status == 503));
    }
    for line in &mut open {
        assert_eq!(line.ask(&gate.get("/health")).status, 200);
    }
}
