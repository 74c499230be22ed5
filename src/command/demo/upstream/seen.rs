//! What reached the sample upstream: the last requests, as they arrived.
//!
//! Guarantees: at most [`MOST`] requests are kept, the oldest goes first; `Authorization` does not show in a `Debug`.
//! Does not know: what was answered.

use std::collections::VecDeque;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// How many requests are kept.
const MOST: usize = 256;
/// The header in which the gateway names the caller.
const SUBJECT: &str = "x-auth-subject";
/// What the log shows of a request: whom the gateway named, and nothing that could be presented again.
const SHOWN: [&str; 5] = [SUBJECT, "x-auth-scopes", "x-auth-session", "x-auth-token-id", "x-request-id"];

/// A request that reached the upstream.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Counts up from 1.
    pub number: u64,
    pub method: Method,
    /// Path and query, byte for byte.
    pub target: String,
    pub headers: HeaderMap,
    at: Timestamp,
}

impl Seen {
    /// Whom the gateway named as the caller.
    pub fn subject(&self) -> Option<&str> {
        subject(&self.headers)
    }
}

/// Whom the gateway named as the caller of a request with these headers.
pub(super) fn subject(headers: &HeaderMap) -> Option<&str> {
    headers.get(SUBJECT)?.to_str().ok().filter(|name| !name.is_empty())
}

#[derive(Default)]
pub(super) struct Arrivals {
    latest: VecDeque<Seen>,
    count: u64,
}

impl Arrivals {
    pub(super) fn note(&mut self, method: Method, target: String, mut headers: HeaderMap, at: Timestamp) {
        if let Some(credentials) = headers.get_mut(AUTHORIZATION) {
            credentials.set_sensitive(true);
        }
        self.count += 1;
        if self.latest.len() == MOST {
            self.latest.pop_front();
        }
        self.latest.push_back(Seen { number: self.count, method, target, headers, at });
    }

    /// The newest last.
    pub(super) fn latest(&self) -> Vec<Seen> {
        self.latest.iter().cloned().collect()
    }

    /// The requests of one subject, in the shape of SMSGate's log.
    pub(super) fn log(&self, owner: &str) -> Value {
        self.latest.iter().filter(|seen| seen.subject() == Some(owner)).map(entry).collect()
    }
}

fn entry(seen: &Seen) -> Value {
    let shown =
        SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), json!(seen.headers.get(*name)?.to_str().ok()?))));
    json!({
        "id": seen.number,
        "createdAt": seen.at.to_string(),
        "message": format!("{} {}", seen.method, seen.target),
        "priority": "INFO",
        "module": "sample-upstream",
        "context": shown.collect::<Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(subject: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(SUBJECT, HeaderValue::from_static(subject));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
        headers
    }

    fn with(subjects: &[&'static str]) -> Arrivals {
        let mut arrivals = Arrivals::default();
        for subject in subjects {
            arrivals.note(Method::GET, "/x?y".to_owned(), headers(subject), Timestamp::UNIX_EPOCH);
        }
        arrivals
    }

    #[test]
    fn the_log_shows_only_the_own_requests_and_no_credentials() {
        let log = with(&["ada", "eve"]).log("ada");
        assert_eq!(
            log,
            json!([{
                "id": 1, "createdAt": "1970-01-01T00:00:00Z", "message": "GET /x?y", "priority": "INFO",
                "module": "sample-upstream", "context": {"x-auth-subject": "ada"},
            }])
        );
    }

    #[test]
    fn credentials_do_not_show_in_a_debug() {
        let latest = with(&["ada"]).latest();
        assert!(!format!("{latest:?}").contains("secret"));
        assert_eq!(latest[0].headers[AUTHORIZATION], "Bearer secret");
    }

    #[test]
    fn the_oldest_request_makes_room() {
        let latest = with(&vec!["ada"; MOST + 1]).latest();
        assert_eq!((latest.len(), latest[0].number), (MOST, 2));
    }
}
