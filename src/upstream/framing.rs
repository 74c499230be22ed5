//! Where the body of an upstream's answer ends (RFC 9112 sections 6 and 7).
//!
//! Guarantees: a body ends in exactly one place or is an error; what could be read in two ways is an error; lines and
//! trailers have limits.
//! Does not know: sockets, statuses' meaning, what the bytes are.

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::headers;

/// The longest line with a chunk's size, extensions included.
const LONGEST_SIZE_LINE: usize = 4096;
pub(super) const MOST_TRAILERS: usize = 64;
const LONGEST_TRAILERS: usize = 16 * 1024;

/// How the rest of a body is framed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunk),
    /// All there is until the upstream closes.
    UntilClose,
}

/// What comes next in a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    /// The line break behind the data.
    Break,
    Trailers,
    Over,
}

/// What was taken off the bytes that have arrived.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    /// More has to arrive.
    Wanting,
    End,
}

/// What the fields of a head say of its body.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    length: Option<u64>,
    pub(super) chunked: bool,
}

/// The upstream does not speak HTTP as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Garbled(pub &'static str);

impl Lengths {
    /// Notes a `Content-Length`. Some servers repeat it, which is harmless only if all say the same.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), Garbled> {
        for value in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return Err(Garbled("a Content-Length that is no number"));
            }
            let text = str::from_utf8(value).unwrap_or_default();
            let length = text.parse().map_err(|_| Garbled("a Content-Length beyond all measure"))?;
            if self.length.is_some_and(|other| other != length) {
                return Err(Garbled("several lengths"));
            }
            self.length = Some(length);
        }
        Ok(())
    }

    /// Notes a `Transfer-Encoding`. Any other coding would have to be undone here, as it ends with this hop.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Garbled> {
        if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(Garbled("a transfer coding other than chunked"));
        }
        self.chunked = true;
        Ok(())
    }

    /// Whether chunks make the length void (RFC 9112 section 6.3).
    pub(super) fn contradict(&self) -> bool {
        self.chunked && self.length.is_some()
    }

    pub(super) fn announce_a_body(&self) -> bool {
        self.chunked || self.length.is_some_and(|length| length > 0)
    }

    /// How long the body would have been that is left out: to HEAD, and where nothing has changed.
    pub(super) fn of_absent_body(&self, status: StatusCode, to_head: bool) -> Option<u64> {
        self.length.filter(|_| !self.chunked && (to_head || status == StatusCode::NOT_MODIFIED))
    }

    /// How the body of an answer with this status is framed.
    pub(super) fn framing(&self, status: StatusCode, to_head: bool) -> Framing {
        let none = to_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        match (none, self.chunked, self.length) {
            (true, ..) => Framing::Length(0),
            (false, true, _) => Framing::Chunked(Chunk::Size),
            (false, false, Some(length)) => Framing::Length(length),
            (false, false, None) => Framing::UntilClose,
        }
    }
}

impl Framing {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Over))
    }

    /// How long the rest is, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(Chunk::Over) => Some(0),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Takes what comes next off `arrived`.
    ///
    /// # Errors
    /// When that is no chunked body.
    pub(super) fn take(&mut self, arrived: &mut Bytes) -> Result<Piece, Garbled> {
        match self {
            Self::Length(0) => Ok(Piece::End),
            Self::Length(left) => Ok(data(left, arrived)),
            Self::UntilClose if arrived.is_empty() => Ok(Piece::Wanting),
            Self::UntilClose => Ok(Piece::Data(arrived.split_to(arrived.len()))),
            Self::Chunked(chunk) => chunk.take(arrived),
        }
    }
}

impl Chunk {
    fn take(&mut self, arrived: &mut Bytes) -> Result<Piece, Garbled> {
        loop {
            match self {
                // The parser takes a line without any digit for a size of zero.
                Self::Size if arrived.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) => {
                    return Err(Garbled("a chunk without a size"));
                }
                Self::Size => match httparse::parse_chunk_size(arrived) {
                    Ok(httparse::Status::Complete((line, size))) => {
                        arrived.advance(line);
                        *self = if size == 0 { Self::Trailers } else { Self::Data(size) };
                    }
                    Ok(httparse::Status::Partial) if arrived.len() < LONGEST_SIZE_LINE => return Ok(Piece::Wanting),
                    Ok(httparse::Status::Partial) => return Err(Garbled("a chunk without an end to its size")),
                    Err(_) => return Err(Garbled("a chunk without a size")),
                },
                Self::Data(left) => {
                    let piece = data(left, arrived);
                    if *left == 0 {
                        *self = Self::Break;
                    }
                    return Ok(piece);
                }
                Self::Break => match arrived.first_chunk() {
                    Some(b"\r\n") => {
                        arrived.advance(2);
                        *self = Self::Size;
                    }
                    Some(_) => return Err(Garbled("a chunk longer than its size")),
                    None => return Ok(Piece::Wanting),
                },
                Self::Trailers => {
                    let Some((trailers, length)) = read_trailers(arrived)? else { return Ok(Piece::Wanting) };
                    arrived.advance(length);
                    *self = Self::Over;
                    return Ok(if trailers.is_empty() { Piece::End } else { Piece::Trailers(trailers) });
                }
                Self::Over => return Ok(Piece::End),
            }
        }
    }
}

fn data(left: &mut u64, arrived: &mut Bytes) -> Piece {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(arrived.len());
    if length == 0 {
        return Piece::Wanting;
    }
    *left -= length as u64;
    Piece::Data(arrived.split_to(length))
}

fn read_trailers(arrived: &[u8]) -> Result<Option<(HeaderMap, usize)>, Garbled> {
    const GARBLED: Garbled = Garbled("trailers that cannot be read");
    let mut fields = [httparse::EMPTY_HEADER; MOST_TRAILERS];
    let (length, fields) = match httparse::parse_headers(arrived, &mut fields) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) if arrived.len() < LONGEST_TRAILERS => return Ok(None),
        Ok(httparse::Status::Partial) | Err(_) => return Err(GARBLED),
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| GARBLED)?;
        trailers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| GARBLED)?);
    }
    headers::clean_answer(&mut trailers);
    Ok(Some((trailers, length)))
}

#[cfg(test)]
mod tests;
