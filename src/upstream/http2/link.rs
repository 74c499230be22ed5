//! One connection to the upstream, and a place for a request on it.
//!
//! Guarantees: nothing is asked before the upstream has said how much it takes, so one that speaks something else gets no
//! request; a place is given back however its request ends; what a peer sends is bounded.
//! Does not know: other connections, what is asked.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use tokio::task::{AbortHandle, spawn_local};
use tracing::debug;

use crate::observe::chain;

use super::super::UpstreamError;
use super::super::framing::Garbled;
use super::super::head::LONGEST;
use super::super::stream::Stream;
use super::super::waiting::Waiting;
use super::links::Links;

/// What one stream may send ahead of its client.
const WINDOW: u32 = 64 * 1024;
/// What is held of one request for an upstream whose connection is full.
const SEND_BUFFER: usize = 64 * 1024;

/// How much may be under way at once, so that all streams can be full and none keeps another waiting.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) streams: usize,
    window: u32,
}

impl Room {
    pub(super) fn within(buffered_bytes: u32) -> Self {
        let window = WINDOW.min(buffered_bytes);
        Self { streams: (buffered_bytes / window.max(1)).max(1) as usize, window }
    }
}

pub(super) struct Link {
    send: SendRequest<Bytes>,
    used: Cell<usize>,
    /// An answer has come over it.
    served: Cell<bool>,
    /// It takes no further requests.
    retired: Cell<bool>,
    idle_since: Cell<Instant>,
    driver: AbortHandle,
}

/// A place for one request.
pub(super) struct Slot {
    pub(super) send: SendRequest<Bytes>,
    /// Whether the connection had served before.
    pub(super) reused: bool,
    link: Rc<Link>,
    home: Rc<Links>,
}

/// Greets an upstream, and waits for it to say how much it takes.
pub(super) async fn greet(
    stream: Stream,
    room: Room,
) -> Result<(SendRequest<Bytes>, Connection<Stream>), UpstreamError> {
    const OTHER: UpstreamError = UpstreamError::Garbled(Garbled("it does not speak HTTP/2"));
    let (send, mut connection) = Builder::new()
        .enable_push(false)
        .initial_window_size(room.window)
        .initial_connection_window_size(room.window.saturating_mul(u32::try_from(room.streams).unwrap_or(u32::MAX)))
        // None before the upstream has said so.
        .initial_max_send_streams(0)
        .max_header_list_size(LONGEST as u32)
        .max_send_buffer_size(SEND_BUFFER)
        .handshake(stream)
        .await
        .map_err(|_| OTHER)?;
    poll_fn(|context| match Pin::new(&mut connection).poll(context) {
        Poll::Ready(_) => Poll::Ready(Err(OTHER)),
        Poll::Pending if connection.max_concurrent_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    Ok((send, connection))
}

impl Link {
    pub(super) fn new(send: SendRequest<Bytes>, connection: Connection<Stream>, now: Instant) -> Self {
        let driver = spawn_local(async move {
            if let Err(error) = connection.await {
                debug!(error = chain(&error), "a connection to the upstream ended");
            }
        });
        Self {
            send,
            used: Cell::new(0),
            served: Cell::new(false),
            retired: Cell::new(false),
            idle_since: Cell::new(now),
            driver: driver.abort_handle(),
        }
    }

    /// A place, if there is one. `most` is how many there may be at all.
    pub(super) fn take(self: &Rc<Self>, most: usize, home: &Rc<Links>) -> Option<Slot> {
        if !self.is_open() || self.used.get() >= most {
            return None;
        }
        let mut send = self.send.clone();
        // GOAWAY is heard here.
        if matches!(send.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_))) {
            self.retired.set(true);
            return None;
        }
        if self.used.get() >= send.current_max_send_streams() {
            return None;
        }
        self.used.set(self.used.get() + 1);
        Some(Slot { send, reused: self.served.get(), link: Rc::clone(self), home: Rc::clone(home) })
    }

    /// How many requests it takes at once.
    pub(super) fn capacity(&self) -> usize {
        self.send.current_max_send_streams()
    }

    /// Whether it may take further requests, now or later.
    pub(super) fn is_open(&self) -> bool {
        !self.retired.get() && !self.driver.is_finished()
    }

    /// It has nothing to do from `now` on.
    pub(super) fn rest(&self, now: Instant, keepalive: Duration) {
        self.idle_since.set(now);
        if keepalive.is_zero() {
            self.retired.set(true);
        }
    }

    /// Whether nothing is under way and nothing is to come.
    pub(super) fn is_done(&self, now: Instant, keepalive: Duration) -> bool {
        self.used.get() == 0 && (!self.is_open() || now >= self.idle_since.get() + keepalive)
    }

    pub(super) fn driver(&self) -> AbortHandle {
        self.driver.clone()
    }
}

impl Slot {
    /// A further wait of the exchange that waits with `waiting`.
    pub(super) fn watched(&self, waiting: &Waiting) -> Waiting {
        self.home.watched().bound_like(waiting)
    }

    /// An answer has come.
    pub(super) fn has_served(&self) {
        self.link.served.set(true);
    }

    /// Nobody else is to use this connection.
    pub(super) fn retire(&self) {
        self.link.retired.set(true);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let link = &self.link;
        link.used.set(link.used.get().saturating_sub(1));
        if link.used.get() == 0 {
            self.home.rests(link);
        }
        self.home.has_room();
    }
}
