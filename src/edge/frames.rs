//! The frames of an HTTP/2 connection, counted as they come in.
//!
//! Guarantees: a client that sends frames which ask for nothing - pings, settings, priorities, windows, resets - at a rate
//! that no honest one needs is told to calm down and cut off; what it costs until then is bounded.
//! Does not know: what h2 itself bounds: the size of heads and frames, streams, empty data, the memory for answers to pings
//! and settings.
//!
//! CVE-2019-9511 to -9518, CVE-2023-44487.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use tracing::info;

use super::pulse::Pulse;

/// The client's part of the preface is no frame.
const PREFACE: u32 = 24;
const HEAD: usize = 9;
/// Taking a request back costs the most: it has been judged, and perhaps forwarded.
const RESET_COUNTS: i32 = 4;
/// GOAWAY, ENHANCE_YOUR_CALM (RFC 9113 sections 6.8 and 7); what was answered so far is no secret to the client.
const CALM_DOWN: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\x0b";

/// Where bytes are read to before they are looked at: one for all connections of a worker.
pub(super) type Scratch = Rc<RefCell<Vec<u8>>>;

pub(super) fn scratch() -> Scratch {
    Rc::new(RefCell::new(vec![0; 32 << 10]))
}

/// A stream whose frames are counted.
pub(super) struct Metered<S> {
    stream: S,
    meter: Meter,
    pulse: Rc<Pulse>,
    scratch: Scratch,
    most: i32,
    /// The last write has left a part of a frame.
    amid: bool,
}

impl<S> Metered<S> {
    /// With at most so many frames that ask for nothing from one round to the next.
    pub(super) fn new(stream: S, pulse: Rc<Pulse>, scratch: Scratch, most: u32) -> Self {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        Self { stream, meter: Meter::default(), pulse, scratch, most, amid: false }
    }
}

impl<S: Read + Write + Unpin> Read for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let scratch = &mut *this.scratch.borrow_mut();
        let most = scratch.len().min(buffer.remaining());
        let mut read = ReadBuf::new(&mut scratch[..most]);
        ready!(Pin::new(&mut this.stream).poll_read(context, read.unfilled()))?;
        let frames = this.meter.count(read.filled());
        if frames > 0 && this.pulse.idle_frames(frames) > this.most {
            info!("a flood of HTTP/2 frames: the connection is closed");
            if !this.amid {
                // Whoever does not read that does not hear it.
                let _ = Pin::new(&mut this.stream).poll_write(context, CALM_DOWN);
            }
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        buffer.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.amid = !matches!(written, Poll::Ready(Ok(length)) if length == bytes.len());
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        self.amid = !matches!(written, Poll::Ready(Ok(written)) if written == length);
        written
    }
}

/// Finds the heads of frames in what arrives, however it is cut.
struct Meter {
    head: [u8; HEAD],
    /// So much of the next head is there.
    have: usize,
    /// So much is left of the payload before it.
    rest: u32,
}

impl Default for Meter {
    fn default() -> Self {
        Self { head: [0; HEAD], have: 0, rest: PREFACE }
    }
}

impl Meter {
    /// What the frames that begin here count for.
    fn count(&mut self, mut bytes: &[u8]) -> i32 {
        let mut count = 0;
        loop {
            let payload = bytes.len().min(self.rest as usize);
            bytes = &bytes[payload..];
            // It is no longer than what is left.
            self.rest -= payload as u32;
            let part = bytes.len().min(HEAD - self.have);
            if part == 0 {
                return count;
            }
            self.head[self.have..self.have + part].copy_from_slice(&bytes[..part]);
            bytes = &bytes[part..];
            self.have += part;
            if self.have < HEAD {
                return count;
            }
            self.have = 0;
            self.rest = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]);
            count += match self.head[3] {
                // DATA, HEADERS and CONTINUATION: h2 has its own limits for what is empty or endless of these.
                0 | 1 | 9 => 0,
                3 => RESET_COUNTS,
                _ => 1,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0\0\x06\0\0\0\0\0\0";
    const RESET: &[u8] = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08";
    const DATA: &[u8] = b"\0\0\x11\0\0\0\0\0\x01\0\0\x08\x06\0\0\0\0\0\0\x06\0\0\0\0\0\0";
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let bytes = [PREFACE, PING, DATA, RESET, PING].concat();
        for size in 1..=bytes.len() {
            let mut meter = Meter::default();
            let count: i32 = bytes.chunks(size).map(|piece| meter.count(piece)).sum();
            assert_eq!(count, 2 + RESET_COUNTS, "in pieces of {size}");
        }
    }

    #[test]
    fn the_last_word_is_a_frame() {
        let mut meter = Meter { rest: 0, ..Meter::default() };
        assert_eq!(meter.count(CALM_DOWN), 1);
        assert_eq!((meter.rest, meter.have), (0, 0));
    }
}
