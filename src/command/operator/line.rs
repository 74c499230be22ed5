//! The line to a running gate: where its operator's listener is, a request, its answer.
//!
//! Guarantees: an exchange ends within its time, whatever answers, and holds no more than a bounded answer; the token goes to
//! where the configuration says that the gate listens, and nowhere else.
//! Does not know: what is asked.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::config::{self, Secret};

/// A page of a thousand sessions with all that clients may say of themselves.
const MOST_BYTES: usize = 4 << 20;

/// Where a gate is to be asked.
#[derive(Clone, Debug)]
pub(in super::super) enum At {
    Network(SocketAddr),
    Socket(PathBuf),
}

/// Where a gate is to be asked, and by what right.
pub(in super::super) struct Line {
    at: At,
    token: Option<Secret>,
}

/// Why nothing is known about a gate.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum LineError {
    #[error("{0} does not answer")]
    Unreachable(At, #[source] io::Error),
    #[error("{0} does not answer in time")]
    Late(At),
    #[error("what answers at {0} is no portcullis")]
    Foreign(At),
    /// In the gate's own words.
    #[error("{0}")]
    Refused(String),
}

pub(in super::super) struct Answer {
    pub(in super::super) status: u16,
    pub(in super::super) body: Vec<u8>,
}

impl Line {
    /// The socket, if there is one: whoever can open it needs no token. `None`: nobody listens.
    pub(super) fn of(config: &config::Admin) -> Option<Self> {
        let socket = config.socket.clone().map(|path| Self { at: At::Socket(path), token: None });
        let network = || Some(Self { at: At::Network(config.listen?), token: config.token.clone() });
        socket.or_else(network)
    }

    /// Whether more than looking can be allowed there.
    pub(super) fn is_operators(&self) -> bool {
        matches!(self.at, At::Socket(_)) || self.token.is_some()
    }

    /// The JSON that the gate answers with.
    ///
    /// # Errors
    /// When there is none in time, or the gate has refused.
    pub(in super::super) fn ask(
        &self,
        method: &str,
        target: &str,
        body: Option<&Value>,
        within: Duration,
    ) -> Result<Value, LineError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut more = format!("Content-Length: {}\r\n", body.len());
        // Checked to be visible ASCII when it was read.
        if let Some(token) = self.token.as_ref().and_then(|token| str::from_utf8(token.expose()).ok()) {
            more += &format!("Authorization: Bearer {token}\r\n");
        }
        let Answer { status, body } = exchange(&self.at, &format!("{method} {target}"), &more, &body, within)?;
        let foreign = || LineError::Foreign(self.at.clone());
        let told: Value = serde_json::from_slice(&body).map_err(|_| foreign())?;
        match status {
            200 => Ok(told),
            _ => {
                let message = told.get("message").and_then(Value::as_str).ok_or_else(foreign)?.to_owned();
                let mistakes = told.get("mistakes").and_then(Value::as_array).into_iter().flatten();
                let lines = mistakes.filter_map(Value::as_str).map(|mistake| format!("\n{mistake}"));
                Err(LineError::Refused(message + &lines.collect::<String>()))
            }
        }
    }
}

/// Sends one request and reads its whole answer. `more` are header lines.
///
/// # Errors
/// When there is no answer in time, or it is none.
pub(in super::super) fn exchange(
    at: &At,
    what: &str,
    more: &str,
    body: &str,
    within: Duration,
) -> Result<Answer, LineError> {
    let by = Instant::now() + within;
    let host = match at {
        At::Network(address) => nearest(*address).to_string(),
        At::Socket(_) => "localhost".into(),
    };
    let request = format!("{what} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n{body}");
    let bytes = match at {
        At::Network(address) => over_network(nearest(*address), request.as_bytes(), by),
        At::Socket(path) => over_socket(path, request.as_bytes(), by),
    };
    let bytes = bytes.map_err(|error| match error.kind() {
        // A socket's timeout shows as either.
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => LineError::Late(at.clone()),
        _ => LineError::Unreachable(at.clone(), error),
    })?;
    read(&bytes).ok_or_else(|| LineError::Foreign(at.clone()))
}

fn over_network(at: SocketAddr, request: &[u8], by: Instant) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&at, left(by)?)?;
    stream.set_write_timeout(Some(left(by)?))?;
    stream.write_all(request)?;
    all_of(&mut stream, by, TcpStream::set_read_timeout)
}

fn over_socket(path: &std::path::Path, request: &[u8], by: Instant) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(left(by)?))?;
    stream.write_all(request)?;
    all_of(&mut stream, by, UnixStream::set_read_timeout)
}

/// All that the other end says until it closes.
fn all_of<S: Read>(
    stream: &mut S,
    by: Instant,
    patience: impl Fn(&S, Option<Duration>) -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    while bytes.len() <= MOST_BYTES {
        // Anew for each piece: who sends a byte now and then does not prolong it.
        patience(stream, Some(left(by)?))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// A timeout of zero would mean none.
fn left(by: Instant) -> io::Result<Duration> {
    by.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or(io::ErrorKind::TimedOut.into())
}

/// Who listens on every address is asked by way of this machine's own.
fn nearest(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// `None`: nothing that a gate says.
fn read(bytes: &[u8]) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).ok()? else { return None };
    Some(Answer { status: head.code?, body: bytes.get(length..)?.to_vec() })
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => nearest(*address).fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: Option<(u16, &str)>) {
        let found = read(answer.as_bytes()).map(|answer| (answer.status, String::from_utf8(answer.body).unwrap()));
        assert_eq!(found, expected.map(|(status, text)| (status, text.to_owned())), "{answer:?}");
    }

    #[test]
    fn only_what_is_an_answer_counts() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n", Some((200, "ok\n")));
        check("HTTP/1.1 404 Not Found\r\n\r\n", Some((404, "")));
        for foreign in ["HTTP/1.1 200 OK\r\n", "", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nx"] {
            check(foreign, None);
        }
    }

    #[test]
    fn an_address_that_means_all_of_them_is_asked_at_home() {
        for (listen, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("10.1.2.3:9090", "10.1.2.3:9090"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(nearest(listen.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn the_socket_is_asked_first_and_needs_no_token() {
        let (listen, socket) = (Some(([127, 0, 0, 1], 9090).into()), Some(PathBuf::from("/run/x")));
        let line = |listen, socket, token: Option<&str>| {
            Line::of(&config::Admin { listen, socket, token: token.map(Secret::new) })
                .map(|line| (line.at.to_string(), line.is_operators()))
        };
        assert_eq!(line(None, None, None), None);
        assert_eq!(line(listen, None, None), Some(("127.0.0.1:9090".into(), false)));
        assert_eq!(line(listen, None, Some("x")), Some(("127.0.0.1:9090".into(), true)));
        assert_eq!(line(listen, socket, Some("x")), Some(("/run/x".into(), true)));
    }
}
