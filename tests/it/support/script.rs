//! An upstream that a test plays by hand, byte for byte.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::request::{silence, until_closed};
use super::until;
use super::upstream::{Seen, read_body, read_head, read_request};

/// Listens; what happens on each connection is the test's to say.
#[derive(Clone)]
pub struct Scripted {
    pub address: SocketAddr,
    listener: Arc<TcpListener>,
}

impl Scripted {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { address: listener.local_addr().unwrap(), listener: Arc::new(listener) }
    }

    /// The next connection that the gate opens.
    #[track_caller]
    pub fn accept(&self) -> Leg {
        let (stream, _) = until("a connection from the gate", || self.listener.accept().ok());
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        Leg::over(stream)
    }

    /// Holds the gate to having opened no connection besides those accepted so far.
    #[track_caller]
    pub fn expect_nobody(&self) {
        match self.listener.accept() {
            Ok((stream, _)) => panic!("one more connection, with {:?}", read_head(&mut BufReader::new(stream))),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
    }
}

/// A connection of the gate, from the upstream's side. Dropped, it is closed: in order, unless something that the gate
/// has sent is still unread.
pub struct Leg {
    reader: BufReader<TcpStream>,
}

impl Leg {
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    /// The next request up to its body, if there is one.
    pub fn next_head(&mut self) -> Option<Seen> {
        read_head(&mut self.reader)
    }

    /// The body of the request whose head is `seen`, which may break off.
    pub fn next_body(&mut self, seen: &Seen) -> Option<Seen> {
        read_body(&mut self.reader, seen.clone())
    }

    /// The next request, to its end.
    #[track_caller]
    pub fn request(&mut self) -> Seen {
        read_request(&mut self.reader).expect("a whole request")
    }

    /// The next request up to its body.
    #[track_caller]
    pub fn head(&mut self) -> Seen {
        read_head(&mut self.reader).expect("the head of a request")
    }

    /// The next bytes, so many of them.
    #[track_caller]
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Holds the gate to sending nothing, for a while.
    #[track_caller]
    pub fn expect_silence(&mut self) {
        silence(&mut self.reader);
    }

    /// Says that nothing more will be sent.
    pub fn end(&mut self) {
        self.reader.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// A second hand on the same socket, to write while the first one reads.
    pub fn writer(&self) -> TcpStream {
        self.reader.get_ref().try_clone().unwrap()
    }

    /// Everything up to where the gate says that it has no more.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        until_closed(&mut self.reader)
    }

    /// Sends bytes; the gate may have closed the connection over what came before.
    pub fn send(&mut self, raw: impl AsRef<[u8]>) {
        let _ = self.reader.get_mut().write_all(raw.as_ref());
    }

    /// Sends each byte by itself.
    pub fn send_bytewise(&mut self, raw: impl AsRef<[u8]>) {
        raw.as_ref().iter().for_each(|byte| self.send([*byte]));
    }

    /// Sends up to `length` bytes for as long as some are taken at least every second. How many were.
    #[track_caller]
    pub fn offer(&mut self, length: usize) -> usize {
        offer(self.reader.get_ref(), length)
    }

    /// Sends without end, until the gate closes the connection.
    #[track_caller]
    pub fn send_until_closed(&mut self) {
        let stream = self.reader.get_mut();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        loop {
            match stream.write(&[b'x'; 1 << 16]) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("the connection is held, and nothing is taken")
                }
                Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Breaks the connection off.
    pub fn reset(self) {
        socket2::SockRef::from(self.reader.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Waits for the gate to close the connection; what came before that.
    #[track_caller]
    pub fn closed(mut self) -> Vec<u8> {
        until_closed(&mut self.reader)
    }
}

/// Sends up to `length` bytes for as long as some are taken at least every second. How many were.
#[track_caller]
pub fn offer(mut stream: &TcpStream, length: usize) -> usize {
    let (piece, mut taken) = ([b'x'; 1 << 16], 0);
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    while taken < length {
        match stream.write(&piece[..piece.len().min(length - taken)]) {
            Ok(written) => taken += written,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("broken off after {taken} bytes: {error}"),
        }
    }
    taken
}
