//! One request and the head of its answer, over one stream.
//!
//! Guarantees: both directions move at once, so an answer that comes before the whole request has left is heard; a wait for
//! either side has its deadline and says whose it was; whatever is dropped before its end resets the stream.
//! Does not know: which requests may be sent twice.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::Response;

use super::super::UpstreamError;
use super::super::answer::Answer;
use super::super::framing::Garbled;
use super::super::head::LONGEST;
use super::super::upload::{UploadError, discard};
use super::super::waiting::Waiting;
use super::download::Download;
use super::head::{Coming, Outgoing};
use super::link::Slot;
use super::upload::{self, Upload};

pub(super) struct Exchange {
    slot: Rc<Slot>,
    answer: ResponseFuture,
    stream: SendStream<Bytes>,
    /// The upstream takes no more of the request. It may answer all the same.
    refused: bool,
    /// How much of interim answers has come. Without a limit an upstream could send them for ever.
    interim: usize,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// The upstream says that it has done nothing with the request.
    Unprocessed(io::Error),
    /// The connection ended.
    Lost {
        error: io::Error,
        /// It had served before.
        reused: bool,
    },
    Final(UpstreamError),
}

impl Exchange {
    /// Sends the head.
    pub(super) fn begin(mut slot: Slot, outgoing: &Outgoing, upload: &mut Upload) -> Result<Self, Failure> {
        match slot.send.send_request(outgoing.request(), upload.is_over()) {
            Ok((answer, stream)) => Ok(Self { slot: Rc::new(slot), answer, stream, refused: false, interim: 0 }),
            // The connection has ended, or is about to: no stream was opened.
            Err(error) if error.is_go_away() || error.is_io() => {
                slot.retire();
                Err(Failure::Unprocessed(into_io(error)))
            }
            Err(error) => Err(Failure::Final(UpstreamError::Broken(into_io(error)))),
        }
    }

    /// Sends the body and waits for the head of the answer.
    pub(super) fn poll_head(
        &mut self,
        upload: &mut Upload,
        waiting: &Waiting,
        patience: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Result<Response<RecvStream>, Failure>> {
        if waiting.is_cut() {
            return Poll::Ready(Err(Failure::Final(UpstreamError::Ended)));
        }
        if !self.refused && !upload.is_over() {
            let mut moved = false;
            let sent = upload.poll_send(&mut self.stream, context, &mut moved);
            if moved {
                waiting.moved();
            }
            match sent {
                Poll::Ready(Err(UploadError::Client(error))) => {
                    return Poll::Ready(Err(Failure::Final(UpstreamError::Upload(error))));
                }
                Poll::Ready(Err(UploadError::Upstream(_))) => self.refused = true,
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        // Interim answers are for this hop, as far as anybody has a use for them.
        while let Poll::Ready(Some(Ok(interim))) = self.answer.poll_informational(context) {
            waiting.moved();
            // As HTTP/2 counts heads (RFC 9113 section 6.5.2), the status among them.
            let fields = interim.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
            self.interim += 42 + fields.sum::<usize>();
            if self.interim > LONGEST {
                return Poll::Ready(Err(Failure::Final(Garbled("interim answers without end").into())));
            }
        }
        match Pin::new(&mut self.answer).poll(context) {
            Poll::Ready(Ok(answer)) => {
                waiting.moved();
                Poll::Ready(Ok(answer))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.failure(error))),
            Poll::Pending => {
                ready!(waiting.poll(patience, context));
                Poll::Ready(Err(Failure::Final(if waiting.is_cut() {
                    UpstreamError::Ended
                } else if !self.refused && upload.waits_for_client() {
                    UpstreamError::UploadTimeout
                } else {
                    // The way there may be dead: the next request had better not find out in the same way.
                    self.slot.retire();
                    UpstreamError::AnswerTimeout
                })))
            }
        }
    }

    /// What is left to do once the head is there: the body of the answer, and the rest of the request on its own, as one
    /// must not wait for the other.
    pub(super) fn into_answer(self, upload: Upload, waiting: Waiting, coming: Coming, patience: Duration) -> Answer {
        let Self { slot, stream, refused, .. } = self;
        let rest = if upload.is_over() {
            None
        } else {
            let own = slot.watched(&waiting);
            if refused {
                tokio::task::spawn_local(discard(upload.into_body(), own, patience));
                None
            } else {
                Some(upload::carry_on(upload, stream, Rc::clone(&slot), own, patience))
            }
        };
        slot.has_served();
        Answer::Multiplexed(Box::new(Download::new(coming, rest, slot, waiting, patience)))
    }

    fn failure(&self, error: h2::Error) -> Failure {
        // RFC 9113 section 8.7: these streams were not looked at.
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        if error.is_remote() && (refused || error.is_go_away()) {
            return Failure::Unprocessed(into_io(error));
        }
        if error.is_io() {
            return Failure::Lost { error: into_io(error), reused: self.slot.reused };
        }
        Failure::Final(broken(error))
    }
}

/// Why an exchange cannot go on.
pub(super) fn broken(error: h2::Error) -> UpstreamError {
    if error.is_library() && !error.is_remote() {
        UpstreamError::Garbled(Garbled("frames or fields that HTTP/2 does not allow"))
    } else {
        UpstreamError::Broken(into_io(error))
    }
}

pub(super) fn into_io(error: h2::Error) -> io::Error {
    if error.is_io()
        && let Some(error) = error.get_io()
    {
        return io::Error::new(error.kind(), error.to_string());
    }
    io::Error::other(error)
}
