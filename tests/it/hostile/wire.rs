//! HTTP/2 byte for byte: frames that no library would send, and what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use h2::Reason;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH: u8 = 5;
pub const PING: u8 = 6;
pub const GO_AWAY: u8 = 7;
pub const WINDOW: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const PRIORITISED: u8 = 32;

/// The stream of the harmless request that follows every case.
pub const NEXT_STREAM: u32 = 101;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals that no table remembers.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            number(&mut block, 0, 7, text.len());
            block.extend(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()));
        }
    }
    block
}

/// An integer of HPACK behind a prefix of so many bits (RFC 7541 section 5.1).
pub fn number(out: &mut Vec<u8>, first: u8, bits: u32, value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        return out.push(first | value as u8);
    }
    out.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    out.push(rest as u8);
}

pub const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "gate"), (":path", "/health")];

/// A request that has ended with its head.
pub fn request(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields))
}

/// A request whose body follows.
pub fn upload(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    let head = [(":method", "POST"), (":scheme", "http"), (":authority", "gate"), (":path", "/mobile/v1/x")];
    frame(HEADERS, END_HEADERS, stream, &block(&[&head, more].concat()))
}

#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    Status(u32, u16),
    Reset(u32, Reason),
    Away(Reason),
}

/// A connection on which a test says whatever it likes.
pub struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Line {
    /// With the preface and these settings said.
    #[track_caller]
    pub fn open(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut line = Self { stream, buffer: Vec::new() };
        line.say(PREFACE);
        line.say(&frame(SETTINGS, 0, 0, &self::settings(settings)));
        line
    }

    /// Says it if anybody still listens.
    pub fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Another end of it, to say something while it is listened to.
    pub fn mouth(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    /// The next frame; `None` if the connection is closed.
    #[track_caller]
    pub fn frame(&mut self) -> Option<Frame> {
        loop {
            if self.buffer.len() >= 9 {
                let length = u32::from_be_bytes([0, self.buffer[0], self.buffer[1], self.buffer[2]]) as usize;
                if self.buffer.len() >= 9 + length {
                    let whole: Vec<u8> = self.buffer.drain(..9 + length).collect();
                    let stream = u32::from_be_bytes(whole[5..9].try_into().unwrap());
                    return Some(Frame { kind: whole[3], flags: whole[4], stream, payload: whole[9..].to_vec() });
                }
            }
            let mut piece = [0; 1 << 14];
            match self.stream.read(&mut piece) {
                Ok(0) => return None,
                Ok(length) => self.buffer.extend_from_slice(&piece[..length]),
                // What came before a reset stays to be read; the reset itself is an end.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return None;
                }
                Err(error) => panic!("neither a frame nor an end: {error}"),
            }
        }
    }

    /// The next word about a request or the connection.
    #[track_caller]
    pub fn hear(&mut self) -> Option<Heard> {
        loop {
            let Frame { kind, stream, payload, .. } = self.frame()?;
            let reason = |at: usize| Reason::from(u32::from_be_bytes(payload[at..at + 4].try_into().unwrap()));
            match kind {
                HEADERS => return Some(Heard::Status(stream, status(&payload))),
                RESET => return Some(Heard::Reset(stream, reason(0))),
                GO_AWAY => return Some(Heard::Away(reason(4))),
                _ => {}
            }
        }
    }
}

pub fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect()
}

/// Says these frames and a harmless request behind them, at once or after the first answer, and listens until that is
/// answered or the connection closed.
#[track_caller]
pub fn converse(address: SocketAddr, frames: &[u8], at_once: bool) -> Vec<Heard> {
    let mut line = Line::open(address, &[]);
    let mut path = GET;
    path[3].1 = "/health?next";
    let next = request(NEXT_STREAM, &path);
    line.say(&[frames, if at_once { &next } else { &[] }].concat());
    let mut heard = Vec::new();
    while let Some(word) = line.hear() {
        let over = matches!(word, Heard::Status(NEXT_STREAM, _));
        heard.push(word);
        if over {
            break;
        }
        if !at_once {
            line.say(&next);
        }
    }
    heard
}

/// The status at the beginning of the first answer on a connection: h2 writes it first, in one of three ways.
fn status(block: &[u8]) -> u16 {
    let block = &block[block.iter().position(|byte| byte & 0b1110_0000 != 0b0010_0000).unwrap()..];
    let known = [200, 204, 206, 304, 400, 404, 500];
    match block[0] {
        indexed @ 0x88..=0x8e => known[usize::from(indexed - 0x88)],
        0x48 | 0x08 if block[1] & 128 == 0 => std::str::from_utf8(&block[2..5]).unwrap().parse().unwrap(),
        0x48 | 0x08 => digits(&block[2..]),
        _ => 0,
    }
}

/// Three digits in the code of RFC 7541 appendix B.
fn digits(coded: &[u8]) -> u16 {
    let bits =
        coded.iter().take(3).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - coded.len().min(3)));
    let (mut at, mut number) = (24, 0);
    for _ in 0..3 {
        let five = bits >> (at - 5) & 31;
        let digit = if five < 3 { (at -= 5, five).1 } else { (at -= 6, (bits >> at & 63) - 0b01_1001 + 3).1 };
        number = number * 10 + digit as u16;
    }
    number
}
