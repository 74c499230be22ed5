//! A request on its way to the upstream: its head, then its body.
//!
//! Guarantees: streamed, never buffered: the next piece is asked for when the last one has left; a head is kept for as
//! long as it might have to be sent once more; trailers are as clean as headers.
//! Does not know: what the bytes are, how they are answered.

use std::future::poll_fn;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;

use super::head::Content;
use super::headers;
use super::stream::Writer;
use super::waiting::Waiting;

/// Up to this many bytes are gathered into one piece: cheaper than having the kernel gather them.
const SMALL: usize = 2048;

/// Why a request did not reach the upstream whole.
#[derive(Debug)]
pub(super) enum UploadError {
    /// The client broke off, or sent another length than it had promised.
    Client(io::Error),
    /// The upstream takes no more. It may have answered all the same.
    Upstream(io::Error),
}

pub(super) struct Upload {
    /// The head at first; later what stands around the data of a chunk.
    front: Vec<u8>,
    /// How much of `front` has left.
    sent: usize,
    data: Bytes,
    back: &'static [u8],
    /// What is left of the body.
    body: Option<Incoming>,
    /// How many bytes of it were promised and have not come yet; of chunks nothing is promised.
    promised: Option<u64>,
    /// Nothing that was handed over is still on this side of the socket, as it can be with TLS.
    flushed: bool,
    /// There never was a body, so `front` is the head to the end.
    head_only: bool,
    begun: bool,
    waits_for_client: bool,
}

impl Upload {
    pub(super) fn new(head: Vec<u8>, content: Content, body: Incoming) -> Self {
        Self {
            front: head,
            sent: 0,
            data: Bytes::new(),
            back: b"",
            body: (content != Content::None).then_some(body),
            promised: if let Content::Length(length) = content { Some(length) } else { None },
            flushed: false,
            head_only: content == Content::None,
            begun: false,
            waits_for_client: false,
        }
    }

    /// How the body that a client sends is to be framed.
    pub(super) fn content(body: &Incoming) -> Content {
        match body.size_hint().exact() {
            Some(0) => Content::None,
            Some(length) => Content::Length(length),
            None => Content::Chunked,
        }
    }

    /// Everything has left.
    pub(super) fn is_over(&self) -> bool {
        self.body.is_none() && self.left() == 0 && self.flushed
    }

    /// What has not been sent of the body, for whoever has no use for it.
    pub(super) fn into_body(self) -> Option<Incoming> {
        self.body
    }

    /// Some of it has left.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The client owes us the next piece.
    pub(super) fn waits_for_client(&self) -> bool {
        self.waits_for_client
    }

    /// Begins again, if all of it is still at hand.
    pub(super) fn rewind(&mut self) -> bool {
        let whole = !self.begun || self.head_only;
        if whole {
            (self.sent, self.begun, self.flushed) = (0, false, false);
        }
        whole
    }

    /// Sends what can be sent. Ready when everything has left. Tells through `moved` whether anything did.
    pub(super) fn poll_send(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
        moved: &mut bool,
    ) -> Poll<Result<(), UploadError>> {
        loop {
            while self.left() > 0 {
                let sent = ready!(self.poll_write(stream, context)).map_err(UploadError::Upstream)?;
                if sent == 0 {
                    return Poll::Ready(Err(UploadError::Upstream(io::ErrorKind::WriteZero.into())));
                }
                self.advance(sent);
                (self.begun, self.flushed, *moved) = (true, false, true);
            }
            let Some(body) = &mut self.body else { return self.poll_flush(stream, context) };
            let frame = Pin::new(body).poll_frame(context);
            self.waits_for_client = frame.is_pending();
            if frame.is_pending() {
                // What has come so far must not wait for what is still to come.
                let _ = self.poll_flush(stream, context)?;
            }
            match ready!(frame) {
                Some(Ok(frame)) => self.load(frame).map_err(UploadError::Client)?,
                Some(Err(error)) => return Poll::Ready(Err(UploadError::Client(io::Error::other(error)))),
                None => self.finish(None).map_err(UploadError::Client)?,
            }
        }
    }

