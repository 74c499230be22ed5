//! The upstream check: names and passwords that the upstream knows, tried against it.
//!
//! Guarantees: only an answer that the operator calls a yes or a no is one; whatever else happens says nothing about the
//! password; a check is bounded in time, and so are those under way and in line; nothing is kept of a password, and no
//! name is sent that no subject could have.
//! Does not know: who asks, how often anybody may guess, what is remembered.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::observe::chain;
use crate::token::Scopes;

use super::basic::Password;
use super::password::Busy;

const MOST_HEADERS: usize = 100;
const MOST_HEAD_BYTES: usize = 32 << 10;

/// A set of statuses: single ones, and hundreds of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(pub Vec<StatusRange>);

/// `401`, or all of `2xx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusRange {
    One(u16),
    /// The first digit.
    Hundred(u16),
}

impl Statuses {
    pub fn contain(&self, status: StatusCode) -> bool {
        self.0.iter().any(|range| range.contains(status.as_u16()))
    }
}

impl StatusRange {
    fn contains(self, status: u16) -> bool {
        match self {
            Self::One(one) => status == one,
            Self::Hundred(digit) => status / 100 == digit,
        }
    }

    pub fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::One(one), range) | (range, Self::One(one)) => range.contains(one),
            (Self::Hundred(one), Self::Hundred(other)) => one == other,
        }
    }
}

/// As the configuration writes it.
impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(status) => write!(f, "{status}"),
            Self::Hundred(digit) => write!(f, "{digit}xx"),
        }
    }
}

/// The request that tries a name and password, and what its answers mean.
#[derive(Clone, Debug)]
pub struct CheckTerms {
    pub host: String,
    pub port: u16,
    /// The path, with whatever the upstream's URL puts in front.
    pub target: String,
    pub method: Method,
    pub accepted: Statuses,
    /// Whatever is in neither says nothing.
    pub refused: Statuses,
    /// From looking up the name to the head of the answer.
    pub timeout: Duration,
    /// Under way at once; at least one.
    pub parallel: usize,
    /// Waiting for their turn.
    pub queue: usize,
    /// What whoever it knows may have.
    pub scopes: Scopes,
}

/// Shared by all workers.
#[derive(Debug)]
pub struct UpstreamCheck {
    terms: CheckTerms,
    places: Semaphore,
    turns: Semaphore,
    /// What kept the last check from a verdict, told once.
    trouble: Mutex<Option<String>>,
}

/// Why a password was not judged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unjudged {
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Trouble(#[from] CheckTrouble),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CheckTrouble {
    #[error("no connection to the upstream")]
    Connect(#[source] io::Error),
    #[error("a request that cannot be written")]
    Request(#[from] http::Error),
    #[error("the upstream broke off, or speaks no HTTP")]
    Http(#[from] hyper::Error),
    #[error("the upstream answered {0}, which is neither a yes nor a no")]
    Status(StatusCode),
    #[error("no answer of the upstream in time")]
    Timeout,
}

impl UpstreamCheck {
    pub fn new(terms: CheckTerms) -> Self {
        let parallel = terms.parallel.clamp(1, Semaphore::MAX_PERMITS / 2);
        let places = parallel.saturating_add(terms.queue).min(Semaphore::MAX_PERMITS);
        let trouble = Mutex::default();
        Self { terms, places: Semaphore::new(places), turns: Semaphore::new(parallel), trouble }
    }

    pub(super) fn scopes(&self) -> &Scopes {
        &self.terms.scopes
    }

    /// Whether the upstream says that `password` is right for `name`.
    ///
    /// # Errors
    /// When it says neither yes nor no.
    pub(super) async fn ask(&self, name: &str, password: &Password) -> Result<bool, Unjudged> {
        let _place = self.places.try_acquire().map_err(|_| Busy)?;
        let _turn = self.turns.acquire().await.map_err(|_| Busy)?;
        let answered = timeout(self.terms.timeout, self.answer(name, password)).await;
        let verdict = answered.unwrap_or(Err(CheckTrouble::Timeout)).and_then(|status| {
            if self.terms.accepted.contain(status) {
                Ok(true)
            } else if self.terms.refused.contain(status) {
                Ok(false)
            } else {
                Err(CheckTrouble::Status(status))
            }
        });
        self.tell(verdict.as_ref().err());
        Ok(verdict?)
    }

    async fn answer(&self, name: &str, password: &Password) -> Result<StatusCode, CheckTrouble> {
        let CheckTerms { host, port, target, method, .. } = &self.terms;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(CheckTrouble::Connect)?;
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.authority())
            .header(AUTHORIZATION, basic(name, password.as_bytes()))
            .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())?;
        let mut connection = http1::Builder::new();
        connection.max_headers(MOST_HEADERS).max_buf_size(MOST_HEAD_BYTES);
        let (mut sender, connection) = connection.handshake(TokioIo::new(stream)).await?;
        // Both on this task, so that the connection ends with the check, however that ends.
        let (mut connection, mut answer) = (pin!(connection), pin!(sender.send_request(request)));
        let mut over = false;
        let answer = poll_fn(|context| {
            // Its own trouble comes out as the answer's.
            over = over || connection.as_mut().poll(context).is_ready();
            match answer.as_mut().poll(context) {
                Poll::Pending if over => Poll::Ready(None),
                polled => polled.map(Some),
            }
        });
        let closed = || CheckTrouble::Connect(io::ErrorKind::UnexpectedEof.into());
        Ok(answer.await.ok_or_else(closed)??.status())
    }

    fn authority(&self) -> String {
        let (open, close) = if self.terms.host.contains(':') { ("[", "]") } else { ("", "") };
        let port = if self.terms.port == 80 { String::new() } else { format!(":{}", self.terms.port) };
        format!("{open}{}{close}{port}", self.terms.host)
    }

    fn tell(&self, trouble: Option<&CheckTrouble>) {
        let text = trouble.map(|trouble| chain(trouble).to_string());
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == text {
            return;
        }
        match &text {
            Some(error) => warn!(event = "upstream_check", error, "passwords cannot be tried against the upstream"),
            None => info!(event = "upstream_check", "passwords can be tried against the upstream again"),
        }
        *known = text;
    }
}

/// Name and password as Basic has them (RFC 7617), marked as nothing to show.
pub fn basic(name: &str, password: &[u8]) -> HeaderValue {
    let plain = Zeroizing::new([name.as_bytes(), b":", password].concat());
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(&*plain)));
    // Base64 is always a valid header value.
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}
