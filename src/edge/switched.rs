//! Connections and streams that have become tunnels.
//!
//! Guarantees: a tunnel begins when the client was told so; what the client had said before that is passed on first; one
//! that is broken off is broken off for the client as well: the connection is closed, a stream of HTTP/2 reset.
//! Does not know: what is said in a tunnel, who may have one.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, spawn_local};
use tracing::debug;

use crate::observe::chain;
use crate::upstream::Tunnel;

use super::pulse::{Answering, Pulse};

/// A whole connection of HTTP/1.1, after `said`, which hyper had read already.
pub(super) async fn over_http1(mut client: TcpStream, said: Bytes, tunnel: Tunnel, pulse: &Rc<Pulse>) {
    // Neither idle nor due to read anything: the tunnel has its own patience.
    let _held = pulse.hold();
    pulse.unblock();
    if let Err(end) = tunnel.run(&mut client, said).await {
        debug!(reason = chain(&end), "tunnel broken off");
    }
}

/// Runs what hyper has to run for each stream, and keeps hold of the one task that sends for a tunnel: whatever hyper is
/// told in another way becomes the orderly end of a stream.
#[derive(Clone, Default)]
pub(super) struct Streams {
    sender: Rc<RefCell<Option<oneshot::Sender<AbortHandle>>>>,
}

impl Streams {
    /// A request has come. hyper runs no task for its tunnel before it was answered.
    pub(super) fn begin(&self) {
        *self.sender.borrow_mut() = None;
    }

    /// The answer that is being given begins a tunnel: what hyper runs next sends for it.
    pub(super) fn switch(&self, switching: OnUpgrade, tunnel: Tunnel, held: Answering) {
        let (sender, sending) = oneshot::channel();
        *self.sender.borrow_mut() = Some(sender);
        spawn_local(async move {
            let _held = held;
            let (Ok(upgraded), Ok(sending)) = (switching.await, sending.await) else { return };
            let mut client = TokioIo::new(upgraded);
            if let Err(end) = tunnel.run(&mut client, Bytes::new()).await {
                debug!(reason = chain(&end), "tunnel broken off");
                // Before the stream is let go of, which would end it.
                sending.abort();
            }
        });
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, stream: F) {
        let task = spawn_local(stream);
        if let Some(sender) = self.sender.borrow_mut().take() {
            let _ = sender.send(task.abort_handle());
        }
    }
}
