//! The request body on its way to the upstream.
//!
//! Guarantees: streamed, never buffered; its progress can be watched, so that a long upload is not mistaken for a
//! silent upstream; trailers are as clean as headers.
//! Does not know: what the bytes are.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::headers;
use super::waiting::Waiting;

pub struct Upload {
    incoming: Incoming,
    /// Whoever waits for the answer, once the body is on its way.
    waiting: Option<Waiting>,
}

impl Upload {
    pub(super) fn new(incoming: Incoming) -> Self {
        Self { incoming, waiting: None }
    }

    /// From now on every frame tells `waiting` that something moved.
    pub(super) fn watched_by(&mut self, waiting: &Waiting) {
        self.waiting = (!self.incoming.is_end_stream()).then(|| waiting.clone());
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut frame = Pin::new(&mut self.incoming).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            headers::clean_trailers(trailers);
        }
        if let (Poll::Ready(_), Some(waiting)) = (&frame, &self.waiting) {
            waiting.moved();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
