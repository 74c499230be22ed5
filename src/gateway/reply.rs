//! Answers made here: refusals as their table words them, and what all of ours have in common.
//!
//! Guarantees: none is ever cached (RFC 6749 section 5.1); each carries the request's id; a refusal is marked as the
//! gate's, so that nobody takes it for the upstream's.
//! Does not know: why.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::upstream::Answer;
use crate::upstream::headers::{X_PORTCULLIS, X_REQUEST_ID};

use super::refusal::{Dress, Wording};

#[derive(Serialize)]
struct RefusalBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    error: &'static str,
    error_description: &'a str,
}

pub(super) fn refused(wording: Wording, request_id: &HeaderValue) -> Response<Answer> {
    let (body, content_type) = if wording.dress == Dress::Plain {
        (wording.message.into_bytes(), "text/plain; charset=utf-8")
    } else {
        let sentence = &*wording.message;
        let message = (wording.dress == Dress::Json).then_some(sentence);
        let body = RefusalBody { message, error: wording.error, error_description: sentence };
        (serde_json::to_vec(&body).unwrap_or_default(), "application/json")
    };
    let mut response = own(wording.status, Answer::text(body), request_id);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_PORTCULLIS, HeaderValue::from_static("denied"));
    if let Some(challenge) = wording.challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(wait) = wording.retry_after {
        // Rounded up: whoever comes back on the second must not be told to wait again.
        headers.insert(RETRY_AFTER, HeaderValue::from((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)));
    }
    if let Some(methods) = wording.allow {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
    response
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
