//! What no rule should have to look at: requests too large, of methods that are not forwarded, for no one host, with a body
//! in codings that nobody here undoes.
//!
//! Guarantees: what passes has one `Host` and is within the bounds.
//! Does not know: paths, credentials.

use http::header::{HOST, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Version};
use hyper::ext::Protocol;

use crate::upstream::WEBSOCKET;

use super::{Bounds, Refusal};

/// Lets a request through to the rules, with exactly one `Host`.
///
/// # Errors
/// The refusal to answer with.
pub(super) fn admissible<B>(request: &mut Request<B>, bounds: &Bounds) -> Result<(), Refusal> {
    // It is judged, and answered upstream, as the GET that it would be in HTTP/1.1 (RFC 8441 section 5).
    if bounds.extended_connect && asks_for_websocket(request) {
        *request.method_mut() = Method::GET;
    }
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refusal::MethodUnsupported);
    }
    if request.uri().path_and_query().map_or(0, |target| target.as_str().len()) > bounds.uri_bytes {
        return Err(Refusal::UriTooLong);
    }
    let headers = request.headers();
    let (mut bytes, mut codings) = (0, 0);
    for (name, value) in headers {
        bytes += name.as_str().len() + value.len() + 4;
        // hyper reads `gzip, chunked` and undoes one of the two; what left for the upstream would say nothing of the other
        // (RFC 9112 section 6.1).
        if *name == TRANSFER_ENCODING {
            codings += if value.as_bytes().eq_ignore_ascii_case(b"chunked") { 1 } else { 2 };
        }
    }
    if codings > 1 {
        return Err(Refusal::AmbiguousFraming);
    }
    if headers.len() > bounds.headers || bytes > bounds.header_bytes {
        return Err(Refusal::HeadersTooLarge);
    }
    if let Some(host) = one_host(request)? {
        request.headers_mut().insert(HOST, host);
    }
    Ok(())
}

/// An extended CONNECT of HTTP/2; hyper takes the protocol of no other request.
fn asks_for_websocket<B>(request: &Request<B>) -> bool {
    *request.method() == Method::CONNECT
        && request.extensions().get::<Protocol>().is_some_and(|protocol| protocol.as_str() == WEBSOCKET)
}

/// The one host of a request. The authority of an absolute target wins over the header (RFC 9112 section 3.2.2); in
/// HTTP/2 both must agree (RFC 9113 section 8.3.1); HTTP/1.0 allows none. `None`: the field stands as it is.
fn one_host<B>(request: &Request<B>) -> Result<Option<HeaderValue>, Refusal> {
    let mut fields = request.headers().get_all(HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(Refusal::AmbiguousHost);
    }
    let authority = request.uri().authority();
    let host = match (authority, field) {
        (Some(authority), field) => {
            let agrees = field.is_none_or(|field| field.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()));
            if !is_host(authority.as_str().as_bytes()) || (request.version() == Version::HTTP_2 && !agrees) {
                return Err(Refusal::AmbiguousHost);
            }
            HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::AmbiguousHost)?
        }
        (None, Some(field)) if is_host(field.as_bytes()) => return Ok(None),
        // What leaves for the upstream is HTTP/1.1, where the field has to be there and may be empty.
        (None, None) if request.version() == Version::HTTP_10 => HeaderValue::from_static(""),
        (None, _) => return Err(Refusal::AmbiguousHost),
    };
    Ok(Some(host))
}

/// Whether this could be a host and port (RFC 3986 section 3.2.2), so that no two readers differ on it.
fn is_host(host: &[u8]) -> bool {
    !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(byte))
}
