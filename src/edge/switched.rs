//! Connections and streams that have become tunnels.
//!
//! Guarantees: a tunnel begins when the client was told so; what the client had said before that is passed on first; one
//! that is broken off is broken off for the client as well: the connection is closed, a stream of HTTP/2 reset.
//! Does not know: what is said in a tunnel, who may have one.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, spawn_local};
use tracing::debug;

use crate::observe::chain;
use crate::upstream::Tunnel;
use crate::wire::Line;

use super::pulse::{Answering, Pulse};

/// A whole connection of HTTP/1.1, after `said`, which hyper had read already.
pub(super) async fn over_http1(mut client: Line, said: Bytes, tunnel: Tunnel, pulse: &Rc<Pulse>) {
    // Neither idle nor due to read anything: the tunnel has its own patience.
    let _held = pulse.hold();
    pulse.unblock();
    if let Err(end) = tunnel.run(&mut client, said).await {
        debug!(reason = chain(&end), "tunnel broken off");
    }
}

/// Runs what hyper has to run for each stream, and keeps hold of the one task that sends for a tunnel: whatever hyper is
/// told in another way becomes the orderly end of a stream.
#[derive(Clone)]
pub(super) struct Streams {
    pulse: Rc<Pulse>,
    sender: Rc<RefCell<Option<oneshot::Sender<AbortHandle>>>>,
}

impl Streams {
    pub(super) fn new(pulse: &Rc<Pulse>) -> Self {
        Self { pulse: Rc::clone(pulse), sender: Rc::default() }
    }

    /// A request has come. hyper runs no task for its tunnel before it was answered.
    pub(super) fn begin(&self) {
        *self.sender.borrow_mut() = None;
    }

    /// The answer that is being given begins a tunnel: what hyper runs next sends for it.
    pub(super) fn switch(&self, switching: OnUpgrade, tunnel: Tunnel, held: Answering) {
        let (sender, sending) = oneshot::channel();
        *self.sender.borrow_mut() = Some(sender);
        spawn_local(async move {
            let (Ok(upgraded), Ok(sending)) = (switching.await, sending.await) else { return };
            let mut client = Credited { stream: TokioIo::new(upgraded), pulse: held.pulse() };
            if let Err(end) = tunnel.run(&mut client, Bytes::new()).await {
                debug!(reason = chain(&end), "tunnel broken off");
                // Before the stream is let go of, which would end it.
                sending.abort();
            }
        });
    }
}

/// A stream whose client has occasion to send frames for what it gets: windows, above all.
struct Credited<'a> {
    stream: TokioIo<Upgraded>,
    pulse: &'a Pulse,
}

impl AsyncRead for Credited<'_> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, room)
    }
}

impl AsyncWrite for Credited<'_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        this.pulse.credit(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, stream: F) {
        let task = spawn_local(stream).abort_handle();
        self.pulse.runs(&task);
        if let Some(sender) = self.sender.borrow_mut().take() {
            let _ = sender.send(task);
        }
    }
}
