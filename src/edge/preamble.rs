//! What a proxy in front says before the client's first byte: the PROXY protocol, versions 1 and 2.
//!
//! Guarantees: it is read whole and not a byte further; what is none ends the connection, as the specification demands:
//! guessing would let whoever gets past the proxy choose its address.
//! Does not know: who is allowed to say so, how long it may take.
//!
//! <https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt>

use std::io;
use std::net::SocketAddr;

use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::connection::GLANCE;

/// Version 1 takes 107 bytes at most. Version 2 has 536 for sure, and more where proxies add what they know of TLS.
const LONGEST: usize = 4096;
const LONGEST_LINE: usize = 107;
const VERSION_1: &[u8] = b"PROXY ";

/// Reads it. `None`: the proxy speaks for itself, as for a health check, or does not know for whom.
///
/// # Errors
/// When what comes is something else.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut start = vec![0; LONGEST];
    loop {
        let seen = stream.peek(&mut start).await?;
        if let Some((length, client)) = parse(&start[..seen])? {
            stream.read_exact(&mut start[..length]).await?;
            return Ok(client);
        }
        if seen == 0 || seen == LONGEST {
            return Err(wrong());
        }
        // What has come stays in the kernel, which cannot tell when more has.
        sleep(GLANCE).await;
    }
}

/// Its length, and what it says; `None` if it is not whole yet.
pub(super) fn parse(start: &[u8]) -> io::Result<Option<(usize, Option<SocketAddr>)>> {
    let mut start = start;
    if start.starts_with(VERSION_1) || VERSION_1.starts_with(start) {
        // Whole before it is parsed, and nothing but the line: the parser is not strict about where that ends.
        let most = start.len().min(LONGEST_LINE);
        match start[..most].windows(2).position(|two| two == b"\r\n") {
            Some(end) if !start[..end].iter().all(|byte| matches!(byte, b' '..=b'~')) => return Err(wrong()),
            Some(end) => start = &start[..end + 2],
            None if start.len() < LONGEST_LINE => return Ok(None),
            None => return Err(wrong()),
        }
    }
    let parsed = HeaderResult::parse(start);
    if parsed.is_incomplete() {
        return if start.starts_with(VERSION_1) { Err(wrong()) } else { Ok(None) };
    }
    match parsed {
        HeaderResult::V1(Ok(header)) => {
            let client = match header.addresses {
                v1::Addresses::Tcp4(v4) => Some((v4.source_address, v4.source_port).into()),
                v1::Addresses::Tcp6(v6) => Some((v6.source_address, v6.source_port).into()),
                v1::Addresses::Unknown => None,
            };
            if header.header.len() == start.len() { Ok(Some((start.len(), client))) } else { Err(wrong()) }
        }
        HeaderResult::V2(Ok(header)) => {
            let client = match (header.command, header.addresses) {
                (v2::Command::Proxy, v2::Addresses::IPv4(v4)) => Some((v4.source_address, v4.source_port).into()),
                (v2::Command::Proxy, v2::Addresses::IPv6(v6)) => Some((v6.source_address, v6.source_port).into()),
                (v2::Command::Proxy, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) | (v2::Command::Local, _) => {
                    None
                }
            };
            Ok(Some((header.len(), client)))
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Err(wrong()),
    }
}

fn wrong() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of version 2, with these bytes behind the signature.
    fn v2(rest: &[u8]) -> Vec<u8> {
        [b"\r\n\r\n\0\r\nQUIT\n", rest].concat()
    }

    #[track_caller]
    fn says(bytes: &[u8], client: Option<&str>) {
        let client = client.map(|client| client.parse().unwrap());
        let followed = [bytes, b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(parse(&followed).unwrap(), Some((bytes.len(), client)));
        for length in 0..bytes.len() {
            assert!(matches!(parse(&bytes[..length]), Ok(None)), "{length} bytes of it");
        }
    }

    #[test]
    fn both_versions_tell_the_client() {
        says(b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n", Some("203.0.113.7:4711"));
        says(b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", Some("[2001:db8::7]:4711"));
        says(&v2(b"\x21\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x01\x12\x67\x01\xbb"), Some("203.0.113.7:4711"));
        let tlv = v2(b"\x21\x11\0\x10\xcb\0\x71\x07\xc0\0\x02\x01\x12\x67\x01\xbb\x04\0\x01\0");
        says(&tlv, Some("203.0.113.7:4711"));
    }

    #[test]
    fn a_proxy_may_speak_for_itself() {
        says(b"PROXY UNKNOWN\r\n", None);
        says(&v2(b"\x20\0\0\0"), None);
        says(&v2(b"\x20\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x01\x12\x67\x01\xbb"), None);
    }

    #[test]
    fn anything_else_ends_the_connection() {
        for wrong in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 70000\r\n",
            b"PROXY TCP4 2001:db8::7 192.0.2.1 4711 443\r\n",
            b"PROXY TCP4 203.0.113.07 192.0.2.1 4711 443 x\r\n",
            b"proxy UNKNOWN\r\n",
            &v2(b"\x11\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x01\x12\x67\x01\xbb"),
            &v2(b"\x21\x11\0\x02\xcb\0"),
        ] {
            assert!(parse(wrong).is_err(), "{}", wrong.escape_ascii());
        }
    }
}
