//! Told to end with time to leave: clients go before the port is closed.

use std::thread;
use std::time::Duration;

use super::traffic::{Traffic, is_closed, token};
use super::{LIST, gate, lively_upstream, start};
use crate::admin::ask;
use crate::support::{Connection, Upstream, until};

#[test]
fn clients_that_keep_connections_leave_in_time_and_no_request_fails() {
    let mut gate = gate(lively_upstream(), "[server]\ndrain_delay = \"1s\"\n");
    let token = token(&gate.alice(&["messages:list"]));
    let mut traffic = Traffic::new();
    for _ in 0..8 {
        traffic.kept(gate.address, &token);
        traffic.multiplexed(gate.address, &token);
    }
    until("traffic", || (traffic.answered() > 500).then_some(()));
    gate.signal("TERM");
    traffic.left();
    assert!(!is_closed(gate.address), "they have gone before that");
    assert_eq!(gate.wait().code(), Some(0));
}

#[test]
fn whoever_comes_while_clients_leave_is_answered_once() {
    let mut gate = start(Upstream::start().address).set("server.drain_delay", "3s").start();
    let pair = gate.alice(&["messages:list"]);
    let call = gate.get(LIST).bearer(&token(&pair));
    let mut idle = Connection::open(gate.address);
    assert_eq!(idle.ask(&call).expect(200).header("connection"), None);
    gate.signal("TERM");
    gate.wait_for_log("draining");
    assert!(ask(&gate, "GET", "/readyz").expect(503).text().contains("draining"));
    for connection in [&mut idle, &mut Connection::open(gate.address)] {
        let answer = until("an answer that says goodbye", || {
            let answer = connection.ask(&call).expect(200);
            (answer.header("connection") == Some("close")).then_some(answer)
        });
        assert_eq!(answer.text(), "{\"ok\":true}");
        assert!(connection.read().is_none());
    }
    gate.refresh(&pair.field("refresh_token")).expect(200);
    assert_eq!(gate.wait().code(), Some(0));
}

#[test]
fn streams_go_on_while_clients_leave() {
    let mut gate = start(lively_upstream()).set("server.drain_delay", "1s").set("server.drain_timeout", "1s").start();
    let token = token(&gate.alice(&["messages:list"]));
    let mut events = Connection::open(gate.address);
    events.write(&gate.get(&format!("{LIST}?events")).bearer(&token).raw());
    events.until(b"data: 3\n\n");
    gate.signal("TERM");
    gate.wait_for_log("draining");
    // Ten milliseconds each: beyond the delay, into the drain.
    events.until(b"data: 120\n\n");
    assert_eq!(gate.wait().code(), Some(0));
}

#[test]
fn told_twice_it_does_not_wait_for_anybody_to_leave() {
    let mut gate = start(Upstream::start().address).set("server.drain_delay", "1h").start();
    gate.signal("TERM");
    gate.wait_for_log("draining");
    thread::park_timeout(Duration::from_millis(50));
    assert!(!is_closed(gate.address));
    gate.signal("TERM");
    assert_eq!(gate.wait().code(), Some(1));
}
