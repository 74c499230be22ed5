//! The body of an answer on its way to the client.
//!
//! Guarantees: streamed as it comes; the connection goes back to the others only if both messages ended where they
//! should, with nothing behind them, and is closed in every other case.
//! Does not know: statuses, headers.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;

use super::UpstreamError;
use super::arrivals::Arrivals;
use super::connections::Lease;
use super::framing::{Framing, Piece};
use super::head::Sequel;
use super::upload::Rest;
use super::waiting::Tether;

pub(super) struct Download {
    lease: Lease,
    /// The request, if it has not left as a whole yet.
    rest: Option<Rest>,
    arrivals: Arrivals,
    framing: Framing,
    persistent: bool,
}

impl Download {
    pub(super) fn new(lease: Lease, rest: Option<Rest>, arrivals: Arrivals, sequel: Sequel) -> Self {
        let Sequel { framing, persistent } = sequel;
        Self { lease, rest, arrivals, framing, persistent }
    }

    /// The next piece; `None` at the end.
    pub(super) fn poll(
        &mut self,
        patience: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, UpstreamError>> {
        if self.lease.waiting.is_cut() {
            return Poll::Ready(Err(UpstreamError::Ended));
        }
        loop {
            match self.framing.take(&mut self.arrivals.bytes)? {
                Piece::Data(data) => return Poll::Ready(Ok(Some(Frame::data(data)))),
                Piece::Trailers(trailers) => return Poll::Ready(Ok(Some(Frame::trailers(trailers)))),
                Piece::End => return Poll::Ready(Ok(None)),
                Piece::Wanting => {}
            }
            match self.arrivals.poll_more(&mut self.lease.source, context) {
                Poll::Ready(Ok(0)) if self.framing == Framing::UntilClose => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(UpstreamError::Broken(io::ErrorKind::UnexpectedEof.into())));
                }
                Poll::Ready(Ok(_)) => {
                    self.lease.waiting.moved();
                    self.arrivals.shrink();
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(UpstreamError::Broken(error))),
                Poll::Pending => {
                    ready!(self.lease.waiting.poll(patience, context));
                    return Poll::Ready(Err(if self.lease.waiting.is_cut() {
                        UpstreamError::Ended
                    } else {
                        UpstreamError::AnswerTimeout
                    }));
                }
            }
        }
    }

    /// The whole body, if all of it is there already.
    pub(super) fn whole(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.framing.length()?).ok()?;
        let bytes = &mut self.arrivals.bytes;
        (length <= bytes.len()).then(|| {
            self.framing = Framing::Length(0);
            bytes.split_to(length)
        })
    }

    pub(super) fn tether(&self) -> Tether {
        self.lease.waiting.tether()
    }

    /// Whether the body has ended.
    pub(super) fn is_over(&self) -> bool {
        self.framing.is_over()
    }

    /// How much is still to come, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.framing.length()
    }

    /// Lets go of the connection after the end of the answer: back to the others if it is sound, and once the request
    /// has left.
    pub(super) fn finish(self) {
        if !(self.persistent && self.framing.is_over() && self.arrivals.bytes.is_empty()) {
            return;
        }
        match self.rest {
            None => self.lease.give_back(),
            Some(rest) => {
                tokio::task::spawn_local(async move {
                    if let Ok(sink) = rest.await {
                        self.lease.rejoin(sink);
                    }
                });
            }
        }
    }
}
