//! What has come in from the upstream.
//!
//! Guarantees: memory is taken only when something is there to be read, more of it while the upstream keeps filling it;
//! what is handed on holds no more memory than it needs.
//! Does not know: what the bytes mean.

use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio_util::io::poll_read_buf;

use super::stream::{Reader, Stream};

/// What is read at once: a head and a short body at first, more while the upstream keeps filling it.
const READ: usize = 8 * 1024;
const READ_MOST: usize = 64 * 1024;
/// Up to this much is copied out of the room it was read into: a client that is slow to take one event after the other
/// would else hold the whole room for each.
const SMALL: usize = 1024;

/// A connection that is read from.
pub(super) enum Source {
    Whole(Stream),
    /// Somebody else is still writing to it.
    Half(Reader),
}

pub(super) struct Arrivals {
    /// Read and not yet looked at.
    pub(super) bytes: Bytes,
    read: usize,
}

impl Arrivals {
    pub(super) fn new() -> Self {
        Self { bytes: Bytes::new(), read: READ }
    }

    /// Reads behind what has not been looked at. Ready with zero at the end.
    pub(super) fn poll_more(&mut self, source: &mut Source, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(source.poll_readable(context))?;
        // Without a copy if nobody else holds a part of it.
        let bytes = mem::take(&mut self.bytes).try_into_mut();
        let mut room = bytes.unwrap_or_else(|shared| BytesMut::from(&*shared));
        room.reserve(self.read);
        let read = match source {
            Source::Whole(stream) => poll_read_buf(Pin::new(stream), context, &mut room),
            Source::Half(stream) => poll_read_buf(Pin::new(stream), context, &mut room),
        };
        // A read that has brought nothing needs no room until the next.
        self.bytes = if room.is_empty() { Bytes::new() } else { room.freeze() };
        if let Poll::Ready(Ok(length)) = read {
            self.read = match length {
                _ if length >= self.read => (self.read * 2).min(READ_MOST),
                _ if length < self.read / 4 => READ,
                _ => self.read,
            };
        }
        read
    }

    /// Lets go of the room around few bytes.
    pub(super) fn shrink(&mut self) {
        if !self.bytes.is_empty() && self.bytes.len() <= SMALL {
            self.bytes = Bytes::copy_from_slice(&self.bytes);
        }
    }
}

impl Source {
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Whole(stream) => stream.poll_readable(context),
            Self::Half(reader) => reader.poll_readable(context),
        }
    }
}
