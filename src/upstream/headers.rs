//! Header hygiene: what never crosses the gate, in either direction.
//!
//! Guarantees: hop-by-hop fields and those that `Connection` nominates end here, and what the gate vouches for is written
//! beside whatever is left, so a client can neither plant an identity nor have one removed by nominating it (RFC 9110
//! section 7.6.1); no spelling of the identity headers (`_` or `.` for `-`; upper case is already gone) crosses on any
//! route, nor in trailers; the upstream sees one `Authorization` at most, and one `Cookie`.
//! Does not know: who was admitted, or why.

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

use crate::token::Timestamp;

use super::{Bond, Trace};

pub const X_AUTH_SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
pub const X_AUTH_SCOPES: HeaderName = HeaderName::from_static("x-auth-scopes");
pub const X_AUTH_SESSION: HeaderName = HeaderName::from_static("x-auth-session");
pub const X_AUTH_TOKEN_ID: HeaderName = HeaderName::from_static("x-auth-token-id");
/// Whom the client's TLS certificate names.
pub const X_AUTH_CERTIFICATE: HeaderName = HeaderName::from_static("x-auth-certificate");
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What a replica says to its primary of who is asking.
pub const X_PORTCULLIS_VISITOR: HeaderName = HeaderName::from_static("x-portcullis-visitor");
/// Marks the gate's own refusals; an upstream cannot set it.
pub const X_PORTCULLIS: HeaderName = HeaderName::from_static("x-portcullis");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
/// Those that are known to be for one hop whether or not `Connection` nominates them; what a client and the next proxy
/// prove to each other (RFC 9110 section 11.7) is theirs alone.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
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

/// Kept from every request: identity is the gate's to set, forwarding is the gate's to tell, and an override of method or
/// path would let a request be judged as one and answered as another. Certificates of clients end here, so what is said of
/// them elsewhere (RFC 9440) is the client's own word.
const PLANTED: [&str; 24] = [
    "x-auth-subject",
    "x-auth-scopes",
    "x-auth-session",
    "x-auth-token-id",
    "x-auth-certificate",
    "x-portcullis",
    "x-portcullis-visitor",
    "x-request-id",
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
    "x-forwarded-client-cert",
    "client-cert",
    "client-cert-chain",
    "x-original-url",
    "x-rewrite-url",
];

/// Who the request speaks for, ready to be sent. Made once per verified token.
pub struct Identity {
    fields: Vec<u8>,
    by_token: bool,
    /// What its streams hang on. `None`: on nothing.
    bond: Option<Box<dyn Bond>>,
}

impl Identity {
    /// Whom a token names.
    ///
    /// # Errors
    /// When a text cannot stand in a header.
    pub fn of_token(subject: &str, scopes: &str, session: &str, token_id: &str) -> Result<Self, InvalidHeaderValue> {
        let mut identity = Self::of_user(subject, scopes)?;
        write(&mut identity.fields, &X_AUTH_SESSION, &HeaderValue::from_str(session)?);
        write(&mut identity.fields, &X_AUTH_TOKEN_ID, &HeaderValue::from_str(token_id)?);
        identity.by_token = true;
        Ok(identity)
    }

    /// Whom a token of another issuer names, which knows no session.
    ///
    /// # Errors
    /// When a text cannot stand in a header.
    pub fn of_foreign_token(subject: &str, scopes: &str) -> Result<Self, InvalidHeaderValue> {
        Ok(Self { by_token: true, ..Self::of_user(subject, scopes)? })
    }

    /// Who came with a password: there is no session then. A subject is sent in UTF-8 as it is, which HTTP calls opaque
    /// bytes (RFC 9110 section 5.5).
    ///
    /// # Errors
    /// When a text cannot stand in a header.
    pub fn of_user(subject: &str, scopes: &str) -> Result<Self, InvalidHeaderValue> {
        let mut fields = Vec::with_capacity(192);
        write(&mut fields, &X_AUTH_SUBJECT, &HeaderValue::from_bytes(subject.as_bytes())?);
        write(&mut fields, &X_AUTH_SCOPES, &HeaderValue::from_str(scopes)?);
        Ok(Self { fields, by_token: false, bond: None })
    }

