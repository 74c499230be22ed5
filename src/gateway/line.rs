//! The log line of a request, and the id that joins it to the answer.
//!
//! Guarantees: nothing in a line can be presented: no header, no query, no body; client-controlled text is escaped by
//! the log's format.
//! Does not know: why a request was refused.

use std::borrow::Cow;
use std::cell::Cell;
use std::net::IpAddr;

use http::header::HeaderValue;
use http::{Method, StatusCode, Uri};
use tracing::field::display;
use tracing::info;

use crate::upstream::Trace;

/// What a line tells of a request.
pub(super) struct Line<'a> {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) peer: IpAddr,
    pub(super) client: Option<IpAddr>,
    pub(super) status: StatusCode,
    pub(super) trace: Option<&'a Trace>,
}

impl Line<'_> {
    pub(super) fn write(self, reason: &str, request_id: &HeaderValue) {
        let Self { method, uri, peer, client, status, trace } = self;
        let (client, trace_id) = (client.filter(|client| *client != peer).map(display), trace.map(Trace::id));
        let request_id = request_id.to_str().unwrap_or_default();
        info!(
            target: "portcullis::access",
            request_id, %method, path = &*without_tokens(uri.path()), status = status.as_u16(), reason, %peer,
            client, trace_id, "request"
        );
    }
}

/// A token is a token also where a client put it in place of an id. All begin with the base64url of `{"`.
fn without_tokens(path: &str) -> Cow<'_, str> {
    // Most paths are too short for a search that pays off in long texts.
    if !path.as_bytes().windows(3).any(|three| three == b"eyJ") {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').map(|segment| if segment.contains("eyJ") { "(token)" } else { segment });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

/// Ids of requests: unique in this process and unlikely to be met in another. Not secrets.
pub struct RequestIds {
    next: Cell<u64>,
}

impl RequestIds {
    /// Beginning anywhere.
    pub fn begun() -> Self {
        let mut seed = [0; 8];
        // Without randomness ids start at zero: they are for finding log lines, nothing depends on them.
        let _ = aws_lc_rs::rand::fill(&mut seed);
        Self { next: Cell::new(u64::from_ne_bytes(seed)) }
    }

    pub fn next(&self) -> HeaderValue {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let id = self.next.get();
        self.next.set(id.wrapping_add(1));
        let mut text = [0; 16];
        for (at, digit) in text.iter_mut().enumerate() {
            *digit = HEX[(id >> (60 - 4 * at) & 15) as usize];
        }
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("0"))
    }
}
