//! The pulse of a connection: what it is doing, and by when it must have done it.
//!
//! Guarantees: noting a sign of life costs a few loads and stores, no timer and no clock; what has to be told to a
//! connection reaches it even if it is asleep.
//! Does not know: what is read or written, who goes round and asks.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::task::AbortHandle;

use crate::upstream::{Answer, Tether, Tunnel};

use super::Deadlines;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has come yet.
    Fresh,
    /// A TLS handshake has begun, and waits for all that a client says first, or for its turn.
    Hello,
    /// It goes on.
    Handshake,
    /// A request head is arriving.
    Head,
    /// Requests are being answered.
    Busy,
    /// All answers are out, no new request has begun.
    Idle,
}

/// One of HTTP/2 whose request has arrived.
#[derive(Debug, Default)]
struct Stream {
    taken: bool,
    task: Option<AbortHandle>,
    /// The client has to make room for what it was given last: hyper asks for no more before.
    owed: bool,
    /// When that was first seen.
    since: Cell<Option<Instant>>,
}

/// For each piece of an answer, and for each of so many bytes of it, a client may send a frame that carries no request:
/// windows above all, which some give back in small change. Unused occasions are kept up to a full window of 4 MiB.
const FRAMES_PER_PIECE: i32 = 16;
const BYTES_PER_FRAME: usize = 1024;
const MOST_OCCASION: i32 = 8192;

/// What a connection can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Finish what is under way and end.
    Drain,
    /// A request head did not arrive in time.
    HeadOverdue,
    /// The client never began, was idle for too long, or does not read: nobody is there to answer. Or it does not read
    /// what it may not have any more.
    Overdue,
}

pub(super) struct Pulse {
    /// HTTP/2: bytes need not be the beginning of a request.
    multiplexed: Cell<bool>,
    phase: Cell<Phase>,
    /// When the phase began, as far as anybody has asked: reading the clock on every request would cost more than the
    /// whole pulse, and a deadline that begins with the first question is at most one round late.
    since: Cell<Option<Instant>>,
    active: Cell<u32>,
    /// HTTP/2: each has a window of its own, and a client that gives it none holds up that stream and no write.
    streams: RefCell<Vec<Stream>>,
    /// The stream that has just begun.
    newest: Cell<Option<usize>>,
    /// HTTP/2: frames that carried no request, less those that answers give occasion for.
    idle_frames: Cell<i32>,
    requests: Cell<u32>,
    /// A write waits for the client to read; with the time from when on that was seen.
    blocked: Cell<bool>,
    blocked_since: Cell<Option<Instant>>,
    /// HTTP/1.1: of the answer that is on its way.
    tether: RefCell<Option<Tether>>,
    /// HTTP/1.1: what the connection becomes once the client was told.
    switched: RefCell<Option<Box<Tunnel>>>,
    word: Cell<Option<Word>>,
    sleeper: RefCell<Option<Waker>>,
}