    /// Nobody yet: whoever is asking has to be judged by the gate that this goes to, which is told where from.
    pub fn handed_over(note: &HeaderValue) -> Self {
        let mut fields = Vec::with_capacity(192);
        write(&mut fields, &X_PORTCULLIS_VISITOR, note);
        Self { fields, by_token: false, bond: None }
    }

    /// The same, whose streams end with `bond`.
    #[must_use]
    pub fn bound(self, bond: Box<dyn Bond>) -> Self {
        Self { bond: Some(bond), ..self }
    }

    pub fn by_token(&self) -> bool {
        self.by_token
    }

    /// Whether streams that are forwarded for it may go on at `now`.
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        self.bond.as_ref().is_none_or(|bond| bond.holds(now))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("by_token", &self.by_token).finish_non_exhaustive()
    }
}

/// Where the request came from, ready to be sent. Made once per connection.
#[derive(Clone, Debug)]
pub struct Origin {
    address: HeaderValue,
    scheme: HeaderValue,
    fields: Vec<u8>,
    /// So many of them, from the beginning, say where it came from; the others, who came.
    way: usize,
}

impl Origin {
    pub fn new(address: IpAddr, scheme: &'static str) -> Self {
        let address =
            HeaderValue::from_str(&address.to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        let (scheme, mut fields) = (HeaderValue::from_static(scheme), Vec::with_capacity(64));
        write(&mut fields, &X_FORWARDED_FOR, &address);
        write(&mut fields, &X_FORWARDED_PROTO, &scheme);
        let way = fields.len();
        Self { address, scheme, fields, way }
    }

    /// Adds whom the client's certificate names.
    pub fn certify(&mut self, identity: &HeaderValue) {
        self.fields.truncate(self.way);
        write(&mut self.fields, &X_AUTH_CERTIFICATE, identity);
    }
}

/// What becomes of the client's `Authorization`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// As the client sent it.
    Keep,
    Remove,
    /// The gate's own account at the upstream.
    Replace(HeaderValue),
}

/// What the gate says of a request to the upstream.
#[derive(Clone, Copy, Debug)]
pub struct Vouched<'a> {
    pub identity: Option<&'a Identity>,
    pub authorization: &'a Authorization,
    pub origin: &'a Origin,
    /// What the upstream reads in `Host` in place of the client's.
    pub host: Option<&'a HeaderValue>,
    /// What a trusted proxy in front of us said of the way so far; of anybody else it is not believed.
    pub forwarded: Option<&'a Forwarded>,
    pub request_id: &'a HeaderValue,
    /// What the request is part of, in place of what the client has said of that.
    pub trace: Option<&'a Trace>,
    /// The name of a cookie that is the gate's alone.
    pub own_cookie: Option<&'a str>,
}

/// Writes the fields of a request as the upstream gets them: the client's that may cross, then what the gate vouches
/// for. Not those that say how long the body is: whoever frames it writes them.
pub fn write_request(out: &mut Vec<u8>, headers: &HeaderMap, vouched: &Vouched<'_>) {
    let connection = headers.keys().any(|name| *name == CONNECTION);
    let nominated = if connection { nominated_in(headers) } else { Vec::new() };
    let keep_authorization = matches!(vouched.authorization, Authorization::Keep);
    let (mut host, mut cookies_written) = (None, false);
    for (name, value) in headers {
        if *name == HOST {
            host = Some(value);
        }
        let ends_here = *name == CONTENT_LENGTH
            || (*name == HOST && vouched.host.is_some())
            || (*name == AUTHORIZATION && !keep_authorization)
            || is_nominated(name, &nominated)
            || (is_suspect(name)
                && (is_hop_by_hop(name)
                    || is_planted(name.as_str())
                    || vouched.trace.is_some_and(|trace| trace.replaces(name))));
        if ends_here {
            continue;
        }
        if *name == COOKIE {
            if !cookies_written {
                write_cookies(out, headers, vouched.own_cookie);
                cookies_written = true;
            }
            continue;
        }
        write(out, name, value);
    }
    if let Some(host) = vouched.host {
        write(out, &HOST, host);
    }
    if let Authorization::Replace(value) = vouched.authorization {
        write(out, &AUTHORIZATION, value);
    }
    if let Some(identity) = vouched.identity {
        out.extend_from_slice(&identity.fields);
    }
    write_way(out, host, vouched);
    write(out, &X_REQUEST_ID, vouched.request_id);
    if let Some(trace) = vouched.trace {
        out.extend_from_slice(b"traceparent: ");
        out.extend_from_slice(trace.parent());
        out.extend_from_slice(b"\r\n");
    }
}

