//! WebSockets of HTTP/2 clients (RFC 8441), and streams of theirs that are reset.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{Connection as Http2, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, Response};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{PATH, Stage, proof, revoke, soon};
use crate::support::{Answer, Leg};

fn run(work: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(60), work()).await.expect("in time");
    });
}

struct Client {
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (send, connection): (_, Http2<_, Bytes>) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let client = Self { send: send.ready().await.unwrap(), connection };
        // The settings have to have come.
        client.ask(Request::get("http://gate/nothing").body(()).unwrap()).await.unwrap();
        client
    }

    async fn ask(&self, request: Request<()>) -> Result<Response<RecvStream>, h2::Error> {
        let mut send = self.send.clone().ready().await?;
        send.send_request(request, true)?.0.await
    }

    /// Asks for a WebSocket.
    async fn wish(&self, authorization: &str) -> Result<(Response<RecvStream>, SendStream<Bytes>), h2::Error> {
        self.connect(Some("websocket"), authorization).await
    }

    async fn connect(
        &self,
        protocol: Option<&'static str>,
        authorization: &str,
    ) -> Result<(Response<RecvStream>, SendStream<Bytes>), h2::Error> {
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(if protocol.is_some() { format!("http://gate{PATH}") } else { "gate:80".into() })
            .header("authorization", authorization)
            .header("sec-websocket-version", "13")
            .header("sec-websocket-protocol", "chat")
            .body(())
            .unwrap();
        if let Some(protocol) = protocol {
            request.extensions_mut().insert(Protocol::from_static(protocol));
        }
        let mut send = self.send.clone().ready().await?;
        let (answer, upload) = send.send_request(request, false)?;
        Ok((answer.await?, upload))
    }
}

async fn next(download: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    loop {
        let piece = download.data().await?;
        if let Ok(piece) = &piece {
            download.flow_control().release_capacity(piece.len()).unwrap();
        }
        // The end may come in an empty frame.
        if piece.as_ref().map_or(true, |piece| !piece.is_empty()) {
            return Some(piece);
        }
    }
}

/// A tunnel that has begun: its three ends.
async fn tunnel(stage: &Stage, client: &Client, pair: &Answer) -> (SendStream<Bytes>, RecvStream, Leg) {
    let authorization = format!("Bearer {}", pair.field("access_token"));
    let serve = async {
        let upstream = stage.upstream.clone();
        spawn_blocking(move || {
            let mut leg = upstream.accept();
            let seen = leg.head();
            assert_eq!((&*seen.method, &*seen.target), ("GET", PATH));
            for (name, value) in [
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-protocol", "chat"),
                ("x-auth-subject", "alice"),
                ("host", "gate"),
            ] {
                assert_eq!(seen.header(name), Some(value));
            }
            let accept = proof(seen.header("sec-websocket-key").unwrap());
            leg.send(format!(
                "HTTP/1.1 101 Switching\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-protocol: chat\r\n\
                 sec-websocket-accept: {accept}\r\n\r\n"
            ));
            leg
        })
        .await
        .unwrap()
    };
    let (answer, leg) = tokio::join!(client.wish(&authorization), serve);
    let (answer, upload) = answer.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers().get("sec-websocket-protocol").unwrap(), "chat");
    for gone in ["sec-websocket-accept", "connection", "upgrade"] {
        assert!(answer.headers().get(gone).is_none(), "{gone}");
    }
    (upload, answer.into_body(), leg)
}

async fn alive(upload: &mut SendStream<Bytes>, download: &mut RecvStream, leg: &mut Leg) {
    upload.send_data(Bytes::from_static(b"up"), false).unwrap();
    // What the client has written leaves only while its task runs.
    let mut reader = leg.writer();
    let taken = spawn_blocking(move || {
        let mut bytes = [0; 2];
        std::io::Read::read_exact(&mut reader, &mut bytes).unwrap();
        bytes
    });
    assert_eq!(&taken.await.unwrap(), b"up");
    leg.send("down");
    assert_eq!(next(download).await.unwrap().unwrap(), "down");
}

#[test]
fn a_websocket_of_http2_becomes_one_of_http1() {
    let stage = Stage::new();
    run(async || {
        let client = Client::open(stage.gate.address).await;
        assert!(client.send.is_extended_connect_protocol_enabled());
        let (mut upload, mut download, mut leg) = tunnel(&stage, &client, &stage.pair()).await;
        for _ in 0..20 {
            alive(&mut upload, &mut download, &mut leg).await;
        }
        // Half-closed one way and then the other.
        upload.send_data(Bytes::from_static(b"end"), true).unwrap();
        let mut leg = spawn_blocking(move || {
            assert_eq!(leg.rest(), b"end");
            leg
        })
        .await
        .unwrap();
        leg.send("after");
        assert_eq!(next(&mut download).await.unwrap().unwrap(), "after");
        leg.end();
        assert_eq!(next(&mut download).await.transpose().unwrap(), None);
    });
}

#[test]
fn a_websocket_of_http2_is_judged_and_nothing_else_is_a_tunnel() {
    let stage = Stage::new();
    let token = stage.pair().field("access_token");
    run(async || {
        let client = Client::open(stage.gate.address).await;
        assert_eq!(client.wish("Bearer nonsense").await.unwrap().0.status(), 401);
        assert_eq!(client.connect(Some("connect-udp"), &format!("Bearer {token}")).await.unwrap().0.status(), 501);
        assert_eq!(client.connect(None, &format!("Bearer {token}")).await.unwrap().0.status(), 501);
        stage.upstream.expect_nobody();
    });
    let closed = Stage::with(|start| start.env("PORTCULLIS_UPSTREAM__UPGRADES", "[]"));
    run(async || {
        let client = Client::open(closed.gate.address).await;
        assert!(!client.send.is_extended_connect_protocol_enabled());
    });
}

