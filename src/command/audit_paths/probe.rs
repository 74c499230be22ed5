//! Asks the upstream, and keeps of an answer only what tells routes apart.
//!
//! Guarantees: GET, HEAD and OPTIONS only; one connection at a time, each answer within a time, no more requests than
//! allowed; of a body no more than [`MOST_READ`] is read; nothing is asked twice, unless a
//! used connection broke.
//! Does not know: why it asks.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, LOCATION, USER_AGENT, WWW_AUTHENTICATE,
};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::Origin;
use crate::wire::Wire;

/// An upstream's log shall tell who asks such things.
const AGENT: &str = concat!("portcullis-audit-paths/", env!("CARGO_PKG_VERSION"));
const MOST_READ: usize = 64 * 1024;
/// A route that streams for ever costs this much for each of its variants.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// The methods that change nothing (RFC 9110 section 9.2.1), in the order in which they tell routes apart best.
pub(super) const METHODS: [Method; 3] = [Method::GET, Method::OPTIONS, Method::HEAD];

/// What an answer tells of the route behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) status: StatusCode,
    /// Without parameters.
    pub(super) kind: String,
    allow: String,
    challenge: String,
    /// Without its query.
    location: String,
    /// `None` where the answer did not end in time or was too long.
    length: Option<usize>,
}

impl Signature {
    fn of(status: StatusCode, headers: &HeaderMap, length: Option<usize>) -> Self {
        let text = |name: HeaderName, until: &[char]| {
            let text = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            text.split(until).next().unwrap_or_default().trim().to_ascii_lowercase()
        };
        Self {
            status,
            kind: text(CONTENT_TYPE, &[';']),
            allow: text(ALLOW, &[]),
            challenge: text(WWW_AUTHENTICATE, &[]),
            location: text(LOCATION, &['?', '#']),
            length,
        }
    }

    /// Whether both can come from one route. Lengths may differ a little: pages repeat the path and the time.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let near = match (self.length, other.length) {
            (Some(ours), Some(theirs)) => ours.abs_diff(theirs) <= 16 + ours.max(theirs) / 16,
            (ours, theirs) => ours == theirs,
        };
        near && Self { length: None, ..self.clone() } == Self { length: None, ..other.clone() }
    }
}

/// Why no more can be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("all requests that are allowed were made")]
    Spent,
    #[error("{to}: no connection: {why}")]
    Unreachable { to: Origin, why: String },
}

pub(super) struct Probe {
    to: Origin,
    headers: HeaderMap,
    patience: Duration,
    pub(super) asked: usize,
    most: usize,
    connection: Option<SendRequest<Empty<Bytes>>>,
    known: HashMap<(Method, String), Option<Signature>>,
}

impl Probe {
    /// `further` go along with every request.
    pub(super) fn new(to: Origin, further: HeaderMap, patience: Duration, most: usize) -> Self {
        let mut headers = HeaderMap::new();
        let host = if to.host.contains(':') {
            format!("[{}]:{}", to.host, to.port)
        } else {
            format!("{}:{}", to.host, to.port)
        };
        if let Ok(host) = HeaderValue::try_from(host) {
            headers.insert(HOST, host);
        }
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.extend(further);
        Self { to, headers, patience, asked: 0, most, connection: None, known: HashMap::new() }
    }

    /// What the upstream answers; `None` if that is nothing that could be read.
    ///
    /// # Errors
    /// When nothing more can be asked.
    pub(super) async fn ask(&mut self, method: &Method, target: &PathAndQuery) -> Result<Option<Signature>, Stop> {
        let key = (method.clone(), target.as_str().to_owned());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let reused = self.connection.is_some();
        let mut answer = self.exchange(method, target).await?;
        // The upstream may have closed a connection just when it was used again.
        if answer.is_none() && reused {
            answer = self.exchange(method, target).await?;
        }
        self.known.insert(key, answer.clone());
        Ok(answer)
    }

    async fn exchange(&mut self, method: &Method, target: &PathAndQuery) -> Result<Option<Signature>, Stop> {
        if self.asked >= self.most {
            return Err(Stop::Spent);
        }
        self.asked += 1;
        let mut sender = match self.connection.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method.clone();
        *request.uri_mut() = Uri::from(target.clone());
        *request.headers_mut() = self.headers.clone();
        let head = timeout(self.patience, async {
            sender.ready().await?;
            sender.send_request(request).await
        });
        let Ok(Ok(answer)) = head.await else { return Ok(None) };
        let (head, body) = answer.into_parts();
        let stated = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let read = timeout(self.patience.min(BODY_PATIENCE), Limited::new(body, MOST_READ).collect()).await;
        let length = match read {
            Ok(Ok(body)) => {
                self.connection = Some(sender);
                Some(stated.unwrap_or(body.to_bytes().len()))
            }
            // What is left unread would be in the way of the next answer.
            Ok(Err(_)) | Err(_) => stated,
        };
        Ok(Some(Signature::of(head.status, &head.headers, length)))
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, Stop> {
        let unreachable = |why: String| Stop::Unreachable { to: self.to.clone(), why };
        let connecting = timeout(self.patience, TcpStream::connect((self.to.host.as_str(), self.to.port))).await;
        let stream =
            connecting.map_err(|_| unreachable("timed out".into()))?.map_err(|e| unreachable(e.to_string()))?;
        let (sender, connection) = handshake(Wire::plain(stream)).await.map_err(|e| unreachable(e.to_string()))?;
        // What goes wrong there also ends the exchange, which tells it.
        tokio::spawn(connection);
        Ok(sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, kind: &str, length: usize) -> Signature {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        Signature::of(StatusCode::from_u16(status).unwrap(), &headers, Some(length))
    }

    #[test]
    fn answers_of_one_route_are_alike_and_others_are_not() {
        let plain = answer(200, "application/json", 100);
        for (other, like) in [
            (answer(200, "application/json; charset=utf-8", 100), true),
            (answer(200, "Application/JSON", 115), true),
            (answer(200, "application/json", 300), false),
            (answer(200, "text/html", 100), false),
            (answer(404, "application/json", 100), false),
        ] {
            assert_eq!(plain.is_like(&other), like, "{other:?}");
        }
        let endless = Signature { length: None, ..plain.clone() };
        assert!(endless.is_like(&endless) && !endless.is_like(&plain));
    }
}
