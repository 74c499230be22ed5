//! What lasts: WebSockets and other tunnels, event streams, long uploads; how they begin, what they carry, how they end.

mod begin;
mod bulk;
mod ends;
mod http2;
mod last;
mod real;
mod soak;

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::{Answer, Call, Connection, Gate, Leg, Scripted, Start};

/// Judged: it demands `messages:list`.
const PATH: &str = "/3rdparty/v1/messages";
const TOKEN: &str = "/3rdparty/v1/auth/token";
/// The example of RFC 6455 section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// How soon what was revoked has to have ended.
const SOON: Duration = Duration::from_secs(1);

/// A gate before an upstream that is played by hand.
struct Stage {
    upstream: Scripted,
    gate: Gate,
}

impl Stage {
    fn new() -> Self {
        Self::with(|start| start)
    }

    #[track_caller]
    fn with(settings: impl FnOnce(Start) -> Start) -> Self {
        let upstream = Scripted::start();
        let gate = settings(Start::before(upstream.address).set("upstream.keepalive", "1h")).start();
        Self { upstream, gate }
    }

    /// A request for a WebSocket.
    fn wish(&self, token: &str) -> Call {
        wish(self.gate.get(PATH)).bearer(token)
    }

    /// A tunnel that has begun: both its ends.
    #[track_caller]
    fn tunnel(&self, pair: &Answer) -> (Connection, Leg) {
        let mut client = Connection::open(self.gate.address);
        client.write(&self.wish(&pair.field("access_token")).raw());
        let mut leg = self.upstream.accept();
        leg.head();
        leg.send(SWITCHED);
        let answer = client.read_any().expect("an answer").expect(101);
        assert_eq!(answer.header("connection"), Some("upgrade"));
        (client, leg)
    }

    /// A stream of events that has begun: both its ends.
    #[track_caller]
    fn events(&self, call: &Call) -> (Connection, Leg) {
        let mut client = Connection::open(self.gate.address);
        client.write(&call.raw());
        let mut leg = self.upstream.accept();
        leg.head();
        leg.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n");
        let head = client.until(b"\r\n\r\n");
        assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&head));
        // hyper frames it in chunks.
        client.until(b"data: 1\n\n\r\n");
        (client, leg)
    }

    /// A pair whose access token lives for so many seconds.
    #[track_caller]
    fn pair_for(&self, secs: u64) -> Answer {
        let wish = json!({ "scopes": ["messages:list"], "ttl": secs });
        self.gate.post(TOKEN).basic("alice", "wonderland").json(&wish).send().expect(201)
    }

    #[track_caller]
    fn pair(&self) -> Answer {
        self.gate.alice(&["messages:list"])
    }
}

fn wish(call: Call) -> Call {
    call.header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY)
        .header("Sec-WebSocket-Protocol", "chat")
}

/// What a WebSocket server answers a key with (RFC 6455 section 4.2.2).
fn proof(key: &str) -> String {
    let salted = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, salted.as_bytes()))
}

#[track_caller]
fn revoke(gate: &Gate, pair: &Answer) {
    gate.call("DELETE", &format!("{TOKEN}/{}", pair.field("id"))).basic("alice", "wonderland").send().expect(204);
}

/// Both ways still work.
#[track_caller]
fn alive(client: &mut Connection, leg: &mut Leg) {
    client.write(b"up");
    assert_eq!(leg.take(2), b"up");
    leg.send("down");
    assert_eq!(client.take(4), b"down");
}

/// What `end` does not take longer than `SOON`.
#[track_caller]
fn soon(what: &str, end: impl FnOnce()) {
    let start = Instant::now();
    end();
    assert!(start.elapsed() < SOON, "{what} took {:?}", start.elapsed());
}
