//! What the sample upstream is asked and what it replies.
//!
//! Guarantees: every refusal has the one shape of the SMSGate API, `{"message": ...}`, and a 401 carries a challenge;
//! every answer points to the API catalog.
//! Does not know: which call leads to which reply.

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, LINK, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{Either, Full};
use serde_json::{Value, json};
use tokio::time::{Interval, interval};

/// How often a stream of events shows that it lives, as SMSGate's does.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One request, its body read.
pub(super) struct Ask<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

#[derive(Debug)]
pub(super) enum Payload {
    Nothing,
    Json(Value),
    /// A stream of server-sent events.
    Events,
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
}

impl Reply {
    fn new(status: StatusCode, payload: Payload) -> Self {
        let catalog = "</.well-known/api-catalog>; rel=\"api-catalog\"";
        Self { status, headers: HeaderMap::new(), payload }.with(LINK, catalog)
    }

    pub(super) fn json(status: StatusCode, value: Value) -> Self {
        Self::new(status, Payload::Json(value)).with(CONTENT_TYPE, "application/json")
    }

    pub(super) fn ok(value: Value) -> Self {
        Self::json(StatusCode::OK, value)
    }

    pub(super) fn nothing() -> Self {
        Self::new(StatusCode::NO_CONTENT, Payload::Nothing)
    }

    pub(super) fn events() -> Self {
        Self::new(StatusCode::OK, Payload::Events).with(CONTENT_TYPE, "text/event-stream")
    }

    /// Sets a header; a value that HTTP does not allow leaves it out.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(super) fn into_response(self) -> Response<ReplyBody> {
        let mut response = Response::new(match self.payload {
            Payload::Nothing => Either::Left(Full::default()),
            Payload::Json(value) => Either::Left(Full::new(Bytes::from(value.to_string()))),
            Payload::Events => Either::Right(Events(interval(KEEP_ALIVE))),
        });
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

pub(super) type ReplyBody = Either<Full<Bytes>, Events>;

/// Why a call is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Display) -> Self {
        Self { status, message: message.to_string() }
    }

    pub(super) fn bad(message: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found")
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request body too large")
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized")
    }
}

/// Without randomness there are no new ids: the one way in which the upstream itself can fail.
impl From<Unspecified> for Refusal {
    fn from(_: Unspecified) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "no randomness")
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let reply = Self::json(refusal.status, json!({"message": refusal.message}));
        if refusal.status == StatusCode::UNAUTHORIZED {
            reply.with(WWW_AUTHENTICATE, "Basic realm=\"sample upstream\"")
        } else {
            reply
        }
    }
}

/// A stream of server-sent events in which nothing happens but keep-alives, the first at once.
pub(super) struct Events(Interval);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.0.poll_tick(cx));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b":keep-alive\n\n")))))
    }
}
