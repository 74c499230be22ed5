//! The request body on its way to the upstream.
//!
//! Guarantees: streamed, never buffered; its progress can be watched, so that a long upload is not mistaken for a
//! silent upstream.
//! Does not know: what the bytes are.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

pub struct Upload {
    incoming: Incoming,
    progress: Option<Progress>,
}

/// Counts the frames that were handed over.
#[derive(Clone, Default)]
pub(super) struct Progress(Rc<Cell<u64>>);

impl Progress {
    pub(super) fn frames(&self) -> u64 {
        self.0.get()
    }
}

impl Upload {
    /// The body, and a counter to watch it by unless it has already ended.
    pub(super) fn new(incoming: Incoming) -> (Self, Option<Progress>) {
        let progress = (!incoming.is_end_stream()).then(Progress::default);
        (Self { incoming, progress: progress.clone() }, progress)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(context);
        if let (Poll::Ready(_), Some(progress)) = (&frame, &self.progress) {
            progress.0.set(progress.0.get() + 1);
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
