//! The body of a request on its way to the upstream.
//!
//! Guarantees: streamed, never buffered: the client is asked for the next piece when the upstream has room for some; the
//! first piece is kept for as long as it might have to be sent once more; trailers are as clean as headers; a body that
//! breaks off is never made to look like one that has ended.
//! Does not know: what the bytes are, how they are answered.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::super::head::Content;
use super::super::headers;
use super::super::upload::{UploadError, discard};
use super::super::waiting::Waiting;
use super::exchange::into_io;
use super::link::Slot;

/// So long that nobody waits for it.
const NEVER: Duration = Duration::from_hours(24 * 3650);

pub(super) struct Upload {
    /// What is left of the body.
    body: Option<Incoming>,
    /// How many bytes of it were promised and have not come yet; of others nothing is promised.
    promised: Option<u64>,
    taken: Taken,
    waits_for_client: bool,
}

/// What has been taken of the body.
enum Taken {
    Nothing,
    /// One piece, which has left.
    First(Bytes),
    /// The same, to be sent once more.
    Again(Bytes),
    /// More than is at hand.
    More,
}

impl Upload {
    pub(super) fn new(content: Content, body: Incoming) -> Self {
        Self {
            body: (content != Content::None).then_some(body),
            promised: if let Content::Length(length) = content { Some(length) } else { None },
            taken: Taken::Nothing,
            waits_for_client: false,
        }
    }

    /// Everything has left.
    pub(super) fn is_over(&self) -> bool {
        self.body.is_none() && !matches!(self.taken, Taken::Again(_))
    }

    /// The client owes us the next piece.
    pub(super) fn waits_for_client(&self) -> bool {
        self.waits_for_client
    }

    /// What has not been taken of the body, for whoever has no use for it.
    pub(super) fn into_body(self) -> Option<Incoming> {
        self.body
    }

    /// Begins again, if all of it is still at hand.
    pub(super) fn rewind(&mut self) -> bool {
        match std::mem::replace(&mut self.taken, Taken::More) {
            Taken::Nothing => self.taken = Taken::Nothing,
            Taken::First(piece) | Taken::Again(piece) => self.taken = Taken::Again(piece),
            Taken::More => return false,
        }
        true
    }

    /// It will not be sent once more.
    fn settle(&mut self) {
        if matches!(self.taken, Taken::First(_)) {
            self.taken = Taken::More;
        }
    }

    /// Sends what can be sent. Ready when everything has left. Tells through `moved` whether anything did.
    pub(super) fn poll_send(
        &mut self,
        stream: &mut SendStream<Bytes>,
        context: &mut Context<'_>,
        moved: &mut bool,
    ) -> Poll<Result<(), UploadError>> {
        loop {
            if self.is_over() {
                return Poll::Ready(Ok(()));
            }
            self.waits_for_client = false;
            ready!(poll_room(stream, context)).map_err(UploadError::Upstream)?;
            if let Taken::Again(piece) = &self.taken {
                let piece = piece.clone();
                self.taken = Taken::First(piece.clone());
                self.send(stream, piece).map_err(UploadError::Upstream)?;
                *moved = true;
                continue;
            }
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
            let frame = Pin::new(body).poll_frame(context);
            self.waits_for_client = frame.is_pending();
            match ready!(frame) {
                Some(Ok(frame)) => self.load(stream, frame)?,
                Some(Err(error)) => return Poll::Ready(Err(UploadError::Client(io::Error::other(error)))),
                None => self.finish(stream, None)?,
            }
            *moved = true;
        }
    }

    fn load(&mut self, stream: &mut SendStream<Bytes>, frame: Frame<Bytes>) -> Result<(), UploadError> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.finish(stream, frame.into_trailers().ok()),
        };
        if data.is_empty() {
            return Ok(());
        }
        if let Some(promised) = &mut self.promised {
            let left = promised.checked_sub(data.len() as u64);
            *promised = left.ok_or_else(|| UploadError::Client(io::ErrorKind::InvalidData.into()))?;
        }
        self.taken = match self.taken {
            Taken::Nothing => Taken::First(data.clone()),
            _ => Taken::More,
        };
        // With the last piece goes the word that it is the last, unless there may be trailers.
        if self.promised == Some(0) || (self.promised.is_none() && self.body.as_ref().is_some_and(Body::is_end_stream))
        {
            self.body = None;
        }
        self.send(stream, data).map_err(UploadError::Upstream)
    }

    fn send(&self, stream: &mut SendStream<Bytes>, data: Bytes) -> io::Result<()> {
        stream.send_data(data, self.body.is_none()).map_err(into_io)
    }

    /// The client has sent all it had.
    fn finish(&mut self, stream: &mut SendStream<Bytes>, trailers: Option<HeaderMap>) -> Result<(), UploadError> {
        if self.promised.is_some_and(|promised| promised > 0) {
            return Err(UploadError::Client(io::ErrorKind::UnexpectedEof.into()));
        }
        self.body = None;
        let ended = match trailers {
            Some(trailers) => {
                // They are not kept.
                self.taken = Taken::More;
                let mut written = Vec::new();
                headers::write_trailers(&mut written, &trailers);
                stream.send_trailers(headers::read_back(&written.into()))
            }
            None => stream.send_data(Bytes::new(), true),
        };
        ended.map_err(|error| UploadError::Upstream(into_io(error)))
    }
}

/// Ready when the upstream has room for something.
fn poll_room(stream: &mut SendStream<Bytes>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    // Also says that the upstream has reset the stream, while there is room.
    if let Poll::Ready(reset) = stream.poll_reset(context) {
        return Poll::Ready(Err(reset.map_or_else(into_io, |reason| io::Error::other(h2::Error::from(reason)))));
    }
    stream.reserve_capacity(1);
    while stream.capacity() == 0 {
        match ready!(stream.poll_capacity(context)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(into_io(error))),
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
    Poll::Ready(Ok(()))
}

/// To be told that the answer has come to its end. Dropped without that, nothing is left of the exchange.
pub(super) type Rest = oneshot::Sender<()>;

/// Sends the rest of a request whose answer has begun, while that is read.
pub(super) fn carry_on(
    mut upload: Upload,
    mut stream: SendStream<Bytes>,
    slot: Rc<Slot>,
    waiting: Waiting,
    patience: Duration,
) -> Rest {
    let (rest, mut answer) = oneshot::channel();
    upload.settle();
    tokio::task::spawn_local(async move {
        let mut under_way = true;
        let sending = poll_fn(|context| {
            if under_way {
                match Pin::new(&mut answer).poll(context) {
                    Poll::Ready(Ok(())) => {
                        under_way = false;
                        waiting.moved();
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(None),
                    Poll::Pending => {}
                }
            }
            let mut moved = false;
            let sent = upload.poll_send(&mut stream, context, &mut moved);
            if moved {
                waiting.moved();
            }
            match sent {
                Poll::Ready(sent) => Poll::Ready(Some(sent)),
                Poll::Pending => {
                    // A client may listen for as long as there is something to be heard, and say nothing.
                    let patience = if under_way && upload.waits_for_client() { NEVER } else { patience };
                    waiting.poll(patience, context).map(|()| None)
                }
            }
        });
        match sending.await {
            Some(Ok(())) => {}
            Some(Err(UploadError::Upstream(_))) => discard(upload.into_body(), waiting, patience).await,
            Some(Err(UploadError::Client(_))) | None => stream.send_reset(Reason::CANCEL),
        }
        drop(slot);
    });
    rest
}
