//! The body of an answer to the client: one of ours, or the upstream's on its way through.
//!
//! Guarantees: an upstream's answer is streamed frame by frame; its connection goes back to the worker the moment the
//! answer has ended, and is closed if the answer is cut short or stays silent for too long.
//! Does not know: statuses, headers.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::connections::Lease;

/// A body this process sends to a client.
pub enum Answer {
    /// Made here, whole.
    Own(Option<Bytes>),
    Relayed(Relay),
}

/// An upstream's answer, and the connection it comes over.
pub struct Relay {
    incoming: Incoming,
    lease: Option<Lease>,
    idle_timeout: Duration,
    /// Armed only while the upstream keeps us waiting: most answers are there already.
    silence: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    pub fn empty() -> Self {
        Self::Own(None)
    }

    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::Own(Some(body.into()))
    }

    pub(super) fn relayed(incoming: Incoming, lease: Lease, idle_timeout: Duration) -> Self {
        if incoming.is_end_stream() {
            lease.give_back();
            return Self::empty();
        }
        Self::Relayed(Relay { incoming, lease: Some(lease), idle_timeout, silence: None })
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Own(body) => Poll::Ready(body.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relayed(relay) => relay.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_none(),
            Self::Relayed(relay) => relay.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => SizeHint::with_exact(body.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Relayed(relay) => relay.incoming.size_hint(),
        }
    }
}

impl Relay {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.silence = None;
                if self.incoming.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.lease = None;
                Poll::Ready(Some(Err(io::Error::other(error))))
            }
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Pending => self.wait(context),
        }
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let idle_timeout = self.idle_timeout;
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(idle_timeout)));
        if silence.as_mut().poll(context).is_ready() {
            self.lease = None;
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the upstream fell silent"))));
        }
        Poll::Pending
    }

    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}
