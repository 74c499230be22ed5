//! Requests to a gate, and its answers, over one plain socket each.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// A request in the making.
pub struct Call {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Call {
    pub fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        Self { address, method: method.into(), target: target.into(), headers: Vec::new(), body: None }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub fn basic(self, name: &str, password: &str) -> Self {
        self.header("Authorization", &format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// A form, posted as browsers do.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("Content-Type", "application/x-www-form-urlencoded").body(body)
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The request as it goes over the wire.
    pub fn raw(&self) -> Vec<u8> {
        let mut raw = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.address);
        for (name, value) in &self.headers {
            raw += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = &self.body {
            raw += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut raw = (raw + "\r\n").into_bytes();
        raw.extend_from_slice(self.body.as_deref().unwrap_or_default());
        raw
    }

    #[track_caller]
    pub fn send(&self) -> Answer {
        exchange(self.address, &self.raw())
    }
}

/// Sends raw bytes and reads one answer.
#[track_caller]
pub fn exchange(address: SocketAddr, raw: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The gate may answer and close before it has read all of a request that it refuses.
    let _ = stream.write_all(raw);
    Answer::read(&mut BufReader::new(stream)).expect("the gate answers")
}

/// A connection that is kept, for one request after another or for bytes that are no whole request.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    #[track_caller]
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    #[track_caller]
    pub fn ask(&mut self, call: &Call) -> Answer {
        self.write(&call.raw());
        self.read().expect("the gate answers")
    }

    #[track_caller]
    pub fn write(&mut self, raw: &[u8]) {
        self.reader.get_mut().write_all(raw).unwrap();
    }

    /// Says that nothing more will be written.
    pub fn end(&mut self) {
        // It fails if the gate has closed the connection already, which is as well.
        let _ = self.reader.get_ref().shutdown(Shutdown::Write);
    }

    /// The next answer; `None` if the connection was closed instead.
    pub fn read(&mut self) -> Option<Answer> {
        Answer::read(&mut self.reader)
    }

    /// The next answer, which may be an interim one.
    pub fn read_any(&mut self) -> Option<Answer> {
        Answer::read_any(&mut self.reader)
    }

    /// The next bytes, so many of them.
    #[track_caller]
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next bytes, up to and with `end`.
    #[track_caller]
    pub fn until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            bytes.extend(self.take(1));
        }
        bytes
    }

    /// Sends up to `length` bytes for as long as some are taken at least every second. How many were.
    #[track_caller]
    pub fn offer(&mut self, length: usize) -> usize {
        super::offer(self.reader.get_ref(), length)
    }

    /// What reads from it.
    pub fn reader(&mut self) -> &mut impl Read {
        &mut self.reader
    }

    /// A second hand on the same socket, to write while the first one reads.
    pub fn writer(&self) -> TcpStream {
        self.reader.get_ref().try_clone().unwrap()
    }

    /// Holds the gate to sending nothing, for a while.
    #[track_caller]
    pub fn expect_silence(&mut self) {
        silence(&mut self.reader);
    }

    /// All bytes until the gate closes the connection, in order or not.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        until_closed(&mut self.reader)
    }
}

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The next answer on a connection; `None` if it was closed instead. Interim answers are passed over.
    pub fn read(reader: &mut impl BufRead) -> Option<Self> {
        loop {
            let answer = Self::read_any(reader)?;
            if answer.status >= 200 {
                return Some(answer);
            }
        }
    }

    fn read_any(reader: &mut impl BufRead) -> Option<Self> {
        let status = line(reader)?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let line = line(reader)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Self { status, headers, body: Vec::new() };
        if matches!(status, 100..200 | 204 | 304) {
            return Some(answer);
        }
        if let Some(length) = answer.header("content-length") {
            let mut body = vec![0; length.parse().ok()?];
            // The answer to HEAD names a length and has no body: the connection's end tells.
            if reader.read_exact(&mut body).is_ok() {
                answer.body = body;
            }
        } else if answer.header("transfer-encoding").is_some() {
            loop {
                let size = usize::from_str_radix(line(reader)?.trim(), 16).ok()?;
                let mut chunk = vec![0; size];
                reader.read_exact(&mut chunk).ok()?;
                line(reader)?;
                if size == 0 {
                    break;
                }
                answer.body.extend_from_slice(&chunk);
            }
        } else {
            reader.read_to_end(&mut answer.body).ok()?;
        }
        Some(answer)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text()))
    }

    /// A text field of a JSON answer.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name}: {}", self.text())).to_owned()
    }

    /// The claims of the token in a field of a JSON answer.
    #[track_caller]
    pub fn claims(&self, name: &str) -> Value {
        let token = self.field(name);
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("a payload")).unwrap();
        serde_json::from_slice(&payload).unwrap()
    }

    /// Holds the answer to a status, showing its body if it has another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Holds the answer to the form of every refusal of the gate.
    #[track_caller]
    pub fn expect_refusal(self, status: u16) -> Self {
        let answer = self.expect(status);
        let body = answer.json();
        for field in ["message", "error", "error_description"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "no {field}: {body}");
        }
        assert_eq!(answer.header("x-portcullis"), Some("denied"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("x-request-id").is_some());
        assert_eq!(status == 401, answer.header("www-authenticate").is_some() && status == 401);
        answer
    }
}

/// Holds the other side to sending nothing, for a while.
#[track_caller]
pub(super) fn silence(reader: &mut BufReader<TcpStream>) {
    reader.get_ref().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    match reader.fill_buf() {
        Ok(bytes) => panic!("{} bytes came: {:?}", bytes.len(), String::from_utf8_lossy(bytes)),
        Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
    }
    reader.get_ref().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
}

/// What comes until the other side closes the connection, in order or not; silence is neither.
#[track_caller]
pub(super) fn until_closed(reader: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match reader.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes,
        Err(error) => panic!("the connection is not closed: {error} after {} bytes", bytes.len()),
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line).ok()? == 0 {
        return None;
    }
    Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
}
