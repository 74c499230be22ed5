//! The pulse of a connection: what it is doing, and by when it must have done it.
//!
//! Guarantees: noting a sign of life costs a few loads and stores and no timer; one lazy timer per connection asks for
//! the deadline now and then.
//! Does not know: what is read or written.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::upstream::Answer;

use super::Deadlines;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has come yet.
    Fresh,
    /// A request head is arriving.
    Head,
    /// Requests are being answered.
    Busy,
    /// All answers are out, no new request has begun.
    Idle,
}

/// What is due when a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The client never began, was idle for too long, or does not read: nobody is there to answer.
    Close,
    /// A request head did not arrive in time: 408.
    Head,
}

#[derive(Debug)]
pub(super) struct Pulse {
    phase: Cell<Phase>,
    /// When the phase began. `None` until somebody asks: reading the clock on every request would cost more than the
    /// whole pulse, and a deadline that begins with the first question is at most one interval late.
    since: Cell<Option<Instant>>,
    active: Cell<u32>,
    /// Since when a write has been waiting for the client to read.
    blocked: Cell<Option<Instant>>,
}

impl Pulse {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Fresh),
            since: Cell::new(None),
            active: Cell::new(0),
            blocked: Cell::new(None),
        })
    }

    /// A request has arrived in full. The guard notes when its answer is out.
    pub(super) fn begin(self: &Rc<Self>) -> Answering {
        self.active.set(self.active.get() + 1);
        self.phase.set(Phase::Busy);
        Answering(Rc::clone(self))
    }

    /// What is overdue at `now`, or when to ask again.
    pub(super) fn check(&self, now: Instant, deadlines: &Deadlines) -> Result<Instant, Overdue> {
        if self.since.get().is_none() {
            self.since.set(Some(now));
        }
        let since = self.since.get().unwrap_or(now);
        let (by, overdue) = match (self.phase.get(), self.blocked.get()) {
            (_, Some(blocked)) => (blocked + deadlines.stall, Overdue::Close),
            (Phase::Fresh, None) => (since + deadlines.first_byte, Overdue::Close),
            (Phase::Head, None) => (since + deadlines.header, Overdue::Head),
            (Phase::Idle, None) => (since + deadlines.idle, Overdue::Close),
            (Phase::Busy, None) => return Ok(now + deadlines.interval()),
        };
        if now >= by { Err(overdue) } else { Ok(by.min(now + deadlines.interval())) }
    }

    fn heard(&self) {
        if matches!(self.phase.get(), Phase::Fresh | Phase::Idle) {
            self.phase.set(Phase::Head);
            self.since.set(None);
        }
    }

    fn written(&self, blocked: bool) {
        match (blocked, self.blocked.get()) {
            (true, None) => self.blocked.set(Some(Instant::now())),
            (false, Some(_)) => self.blocked.set(None),
            (true, Some(_)) | (false, None) => {}
        }
    }
}

/// Lives as long as a request's answer is under way.
#[derive(Debug)]
pub(super) struct Answering(Rc<Pulse>);

impl Drop for Answering {
    fn drop(&mut self) {
        let left = self.0.active.get() - 1;
        self.0.active.set(left);
        if left == 0 {
            self.0.phase.set(Phase::Idle);
            self.0.since.set(None);
        }
    }
}

/// An answer that notes when it is out.
pub(super) struct Tracked {
    pub(super) answer: Answer,
    pub(super) _answering: Answering,
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.answer).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

/// A stream that notes signs of life.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) pulse: Rc<Pulse>,
}

impl<S: Read + Unpin> Read for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.pulse.heard();
        }
        read
    }
}

impl<S: Write + Unpin> Write for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.pulse.written(written.is_pending());
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
        self.pulse.written(written.is_pending());
        written
    }
}

impl Deadlines {
    /// How often a connection is asked: a quarter of the shortest deadline, which is how late a deadline may be.
    pub(super) fn interval(&self) -> Duration {
        self.first_byte.min(self.header).min(self.idle).min(self.stall) / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        first_byte: Duration::from_secs(1),
        header: Duration::from_secs(2),
        idle: Duration::from_secs(3),
        stall: Duration::from_secs(4),
    };

    #[track_caller]
    fn overdue_after(pulse: &Pulse, secs: u64, expected: Overdue) {
        let start = Instant::now();
        assert!(pulse.check(start, &DEADLINES).is_ok());
        assert!(pulse.check(start + Duration::from_secs(secs) - Duration::from_millis(1), &DEADLINES).is_ok());
        assert_eq!(pulse.check(start + Duration::from_secs(secs), &DEADLINES), Err(expected));
    }

    #[test]
    fn each_wait_has_its_own_deadline() {
        let pulse = Pulse::new();
        overdue_after(&pulse, 1, Overdue::Close);
        pulse.heard();
        overdue_after(&pulse, 2, Overdue::Head);
        let answering = pulse.begin();
        assert!(pulse.check(Instant::now() + Duration::from_secs(3600), &DEADLINES).is_ok());
        pulse.blocked.set(Some(Instant::now()));
        assert_eq!(pulse.check(Instant::now() + Duration::from_secs(4), &DEADLINES), Err(Overdue::Close));
        pulse.written(false);
        drop(answering);
        overdue_after(&pulse, 3, Overdue::Close);
    }

    #[test]
    fn bytes_of_the_same_head_do_not_buy_time() {
        let pulse = Pulse::new();
        pulse.heard();
        let start = Instant::now();
        assert!(pulse.check(start, &DEADLINES).is_ok());
        pulse.heard();
        assert_eq!(pulse.check(start + Duration::from_secs(2), &DEADLINES), Err(Overdue::Head));
    }
}
