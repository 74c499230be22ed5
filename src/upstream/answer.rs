//! The body of an answer to the client: one of ours, or the upstream's on its way through.
//!
//! Guarantees: an upstream's answer is streamed frame by frame; its connection goes back to the worker the moment the
//! answer has ended, and is closed if the answer is cut short or stays silent for too long.
//! Does not know: statuses, headers.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::download::Download;
use super::http2;
use super::tunnel::Tunnel;
use super::waiting::Tether;

/// A body this process sends to a client.
pub enum Answer {
    /// Made here, whole.
    Own(Option<Bytes>),
    Relayed(Relay),
    /// The same, over a stream of HTTP/2.
    Multiplexed(Box<http2::Download>),
    /// There is none: from here on the connection, or the stream, is a tunnel.
    Switched(Box<Tunnel>),
}

/// An upstream's answer on its way through.
pub struct Relay {
    /// Until its end.
    download: Option<Box<Download>>,
    idle_timeout: Duration,
}

impl Answer {
    pub fn empty() -> Self {
        Self::Own(None)
    }

    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::Own(Some(body.into()))
    }

    /// Tells when an answer that is on its way may not go on; `None` if it is here as a whole.
    pub fn tether(&self) -> Option<Tether> {
        match self {
            Self::Relayed(relay) => relay.download.as_ref().map(|download| download.tether()),
            Self::Multiplexed(download) => (!download.is_over()).then(|| download.tether()),
            Self::Own(_) | Self::Switched(_) => None,
        }
    }

    /// A short answer is there as a whole by now: then the connection is free before the client has the answer.
    pub(super) fn relayed(mut download: Download, idle_timeout: Duration) -> Self {
        match download.whole() {
            Some(body) => {
                download.finish();
                Self::Own((!body.is_empty()).then_some(body))
            }
            None => Self::Relayed(Relay { download: Some(Box::new(download)), idle_timeout }),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Own(body) => Poll::Ready(body.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relayed(relay) => relay.poll(context),
            Self::Multiplexed(download) => download.poll_piece(context),
            Self::Switched(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_none(),
            Self::Relayed(relay) => relay.download.is_none(),
            Self::Multiplexed(download) => download.is_over(),
            Self::Switched(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => SizeHint::with_exact(body.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Relayed(relay) => {
                let length = relay.download.as_ref().map_or(Some(0), |download| download.length());
                length.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Self::Multiplexed(download) => download.size_hint(),
            Self::Switched(_) => SizeHint::with_exact(0),
        }
    }
}

impl Relay {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(download) = &mut self.download else { return Poll::Ready(None) };
        let piece = ready!(download.poll(self.idle_timeout, context));
        let over = download.is_over() || !matches!(piece, Ok(Some(_)));
        if over && let Some(download) = self.download.take() {
            download.finish();
        }
        Poll::Ready(piece.map_err(io::Error::other).transpose())
    }
}
