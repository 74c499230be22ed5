//! Header hygiene: what never crosses the gate, in either direction.
//!
//! Guarantees: hop-by-hop fields and those that `Connection` nominates are removed first and ours are set after, so a
//! client can neither plant an identity nor have one removed by nominating it (RFC 9110 section 7.6.1); every spelling
//! of the identity headers (`_` or `.` for `-`; upper case is already gone) is removed on every route, from trailers too;
//! the upstream sees one `Authorization` at most.
//! Does not know: who was admitted, or why.

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, Entry, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

pub const X_AUTH_SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
pub const X_AUTH_SCOPES: HeaderName = HeaderName::from_static("x-auth-scopes");
pub const X_AUTH_SESSION: HeaderName = HeaderName::from_static("x-auth-session");
pub const X_AUTH_TOKEN_ID: HeaderName = HeaderName::from_static("x-auth-token-id");
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Marks the gate's own refusals; an upstream cannot set it.
pub const X_PORTCULLIS: HeaderName = HeaderName::from_static("x-portcullis");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
/// Those that are known to be for one hop whether or not `Connection` nominates them; what a client and the next proxy
/// prove to each other (RFC 9110 section 11.7) is theirs alone.
const HOP_BY_HOP: [HeaderName; 8] = [
    KEEP_ALIVE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    PROXY_CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
];
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Removed from every request: identity is the gate's to set, forwarding is the gate's to tell, and a method override
/// would let a request be judged as one method and answered as another.
const PLANTED: [&str; 16] = [
    "x-auth-subject",
    "x-auth-scopes",
    "x-auth-session",
    "x-auth-token-id",
    "x-portcullis",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-real-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Who the request speaks for, ready to be written. Made once per verified token.
#[derive(Clone, Debug)]
pub struct Identity {
    pub subject: HeaderValue,
    pub scopes: HeaderValue,
    /// Absent when the caller came with Basic credentials: there is no session then.
    pub session: Option<HeaderValue>,
    pub token_id: Option<HeaderValue>,
}

/// Where the request came from, ready to be written. Made once per connection.
#[derive(Clone, Debug)]
pub struct Origin {
    pub address: HeaderValue,
    pub scheme: HeaderValue,
}

/// What becomes of the client's `Authorization`.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// As the client sent it.
    Keep,
    Remove,
    /// The gate's own account at the upstream.
    Replace(HeaderValue),
}

/// Cleans a request's headers for the upstream and sets what the gate vouches for.
///
/// `forwarded` is what a trusted proxy in front of us said of the way so far; otherwise that is dropped.
pub fn clean_request(
    headers: &mut HeaderMap,
    identity: Option<&Identity>,
    authorization: &Authorization,
    origin: &Origin,
    forwarded: Option<Forwarded>,
    request_id: HeaderValue,
) {
    // Nearly all requests have nothing to clean: one look at the names is cheaper than asking for each in turn.
    if headers.keys().any(is_suspect) {
        remove_hop_by_hop(headers);
        remove_planted(headers);
        join_cookies(headers);
    }
    match authorization {
        Authorization::Keep => {}
        Authorization::Remove => {
            headers.remove(AUTHORIZATION);
        }
        Authorization::Replace(value) => {
            headers.insert(AUTHORIZATION, value.clone());
        }
    }
    // All that follow, at once: a map that grows twice is rehashed twice.
    headers.reserve(8);
    if let Some(identity) = identity {
        headers.insert(X_AUTH_SUBJECT, identity.subject.clone());
        headers.insert(X_AUTH_SCOPES, identity.scopes.clone());
        if let (Some(session), Some(token_id)) = (&identity.session, &identity.token_id) {
            headers.insert(X_AUTH_SESSION, session.clone());
            headers.insert(X_AUTH_TOKEN_ID, token_id.clone());
        }
    }
    let forwarded = forwarded.unwrap_or_default();
    if let Some(host) = forwarded.host.or_else(|| headers.get(HOST).cloned()) {
        headers.insert(X_FORWARDED_HOST, host);
    }
    let way = match forwarded.addresses {
        Some(way) => joined(&way, b", ", &origin.address),
        None => origin.address.clone(),
    };
    headers.insert(X_FORWARDED_FOR, way);
    headers.insert(X_FORWARDED_PROTO, forwarded.scheme.unwrap_or_else(|| origin.scheme.clone()));
    headers.insert(X_REQUEST_ID, request_id);
}

