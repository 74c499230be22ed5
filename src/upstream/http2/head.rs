//! The heads of messages in the form of HTTP/2 (RFC 9113 section 8.3).
//!
//! Guarantees: what goes and what comes is as clean as over HTTP/1.1, as the same code cleans it; a request can be made
//! anew for as long as it might have to be sent once more.
//! Does not know: streams, who may ask.

use bytes::Bytes;
use h2::RecvStream;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, Uri};

use super::super::framing::{Framing, Garbled, Lengths};
use super::super::head::{Content, Head, MOST_FIELDS};
use super::super::headers::{self, Vouched};

/// A request, ready to be sent as often as need be.
pub(in super::super) struct Outgoing {
    method: Method,
    uri: Uri,
    fields: Bytes,
    content: Content,
    /// The client takes fields behind the body, which some servers want to be told (gRPC does).
    trailers: bool,
}

impl Outgoing {
    /// `own` is the scheme, and the upstream's own name and port for where nobody is named.
    ///
    /// # Errors
    /// When neither can be named in a target.
    pub(in super::super) fn new(
        method: &Method,
        target: &PathAndQuery,
        content: Content,
        fields: &HeaderMap,
        vouched: &Vouched<'_>,
        own: (Scheme, &str),
    ) -> Result<Self, http::Error> {
        let mut written = Vec::with_capacity(1024);
        headers::write_request(&mut written, fields, vouched);
        let named =
            vouched.host.or_else(|| fields.get(HOST)).and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let authority = named.map_or_else(|| Authority::try_from(own.1), Ok)?;
        let uri = Uri::builder().scheme(own.0).authority(authority).path_and_query(target.clone());
        let words = fields.get_all(TE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
        let trailers = words.map(<[u8]>::trim_ascii).any(|word| word.eq_ignore_ascii_case(b"trailers"));
        Ok(Self { method: method.clone(), uri: uri.build()?, fields: written.into(), content, trailers })
    }

    pub(super) fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let mut fields = headers::read_back(&self.fields);
        // It is the authority now, and said only once.
        fields.remove(HOST);
        match self.content {
            Content::Length(length) => drop(fields.insert(CONTENT_LENGTH, HeaderValue::from(length))),
            // RFC 9110 section 8.6, as over HTTP/1.1.
            Content::None if matches!(self.method, Method::POST | Method::PUT | Method::PATCH) => {
                fields.insert(CONTENT_LENGTH, HeaderValue::from(0));
            }
            Content::None | Content::Chunked => {}
        }
        if self.trailers {
            // The one field of its kind that HTTP/2 knows, and with this one value (RFC 9113 section 8.2.2).
            fields.insert(TE, HeaderValue::from_static("trailers"));
        }
        *request.headers_mut() = fields;
        request
    }

    pub(super) fn is_to_head(&self) -> bool {
        self.method == Method::HEAD
    }

    pub(super) fn is_repeatable(&self) -> bool {
        self.method.is_idempotent()
    }
}

/// The body of an answer, and how long it is if that is known.
pub(super) struct Coming {
    pub(super) stream: RecvStream,
    pub(super) length: Option<u64>,
}

/// The head of an answer, without what is for this hop only.
///
/// # Errors
/// When it is beyond its limits, or could be read in two ways.
pub(super) fn answer(answer: Response<RecvStream>, to_head: bool) -> Result<(Head, Coming), Garbled> {
    let (parts, stream) = answer.into_parts();
    let (status, mut fields) = (parts.status, parts.headers);
    if fields.len() > MOST_FIELDS {
        return Err(Garbled("a head beyond its limits"));
    }
    let mut lengths = Lengths::default();
    for length in fields.get_all(CONTENT_LENGTH) {
        lengths.content_length(length.as_bytes())?;
    }
    headers::clean_answer(&mut fields);
    // Whoever frames the body for the client says how long it is; where there is none, nobody else could.
    if let Some(length) = lengths.of_absent_body(status, to_head) {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let length = match lengths.framing(status, to_head) {
        Framing::Length(length) => Some(length),
        Framing::Chunked(_) | Framing::UntilClose => None,
    };
    Ok((Head { status, reason: None, headers: fields }, Coming { stream, length }))
}
