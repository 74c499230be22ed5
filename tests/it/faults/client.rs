//! A client of either protocol, and what it hears.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

use crate::upstream::http2::{self, rest, wait};
use crate::upstream::named;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

pub(super) enum Client {
    Http1(BufReader<TcpStream>),
    Http2(http2::Client),
}

#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// An answer to its end; whether it is the gate's own.
    Answer { status: u16, denied: bool, body: String },
    /// One that has begun and will not end.
    Cut(u16),
    /// The connection, or the stream, ended without one.
    Nothing,
}

impl Client {
    pub(super) fn open(address: SocketAddr, protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http1 => {
                let stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
                stream.set_nodelay(true).unwrap();
                Self::Http1(BufReader::new(stream))
            }
            Protocol::Http2 => Self::Http2(http2::Client::to(address)),
        }
    }

    /// Asks and listens to the end; `begun` is called when the head of an answer is there.
    pub(super) fn ask(&mut self, method: &Method, name: &str, body: &'static [u8], begun: impl FnOnce()) -> Heard {
        match self {
            Self::Http1(reader) => {
                let (heard, writing) = {
                    let mut writer = reader.get_ref().try_clone().unwrap();
                    let mut head = format!("{method} {} HTTP/1.1\r\nHost: gate\r\n", named(name));
                    if *method == Method::POST {
                        head += &format!("Content-Length: {}\r\n", body.len());
                    }
                    let raw = [head.as_bytes(), b"\r\n", body].concat();
                    // The gate may close before it has all of it.
                    let writing = thread::spawn(move || drop(writer.write_all(&raw)));
                    (hear(reader, *method == Method::HEAD, begun).unwrap_or(Heard::Nothing), writing)
                };
                writing.join().unwrap();
                heard
            }
            Self::Http2(client) => {
                let (answer, mut upload) = client.begin(method.clone(), name, !body.is_empty());
                if !body.is_empty() {
                    upload.send_data(Bytes::from_static(body), true).unwrap();
                }
                let Ok(answer) = wait(answer) else { return Heard::Nothing };
                begun();
                let (head, download) = answer.into_parts();
                let status = head.status.as_u16();
                match rest(download) {
                    Ok((body, _)) => Heard::Answer {
                        status,
                        denied: head.headers.contains_key("x-portcullis"),
                        body: String::from_utf8_lossy(&body).into_owned(),
                    },
                    Err(_) => Heard::Cut(status),
                }
            }
        }
    }

    /// Whether the gate has closed the connection in order.
    pub(super) fn is_closed(&mut self) -> bool {
        match self {
            Self::Http1(reader) => matches!(reader.read(&mut [0]), Ok(0)),
            Self::Http2(_) => false,
        }
    }
}

/// One answer of HTTP/1.1; `None` if there is none.
fn hear(reader: &mut BufReader<TcpStream>, to_head: bool, begun: impl FnOnce()) -> Option<Heard> {
    let status = line(reader)?.split(' ').nth(1)?.parse().ok()?;
    let mut fields = Vec::new();
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            break;
        }
        fields.push(line.to_ascii_lowercase());
    }
    begun();
    let field = |name: &str| fields.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let body = if to_head || matches!(status, 204 | 304) {
        Some(Vec::new())
    } else if let Some(length) = field("content-length") {
        let mut body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut body).is_ok().then_some(body)
    } else {
        chunks(reader)
    };
    Some(match body {
        Some(body) => Heard::Answer {
            status,
            denied: field("x-portcullis").is_some(),
            body: String::from_utf8_lossy(&body).into_owned(),
        },
        None => Heard::Cut(status),
    })
}

fn chunks(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut chunk = vec![0; usize::from_str_radix(&line(reader)?, 16).ok()?];
        reader.read_exact(&mut chunk).ok()?;
        line(reader)?;
        if chunk.is_empty() {
            return Some(body);
        }
        body.append(&mut chunk);
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    line.strip_suffix("\r\n").map(str::to_owned)
}