impl Pulse {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            multiplexed: Cell::new(false),
            phase: Cell::new(Phase::Fresh),
            since: Cell::new(None),
            active: Cell::new(0),
            streams: RefCell::new(Vec::new()),
            newest: Cell::new(None),
            idle_frames: Cell::new(0),
            requests: Cell::new(0),
            blocked: Cell::new(false),
            blocked_since: Cell::new(None),
            tether: RefCell::new(None),
            switched: RefCell::new(None),
            word: Cell::new(None),
            sleeper: RefCell::new(None),
        })
    }

    /// The first byte of a TLS handshake has come.
    pub(super) fn greeted(&self) {
        self.enter(Phase::Hello);
    }

    /// It has its turn.
    pub(super) fn shakes_hands(&self) {
        self.enter(Phase::Handshake);
    }

    /// It is over, and what was said before was not HTTP.
    pub(super) fn has_shaken(&self) {
        self.enter(Phase::Fresh);
    }

    /// From now on it speaks HTTP/2.
    pub(super) fn multiplex(&self) {
        self.multiplexed.set(true);
    }

    pub(super) fn is_multiplexed(&self) -> bool {
        self.multiplexed.get()
    }

    /// A request has arrived in full: which one of this connection, from one on. The guard notes when its answer is out.
    pub(super) fn begin(self: &Rc<Self>) -> (Answering, u32) {
        self.requests.set(self.requests.get().saturating_add(1));
        let mut answering = self.hold();
        if self.multiplexed.get() {
            answering.stream = self.take_up();
        }
        (answering, self.requests.get())
    }

    /// As busy as with a request, until the guard is dropped.
    pub(super) fn hold(self: &Rc<Self>) -> Answering {
        self.active.set(self.active.get() + 1);
        self.phase.set(Phase::Busy);
        Answering { pulse: Rc::clone(self), stream: NO_STREAM }
    }

    /// Room for a stream, that of an ended one if there is any.
    fn take_up(&self) -> usize {
        let mut streams = self.streams.borrow_mut();
        let free = streams.iter().position(|stream| !stream.taken).unwrap_or(streams.len());
        if free == streams.len() {
            streams.push(Stream::default());
        }
        streams[free].taken = true;
        self.newest.set(Some(free));
        free
    }

    /// HTTP/2: the stream that has just begun is this task.
    pub(super) fn runs(&self, task: &AbortHandle) {
        if let Some(newest) = self.newest.take() {
            self.streams.borrow_mut()[newest].task = Some(task.clone());
        }
    }

    /// A piece of an answer was handed over for the client, or nothing is left of those that were.
    fn answered(&self, stream: usize, piece: Option<usize>) {
        if !self.multiplexed.get() {
            return;
        }
        if let Some(stream) = self.streams.borrow_mut().get_mut(stream) {
            stream.owed = piece.is_some();
            stream.since.set(None);
        }
        if let Some(length) = piece {
            self.credit(length);
        }
    }

    /// HTTP/2: so many bytes were handed over for the client, which gives it occasion to send frames.
    pub(super) fn credit(&self, length: usize) {
        let occasion =
            FRAMES_PER_PIECE + i32::try_from(length / BYTES_PER_FRAME).unwrap_or(MOST_OCCASION).min(MOST_OCCASION);
        self.idle_frames.set(self.idle_frames.get().saturating_sub(occasion).max(-MOST_OCCASION));
    }

    /// HTTP/2: so many frames came that carry no request. How many that makes since the last round.
    pub(super) fn idle_frames(&self, frames: i32) -> i32 {
        self.idle_frames.set(self.idle_frames.get().saturating_add(frames));
        self.idle_frames.get()
    }

    /// Ends the streams whose client gives them no window any more.
    fn end_stalled(&self, now: Instant, patience: Duration) {
        for stream in &mut *self.streams.borrow_mut() {
            if stream.owed && passed(&stream.since, now, patience) {
                stream.owed = false;
                if let Some(task) = stream.task.take() {
                    task.abort();
                }
            }
        }
    }

    /// The answer that is given next may be cut. In HTTP/2 there are others beside it that may not.
    pub(super) fn tie(&self, tether: Tether) {
        if !self.multiplexed.get() {
            *self.tether.borrow_mut() = Some(tether);
        }
    }

    /// The answer that is given next is the last: then it is a tunnel.
    pub(super) fn switch(&self, tunnel: Box<Tunnel>) {
        *self.switched.borrow_mut() = Some(tunnel);
    }

    pub(super) fn switched(&self) -> Option<Box<Tunnel>> {
        self.switched.take()
    }

    /// Nothing waits for the client any more.
    pub(super) fn unblock(&self) {
        self.written(false);
    }

    /// Whether an answer is under way.
    pub(super) fn is_answering(&self) -> bool {
        self.active.get() > 0
    }

    /// Tells the connection, and wakes it.
    pub(super) fn tell(&self, word: Word) {
        self.word.set(Some(word));
        if let Some(sleeper) = &*self.sleeper.borrow() {
            sleeper.wake_by_ref();
        }
    }

    /// What the connection was told since it last asked. It is one task for life, so its first waker stays the right
    /// one.
    pub(super) fn told(&self, context: &Context<'_>) -> Option<Word> {
        if self.sleeper.borrow().is_none() {
            *self.sleeper.borrow_mut() = Some(context.waker().clone());
        }
        self.word.take()
    }

    /// Waits for the next word.
    pub(super) async fn hear(&self) -> Word {
        poll_fn(|context| self.told(context).map_or(Poll::Pending, Poll::Ready)).await
    }

    /// What is overdue at `now`. With `hurry`, a handshake that has its turn may take no longer than that.
    pub(super) fn overdue(&self, now: Instant, deadlines: &Deadlines, hurry: Option<Duration>) -> Option<Word> {
        if self.multiplexed.get() {
            self.idle_frames.set(self.idle_frames.get().min(0));
            self.end_stalled(now, deadlines.stall);
        }
        if self.blocked.get() {
            // hyper asks for more of an answer only when the client has read what there was.
            if self.tether.borrow().as_ref().is_some_and(Tether::is_cut) {
                return Some(Word::Overdue);
            }
            return passed(&self.blocked_since, now, deadlines.stall).then_some(Word::Overdue);
        }
        let (patience, word) = match self.phase.get() {
            Phase::Fresh => (deadlines.first_byte, Word::Overdue),
            Phase::Hello => (deadlines.handshake, Word::Overdue),
            Phase::Handshake => (deadlines.handshake.min(hurry.unwrap_or(deadlines.handshake)), Word::Overdue),
            Phase::Head => (deadlines.header, Word::HeadOverdue),
            Phase::Idle => (deadlines.idle, Word::Overdue),
            Phase::Busy => return None,
        };
        passed(&self.since, now, patience).then_some(word)
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(None);
    }

    fn heard(&self) {
        match self.phase.get() {
            Phase::Fresh if self.multiplexed.get() => self.enter(Phase::Idle),
            Phase::Fresh => self.enter(Phase::Head),
            Phase::Idle if !self.multiplexed.get() => self.enter(Phase::Head),
            Phase::Idle | Phase::Head | Phase::Busy | Phase::Hello | Phase::Handshake => {}
        }
    }

    fn written(&self, blocked: bool) {
        self.blocked.set(blocked);
        if !blocked {
            self.blocked_since.set(None);
        }
    }
}