    fn poll_flush(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>> {
        if !self.flushed {
            ready!(Pin::new(stream).poll_flush(context)).map_err(UploadError::Upstream)?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn load(&mut self, frame: Frame<Bytes>) -> io::Result<()> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.finish(frame.into_trailers().ok()),
        };
        self.front.clear();
        self.sent = 0;
        match &mut self.promised {
            Some(promised) => {
                *promised = promised.checked_sub(data.len() as u64).ok_or(io::ErrorKind::InvalidData)?;
                self.data = data;
                if *promised == 0 {
                    self.body = None;
                }
            }
            // An empty chunk would be taken for the last.
            None if data.is_empty() => {}
            None => {
                write!(self.front, "{:x}\r\n", data.len())?;
                if data.len() <= SMALL {
                    self.front.extend_from_slice(&data);
                    self.front.extend_from_slice(b"\r\n");
                } else {
                    (self.data, self.back) = (data, b"\r\n");
                }
            }
        }
        Ok(())
    }

    /// The client has sent all it had. Fewer bytes than promised would make the next request a part of this one.
    fn finish(&mut self, trailers: Option<HeaderMap>) -> io::Result<()> {
        match self.promised {
            Some(0) => {}
            Some(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {
                self.front.clear();
                self.sent = 0;
                self.front.extend_from_slice(b"0\r\n");
                if let Some(trailers) = trailers {
                    headers::write_trailers(&mut self.front, &trailers);
                }
                self.front.extend_from_slice(b"\r\n");
            }
        }
        self.body = None;
        Ok(())
    }

    fn left(&self) -> usize {
        self.front.len() - self.sent + self.data.len() + self.back.len()
    }

    fn poll_write(&self, stream: &mut (impl AsyncWrite + Unpin), context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let front = self.front.get(self.sent..).unwrap_or_default();
        match (front, &*self.data, self.back) {
            (front, [], []) => Pin::new(stream).poll_write(context, front),
            ([], data, []) => Pin::new(stream).poll_write(context, data),
            (front, data, back) => {
                let pieces = [front, data, back].map(IoSlice::new);
                Pin::new(stream).poll_write_vectored(context, &pieces)
            }
        }
    }

    fn advance(&mut self, mut sent: usize) {
        let front = sent.min(self.front.len() - self.sent);
        self.sent += front;
        sent -= front;
        let data = sent.min(self.data.len());
        self.data.advance(data);
        self.back = self.back.get(sent - data..).unwrap_or_default();
    }
}

/// Brings the connection back when the request has left as a whole.
pub(super) type Rest = oneshot::Receiver<Writer>;

/// Sends the rest of a request whose answer has begun, while that is read.
pub(super) fn carry_on(mut upload: Upload, mut sink: Writer, waiting: Waiting, patience: Duration) -> Rest {
    let (back, rest) = oneshot::channel();
    tokio::task::spawn_local(async move {
        let sending = poll_fn(|context| {
            let mut moved = false;
            let sent = upload.poll_send(&mut sink, context, &mut moved);
            if moved {
                waiting.moved();
            }
            match sent {
                Poll::Ready(sent) => Poll::Ready(Some(sent)),
                Poll::Pending => waiting.poll(patience, context).map(|()| None),
            }
        });
        match sending.await {
            // Nobody may want it back any more.
            Some(Ok(())) => drop(back.send(sink)),
            Some(Err(UploadError::Upstream(_))) => {
                drop((back, sink));
                discard(upload.body, waiting, patience).await;
            }
            Some(Err(UploadError::Client(_))) | None => {}
        }
    });
    rest
}

/// Takes the rest of a request that the upstream does not want: a client that sends all before it reads would else never
/// read the answer.
pub(super) async fn discard(body: Option<Incoming>, waiting: Waiting, patience: Duration) {
    let Some(mut body) = body else { return };
    poll_fn(|context| {
        loop {
            match Pin::new(&mut body).poll_frame(context) {
                Poll::Ready(Some(Ok(_))) => waiting.moved(),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return waiting.poll(patience, context),
            }
        }
    })
    .await;
}
