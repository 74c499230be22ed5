//! The connections of one worker to an upstream that speaks HTTP/2.
//!
//! Guarantees: a request gets a place on a connection that takes it, on a further one if all are full, or waits for one, in
//! turn and not for ever; their number is bounded; an idle one is closed after a while, and one that is closed does not
//! linger. All of it belongs to one worker thread.
//! Does not know: what is asked.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;

use crate::token::Timestamp;

use super::super::dial::{Dial, Protocol};
use super::super::framing::Garbled;
use super::super::stream::Stream;
use super::super::waiting::{Lookouts, Waiting};
use super::super::{Terms, UpstreamError};
use super::link::{Link, Room, Slot, greet};

/// How long a connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

pub(super) struct Links {
    dial: Dial,
    connect_timeout: Duration,
    keepalive: Cell<Duration>,
    most: usize,
    room: Room,
    links: RefCell<Vec<Rc<Link>>>,
    closing: RefCell<Vec<(AbortHandle, Instant)>>,
    /// Connections in the making.
    opening: Cell<usize>,
    /// How many requests the next connection will take, as far as the last one tells.
    expected: Cell<usize>,
    /// Requests that wait for a place.
    queued: Cell<usize>,
    /// Something has changed for them.
    changed: Notify,
    /// How many connections could not be made, and why the last one.
    failures: Cell<u64>,
    failure: RefCell<Option<Failed>>,
    lookouts: Lookouts,
    /// When [`Links::tidy`] was last called: a clock that costs nothing to read.
    now: Cell<Instant>,
}

/// Why a connection could not be made, for as many as waited for it.
#[derive(Clone)]
enum Failed {
    Timeout,
    Garbled(Garbled),
    Io(io::ErrorKind, String),
}

impl Links {
    pub(super) fn new(terms: &Terms) -> Self {
        let room = Room::within(terms.http2.buffered_bytes);
        Self {
            dial: terms.dial.clone(),
            connect_timeout: terms.connect_timeout,
            keepalive: Cell::new(terms.keepalive),
            most: terms.http2.connections,
            room,
            links: RefCell::default(),
            closing: RefCell::default(),
            opening: Cell::new(0),
            expected: Cell::new(room.streams),
            queued: Cell::new(0),
            changed: Notify::new(),
            failures: Cell::new(0),
            failure: RefCell::default(),
            lookouts: Lookouts::default(),
            now: Cell::new(Instant::now()),
        }
    }

    /// A wait that is looked after.
    pub(super) fn watched(&self) -> Waiting {
        self.lookouts.watched()
    }

    /// A place for a request.
    ///
    /// # Errors
    /// When there is none in time, no connection can be made, or whoever it is for is not admitted any more.
    pub(super) async fn lease(self: &Rc<Self>, waiting: &Waiting) -> Result<Slot, UpstreamError> {
        // Those that wait come first.
        if self.queued.get() == 0
            && let Some(slot) = self.take()
        {
            return Ok(slot);
        }
        // Boxed, as most requests find a place and need not carry the wait for one.
        Box::pin(self.queue(waiting)).await
    }

