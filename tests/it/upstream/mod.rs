//! Exchanges with an upstream that does all that upstreams do, and what none should: the client gets the whole answer, or
//! hears that there is none, and no connection is used again that could give one request the answer to another.

mod answers;
mod asking;
mod behind;
mod crowd;
mod cut;
mod early;
mod garbled;
mod half;
pub mod http2;
mod patience;
mod pipelining;
mod pool;
mod retries;
pub mod tls;
mod uploads;
#[cfg(target_os = "linux")]
mod volume;

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::{Answer, Call, Connection, Gate, Leg, Scripted, Start};

/// A path that is forwarded whoever asks.
const OPEN: &str = "/mobile/v1/x";
const FINE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

/// A gate before an upstream that is played by hand. One worker, so that which connection it uses is no matter of luck.
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
        // Kept connections are closed when a test says so, however slow the machine is.
        let start = Start::before(upstream.address).set("workers", "1").set("upstream.keepalive", "1h");
        Self { gate: settings(start).start(), upstream }
    }

    /// A gate that uses each connection once.
    #[track_caller]
    fn keeping_nothing() -> Self {
        Self::with(|start| start.set("upstream.keepalive", "0s"))
    }

    fn client(&self) -> Connection {
        Connection::open(self.gate.address)
    }

    /// A request that names itself.
    fn get(&self, name: &str) -> Call {
        self.gate.get(&named(name))
    }

    /// A client and the connection over which its first request was answered; both sides keep theirs.
    #[track_caller]
    fn kept(&self) -> (Connection, Leg) {
        let mut client = self.client();
        client.write(&self.get("first").raw());
        let mut leg = self.upstream.accept();
        answers(&mut leg, &mut client, "first");
        (client, leg)
    }

    /// Another request is answered over a new connection.
    #[track_caller]
    fn recovers(&self) {
        let mut client = self.client();
        client.write(&self.get("another").header("Connection", "close").raw());
        answers(&mut self.upstream.accept(), &mut client, "another");
    }
}

/// The target of a request that is called `name`.
pub fn named(name: &str) -> String {
    format!("{OPEN}?{name}")
}

/// The upstream gets the request called `name` and answers it; the client has the answer.
#[track_caller]
fn answers(leg: &mut Leg, client: &mut Connection, name: &str) -> Answer {
    assert_eq!(leg.request().target, named(name));
    leg.send(FINE);
    let answer = client.read().expect("an answer").expect(200);
    assert_eq!(answer.text(), "fine", "{name}");
    answer
}

/// Sends a body for as long as it is taken, and reads the answer meanwhile.
fn stubborn(address: SocketAddr, fields: &str, piece: Vec<u8>) -> thread::JoinHandle<Option<Answer>> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(format!("POST {OPEN} HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n").as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    thread::spawn(move || while stream.write_all(&piece).is_ok() {});
    thread::spawn(move || Answer::read(&mut reader))
}
