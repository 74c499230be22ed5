//! What lasts, and what is large, under TLS.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::ext::Protocol;
use http::{Method, Request};
use tokio_rustls::TlsConnector;

use super::{Authority, Client, Pair, authority};
use crate::support::{Gate, Leg, Scripted, Start};

const ROUTES: &str = "[[route]]\npath = '/open'\naccess = 'public'\n";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                        sec-websocket-accept: ";

fn stage(change: impl FnOnce(Start) -> Start) -> (Scripted, Authority, Gate) {
    let (upstream, authority) = (Scripted::start(), authority("streams"));
    let start = Start::before(upstream.address).set("tls.certificate", "tls.crt").set("tls.key", "tls.key");
    Pair::new(&authority, &["localhost"]).write(start.path(), "tls");
    let gate = change(start.config_file(ROUTES)).start();
    (upstream, authority, gate)
}

/// Consents to a WebSocket.
fn consent(leg: &mut Leg) {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    use base64::Engine;
    let head = leg.head();
    let salted = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", head.all("sec-websocket-key")[0]);
    let proof = base64::engine::general_purpose::STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, salted.as_bytes()));
    leg.send(format!("{SWITCHED}{proof}\r\n\r\n"));
}

#[test]
fn a_websocket_goes_over_http1() {
    let (upstream, authority, gate) = stage(|start| start);
    let mut line = Client::new(&authority).connect(gate.address, "localhost").unwrap();
    let wish = format!(
        "GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    );
    line.write_all(wish.as_bytes()).unwrap();
    let mut leg = upstream.accept();
    consent(&mut leg);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        line.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    // More than any buffer on the way holds.
    let bulk: Vec<u8> = (0..4u32 << 20).map(|n| (n % 251) as u8).collect();
    let (sent, mut writer) = (bulk.clone(), leg.writer());
    let sending = thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut got = vec![0; bulk.len()];
    line.read_exact(&mut got).unwrap();
    sending.join().unwrap();
    assert!(got == bulk);
    line.write_all(&bulk[..1 << 16]).unwrap();
    assert!(leg.take(1 << 16) == bulk[..1 << 16]);
    // The client says that it has no more, as TLS has it; the upstream answers and ends, too.
    line.conn.send_close_notify();
    line.flush().unwrap();
    assert_eq!(leg.rest(), b"");
    leg.send("last");
    leg.end();
    let mut rest = Vec::new();
    line.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"last");
}

#[test]
fn a_websocket_goes_over_http2() {
    let (upstream, authority, gate) = stage(|start| start);
    let config = Client { alpn: &["h2"], ..Client::new(&authority) }.config();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(gate.address).await.unwrap();
        let stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let (send, mut connection) = h2::client::handshake(stream).await.unwrap();
        let mut ping = connection.ping_pong().unwrap();
        tokio::spawn(connection);
        // Behind the settings, which say that there are WebSockets.
        ping.ping(h2::Ping::opaque()).await.unwrap();
        let mut request = Request::builder().method(Method::CONNECT).uri("https://localhost/open");
        request = request.header("sec-websocket-version", "13");
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let playing = tokio::task::spawn_blocking(move || {
            let mut leg = upstream.accept();
            consent(&mut leg);
            assert_eq!(leg.take(4), b"ping");
            leg.send("pong");
            leg.end();
            assert_eq!(leg.rest(), b"");
        });
        let (answer, mut upload) = send.ready().await.unwrap().send_request(request, false).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        upload.send_data(Bytes::from_static(b"ping"), false).unwrap();
        let mut download = answer.into_body();
        assert_eq!(download.data().await.unwrap().unwrap(), "pong");
        upload.send_data(Bytes::new(), true).unwrap();
        assert!(download.data().await.is_none_or(|piece| piece.unwrap().is_empty()));
        playing.await.unwrap();
    });
}

#[test]
fn who_does_not_read_is_given_up_and_holds_little() {
    let (upstream, authority, gate) = stage(|start| start.set("limits.stall_timeout", "1s"));
    let mut line = Client::new(&authority).connect(gate.address, "localhost").unwrap();
    line.write_all(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut leg = upstream.accept();
    leg.head();
    let before = gate.memory();
    leg.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
    let begun = Instant::now();
    leg.send_until_closed();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(gate.memory() < before + (4 << 20), "{} before, {} after", before, gate.memory());
}

#[test]
fn a_body_that_breaks_off_does_not_end_as_if_it_were_whole() {
    let (upstream, authority, gate) = stage(|start| start);
    let mut line = Client::new(&authority).connect(gate.address, "localhost").unwrap();
    // To HTTP/1.0 the connection's end is the body's.
    line.write_all(b"GET /open HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut leg = upstream.accept();
    leg.head();
    leg.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    leg.reset();
    let mut answer = Vec::new();
    let error = line.read_to_end(&mut answer).expect_err("no close_notify");
    assert!(answer.is_empty() || answer.ends_with(b"hello"), "{error}: {}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_drain_answers_who_has_just_shaken_hands_and_says_goodbye() {
    let (upstream, authority, mut gate) = stage(|start| start);
    let mut fresh = Client::new(&authority).connect(gate.address, "localhost").unwrap();
    // It is known here that the gate has ended the handshake, too: it has sent tickets.
    fresh.sock.peek(&mut [0]).unwrap();
    gate.signal("TERM");
    gate.wait_for_log("draining");
    fresh.write_all(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut leg = upstream.accept();
    leg.head();
    leg.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let mut answer = Vec::new();
    fresh.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close"), "{answer}");
    drop(leg);
    assert_eq!(gate.wait().code(), Some(0));
}