/// Whether `patience` has passed since the first time this was asked.
fn passed(since: &Cell<Option<Instant>>, now: Instant, patience: Duration) -> bool {
    match since.get() {
        Some(since) => now >= since + patience,
        None => {
            since.set(Some(now));
            false
        }
    }
}

/// Of an answer that is none of HTTP/2's streams, or has outlived its own.
const NO_STREAM: usize = usize::MAX;

/// Lives as long as a request's answer is under way.
pub(super) struct Answering {
    pulse: Rc<Pulse>,
    /// Which one of the connection's.
    stream: usize,
}

impl Answering {
    /// Of the connection that it is on.
    pub(super) fn pulse(&self) -> &Rc<Pulse> {
        &self.pulse
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(stream) = self.pulse.streams.borrow_mut().get_mut(self.stream) {
            *stream = Stream::default();
        }
        let left = self.pulse.active.get() - 1;
        self.pulse.active.set(left);
        if left == 0 {
            self.pulse.enter(Phase::Idle);
        }
    }
}

/// An answer that notes when it is out.
pub(super) struct Tracked {
    pub(super) answer: Answer,
    pub(super) answering: Answering,
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = Pin::new(&mut self.answer).poll_frame(context);
        let piece = match &frame {
            Poll::Ready(Some(Ok(frame))) => frame.data_ref().map(Buf::remaining),
            _ => None,
        };
        self.answering.pulse.answered(self.answering.stream, piece);
        frame
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
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        // Under TLS, what was written may lie encrypted until here.
        self.pulse.written(flushed.is_pending());
        flushed
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

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        first_byte: Duration::from_secs(1),
        handshake: Duration::from_secs(5),
        header: Duration::from_secs(2),
        idle: Duration::from_secs(3),
        stall: Duration::from_secs(4),
    };

    #[track_caller]
    fn overdue_after(pulse: &Pulse, secs: u64, expected: Word) {
        let start = Instant::now();
        assert_eq!(pulse.overdue(start, &DEADLINES, None), None);
        assert_eq!(pulse.overdue(start + Duration::from_secs(secs) - Duration::from_millis(1), &DEADLINES, None), None);
        assert_eq!(pulse.overdue(start + Duration::from_secs(secs), &DEADLINES, None), Some(expected));
    }

    #[track_caller]
    fn never_overdue(pulse: &Pulse) {
        let start = Instant::now();
        assert_eq!(pulse.overdue(start, &DEADLINES, None), None);
        assert_eq!(pulse.overdue(start + Duration::from_secs(3600), &DEADLINES, None), None);
    }

    #[test]
    fn each_wait_has_its_own_deadline() {
        let pulse = Pulse::new();
        overdue_after(&pulse, 1, Word::Overdue);
        pulse.heard();
        overdue_after(&pulse, 2, Word::HeadOverdue);
        let (answering, _) = pulse.begin();
        never_overdue(&pulse);
        pulse.written(true);
        overdue_after(&pulse, 4, Word::Overdue);
        pulse.written(false);
        never_overdue(&pulse);
        drop(answering);
        overdue_after(&pulse, 3, Word::Overdue);
    }

    #[test]
    fn bytes_of_the_same_head_do_not_buy_time() {
        let (pulse, start) = (Pulse::new(), Instant::now());
        pulse.heard();
        assert_eq!(pulse.overdue(start, &DEADLINES, None), None);
        pulse.heard();
        assert_eq!(pulse.overdue(start + Duration::from_secs(2), &DEADLINES, None), Some(Word::HeadOverdue));
    }

    #[test]
    fn frames_between_requests_do_not_keep_an_idle_connection() {
        let (pulse, start) = (Pulse::new(), Instant::now());
        pulse.multiplex();
        pulse.heard();
        assert_eq!(pulse.overdue(start, &DEADLINES, None), None);
        pulse.heard();
        assert_eq!(pulse.overdue(start + Duration::from_secs(3), &DEADLINES, None), Some(Word::Overdue));
    }

    #[test]
    fn a_stream_that_its_client_gives_no_room_ends_by_itself() {
        let runtime = tokio::runtime::Builder::new_current_thread().build_local(Default::default()).unwrap();
        runtime.block_on(async {
            let (pulse, start) = (Pulse::new(), Instant::now());
            pulse.multiplex();
            let begin = || {
                let (answering, _) = pulse.begin();
                let task = tokio::task::spawn_local(std::future::pending::<()>());
                pulse.runs(&task.abort_handle());
                (answering, task)
            };
            let (stalled, read) = (begin(), begin());
            for (answering, _) in [&stalled, &read] {
                pulse.answered(answering.stream, Some(100));
            }
            assert_eq!(pulse.overdue(start, &DEADLINES, None), None);
            pulse.answered(read.0.stream, Some(100));
            assert_eq!(pulse.overdue(start + DEADLINES.stall, &DEADLINES, None), None);
            assert!(stalled.1.await.unwrap_err().is_cancelled());
            // It waits for the upstream, which has a deadline of its own.
            pulse.answered(read.0.stream, None);
            assert_eq!(pulse.overdue(start + 9 * DEADLINES.stall, &DEADLINES, None), None);
            assert!(!read.1.is_finished());
            // Room that is free again is taken up again.
            drop(stalled.0);
            assert_eq!(pulse.begin().0.stream, 0);
        });
    }

    #[test]
    fn frames_that_ask_for_nothing_are_forgiven_each_round_and_for_each_answer() {
        let pulse = Pulse::new();
        pulse.multiplex();
        assert_eq!((pulse.idle_frames(100), pulse.idle_frames(1)), (100, 101));
        pulse.overdue(Instant::now(), &DEADLINES, None);
        assert_eq!(pulse.idle_frames(1), 1);
        let (answering, _) = pulse.begin();
        pulse.answered(answering.stream, Some(4 * BYTES_PER_FRAME));
        assert_eq!(pulse.idle_frames(0), 1 - FRAMES_PER_PIECE - 4);
        pulse.answered(answering.stream, Some(usize::MAX));
        assert_eq!(pulse.idle_frames(0), -MOST_OCCASION);
        pulse.overdue(Instant::now(), &DEADLINES, None);
        assert_eq!(pulse.idle_frames(0), -MOST_OCCASION, "what is left of occasions is kept");
    }

    #[test]
    fn the_last_of_several_answers_makes_it_idle() {
        let pulse = Pulse::new();
        pulse.multiplex();
        let ((first, one), (second, two)) = (pulse.begin(), pulse.begin());
        assert_eq!((one, two), (1, 2));
        drop(first);
        never_overdue(&pulse);
        drop(second);
        overdue_after(&pulse, 3, Word::Overdue);
    }
}