    async fn queue(self: &Rc<Self>, waiting: &Waiting) -> Result<Slot, UpstreamError> {
        let _queued = Counted::among(&self.queued);
        let failures = self.failures.get();
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(slot) = self.take() {
                return Ok(slot);
            }
            if self.failures.get() == failures {
                self.open_if_wanted();
            } else if !self.links.borrow().iter().any(|link| link.is_open()) {
                // Trying again is for the next request: the same one over and over would be a storm.
                return Err(self.failure.borrow().clone().unwrap_or(Failed::Timeout).into());
            }
            poll_fn(|context| {
                if changed.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Ok(()));
                }
                let late =
                    |()| Err(if waiting.is_cut() { UpstreamError::Ended } else { UpstreamError::ConnectTimeout });
                waiting.poll(self.connect_timeout, context).map(late)
            })
            .await?;
        }
    }

    /// The first ones stay busy, and the last ones age out.
    fn take(self: &Rc<Self>) -> Option<Slot> {
        self.links.borrow().iter().find_map(|link| link.take(self.room.streams, self))
    }

    fn open_if_wanted(self: &Rc<Self>) {
        if self.is_full() || self.opening.get() * self.expected.get() >= self.queued.get() {
            return;
        }
        let home = Rc::clone(self);
        // Counted from now on: the task itself begins later.
        self.opening.set(self.opening.get() + 1);
        spawn_local(async move {
            let opened = home.open().await;
            home.opening.set(home.opening.get() - 1);
            match opened {
                Ok(link) => {
                    home.expected.set(link.capacity().clamp(1, home.room.streams));
                    home.links.borrow_mut().push(Rc::new(link));
                }
                Err(error) => {
                    home.failures.set(home.failures.get() + 1);
                    *home.failure.borrow_mut() = Some(error.into());
                }
            }
            home.changed.notify_waiters();
        });
    }

    async fn open(&self) -> Result<Link, UpstreamError> {
        let stream = match timeout(self.connect_timeout, self.dial.connect(Protocol::Http2)).await {
            Ok(connected) => connected.map_err(UpstreamError::Connect)?,
            Err(_) => return Err(UpstreamError::ConnectTimeout),
        };
        self.greeted(stream).await
    }

    async fn greeted(&self, stream: Stream) -> Result<Link, UpstreamError> {
        let greeting = timeout(self.connect_timeout, greet(stream, self.room)).await;
        let (send, connection) = greeting.map_err(|_| UpstreamError::ConnectTimeout)??;
        Ok(Link::new(send, connection, self.now.get()))
    }

    /// Whether there are as many connections as there may be.
    fn is_full(&self) -> bool {
        self.links.borrow().iter().filter(|link| link.is_open()).count() + self.opening.get() >= self.most
    }

    /// Takes in a connection that was made elsewhere, if there may be one more.
    ///
    /// # Errors
    /// When it does not speak HTTP/2 in time.
    pub(super) async fn adopt(&self, stream: Stream) -> Result<(), UpstreamError> {
        if self.is_full() {
            return Ok(());
        }
        let opening = Counted::among(&self.opening);
        let link = self.greeted(stream).await?;
        drop(opening);
        self.expected.set(link.capacity().clamp(1, self.room.streams));
        self.links.borrow_mut().push(Rc::new(link));
        self.changed.notify_waiters();
        Ok(())
    }

    /// A connection has nothing to do.
    pub(super) fn rests(&self, link: &Link) {
        link.rest(self.now.get(), self.keepalive.get());
    }

    /// A place was given back.
    pub(super) fn has_room(&self) {
        if self.queued.get() > 0 {
            self.changed.notify_one();
        }
    }

    /// From now on no connection is kept once its requests have ended.
    pub(super) fn retire(&self) {
        self.keepalive.set(Duration::ZERO);
    }

    /// Whether there is no connection, and nobody waits.
    pub(super) fn is_spent(&self) -> bool {
        self.links.borrow().is_empty() && self.closing.borrow().is_empty() && self.lookouts.is_empty()
    }

    /// Closes what has been idle for too long, gives up what waits for too long, and cuts what may not go on at `time`. To
    /// be called now and then: how often is how late each may be.
    pub(super) fn tidy(&self, now: Instant, time: Timestamp) {
        self.now.set(now);
        self.lookouts.look(now, time);
        let mut closing = self.closing.borrow_mut();
        self.links.borrow_mut().retain(|link| {
            let done = link.is_done(now, self.keepalive.get());
            if done {
                // What holds the other end of it open is gone with this, so it says goodbye and ends.
                closing.push((link.driver(), now));
            }
            !done
        });
        closing.retain(|(driver, since)| {
            if now >= *since + GOODBYE {
                driver.abort();
            }
            !driver.is_finished()
        });
        // A connection that has just gone, or takes more than it did, tells nobody.
        if self.queued.get() > 0 {
            self.changed.notify_waiters();
        }
    }
}

/// Counts as one more for as long as it lives.
struct Counted<'a>(&'a Cell<usize>);

impl<'a> Counted<'a> {
    fn among(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl From<UpstreamError> for Failed {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Connect(error) => Self::Io(error.kind(), error.to_string()),
            UpstreamError::Garbled(garbled) => Self::Garbled(garbled),
            _ => Self::Timeout,
        }
    }
}

impl From<Failed> for UpstreamError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Timeout => Self::ConnectTimeout,
            Failed::Garbled(garbled) => Self::Garbled(garbled),
            Failed::Io(kind, text) => Self::Connect(io::Error::new(kind, text)),
        }
    }
}
