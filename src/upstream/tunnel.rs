//! A tunnel: what a client's connection and the upstream's become once both speak another protocol than HTTP.
//!
//! Guarantees: bytes are passed on as they come, first ones at once; an idle tunnel holds no buffer, and a busy one no
//! more than one piece for each direction; when one side has said all, the other hears of it and can go on; a tunnel ends
//! when it was silent for too long or may not go on; there are never more than were allowed.
//! Does not know: what is said in it, whose it is.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;
use super::waiting::Waiting;

/// What is passed on at once, and so the most that one direction holds for a side that does not read.
const PIECE: usize = 16 * 1024;
/// How many pieces go one way before the other way, and then other connections, have their turn.
const TURN: usize = 8;

/// How many tunnels there may be, over all workers.
#[derive(Clone, Debug)]
pub struct Tunnels {
    most: usize,
    open: Arc<AtomicUsize>,
}

/// A place among them.
pub(super) struct Seat(Arc<AtomicUsize>);

/// The upstream's end of a tunnel. Dropped, it is closed.
pub struct Tunnel {
    stream: Stream,
    waiting: Waiting,
    up: Way,
    down: Way,
    idle_timeout: Duration,
    _seat: Option<Seat>,
}

/// Why a tunnel was broken off.
#[derive(Debug, thiserror::Error)]
pub enum TunnelEnd {
    #[error("one side of the tunnel broke off")]
    Broken(#[from] io::Error),
    #[error("the tunnel was silent for too long")]
    Silent,
    #[error("whoever the tunnel was for is not admitted any more")]
    Cut,
}

/// One direction.
#[derive(Default)]
struct Way {
    /// What was read and could not be written at once.
    held: Bytes,
    /// There is no more to read.
    ended: bool,
    /// The other side knows that.
    over: bool,
}

impl Tunnels {
    pub fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// Another limit for the same tunnels: those that are open count.
    pub fn limited_to(&self, most: usize) -> Self {
        Self { most, open: Arc::clone(&self.open) }
    }

    pub(super) fn take(&self) -> Option<Seat> {
        let seat = Seat(Arc::clone(&self.open));
        (self.open.fetch_add(1, Ordering::Relaxed) < self.most).then_some(seat)
    }
}

/// Whether both count the same tunnels and have the same limit.
impl PartialEq for Tunnels {
    fn eq(&self, other: &Self) -> bool {
        self.most == other.most && Arc::ptr_eq(&self.open, &other.open)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Tunnel {
    /// `said` is what the upstream has said behind its consent.
    pub(super) fn new(stream: Stream, waiting: Waiting, said: Bytes, idle_timeout: Duration) -> Self {
        waiting.moved();
        let down = Way { held: said, ..Way::default() };
        Self { stream, waiting, up: Way::default(), down, idle_timeout, _seat: None }
    }

    pub(super) fn seated(self, seat: Seat) -> Self {
        Self { _seat: Some(seat), ..self }
    }

    /// Joins the client to the upstream until both have said all. `said` is what the client has said already.
    ///
    /// # Errors
    /// Why it was broken off before that.
    pub async fn run(
        mut self,
        client: &mut (impl AsyncRead + AsyncWrite + Unpin),
        said: Bytes,
    ) -> Result<(), TunnelEnd> {
        self.up.held = said;
        poll_fn(|context| self.poll(client, context)).await
    }

    fn poll(
        &mut self,
        client: &mut (impl AsyncRead + AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<Result<(), TunnelEnd>> {
        if self.waiting.is_cut() {
            return Poll::Ready(Err(TunnelEnd::Cut));
        }
        let mut moved = false;
        let _ = self.up.poll(client, &mut self.stream, context, &mut moved)?;
        let _ = self.down.poll(&mut self.stream, client, context, &mut moved)?;
        if self.up.over && self.down.over {
            return Poll::Ready(Ok(()));
        }
        if moved {
            self.waiting.moved();
        }
        ready!(self.waiting.poll(self.idle_timeout, context));
        Poll::Ready(Err(if self.waiting.is_cut() { TunnelEnd::Cut } else { TunnelEnd::Silent }))
    }
}

impl Way {
    /// Passes on what can be passed on. Ready when there will be no more.
    fn poll(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        if self.over {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..TURN {
            while !self.held.is_empty() {
                let written = ready!(Pin::new(&mut *to).poll_write(context, &self.held))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.held.advance(written);
                *moved = true;
            }
            // Lets go of the room too.
            self.held = Bytes::new();
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(context))?;
                self.over = true;
                return Poll::Ready(Ok(()));
            }
            // On the stack, as most tunnels are idle most of the time.
            let mut room = [const { MaybeUninit::uninit() }; PIECE];
            let mut piece = ReadBuf::uninit(&mut room);
            if Pin::new(&mut *from).poll_read(context, &mut piece)?.is_pending() {
                // A stream of HTTP/2 tells only here that it was reset.
                ready!(Pin::new(&mut *to).poll_flush(context))?;
                return Poll::Pending;
            }
            *moved = true;
            let read = piece.filled();
            if read.is_empty() {
                self.ended = true;
                continue;
            }
            let written = match Pin::new(&mut *to).poll_write(context, read) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            if let Some(rest) = read.get(written..).filter(|rest| !rest.is_empty()) {
                self.held = Bytes::copy_from_slice(rest);
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