/// Cleans an upstream's answer for the client.
pub fn clean_response(headers: &mut HeaderMap) {
    if headers.keys().any(is_suspect) {
        remove_hop_by_hop(headers);
        headers.remove(X_PORTCULLIS);
    }
}

/// Cleans the fields behind a request's body: some servers read them as if they had stood before it. `Authorization` and
/// the like are refused there by RFC 9110 section 6.5.1, but not by everybody.
pub fn clean_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    remove_planted(trailers);
    for name in [AUTHORIZATION, COOKIE, HOST, CONTENT_LENGTH] {
        trailers.remove(name);
    }
}

/// What a trusted proxy said of the way to us.
#[derive(Clone, Debug, Default)]
pub struct Forwarded {
    pub addresses: Option<HeaderValue>,
    pub host: Option<HeaderValue>,
    pub scheme: Option<HeaderValue>,
}

impl Forwarded {
    /// Reads the headers of a request whose peer is trusted. Several `X-Forwarded-For` fields are one list.
    pub fn read(headers: &HeaderMap) -> Self {
        let addresses = headers.get_all(X_FORWARDED_FOR).iter().cloned().reduce(|way, next| joined(&way, b", ", &next));
        Self {
            addresses,
            host: headers.get(X_FORWARDED_HOST).cloned(),
            scheme: headers.get(X_FORWARDED_PROTO).cloned(),
        }
    }
}

/// Whether a name begins like one of those that are removed or rewritten. May say yes too often, never no.
fn is_suspect(name: &HeaderName) -> bool {
    const BEGINNINGS: [&[u8]; 10] = [b"x", b"forw", b"keep", b"prox", b"te", b"tr", b"upg", b"conn", b"cook", b"http2"];
    let name = name.as_str().as_bytes();
    matches!(name.first(), Some(b'x' | b'f' | b'k' | b'p' | b't' | b'u' | b'c' | b'h'))
        && BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        for name in nominated(headers) {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// `Host` cannot be nominated away: without it the upstream would have to guess.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| name != HOST)
        .collect()
}

fn remove_planted(headers: &mut HeaderMap) {
    while let Some(name) = headers.keys().find(|name| is_planted(name.as_str())).cloned() {
        headers.remove(name);
    }
}

/// Header names arrive in lower case. CGI-like servers turn `-` into `_`, some of them every character that is neither
/// letter nor digit, so all these spellings mean the same to them.
fn is_planted(name: &str) -> bool {
    matches!(name.as_bytes().first(), Some(b'x' | b'f'))
        && PLANTED.iter().any(|planted| {
            planted.len() == name.len()
                && planted
                    .bytes()
                    .zip(name.bytes())
                    .all(|(want, have)| want == have || (want == b'-' && !have.is_ascii_alphanumeric()))
        })
}

/// HTTP/2 may split `Cookie` into crumbs; HTTP/1 has one field (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let Entry::Occupied(crumbs) = headers.entry(COOKIE) else { return };
    if crumbs.iter().count() > 1 {
        let whole = crumbs.iter().cloned().reduce(|whole, crumb| joined(&whole, b"; ", &crumb));
        if let Some(whole) = whole {
            headers.insert(COOKIE, whole);
        }
    }
}

fn joined(first: &HeaderValue, between: &[u8], second: &HeaderValue) -> HeaderValue {
    let text = [first.as_bytes(), between, second.as_bytes()].concat();
    // Two valid values and a separator of visible characters are a valid value; keep the first if ever they are not.
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| first.clone())
}

#[cfg(test)]
mod tests;
