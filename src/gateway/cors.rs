//! What pages of other origins may do (the Fetch standard's CORS protocol).
//!
//! Guarantees: a preflight is answered here and asks nobody; an answer says of CORS what the operator decided and nothing
//! else, whoever made it, refusals included, as a page could not read a 401 otherwise; an origin that is not allowed
//! learns nothing.
//! Does not know: who is calling, what a route demands.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Request, Response, StatusCode};

use crate::upstream::Answer;

use super::reply;

/// What a page may do is for routes to say; this only lets it ask.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
const HEADERS: &str = "Authorization, Content-Type";
const EXPOSED: &str = "WWW-Authenticate, Retry-After, X-Portcullis, X-Request-Id";
const TRUE: HeaderValue = HeaderValue::from_static("true");
const BY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// The rules for pages of other origins.
pub struct Cors {
    origins: Origins,
    headers: HeaderValue,
    exposed: HeaderValue,
    max_age: HeaderValue,
    credentials: bool,
}

enum Origins {
    Any,
    These(Vec<String>),
}

impl Cors {
    /// `origins` as browsers write them, or `*` alone. `headers` and `exposed` come beside what the gate itself needs.
    pub fn new(
        origins: &[String],
        headers: &[String],
        exposed: &[String],
        max_age: Duration,
        credentials: bool,
    ) -> Self {
        let any = origins.iter().any(|origin| origin == "*");
        Self {
            origins: if any { Origins::Any } else { Origins::These(origins.to_vec()) },
            headers: list(HEADERS, headers),
            exposed: list(EXPOSED, exposed),
            max_age: max_age.as_secs().into(),
            // Anybody's page with the cookies of whoever looks at it would be nobody's intention.
            credentials: credentials && !any,
        }
    }

    /// Whether this origin was named by the operator, who vouches for it then; not so if anybody's is allowed.
    pub(super) fn names(&self, origin: &HeaderValue) -> bool {
        matches!(&self.origins, Origins::These(these) if these.iter().any(|one| one.as_bytes() == origin.as_bytes()))
    }

    /// What an answer to this request will say of its origin; nothing if that is not allowed.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = one(headers)?;
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::These(_) => self.names(origin).then(|| origin.clone()),
        }
    }

    /// Puts what the operator decided in the place of what an answer says. `allowed` is from [`Cors::allowed`].
    fn mark(&self, headers: &mut HeaderMap, allowed: Option<HeaderValue>) {
        for name in [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            headers.remove(name);
        }
        // Also on what says nothing: a cache must not give it to an origin that is allowed.
        if !varies_by_origin(headers) {
            headers.append(VARY, BY_ORIGIN);
        }
        let Some(origin) = allowed else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.clone());
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
    }

    /// Does so, and adds what only the answer to a preflight says.
    pub(super) fn mark_answer(&self, response: &mut Response<Answer>, allowed: Option<HeaderValue>) {
        let may = allowed.is_some();
        let preflight = response.extensions_mut().remove::<Preflight>().is_some();
        let headers = response.headers_mut();
        self.mark(headers, allowed);
        if preflight && may {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
    }
}

/// Marks the answer to a preflight until it leaves.
#[derive(Clone, Copy)]
struct Preflight;

/// The answer to a preflight, before it is marked.
pub(super) fn preflight(request_id: &HeaderValue) -> Response<Answer> {
    let mut response = reply::own(StatusCode::NO_CONTENT, Answer::empty(), request_id);
    response.extensions_mut().insert(Preflight);
    response
}

/// Whether a browser asks what it may ask.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The one `Origin` of a request. Browsers send no more, and nothing is chosen from two.
pub(super) fn one(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut origins = headers.get_all(ORIGIN).iter();
    origins.next().filter(|_| origins.next().is_none())
}

fn varies_by_origin(headers: &HeaderMap) -> bool {
    let words = headers.get_all(VARY).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    words.map(<[u8]>::trim_ascii).any(|word| word == b"*" || word.eq_ignore_ascii_case(b"origin"))
}

fn list(own: &str, more: &[String]) -> HeaderValue {
    let text = more.iter().fold(own.to_owned(), |text, name| text + ", " + name);
    // Names of headers are valid in a value.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "https://app.example";

    fn cors(origins: &[&str], credentials: bool) -> Cors {
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        Cors::new(&origins, &["X-A".into()], &["X-B".into()], Duration::from_secs(600), credentials)
    }

    fn from(origins: &[&'static str]) -> HeaderMap {
        origins.iter().map(|origin| (ORIGIN, HeaderValue::from_static(origin))).collect()
    }

    #[track_caller]
    fn says(cors: &Cors, origins: &[&'static str], expected: Option<&str>) {
        let allowed = cors.allowed(&from(origins));
        assert_eq!(allowed.as_ref().map(|value| value.to_str().unwrap()), expected, "{origins:?}");
    }

    #[test]
    fn an_origin_is_allowed_letter_by_letter_or_not() {
        let these = cors(&[APP, "http://localhost:3000"], false);
        says(&these, &[APP], Some(APP));
        says(&these, &["http://localhost:3000"], Some("http://localhost:3000"));
        for foreign in ["null", "", "*", "https://app.example.evil", "https://APP.example", "http://app.example"] {
            says(&these, &[foreign], None);
        }
        says(&these, &[], None);
        says(&these, &[APP, APP], None);
        says(&cors(&["*"], false), &["https://anybody.example"], Some("*"));
        says(&cors(&["*"], false), &[], None);
        assert!(!cors(&["*"], false).names(&HeaderValue::from_static("*")), "nobody was named");
    }

    #[test]
    fn what_the_upstream_says_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        let cors = cors(&[APP], false);
        cors.mark(&mut headers, None);
        assert_eq!(headers.get(ACCESS_CONTROL_ALLOW_ORIGIN), None);
        assert_eq!(headers.get(ACCESS_CONTROL_ALLOW_CREDENTIALS), None);
        assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), ["Accept", "Origin"]);
        cors.mark(&mut headers, Some(HeaderValue::from_static(APP)));
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], APP);
        assert_eq!(headers.get_all(VARY).iter().count(), 2, "said once");
        assert_eq!(headers[ACCESS_CONTROL_EXPOSE_HEADERS], format!("{EXPOSED}, X-B"));
    }

    #[test]
    fn anybodys_page_has_no_credentials() {
        for (origins, expected) in [(["*"], None), ([APP], Some(&TRUE))] {
            let cors = cors(&origins, true);
            let mut headers = HeaderMap::new();
            cors.mark(&mut headers, cors.allowed(&from(&[APP])));
            assert_eq!(headers.get(ACCESS_CONTROL_ALLOW_CREDENTIALS), expected);
        }
    }
}
