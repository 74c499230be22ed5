//! Each protocol of a client with each of an upstream: the same request and answer, with trailers both ways.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};

use super::{before, wire};
use crate::support::{Answer, Connection, Gate, Scripted, Upstream};

/// What reached the upstream, and what the client had of it.
struct Met {
    method: String,
    path: String,
    host: String,
    body: Vec<u8>,
    trailer: String,
}

/// An upstream of HTTP/2 that answers with what it was asked.
pub fn h2_upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(echo(request, respond));
                    }
                });
            }
        });
    });
    address
}

async fn echo(request: Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let (head, mut upload) = request.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = upload.data().await {
        let piece = piece.unwrap();
        upload.flow_control().release_capacity(piece.len()).unwrap();
        body.extend_from_slice(&piece);
    }
    let trailers = upload.trailers().await.unwrap().unwrap_or_default();
    for forbidden in ["connection", "keep-alive", "host", "x-planted", "transfer-encoding"] {
        assert!(!head.headers.contains_key(forbidden), "{forbidden}");
    }
    assert!(!trailers.contains_key("x-auth-subject") && !trailers.contains_key("authorization"));
    let trailer = trailers.get("x-sum").cloned().unwrap_or(HeaderValue::from_static("none"));
    let answer = Response::builder()
        .header("x-method", head.method.as_str())
        .header("x-path", head.uri.path())
        .header("x-scheme", head.uri.scheme_str().unwrap())
        .header("x-host", head.uri.authority().unwrap().as_str())
        .header("x-portcullis", "denied")
        .header("trailer", "x-sum")
        .body(())
        .unwrap();
    if head.method == Method::HEAD {
        respond.send_response(answer, true).unwrap();
        return;
    }
    let mut stream = respond.send_response(answer, false).unwrap();
    stream.send_data(body.into(), false).unwrap();
    stream.send_trailers(HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), trailer)])).unwrap();
}

/// The same of HTTP/1.1.
fn h1_upstream() -> Upstream {
    Upstream::answering(|seen| {
        let sum = seen.trailers.iter().find(|(name, _)| name == "x-sum").map_or("none", |(_, value)| value);
        let body = String::from_utf8_lossy(&seen.body);
        let (method, path, host) = (&seen.method, &seen.target, seen.header("host").unwrap());
        let head = format!(
            "HTTP/1.1 200 OK\r\nx-method: {method}\r\nx-path: {path}\r\nx-host: {host}\r\nx-portcullis: denied\r\n\
             trailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        if seen.method == "HEAD" {
            return head.into_bytes();
        }
        format!("{head}{:x}\r\n{body}\r\n0\r\nx-sum: {sum}\r\n\r\n", body.len()).into_bytes()
    })
}

fn met(answer: &Answer, trailer: String) -> Met {
    assert_eq!((answer.status, answer.header("x-portcullis")), (200, None));
    let field = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    let (method, path, host) = (field("x-method"), field("x-path"), field("x-host"));
    Met { method, path, host, body: answer.body.clone(), trailer }
}

fn from_h1(gate: &Gate) -> Met {
    let mut client = Connection::open(gate.address);
    client.write(
        b"POST /open/it HTTP/1.1\r\nhost: gate.example\r\nte: trailers\r\nconnection: te, x-planted\r\nx-planted: 1\r\n\
          trailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: five\r\nx-auth-subject: eve\r\n\
          authorization: eve\r\n\r\n",
    );
    let head = client.until(b"\r\n\r\n");
    let body = client.until(b"0\r\nx-sum: ");
    let trailer = client.until(b"\r\n");
    let text = String::from_utf8(head).unwrap();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_default().to_owned()
    };
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert_eq!(field("x-portcullis"), "");
    let body = String::from_utf8(body).unwrap();
    let body = body.strip_prefix("5\r\n").and_then(|body| body.split("\r\n").next()).unwrap().as_bytes().to_vec();
    let trailer = String::from_utf8(trailer).unwrap().trim().to_owned();
    Met { method: field("x-method"), path: field("x-path"), host: field("x-host"), body, trailer }
}

fn from_h2(gate: &Gate) -> Met {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(gate.address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post("http://gate.example/open/it").header("te", "trailers").body(()).unwrap();
        let mut client = client.ready().await.unwrap();
        let (answer, mut upload) = client.send_request(request, false).unwrap();
        upload.send_data(Bytes::from_static(b"hello"), false).unwrap();
        let trailers = [("x-sum", "five"), ("x-auth-subject", "eve"), ("authorization", "eve")]
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        upload.send_trailers(HeaderMap::from_iter(trailers)).unwrap();
        let (head, mut download) = answer.await.unwrap().into_parts();
        let mut body = Vec::new();
        while let Some(piece) = download.data().await {
            body.extend_from_slice(&piece.unwrap());
        }
        let trailers = download.trailers().await.unwrap().unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        met(&Answer { status: head.status.as_u16(), headers, body }, text(&trailers["x-sum"]))
    })
}

#[track_caller]
fn same(met: &Met) {
    assert_eq!((&*met.method, &*met.path, &*met.host), ("POST", "/open/it", "gate.example"));
    assert_eq!((&*met.body, &*met.trailer), (&b"hello"[..], "five"));
}

#[test]
fn from_http1_to_http1() {
    let upstream = h1_upstream();
    same(&from_h1(&before(upstream.address).set("upstream.protocol", "http1").start()));
}

#[test]
fn from_http1_to_http2() {
    same(&from_h1(&before(h2_upstream()).start()));
}

#[test]
fn from_http2_to_http1() {
    let upstream = h1_upstream();
    same(&from_h2(&before(upstream.address).set("upstream.protocol", "auto").start()));
}

#[test]
fn from_http2_to_http2() {
    same(&from_h2(&before(h2_upstream()).start()));
}

#[test]
fn an_answer_to_head_has_no_body_over_http2() {
    let gate = before(h2_upstream()).start();
    let mut client = Connection::open(gate.address);
    client.write(b"HEAD /open/it HTTP/1.1\r\nhost: gate\r\n\r\n");
    let head = String::from_utf8(client.until(b"\r\n\r\n")).unwrap();
    assert!(head.contains("x-method: HEAD\r\n"), "{head}");
    client.expect_silence();
}

#[test]
fn an_interim_answer_is_no_answer() {
    let upstream = Scripted::start();
    let gate = before(upstream.address).start();
    let call = gate.post("/open/it").body("hello");
    let asking = thread::spawn(move || call.send());
    let mut leg = upstream.accept();
    wire::greet(&mut leg, 100);
    let stream = wire::request(&mut leg);
    // `:status: 103`, a literal.
    leg.send(wire::frame(wire::HEADERS, wire::END_HEADERS, stream, b"\x08\x03103"));
    wire::answer(&mut leg, stream, "done");
    assert_eq!(asking.join().unwrap().expect(200).text(), "done");
}

#[test]
fn interim_answers_without_end_are_none() {
    let upstream = Scripted::start();
    let gate = before(upstream.address).start();
    let call = gate.post("/open/it").body("hello");
    let asking = thread::spawn(move || call.send());
    let mut leg = upstream.accept();
    wire::greet(&mut leg, 100);
    let stream = wire::request(&mut leg);
    for _ in 0..3000 {
        leg.send(wire::frame(wire::HEADERS, wire::END_HEADERS, stream, b"\x08\x03103"));
    }
    asking.join().unwrap().expect(502);
}

#[test]
fn much_goes_both_ways_over_http2() {
    let gate = before(h2_upstream()).start();
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    assert!(gate.post("/open/it").body(body.clone()).send().expect(200).body == body);
}
