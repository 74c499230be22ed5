//! The upstream of the bench: answers every GET at once with the same JSON.
//!
//! Guarantees: one thread; an answer is one write where the socket takes it; with `?bytes=N` in the target the body has
//! N bytes (N a multiple of 16), without it 199.
//! Does not know: paths, tokens, bodies of requests; it takes one request at a time from a connection.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;

use lab::{Interest, Sockets, argument, if_ready};

const BODY: &str = concat!(
    r#"{"items":[{"id":1,"name":"alpha","price":1999},{"id":2,"name":"beta","price":2999},"#,
    r#"{"id":3,"name":"gamma","price":3999}],"page":1,"total":3,"next":null,"took_ms":0,"#,
    r#""request":"bench-upstream-ok-0001"}"#
);
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

struct Connection {
    stream: TcpStream,
    /// What of a request has come before its end.
    head: Vec<u8>,
    /// What of an answer the socket has not taken yet, and how much it has.
    answer: Option<(Rc<[u8]>, usize)>,
}

fn main() -> io::Result<()> {
    let mut sockets = Sockets::listen(argument(1, "upstream PORT")?)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut answers = Answers { usual: answer(BODY.as_bytes()), sized: HashMap::new() };
    let mut buffer = vec![0; 65536];
    loop {
        let ready = sockets.wait(|sockets, stream| {
            let key = sockets.watch(&stream)?;
            connections.resize_with(connections.len().max(key + 1), || None);
            connections[key] = Some(Connection { stream, head: Vec::new(), answer: None });
            Ok(())
        })?;
        for (key, interest) in ready {
            let Some(connection) = &mut connections[key] else { continue };
            let goes_on = if interest.contains(Interest::OUT) {
                connection.go_on_writing(&sockets)
            } else {
                connection.read(&sockets, &mut answers, &mut buffer)
            };
            if !matches!(goes_on, Ok(true)) {
                connections[key] = None;
            }
        }
    }
}

impl Connection {
    /// Whether the connection lives on.
    fn read(&mut self, sockets: &Sockets, answers: &mut Answers, buffer: &mut [u8]) -> io::Result<bool> {
        let read = match if_ready(self.stream.read(buffer))? {
            None => return Ok(true),
            Some(0) => return Ok(false),
            Some(read) => &buffer[..read],
        };
        let whole = self.head.is_empty() && read.ends_with(END_OF_HEAD);
        if !whole {
            self.head.extend_from_slice(read);
            if !self.head.ends_with(END_OF_HEAD) {
                return Ok(true);
            }
        }
        let answer = answers.to(if whole { read } else { &self.head });
        self.head.clear();
        let sent = if_ready(self.stream.write(&answer))?.unwrap_or(0);
        if sent < answer.len() {
            self.answer = Some((answer, sent));
            sockets.watch_for(&self.stream, Interest::OUT)?;
        }
        Ok(true)
    }

    fn go_on_writing(&mut self, sockets: &Sockets) -> io::Result<bool> {
        let Some((answer, sent)) = &mut self.answer else { return Ok(true) };
        *sent += if_ready(self.stream.write(&answer[*sent..]))?.unwrap_or(0);
        if *sent == answer.len() {
            self.answer = None;
            sockets.watch_for(&self.stream, Interest::IN)?;
        }
        Ok(true)
    }
}

/// Answers ready to be written; each size is made once.
struct Answers {
    usual: Rc<[u8]>,
    sized: HashMap<usize, Rc<[u8]>>,
}

impl Answers {
    fn to(&mut self, head: &[u8]) -> Rc<[u8]> {
        let Some(size) = size_asked_for(head) else { return Rc::clone(&self.usual) };
        Rc::clone(self.sized.entry(size).or_insert_with(|| answer(&b"0123456789abcdef".repeat(size / 16))))
    }
}

fn size_asked_for(head: &[u8]) -> Option<usize> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let at = line.windows(7).position(|word| word == b"?bytes=")? + 7;
    let digits = line[at..].split(|byte| !byte.is_ascii_digit()).next()?;
    str::from_utf8(digits).ok()?.parse().ok()
}

fn answer(body: &[u8]) -> Rc<[u8]> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: Sun, 22 Nov 2026 04:00:00 GMT\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat().into()
}
