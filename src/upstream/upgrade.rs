//! Changes of protocol: what of a client's wish goes on to the upstream, and what is its consent.
//!
//! Guarantees: only a protocol that the operator has named is offered, one at a time, and never with a body or for h2c; an
//! upstream has consented only if its 101 names just this protocol (RFC 9110 section 7.8), and to a WebSocket of an
//! HTTP/2 client only if it has proved that it has read the request (RFC 6455 section 4.1). Whatever asks for anything
//! else is an ordinary request.
//! Does not know: sockets, what is said in a tunnel.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;

use super::UpstreamError;
use super::answer::Answer;
use super::forward::response;
use super::framing::Garbled;
use super::head::{Content, Head};
use super::tunnel::{Seat, Tunnel, Tunnels};

/// The one protocol that HTTP/2 clients can change to (RFC 8441), and that is translated for them.
pub const WEBSOCKET: &str = "websocket";
/// RFC 6455 section 1.3.
const ACCEPT_SALT: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A change of protocol that a request offers, with a place for the tunnel that may come of it.
pub(super) struct Offer {
    protocol: String,
    /// For an HTTP/2 client, whose request has none: the key that was made for it here.
    key: Option<String>,
    seat: Seat,
}

impl Offer {
    /// What of the client's wish goes on. hyper marks requests that have one.
    pub(super) fn read(
        parts: &mut Parts,
        content: Content,
        allowed: &[String],
        tunnels: &Tunnels,
    ) -> Result<Option<Self>, UpstreamError> {
        let translated = parts.extensions.get::<Protocol>().is_some();
        let wished = match parts.extensions.get::<Protocol>() {
            Some(protocol) => allowed.iter().find(|allowed| allowed.eq_ignore_ascii_case(protocol.as_str())),
            None if parts.extensions.get::<OnUpgrade>().is_none() || !nominates_upgrade(&parts.headers) => None,
            None => words(&parts.headers, &UPGRADE)
                .find_map(|word| allowed.iter().find(|allowed| allowed.as_bytes().eq_ignore_ascii_case(word))),
        };
        let Some(protocol) = wished.filter(|protocol| content == Content::None && fits(&parts.method, protocol)) else {
            return Ok(None);
        };
        let seat = tunnels.take().ok_or(UpstreamError::TooManyTunnels)?;
        let mut key = None;
        if translated {
            // The client has no use for one (RFC 8441 section 5), and it must be one that is not known to it.
            let mut nonce = [0; 16];
            aws_lc_rs::rand::fill(&mut nonce).map_err(|_| UpstreamError::Connect(io::Error::other("no randomness")))?;
            let made = STANDARD.encode(nonce);
            parts.headers.remove(SEC_WEBSOCKET_KEY);
            if let Ok(value) = HeaderValue::from_str(&made) {
                parts.headers.insert(SEC_WEBSOCKET_KEY, value);
            }
            parts.headers.entry(SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
            key = Some(made);
        }
        Ok(Some(Self { protocol: protocol.clone(), key, seat }))
    }

    /// Adds to a request's head, which is complete, what was the client's hop's alone and is now this one's.
    pub(super) fn write(&self, head: &mut Vec<u8>) {
        head.truncate(head.len().saturating_sub(2));
        head.extend_from_slice(b"connection: upgrade\r\nupgrade: ");
        head.extend_from_slice(self.protocol.as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
    }

    /// Whether a 101 consents to this offer and to nothing else.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn is_taken_by(&self, answer: &httparse::Response<'_, '_>) -> Result<(), Garbled> {
        let fields = |name: &'static HeaderName| {
            answer.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name.as_str()))
        };
        let mut protocols = fields(&UPGRADE).map(|field| field.value.trim_ascii());
        let this = protocols.next().is_some_and(|named| named.eq_ignore_ascii_case(self.protocol.as_bytes()));
        if !this || protocols.next().is_some() {
            return Err(Garbled("a change to another protocol than was asked for"));
        }
        let mut nominated = fields(&CONNECTION).flat_map(|field| field.value.split(|byte| *byte == b','));
        let nominated = nominated.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
        // RFC 9110 section 8.6 and RFC 9112 section 6.1: a 101 has no body that could have a length.
        let has_length = ["content-length", "transfer-encoding"]
            .iter()
            .any(|name| answer.headers.iter().any(|field| field.name.eq_ignore_ascii_case(name)));
        if !nominated || has_length || answer.version != Some(1) {
            return Err(Garbled("a change of protocol that could be read in two ways"));
        }
        if let Some(key) = &self.key {
            let mut proofs = fields(&SEC_WEBSOCKET_ACCEPT).map(|field| field.value.trim_ascii());
            if proofs.next() != Some(proof(key).as_bytes()) || proofs.next().is_some() {
                return Err(Garbled("a WebSocket without the proof that the request was read"));
            }
        }
        Ok(())
    }

    /// What the client is told when the upstream has consented.
    pub(super) fn accepted(self, mut head: Head, tunnel: Tunnel) -> Response<Answer> {
        if self.key.is_some() {
            head.status = StatusCode::OK;
            head.reason = None;
            head.headers.remove(SEC_WEBSOCKET_ACCEPT);
        } else if let Ok(protocol) = HeaderValue::from_str(&self.protocol) {
            head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(UPGRADE, protocol);
        }
        response(head, Answer::Switched(Box::new(tunnel.seated(self.seat))))
    }
}