/// Whether a field of an upstream's answer goes on to the client.
pub(super) fn answer_crosses(name: &HeaderName, nominated: &[HeaderName]) -> bool {
    !(is_nominated(name, nominated) || (is_suspect(name) && (is_hop_by_hop(name) || *name == X_PORTCULLIS)))
}

/// Cleans the fields behind a request's body: some servers read them as if they had stood before it. `Authorization` and
/// the like are refused there by RFC 9110 section 6.5.1, but not by everybody.
pub(super) fn write_trailers(out: &mut Vec<u8>, trailers: &HeaderMap) {
    let nominated = nominated_in(trailers);
    for (name, value) in trailers {
        let ends_here = [AUTHORIZATION, COOKIE, HOST, CONTENT_LENGTH].contains(name)
            || is_nominated(name, &nominated)
            || is_hop_by_hop(name)
            || is_planted(name.as_str());
        if !ends_here {
            write(out, name, value);
        }
    }
}

/// Cleans fields of an answer that are in a map already, those behind its body or a head of HTTP/2: they speak neither for
/// the gate nor of a hop that ends here.
pub(super) fn clean_answer(fields: &mut HeaderMap) {
    let nominated = nominated_in(fields);
    let ends_here = |name: &&HeaderName| **name == CONTENT_LENGTH || !answer_crosses(name, &nominated);
    let gone: Vec<_> = fields.keys().filter(ends_here).cloned().collect();
    for name in gone {
        fields.remove(name);
    }
}

/// Reads fields that were written here, for HTTP/2, which has another form for them.
pub(super) fn read_back(written: &Bytes) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(16);
    let mut rest = &written[..];
    // What is written here is a sequence of `name: value\r\n`, and neither part can hold what stands behind it.
    while let Some((line, behind)) = parted(rest, b"\r\n") {
        rest = behind;
        let Some((name, value)) = parted(line, b": ") else { continue };
        let value = HeaderValue::from_maybe_shared(written.slice_ref(value));
        if let (Ok(name), Ok(mut value)) = (HeaderName::from_bytes(name), value) {
            // One connection carries many users: what proves who they are stays out of its dictionary (RFC 7541 section 7.1).
            value.set_sensitive(name == AUTHORIZATION || name == COOKIE);
            fields.append(name, value);
        }
    }
    fields
}

fn parted<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(text, mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// The fields that `Connection` makes ones of this hop, each once, and of those only what is `present`: a list of
/// thousands must not have to be compared with every field. `close` and `keep-alive` are words and no fields; `Host`
/// cannot be nominated away, as the upstream would have to guess.
pub(super) fn nominated<'a>(
    connection: impl Iterator<Item = &'a [u8]>,
    present: impl Fn(&HeaderName) -> bool,
) -> Vec<HeaderName> {
    let mut nominated = Vec::new();
    let words = connection.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    for word in words {
        if word.eq_ignore_ascii_case(b"close") || word.eq_ignore_ascii_case(b"keep-alive") {
            continue;
        }
        let Ok(name) = HeaderName::from_bytes(word) else { continue };
        if name != HOST && present(&name) && !nominated.contains(&name) {
            nominated.push(name);
        }
    }
    nominated
}

