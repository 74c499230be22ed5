//! How many requests one connection may bring.

use http::Request;

use super::gate;
use crate::support::{Connection, exchange_h2};

#[test]
fn the_last_answer_of_a_connection_says_so_and_it_closes() {
    let gate = gate(&[("limits.max_requests_per_connection", "3")]);
    let mut line = Connection::open(gate.address);
    for _ in 0..2 {
        let answer = line.ask(&gate.get("/health"));
        assert_eq!((answer.status, answer.header("connection")), (200, None));
    }
    let last = line.ask(&gate.get("/health"));
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    assert!(line.rest().is_empty());
}

#[test]
fn pipelined_requests_beyond_it_are_not_answered() {
    let gate = gate(&[("limits.max_requests_per_connection", "2")]);
    let mut line = Connection::open(gate.address);
    line.write(&gate.get("/health").raw().repeat(4));
    assert_eq!(line.read().unwrap().status, 200);
    assert_eq!(line.read().unwrap().header("connection"), Some("close"));
    assert!(line.rest().is_empty());
}

#[test]
fn a_connection_of_http2_is_told_to_go_away_and_its_request_is_answered() {
    let gate = gate(&[("limits.max_requests_per_connection", "1")]);
    let request = || Request::get(format!("http://{}/health", gate.address)).body(&b""[..]).unwrap();
    assert_eq!(exchange_h2(gate.address, request()).unwrap().status, 200);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(gate.address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let closed = tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let request = Request::get(format!("http://{}/health", gate.address)).body(()).unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        // Nobody but the gate ends it.
        closed.await.unwrap().unwrap();
    });
}