/// The answer to a key that proves that a WebSocket server has read it.
fn proof(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{ACCEPT_SALT}").as_bytes()))
}

/// A WebSocket begins with GET (RFC 6455 section 4.1); to HEAD, nobody could say where the answer ends.
fn fits(method: &Method, protocol: &str) -> bool {
    *method == Method::GET || (*method != Method::HEAD && !protocol.eq_ignore_ascii_case(WEBSOCKET))
}

fn nominates_upgrade(headers: &HeaderMap) -> bool {
    words(headers, &CONNECTION).any(|word| word.eq_ignore_ascii_case(b"upgrade"))
}

fn words<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let fields = headers.get_all(name).iter();
    fields.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(key: Option<&str>) -> Offer {
        let seat = Tunnels::new(1).take().unwrap();
        Offer { protocol: WEBSOCKET.into(), key: key.map(Into::into), seat }
    }

    #[track_caller]
    fn taken(answer: &str, key: Option<&str>, expected: bool) {
        let mut fields = [httparse::EMPTY_HEADER; 8];
        let mut parsed = httparse::Response::new(&mut fields);
        let wire = format!("HTTP/1.1 101 x\r\n{answer}\r\n");
        assert!(parsed.parse(wire.as_bytes()).unwrap().is_complete());
        assert_eq!(offer(key).is_taken_by(&parsed).is_ok(), expected, "{answer}");
    }

    #[test]
    fn consent_names_the_protocol_that_was_offered_and_nothing_else() {
        for (answer, expected) in [
            ("Connection: Upgrade\r\nUpgrade: WebSocket\r\n", true),
            ("connection: keep-alive, upgrade\r\nupgrade: websocket\r\n", true),
            ("Connection: Upgrade\r\nUpgrade: h2c\r\n", false),
            ("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", false),
            ("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", false),
            ("Connection: Upgrade\r\n", false),
            ("Upgrade: websocket\r\n", false),
            ("", false),
            ("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", false),
            ("Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", false),
        ] {
            taken(answer, None, expected);
        }
    }

    #[test]
    fn a_key_made_here_has_to_be_answered() {
        // The example of RFC 6455 section 1.3.
        let key = Some("dGhlIHNhbXBsZSBub25jZQ==");
        let consent = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        taken(&format!("{consent}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), key, true);
        taken(&format!("{consent}Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), key, false);
        taken(consent, key, false);
    }
}