#[test]
fn whatever_the_upstream_says_but_a_proven_101_opens_nothing() {
    let consent = "HTTP/1.1 101 Switching\r\nconnection: Upgrade\r\nupgrade: websocket\r\n";
    for (answer, status) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine".to_owned(), 502),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), 502),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno".to_owned(), 403),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno".to_owned(), 500),
        (format!("{consent}\r\n"), 502),
        (format!("{consent}sec-websocket-accept: {}\r\n\r\n", super::ACCEPT), 502),
    ] {
        let stage = Stage::new();
        let token = stage.pair().field("access_token");
        run(async || {
            let client = Client::open(stage.gate.address).await;
            let authorization = format!("Bearer {token}");
            let upstream = stage.upstream.clone();
            let said = answer.clone();
            let serve = spawn_blocking(move || {
                let mut leg = upstream.accept();
                leg.head();
                leg.send(said);
                leg
            });
            let (answered, _) = client.wish(&authorization).await.unwrap();
            assert_eq!(answered.status(), status, "{answer}");
            drop(serve.await.unwrap());
            client.ask(Request::get("http://gate/nothing").body(()).unwrap()).await.unwrap();
        });
    }
}

#[test]
fn a_revoked_session_resets_its_streams_within_a_second_and_no_others() {
    let stage = Stage::new();
    run(async || {
        let client = Client::open(stage.gate.address).await;
        let (revoked, kept) = (stage.pair(), stage.pair());
        let (_upload, mut download, leg) = tunnel(&stage, &client, &revoked).await;
        let mut other = tunnel(&stage, &client, &kept).await;
        let mut events = events(&stage, &client, &revoked).await;
        revoke(&stage.gate, &revoked);
        let start = std::time::Instant::now();
        let end = next(&mut download).await.expect("no orderly end").unwrap_err();
        assert_eq!(end.reason(), Some(Reason::CANCEL));
        let end = next(events.0.body_mut()).await.expect("no orderly end").unwrap_err();
        assert!(end.is_reset(), "{end}");
        assert!(start.elapsed() < super::SOON, "{:?}", start.elapsed());
        spawn_blocking(move || {
            soon("the upstream's end", || {
                leg.closed();
                events.1.closed();
            })
        })
        .await
        .unwrap();
        alive(&mut other.0, &mut other.1, &mut other.2).await;
        assert!(!client.connection.is_finished());
    });
}

#[test]
fn an_upstream_that_breaks_a_tunnel_off_resets_its_stream_and_a_client_the_upstream() {
    let stage = Stage::new();
    run(async || {
        let client = Client::open(stage.gate.address).await;
        let pair = stage.pair();
        let (_upload, mut download, leg) = tunnel(&stage, &client, &pair).await;
        leg.reset();
        assert_eq!(next(&mut download).await.unwrap().unwrap_err().reason(), Some(Reason::CANCEL));
        let (mut upload, _download, leg) = tunnel(&stage, &client, &pair).await;
        upload.send_reset(Reason::CANCEL);
        spawn_blocking(move || leg.closed()).await.unwrap();
    });
}

#[test]
fn told_to_end_the_gate_lets_a_tunnel_finish() {
    let mut stage = Stage::new();
    run(async || {
        let client = Client::open(stage.gate.address).await;
        let pair = stage.pair();
        let (mut upload, mut download, mut leg) = tunnel(&stage, &client, &pair).await;
        stage.gate.signal("TERM");
        stage.gate.wait_for_log("draining");
        alive(&mut upload, &mut download, &mut leg).await;
        upload.send_data(Bytes::new(), true).unwrap();
        let mut leg = spawn_blocking(move || {
            assert_eq!(leg.rest(), b"");
            leg
        })
        .await
        .unwrap();
        leg.end();
        assert_eq!(next(&mut download).await.transpose().unwrap(), None);
        // It was the last on its connection.
        client.connection.await.unwrap().unwrap();
    });
    assert_eq!(stage.gate.wait().code(), Some(0));
}

#[test]
fn told_to_end_the_gate_cuts_a_tunnel_when_the_drain_is_over() {
    let mut stage = Stage::with(|start| start.set("server.drain_timeout", "1s"));
    run(async || {
        let client = Client::open(stage.gate.address).await;
        let pair = stage.pair();
        let (mut upload, mut download, mut leg) = tunnel(&stage, &client, &pair).await;
        stage.gate.signal("TERM");
        stage.gate.wait_for_log("draining");
        alive(&mut upload, &mut download, &mut leg).await;
        assert!(next(&mut download).await.expect("no orderly end").is_err());
        spawn_blocking(move || leg.closed()).await.unwrap();
    });
    assert_eq!(stage.gate.wait().code(), Some(0));
}

/// A stream of events that has begun: both its ends.
async fn events(stage: &Stage, client: &Client, pair: &Answer) -> (Response<RecvStream>, Leg) {
    let authorization = format!("Bearer {}", pair.field("access_token"));
    let request = Request::get(format!("http://gate{PATH}")).header("authorization", authorization).body(()).unwrap();
    let upstream = stage.upstream.clone();
    let serve = spawn_blocking(move || {
        let mut leg = upstream.accept();
        leg.head();
        leg.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n");
        leg
    });
    let mut answer = client.ask(request).await.unwrap();
    assert_eq!(next(answer.body_mut()).await.unwrap().unwrap(), "data: 1\n\n");
    (answer, serve.await.unwrap())
}
