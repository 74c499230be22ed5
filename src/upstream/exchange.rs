//! One request and the head of its answer, over one connection.
//!
//! Guarantees: both directions move at once, so an answer that comes before the whole request has left is heard; a wait
//! for either side has its deadline and says whose it was.
//! Does not know: what the messages mean, which of them may be sent twice.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, Response};

use super::UpstreamError;
use super::answer::Answer;
use super::arrivals::{Arrivals, Source};
use super::connections::Lease;
use super::download::Download;
use super::framing::Garbled;
use super::head::{self, Head, Sequel};
use super::tunnel::Tunnel;
use super::upgrade::Offer;
use super::upload::{Upload, UploadError, carry_on, discard};

pub(super) struct Exchange {
    lease: Lease,
    upload: Upload,
    /// The upstream took no more of the request.
    refused: Option<io::Error>,
    arrivals: Arrivals,
    /// How much of a head had come when it was last found to be incomplete.
    incomplete: usize,
    /// How much of interim answers has come.
    interim: usize,
    /// The change of protocol that the request offers.
    offer: Option<Offer>,
}

impl Exchange {
    pub(super) fn new(lease: Lease, upload: Upload, offer: Option<Offer>) -> Self {
        Self { lease, upload, refused: None, arrivals: Arrivals::new(), incomplete: 0, interim: 0, offer }
    }

    /// The request, if the upstream closed a connection that had served before, without a byte of an answer: it cannot
    /// have meant this request. `repeatable` says whether a request that has left may be sent once more.
    pub(super) fn unanswered(self, repeatable: bool) -> Option<(Upload, Option<Offer>)> {
        let mut upload = self.upload;
        let untouched = self.lease.reused && self.incomplete == 0 && (repeatable || !upload.has_begun());
        (untouched && upload.rewind()).then_some((upload, self.offer))
    }

    /// Sends the request and reads the head of the answer. `spare` is an empty map for its fields.
    pub(super) fn poll_head(
        &mut self,
        to_head: bool,
        spare: &mut HeaderMap,
        patience: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Result<(Head, Sequel), UpstreamError>> {
        self.send(context)?;
        loop {
            match self.arrivals.poll_more(&mut self.lease.source, context) {
                Poll::Ready(Ok(0)) => {
                    let closed = self.refused.take().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                    return Poll::Ready(Err(UpstreamError::Broken(closed)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(UpstreamError::Broken(error))),
                Poll::Pending => return self.wait(patience, context).map(Err),
            }
            // Bytes of a head buy no time: one that comes byte by byte would take days to reach its limits.
            if let Some(head) = self.read(to_head, spare)? {
                self.lease.waiting.moved();
                return Poll::Ready(Ok(head));
            }
        }
    }

    /// What is left to do once the upstream has changed the protocol. Nothing of the client's has left but the head.
    pub(super) fn into_tunnel(self, head: Head, idle_timeout: Duration) -> Result<Response<Answer>, UpstreamError> {
        let Self { lease, upload, arrivals, offer, .. } = self;
        match (offer, lease.source) {
            (Some(offer), Source::Whole(stream)) if upload.is_over() => {
                let tunnel = Tunnel::new(stream, lease.waiting, arrivals.bytes, idle_timeout);
                Ok(offer.accepted(head, tunnel))
            }
            _ => Err(Garbled("a change of protocol in the middle of a request").into()),
        }
    }

    /// What is left to do once the head is there: the body of the answer, and the rest of the request on its own, as one
    /// must not wait for the other. A client may send all before it reads, and an upstream answer before it reads.
    pub(super) fn into_download(self, sequel: Sequel, patience: Duration) -> Download {
        let Self { lease, upload, refused, arrivals, .. } = self;
        if upload.is_over() {
            return Download::new(lease, None, arrivals, sequel);
        }
        let waiting = lease.watched();
        match lease.split() {
            Ok((lease, sink)) if refused.is_none() => {
                let rest = carry_on(upload, sink, waiting, patience);
                Download::new(lease, Some(rest), arrivals, sequel)
            }
            Ok((lease, _)) | Err(lease) => {
                tokio::task::spawn_local(discard(upload.into_body(), waiting, patience));
                Download::new(lease, None, arrivals, Sequel { persistent: false, ..sequel })
            }
        }
    }

    fn read(&mut self, to_head: bool, spare: &mut HeaderMap) -> Result<Option<(Head, Sequel)>, UpstreamError> {
        // Once a head was found to be incomplete it is read again only when its end may have come: else one that comes
        // byte by byte would be read as often as it has bytes.
        let bytes = &self.arrivals.bytes;
        let new = bytes.get(self.incomplete.saturating_sub(3)..).unwrap_or_default();
        if self.incomplete > 0 && bytes.len() < head::LONGEST && !new.windows(4).any(|end| end == b"\r\n\r\n") {
            self.incomplete = bytes.len();
            return Ok(None);
        }
        let before = self.arrivals.bytes.len();
        let head = head::read(&mut self.arrivals.bytes, to_head, self.offer.as_ref(), spare)?;
        let passed = before - self.arrivals.bytes.len();
        if head.is_none() && passed > 0 {
            // It is at work. Without a limit it could say so for ever.
            self.lease.waiting.moved();
            self.interim += passed;
            if self.interim > head::LONGEST {
                return Err(Garbled("interim answers without end").into());
            }
        }
        // An interim answer may have gone, but something has come.
        self.incomplete = self.arrivals.bytes.len().max(1);
        Ok(head)
    }

    fn send(&mut self, context: &mut Context<'_>) -> Result<(), UpstreamError> {
        let (false, None, Source::Whole(stream)) = (self.upload.is_over(), &self.refused, &mut self.lease.source)
        else {
            return Ok(());
        };
        let mut moved = false;
        let sent = self.upload.poll_send(stream, context, &mut moved);
        if moved {
            self.lease.waiting.moved();
        }
        match sent {
            Poll::Ready(Err(UploadError::Client(error))) => Err(UpstreamError::Upload(error)),
            Poll::Ready(Err(UploadError::Upstream(error))) => {
                self.refused = Some(error);
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn wait(&mut self, patience: Duration, context: &Context<'_>) -> Poll<UpstreamError> {
        ready!(self.lease.waiting.poll(patience, context));
        Poll::Ready(if self.lease.waiting.is_cut() {
            UpstreamError::Ended
        } else if self.upload.waits_for_client() {
            UpstreamError::UploadTimeout
        } else {
            UpstreamError::AnswerTimeout
        })
    }
}
