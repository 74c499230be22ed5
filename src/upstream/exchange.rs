//! One request and its answer over one connection.
//!
//! Guarantees: both directions move at once, so neither can block the other; an answer that comes before the whole
//! request has left counts; a wait for either side has its deadline and says whose it was; a connection is given back
//! only if both messages ended where they should, with nothing behind them.
//! Does not know: what the messages mean, which of them may be sent twice.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use tokio_util::io::poll_read_buf;

use super::UpstreamError;
use super::connections::Lease;
use super::framing::{Framing, Piece};
use super::head::{self, Head};
use super::upload::{Upload, UploadError};

/// What is read at once: a head and a short body at first, more while the upstream keeps filling it.
const READ: usize = 8 * 1024;
const READ_MOST: usize = 64 * 1024;

pub(super) struct Exchange {
    lease: Lease,
    upload: Upload,
    /// The upstream took no more of the request.
    refused_upload: Option<io::Error>,
    /// Read and not yet looked at.
    arrived: Bytes,
    buffer: BytesMut,
    read: usize,
    /// Any byte of an answer has come.
    answered: bool,
    framing: Framing,
    persistent: bool,
}

impl Exchange {
    pub(super) fn new(lease: Lease, upload: Upload) -> Self {
        Self {
            lease,
            upload,
            refused_upload: None,
            arrived: Bytes::new(),
            buffer: BytesMut::new(),
            read: READ,
            answered: false,
            framing: Framing::Length(0),
            persistent: false,
        }
    }

    /// The request, if the upstream closed a connection that had served before, without a byte of an answer: it cannot
    /// have meant this request. `repeatable` says whether a request that has left may be sent once more.
    pub(super) fn unanswered(self, repeatable: bool) -> Option<Upload> {
        let mut upload = self.upload;
        let untouched = self.lease.reused && !self.answered && (repeatable || !upload.has_begun());
        (untouched && upload.rewind()).then_some(upload)
    }

    /// Sends the request and reads the head of the answer.
    pub(super) fn poll_head(
        &mut self,
        to_head: bool,
        spare: &mut HeaderMap,
        patience: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Result<Head, UpstreamError>> {
        self.upload(context)?;
        loop {
            if !self.arrived.is_empty()
                && let Some(mut head) = head::read(&mut self.arrived, to_head, spare)?
            {
                self.lease.waiting.moved();
                self.framing = std::mem::replace(&mut head.framing, Framing::Length(0));
                self.persistent = head.persistent;
                return Poll::Ready(Ok(head));
            }
            match self.poll_read(context) {
                Poll::Ready(Ok(0)) => {
                    let source = self.refused_upload.take();
                    let closed = source.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                    return Poll::Ready(Err(UpstreamError::Broken(closed)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(UpstreamError::Broken(error))),
                Poll::Pending => return self.wait(patience, context).map(Err),
            }
        }
    }

    /// The next piece of the answer's body; meanwhile what is left of the request goes on leaving.
    pub(super) fn poll_body(
        &mut self,
        patience: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, UpstreamError>> {
        self.upload(context)?;
        loop {
            match self.framing.take(&mut self.arrived)? {
                Piece::Wanting => {}
                Piece::Data(data) => return Poll::Ready(Ok(Some(Frame::data(data)))),
                Piece::Trailers(trailers) => return Poll::Ready(Ok(Some(Frame::trailers(trailers)))),
                Piece::End => return Poll::Ready(Ok(None)),
            }
            match self.poll_read(context) {
                Poll::Ready(Ok(0)) if self.framing == Framing::UntilClose => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(UpstreamError::Broken(io::ErrorKind::UnexpectedEof.into())));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(UpstreamError::Broken(error))),
                Poll::Pending => return self.wait(patience, context).map(Err),
            }
        }
    }

    /// The whole body, if all of it is there already.
    pub(super) fn whole_body(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.framing.length()?).ok()?;
        (length <= self.arrived.len()).then(|| {
            self.framing = Framing::Length(0);
            self.arrived.split_to(length)
        })
    }

    /// Whether the body has ended.
    pub(super) fn is_over(&self) -> bool {
        self.framing.is_over()
    }

    /// How much of the body is still to come, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.framing.length()
    }

    /// Lets go of the connection after the end of the answer: back to the others if it is sound.
    pub(super) fn finish(self) {
        if self.persistent && self.framing.is_over() && self.upload.is_over() && self.arrived.is_empty() {
            self.lease.give_back();
        }
    }

    fn upload(&mut self, context: &mut Context<'_>) -> Result<(), UpstreamError> {
        if self.refused_upload.is_some() || self.upload.is_over() {
            return Ok(());
        }
        let mut moved = false;
        let sent = self.upload.poll_send(&mut self.lease.stream, context, &mut moved);
        if moved {
            self.lease.waiting.moved();
        }
        match sent {
            Poll::Ready(Err(UploadError::Client(error))) => Err(UpstreamError::Upload(error)),
            Poll::Ready(Err(UploadError::Upstream(error))) => {
                self.refused_upload = Some(error);
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Reads what has come behind what has not been looked at. Takes memory only if something has.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(self.lease.stream.poll_read_ready(context))?;
        self.buffer.reserve(self.read + self.arrived.len());
        self.buffer.extend_from_slice(&self.arrived);
        let waiting = self.buffer.len();
        let read = poll_read_buf(Pin::new(&mut self.lease.stream), context, &mut self.buffer);
        if let Poll::Ready(Ok(length)) = &read {
            if self.buffer.len() - waiting >= self.read {
                self.read = (self.read * 2).min(READ_MOST);
            }
            self.answered |= *length > 0;
            self.lease.waiting.moved();
            self.arrived = self.buffer.split().freeze();
        } else {
            self.buffer.clear();
        }
        read
    }

    fn wait(&mut self, patience: Duration, context: &Context<'_>) -> Poll<UpstreamError> {
        ready!(self.lease.waiting.poll(patience, context));
        Poll::Ready(if self.upload.waits_for_client() {
            UpstreamError::UploadTimeout
        } else {
            UpstreamError::AnswerTimeout
        })
    }
}