fn nominated_in(headers: &HeaderMap) -> Vec<HeaderName> {
    let connection = headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
    nominated(connection, |name| headers.contains_key(name))
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
    const BEGINNINGS: [&[u8]; 10] =
        [b"x", b"forw", b"keep", b"prox", b"te", b"tr", b"upg", b"conn", b"http2", b"client"];
    let name = name.as_str().as_bytes();
    matches!(name.first(), Some(b'x' | b'f' | b'k' | b'p' | b't' | b'u' | b'c' | b'h'))
        && BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

fn is_nominated(name: &HeaderName, nominated: &[HeaderName]) -> bool {
    !nominated.is_empty() && nominated.contains(name)
}

/// Header names arrive in lower case. CGI-like servers turn `-` into `_`, some of them every character that is neither
/// letter nor digit, so all these spellings mean the same to them.
fn is_planted(name: &str) -> bool {
    matches!(name.as_bytes().first(), Some(b'x' | b'f' | b'c'))
        && PLANTED.iter().any(|planted| {
            planted.len() == name.len()
                && planted
                    .bytes()
                    .zip(name.bytes())
                    .all(|(want, have)| want == have || (want == b'-' && !have.is_ascii_alphanumeric()))
        })
}

/// HTTP/2 may split `Cookie` into crumbs; HTTP/1 has one field (RFC 9113 section 8.2.3).
fn write_cookies(out: &mut Vec<u8>, headers: &HeaderMap, own: Option<&str>) {
    if let Some(own) = own {
        return write_foreign_cookies(out, headers, own);
    }
    out.extend_from_slice(b"cookie: ");
    for (at, crumb) in headers.get_all(COOKIE).iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b"; ");
        }
        out.extend_from_slice(crumb.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// All but the gate's own. Nothing is left of the field if nothing else is in it.
fn write_foreign_cookies(out: &mut Vec<u8>, headers: &HeaderMap, own: &str) {
    let is_own = |crumb: &[u8]| {
        crumb
            .strip_prefix(own.as_bytes())
            .is_some_and(|rest| matches!(rest.trim_ascii_start().first(), None | Some(b'=')))
    };
    let crumbs = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let mut between: &[u8] = b"cookie: ";
    for crumb in crumbs.map(<[u8]>::trim_ascii).filter(|crumb| !crumb.is_empty() && !is_own(crumb)) {
        out.extend_from_slice(between);
        out.extend_from_slice(crumb);
        between = b"; ";
    }
    if between == b"; " {
        out.extend_from_slice(b"\r\n");
    }
}

fn write_way(out: &mut Vec<u8>, host: Option<&HeaderValue>, vouched: &Vouched<'_>) {
    let (origin, forwarded) = (vouched.origin, vouched.forwarded);
    if let Some(host) = forwarded.and_then(|forwarded| forwarded.host.as_ref()).or(host) {
        write(out, &X_FORWARDED_HOST, host);
    }
    let Some(forwarded) = forwarded else {
        out.extend_from_slice(&origin.fields);
        return;
    };
    out.extend_from_slice(&origin.fields[origin.way..]);
    match &forwarded.addresses {
        Some(way) => write(out, &X_FORWARDED_FOR, &joined(way, b", ", &origin.address)),
        None => write(out, &X_FORWARDED_FOR, &origin.address),
    }
    write(out, &X_FORWARDED_PROTO, forwarded.scheme.as_ref().unwrap_or(&origin.scheme));
}

/// One field. Names and values of these types hold no line break, so nothing can be smuggled in as another field.
fn write(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn joined(first: &HeaderValue, between: &[u8], second: &HeaderValue) -> HeaderValue {
    let text = [first.as_bytes(), between, second.as_bytes()].concat();
    // Two valid values and a separator of visible characters are a valid value; keep the first if ever they are not.
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| first.clone())
}

#[cfg(test)]
mod tests;
