//! The PROXY protocol, from those who may speak it and from those who may not.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use super::gate;
use crate::support::{Connection, Gate, Start, Upstream};

const V1: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x01\x12\x67\0\x50";

/// A gate that accepts it from these, and its upstream.
fn behind(proxies: &str) -> (Gate, Upstream) {
    let upstream = Upstream::start();
    let start = Start::before(upstream.address).set("server.trusted_proxies", proxies);
    (start.set("server.proxy_protocol", "true").start(), upstream)
}

#[test]
fn the_client_is_who_the_preamble_names_for_the_upstream_the_session_and_the_limits() {
    for preamble in [V1, V2] {
        let (gate, upstream) = behind("127.0.0.1");
        let mut line = Connection::open(gate.address);
        line.write(preamble);
        line.write(&gate.get("/health").header("X-Forwarded-For", "198.51.100.66").raw());
        assert_eq!(line.read().unwrap().status, 200);
        // It is no proxy of ours: what it says of others does not count.
        assert_eq!(upstream.only().all("x-forwarded-for"), ["203.0.113.7"]);
        let issue = gate.post("/3rdparty/v1/auth/token").basic("alice", "wonderland");
        let pair = line.ask(&issue.json(&json!({"scopes": ["messages:list"]}))).expect(201);
        let listed = line.ask(&gate.get("/3rdparty/v1/auth/sessions").bearer(&pair.field("access_token")));
        assert_eq!(listed.expect(200).json()[0]["address"], "203.0.113.7");
    }
}

#[test]
fn it_may_come_in_pieces_and_together_with_the_request() {
    let (gate, upstream) = behind("127.0.0.1");
    let request = gate.get("/health").raw();
    let whole = [V2, &request].concat();
    Connection::open(gate.address).write(&whole);
    for cut in [1, 5, 13, V2.len() - 1, V2.len() + 3] {
        let mut stream = TcpStream::connect(gate.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&whole[..cut]).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        stream.write_all(&whole[cut..]).unwrap();
        assert_eq!(Connection::over(stream).read().unwrap().status, 200, "{cut}");
    }
    assert!(upstream.seen().iter().all(|seen| seen.all("x-forwarded-for") == ["203.0.113.7"]));
}

#[test]
fn http2_may_follow_it() {
    let (gate, upstream) = behind("127.0.0.1");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut stream = tokio::net::TcpStream::connect(gate.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, V1).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get(format!("http://{}/health", gate.address)).body(()).unwrap();
        let (answer, _) = client.ready().await.unwrap().send_request(request, true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
    });
    assert_eq!(upstream.only().all("x-forwarded-for"), ["203.0.113.7"]);
}

#[test]
fn a_proxy_that_speaks_for_itself_is_its_own_client() {
    let (gate, upstream) = behind("127.0.0.1");
    let mut line = Connection::open(gate.address);
    line.write(b"PROXY UNKNOWN\r\n");
    line.write(&gate.get("/health").raw());
    assert_eq!(line.read().unwrap().status, 200);
    assert_eq!(upstream.only().all("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn a_proxy_without_a_preamble_is_cut_off() {
    let (gate, upstream) = behind("127.0.0.1");
    for start in [
        gate.get("/health").raw(),
        b"PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n".to_vec(),
        [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat(),
        [&V2[..12], b"\x11\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x01\x12\x67\0\x50"].concat(),
    ] {
        let mut line = Connection::open(gate.address);
        line.write(&start);
        assert!(line.rest().is_empty(), "{}", start.escape_ascii());
    }
    gate.wait_for_log("no PROXY preamble");
    assert!(upstream.seen().is_empty());
}

#[test]
fn from_anybody_else_it_is_not_accepted() {
    for (proxies, on) in [("10.0.0.1", "true"), ("127.0.0.1", "false")] {
        let gate = gate(&[("server.trusted_proxies", proxies), ("server.proxy_protocol", on)]);
        for preamble in [V1, V2] {
            let mut line = Connection::open(gate.address);
            line.write(preamble);
            line.write(&gate.get("/health").raw());
            // To HTTP it is a request line that is none.
            assert_eq!(line.read().map(|answer| answer.status), Some(400), "{proxies} {on}");
        }
        assert_eq!(gate.get("/health").send().status, 200);
    }
}

#[test]
fn a_proxy_that_says_nothing_is_dropped_in_time() {
    let upstream = Upstream::start();
    let start = Start::before(upstream.address).set("server.trusted_proxies", "127.0.0.1");
    let gate = start.set("server.proxy_protocol", "true").set("limits.first_byte_timeout", "300ms").start();
    for start in [&b""[..], b"PROXY TCP4 203"] {
        let mut line = Connection::open(gate.address);
        line.write(start);
        assert!(line.rest().is_empty());
    }
}
