//! An upstream that records what reaches it, byte for byte, and answers as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// Names as they were spelled on the wire, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Fields behind a chunked body.
    pub trailers: Vec<(String, String)>,
    /// The other end of the connection it came over. A worker shares its connections with no other.
    pub peer: SocketAddr,
}

impl Seen {
    /// All values of a header, names compared without regard to case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// The one value of a header.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} arrived {} times: {all:?}", all.len());
        all.first().copied()
    }
}

type Answerer = dyn Fn(&Seen) -> Vec<u8> + Send + Sync;

pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    /// Answers everything with 200 and `{"ok":true}`.
    pub fn start() -> Self {
        Self::answering(|_| ok(b"{\"ok\":true}"))
    }

    /// Answers with the raw bytes that `answer` gives. An empty answer closes the connection, and so does one that says
    /// `connection: close`.
    pub fn answering(answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer): (_, Arc<Answerer>) = (Arc::clone(&seen), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { address, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The one request that has arrived so far.
    #[track_caller]
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "requests at the upstream: {seen:?}");
        seen[0].clone()
    }
}

/// A 200 with a JSON body, as raw bytes.
pub fn ok(body: &[u8]) -> Vec<u8> {
    let mut raw =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())
            .into_bytes();
    raw.extend_from_slice(body);
    raw
}

const CLOSE: &[u8] = b"\r\nconnection: close\r\n";

fn serve(stream: TcpStream, log: &Mutex<Vec<Seen>>, answer: &Answerer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(seen) = read_request(&mut reader) {
        log.lock().unwrap().push(seen.clone());
        let raw = answer(&seen);
        let last = raw.is_empty() || raw.windows(CLOSE.len()).any(|window| window == CLOSE);
        if writer.write_all(&raw).is_err() || last {
            return;
        }
    }
}

pub(super) fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let seen = read_head(reader)?;
    read_body(reader, seen)
}

pub(super) fn read_body(reader: &mut BufReader<TcpStream>, mut seen: Seen) -> Option<Seen> {
    if let Some(length) = seen.header("content-length") {
        seen.body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut seen.body).ok()?;
    } else if seen.header("transfer-encoding").is_some() {
        loop {
            let size = usize::from_str_radix(line(reader)?.split(';').next()?.trim(), 16).ok()?;
            if size == 0 {
                seen.trailers = fields(reader)?;
                break;
            }
            let mut chunk = vec![0; size];
            reader.read_exact(&mut chunk).ok()?;
            line(reader)?;
            seen.body.extend_from_slice(&chunk);
        }
    }
    Some(seen)
}

/// A request up to its body.
pub fn read_head(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let first = line(reader)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = fields(reader)?;
    let peer = reader.get_ref().peer_addr().ok()?;
    Some(Seen { method, target, headers, body: Vec::new(), trailers: Vec::new(), peer })
}

/// Fields up to the empty line.
fn fields(reader: &mut BufReader<TcpStream>) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            return Some(fields);
        }
        let (name, value) = line.split_once(':')?;
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line).ok()? == 0 {
        return None;
    }
    // Header values may be any bytes: Latin-1 keeps each of them apart.
    let text: String = line.iter().map(|byte| char::from(*byte)).collect();
    Some(text.trim_end_matches(['\r', '\n']).to_owned())
}
