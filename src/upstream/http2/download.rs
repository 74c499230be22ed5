//! The body of an answer on its way to the client.
//!
//! Guarantees: streamed as it comes, and the upstream may send more only once the client has taken what was there; whatever
//! ends it but its own end resets the stream.
//! Does not know: statuses, headers.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Frame, SizeHint};

use super::super::UpstreamError;
use super::super::framing::{Garbled, MOST_TRAILERS};
use super::super::headers;
use super::super::waiting::{Tether, Waiting};
use super::exchange::broken;
use super::head::Coming;
use super::link::Slot;
use super::upload::Rest;

pub struct Download {
    /// Until its end.
    under_way: Option<UnderWay>,
    /// How much is still to come, if that is known.
    length: Option<u64>,
    waiting: Waiting,
    patience: Duration,
}

struct UnderWay {
    stream: RecvStream,
    data_over: bool,
    /// The request, if it has not left as a whole yet.
    rest: Option<Rest>,
    _slot: Rc<Slot>,
}

impl Download {
    pub(super) fn new(
        coming: Coming,
        rest: Option<Rest>,
        slot: Rc<Slot>,
        waiting: Waiting,
        patience: Duration,
    ) -> Self {
        let Coming { stream, length } = coming;
        let over = stream.is_end_stream();
        let under_way = UnderWay { stream, data_over: false, rest, _slot: slot };
        let mut download = Self { under_way: Some(under_way), length, waiting, patience };
        if over {
            download.length = Some(0);
            download.finish();
        }
        download
    }

    pub(in super::super) fn tether(&self) -> Tether {
        self.waiting.tether()
    }

    /// The body has ended as it should.
    fn finish(&mut self) {
        if let Some(rest) = self.under_way.take().and_then(|under_way| under_way.rest) {
            // The request may have ended by itself.
            let _ = rest.send(());
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, UpstreamError>> {
        let Some(under_way) = &mut self.under_way else { return Poll::Ready(Ok(None)) };
        if self.waiting.is_cut() {
            return Poll::Ready(Err(UpstreamError::Ended));
        }
        let stream = &mut under_way.stream;
        while !under_way.data_over {
            match stream.poll_data(context) {
                Poll::Ready(Some(Ok(data))) => {
                    self.waiting.moved();
                    stream.flow_control().release_capacity(data.len()).map_err(broken)?;
                    if data.is_empty() {
                        continue;
                    }
                    if let Some(length) = &mut self.length {
                        *length = length.saturating_sub(data.len() as u64);
                    }
                    return Poll::Ready(Ok(Some(Frame::data(data))));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(error))),
                Poll::Ready(None) => under_way.data_over = true,
                Poll::Pending => return wait(&self.waiting, self.patience, context).map(Err),
            }
        }
        match stream.poll_trailers(context) {
            Poll::Ready(Ok(Some(trailers))) if trailers.len() > MOST_TRAILERS => {
                Poll::Ready(Err(Garbled("trailers beyond their limits").into()))
            }
            Poll::Ready(Ok(Some(mut trailers))) => {
                headers::clean_answer(&mut trailers);
                self.finish();
                Poll::Ready(Ok(Some(Frame::trailers(trailers))))
            }
            Poll::Ready(Ok(None)) => Poll::Ready(Ok(None)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(broken(error))),
            Poll::Pending => wait(&self.waiting, self.patience, context).map(Err),
        }
    }
}

fn wait(waiting: &Waiting, patience: Duration, context: &Context<'_>) -> Poll<UpstreamError> {
    ready!(waiting.poll(patience, context));
    Poll::Ready(if waiting.is_cut() { UpstreamError::Ended } else { UpstreamError::AnswerTimeout })
}

impl Download {
    pub(in super::super) fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = ready!(self.poll(context));
        match &piece {
            Err(_) => self.under_way = None,
            Ok(None) => self.finish(),
            Ok(Some(_)) if self.under_way.as_ref().is_some_and(|under_way| under_way.stream.is_end_stream()) => {
                self.finish();
            }
            Ok(Some(_)) => {}
        }
        Poll::Ready(piece.map_err(io::Error::other).transpose())
    }

    pub(in super::super) fn is_over(&self) -> bool {
        self.under_way.is_none()
    }

    pub(in super::super) fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
