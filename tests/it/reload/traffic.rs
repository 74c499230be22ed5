//! Clients that notice everything: requests over kept connections, over new ones and over HTTP/2, a tunnel, events.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use http::Request;
use tokio::net::TcpStream as Stream;

use super::LIST;
use crate::support::{Answer, Call, Connection};

/// Those at work. Each panics at the first thing that is not as it should be.
pub struct Traffic {
    clients: Vec<JoinHandle<()>>,
    enough: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Traffic {
    /// Nobody yet.
    pub fn new() -> Self {
        Self { clients: Vec::new(), enough: Arc::default(), answered: Arc::default() }
    }

    /// How many requests were answered, and events and echoes heard.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends when all clients have; tells how much they have seen.
    #[track_caller]
    pub fn end(self) -> usize {
        self.enough.store(true, Ordering::Relaxed);
        self.left()
    }

    /// The same for clients that go when they are told to.
    #[track_caller]
    pub fn left(self) -> usize {
        for client in self.clients {
            client.join().expect("a client that is content");
        }
        self.answered.load(Ordering::Relaxed)
    }

    fn client(&mut self, mut act: impl FnMut() -> bool + Send + 'static) {
        let (enough, answered) = (Arc::clone(&self.enough), Arc::clone(&self.answered));
        self.clients.push(thread::spawn(move || {
            while !enough.load(Ordering::Relaxed) && act() {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }

    /// One request after another over one connection, until an answer says that it is the last.
    pub fn kept(&mut self, gate: SocketAddr, token: &str) {
        let (call, mut connection) = (Call::new(gate, "GET", LIST).bearer(token), Connection::open(gate));
        let mut last = false;
        self.client(move || {
            if last {
                assert!(connection.read().is_none(), "nothing follows");
                return false;
            }
            let answer = connection.ask(&call).expect(200);
            last = answer.header("connection") == Some("close");
            true
        });
    }

    /// A connection for each request.
    pub fn fresh(&mut self, gate: SocketAddr, token: &str) {
        let call = Call::new(gate, "GET", LIST).bearer(token);
        self.client(move || {
            call.send().expect(200);
            true
        });
    }

    /// One request after another over one connection of HTTP/2, until the gate says goodbye.
    pub fn multiplexed(&mut self, gate: SocketAddr, token: &str) {
        let (enough, answered) = (Arc::clone(&self.enough), Arc::clone(&self.answered));
        let token = format!("Bearer {token}");
        self.clients.push(thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (client, connection) = h2::client::handshake(Stream::connect(gate).await.unwrap()).await.unwrap();
                let connection = tokio::spawn(connection);
                while !enough.load(Ordering::Relaxed) {
                    // Only now may it be refused: the gate has said that it wants no more.
                    let mut ready = match client.clone().ready().await {
                        Ok(ready) => ready,
                        Err(error) if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) => break,
                        Err(error) => panic!("not ready: {error}"),
                    };
                    let request = Request::get(format!("http://{gate}{LIST}")).header("authorization", &token);
                    let (answer, _) = match ready.send_request(request.body(()).unwrap(), true) {
                        Ok(sent) => sent,
                        Err(error) if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) => break,
                        Err(error) => panic!("not sent: {error}"),
                    };
                    let (head, mut body) = answer.await.expect("an answer").into_parts();
                    assert_eq!(head.status, 200);
                    while let Some(piece) = body.data().await {
                        let length = piece.expect("all of the answer").len();
                        body.flow_control().release_capacity(length).unwrap();
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                drop(client);
                let _ = connection.await;
            });
        }));
    }

    /// A tunnel that gives back what is put in.
    pub fn tunnel(&mut self, gate: SocketAddr, token: &str) {
        let wish = Call::new(gate, "GET", LIST)
            .bearer(token)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        let mut client = Connection::open(gate);
        client.write(&wish.raw());
        client.read_any().expect("an answer").expect(101);
        self.client(move || {
            client.write(b"echo");
            assert_eq!(client.take(4), b"echo");
            true
        });
    }

    /// Events, of which none may be missing.
    pub fn events(&mut self, gate: SocketAddr, token: &str) {
        let mut client = Connection::open(gate);
        client.write(&Call::new(gate, "GET", &format!("{LIST}?events")).bearer(token).raw());
        let head = client.until(b"\r\n\r\n");
        assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&head));
        let mut next = 0;
        self.client(move || {
            let expected = format!("data: {next}\n\n");
            let heard = client.until(b"\n\n");
            assert!(heard.ends_with(expected.as_bytes()), "{expected:?}: {:?}", String::from_utf8_lossy(&heard));
            next += 1;
            true
        });
    }
}

/// Whether nobody can connect any more.
pub fn is_closed(gate: SocketAddr) -> bool {
    TcpStream::connect(gate).is_err()
}

/// The token of a pair.
pub fn token(pair: &Answer) -> String {
    pair.field("access_token")
}
