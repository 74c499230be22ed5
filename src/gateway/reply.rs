//! Answers made here: refusals as their table words them, and what all of ours have in common.
//!
//! Guarantees: none is ever cached (RFC 6749 section 5.1); each carries the request's id; a refusal is marked as the
//! gate's, so that nobody takes it for the upstream's.
//! Does not know: why.

use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use crate::upstream::Answer;
use crate::upstream::headers::{X_PORTCULLIS, X_REQUEST_ID};

use super::refusal::{Dress, Wording};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// All but printable ASCII, and the mark of an escape itself.
const GRPC_ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

#[derive(Serialize)]
struct RefusalBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    error: &'static str,
    error_description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

pub(super) fn refused(wording: Wording, request_id: &HeaderValue) -> Response<Answer> {
    if wording.dress == Dress::Grpc {
        return refused_call(&wording, request_id);
    }
    let (body, content_type) = if wording.dress == Dress::Plain {
        (wording.message.into_bytes(), "text/plain; charset=utf-8")
    } else {
        let sentence = &*wording.message;
        let own = wording.dress == Dress::Json;
        let (message, reason) = (own.then_some(sentence), wording.reason.filter(|_| own));
        let body = RefusalBody { message, error: wording.error, error_description: sentence, reason };
        (serde_json::to_vec(&body).unwrap_or_default(), "application/json")
    };
    let mut response = own(wording.status, Answer::text(body), request_id);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    mark(&mut response, wording.challenge, wording.retry_after, wording.allow);
    response
}

/// A head without a body that is both head and trailers (gRPC over HTTP/2, "Trailers-Only"): a call always succeeds as one
/// of HTTP, and fails as one of gRPC.
fn refused_call(wording: &Wording, request_id: &HeaderValue) -> Response<Answer> {
    let mut response = own(StatusCode::OK, Answer::empty(), request_id);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(wording.grpc_status())));
    let message = utf8_percent_encode(&wording.message, GRPC_ESCAPED).to_string();
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    mark(&mut response, wording.challenge.clone(), wording.retry_after, None);
    response
}

fn mark(
    response: &mut Response<Answer>,
    challenge: Option<String>,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
) {
    let headers = response.headers_mut();
    headers.insert(X_PORTCULLIS, HeaderValue::from_static("denied"));
    if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(wait) = retry_after {
        // Rounded up: whoever comes back on the second must not be told to wait again.
        headers.insert(RETRY_AFTER, HeaderValue::from((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)));
    }
    if let Some(methods) = allow {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
}

/// Whether a request is a call of gRPC. gRPC-Web is another thing: it wants its trailers in the body.
pub(super) fn is_grpc(request: &Request<Incoming>) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    if *request.method() != Method::POST {
        return false;
    }
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let begins = content_type.get(..GRPC.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(GRPC));
    begins && matches!(content_type.get(GRPC.len()), None | Some(b'+' | b';'))
}

/// An answer of our own: never to be cached (RFC 6749 section 5.1).
pub(super) fn own(status: StatusCode, body: Answer, request_id: &HeaderValue) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_REQUEST_ID, request_id.clone());
    response
}
