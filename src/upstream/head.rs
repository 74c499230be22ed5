//! The heads of messages to and from the upstream (RFC 9112 sections 2 to 6).
//!
//! Guarantees: what is sent is unambiguous: one target, one host, one length; what is read is strict: an answer that
//! could be read in two ways is none; a head has limits; fields for this hop do not leave this file.
//! Does not know: sockets, who may ask.

use std::io::Write;
use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use httparse::{ParserConfig, Status};
use hyper::ext::ReasonPhrase;

use super::framing::{Framing, Garbled, Lengths};
use super::headers::{self, Vouched};
use super::upgrade::Offer;

/// Limits of an answer's head: beyond what any API sends, and small enough to hold many.
pub(super) const LONGEST: usize = 64 * 1024;
pub(super) const MOST_FIELDS: usize = 128;

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    None,
    Length(u64),
    Chunked,
}

/// The head of a request as it goes over the wire.
pub(super) fn write(
    method: &Method,
    target: &PathAndQuery,
    content: Content,
    headers: &HeaderMap,
    vouched: &Vouched<'_>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_str().as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    headers::write_request(&mut out, headers, vouched);
    // Writing to a vector cannot fail.
    let _ = match content {
        Content::Length(length) => write!(out, "content-length: {length}\r\n"),
        Content::Chunked => out.write_all(b"transfer-encoding: chunked\r\n"),
        // Servers wait for a body that a method makes them expect, unless told that it is empty (RFC 9110 section 8.6).
        Content::None if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => {
            out.write_all(b"content-length: 0\r\n")
        }
        Content::None => Ok(()),
    };
    out.extend_from_slice(b"\r\n");
    out
}

/// The head of an answer, without what is for this hop only.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// If it is not the usual one.
    pub(super) reason: Option<ReasonPhrase>,
    pub(super) headers: HeaderMap,
}

/// What a head says of what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sequel {
    pub(super) framing: Framing,
    /// Whether another request may follow on this connection.
    pub(super) persistent: bool,
}

/// Reads the head of a final answer off `arrived`, past informational ones. `None`: more has to arrive. `offer` is the
/// change of protocol that the request offered, `spare` an empty map to fill.
///
/// # Errors
/// When it cannot be read, or could be read in two ways.
pub(super) fn read(
    arrived: &mut Bytes,
    to_head: bool,
    offer: Option<&Offer>,
    spare: &mut HeaderMap,
) -> Result<Option<(Head, Sequel)>, Garbled> {
    loop {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut parsed = httparse::Response::new(&mut []);
        let parsing = ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, arrived, &mut fields);
        let length = match parsing {
            Ok(Status::Complete(length)) if length <= LONGEST => length,
            Ok(Status::Partial) if arrived.len() < LONGEST => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Garbled("a head beyond its limits")),
            Err(_) => return Err(Garbled("a head that cannot be read")),
        };
        let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Garbled("an odd status"))?;
        match status {
            StatusCode::SWITCHING_PROTOCOLS => {
                let offer = offer.ok_or(Garbled("a change of protocol that nobody asked for"))?;
                offer.is_taken_by(&parsed)?;
                let (head, _) = answer(&parsed, status, to_head, arrived, std::mem::take(spare))?;
                let _ = arrived.split_to(length);
                return Ok(Some((head, Sequel { framing: Framing::Length(0), persistent: false })));
            }
            _ if status.is_informational() => {
                let _ = arrived.split_to(length);
            }
            _ => {
                let read = answer(&parsed, status, to_head, arrived, std::mem::take(spare))?;
                let _ = arrived.split_to(length);
                return Ok(Some(read));
            }
        }
    }
}

fn answer(
    parsed: &httparse::Response<'_, '_>,
    status: StatusCode,
    to_head: bool,
    whole: &Bytes,
    mut headers: HeaderMap,
) -> Result<(Head, Sequel), Garbled> {
    let connection = || parsed.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("connection"));
    let nominated = headers::nominated(connection().map(|field| field.value), |_| true);
    if nominated.len() > MOST_FIELDS {
        return Err(Garbled("a head beyond its limits"));
    }
    let mut lengths = Lengths::default();
    for field in parsed.headers.iter() {
        const ODD: Garbled = Garbled("a field that cannot be read");
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| ODD)?;
        match name {
            CONTENT_LENGTH => lengths.content_length(field.value)?,
            TRANSFER_ENCODING => lengths.transfer_encoding(field.value)?,
            _ => {}
        }
        if name != CONTENT_LENGTH && headers::answer_crosses(&name, &nominated) {
            let value = HeaderValue::from_maybe_shared(whole.slice_ref(field.value)).map_err(|_| ODD)?;
            headers.append(name, value);
        }
    }
    let framing = lengths.framing(status, to_head);
    // Whoever frames the body for the client says how long it is; where there is none, nobody else could.
    if let Some(length) = lengths.of_absent_body(status, to_head) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let one_dot_one = parsed.version == Some(1);
    if !one_dot_one && lengths.chunked {
        return Err(Garbled("chunks in HTTP/1.0"));
    }
    let says = |word: &str| {
        let words = connection().flat_map(|field| field.value.split(|byte| *byte == b','));
        words.map(<[u8]>::trim_ascii).any(|said| said.eq_ignore_ascii_case(word.as_bytes()))
    };
    // A body where there must be none would be taken for the next answer.
    let illegal = status == StatusCode::NO_CONTENT && lengths.announce_a_body();
    let sound = one_dot_one && !says("close") && !lengths.contradict() && !illegal;
    let persistent = sound && framing != Framing::UntilClose;
    Ok((Head { status, reason: reason(parsed, status), headers }, Sequel { framing, persistent }))
}

fn reason(parsed: &httparse::Response<'_, '_>, status: StatusCode) -> Option<ReasonPhrase> {
    let (said, usual) = (parsed.reason?.trim_ascii(), status.canonical_reason());
    // Where there is neither, hyper would make one up: `<none>`.
    if usual == Some(said) || (said.is_empty() && usual.is_some()) {
        return None;
    }
    ReasonPhrase::try_from(said.as_bytes()).ok()
}

#[cfg(test)]
mod tests;
