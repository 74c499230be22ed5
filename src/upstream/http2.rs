//! Requests to an upstream that speaks HTTP/2 (RFC 9113).
//!
//! Guarantees: a request is sent a second time only if the upstream says that it has not looked at it (RFC 9113 section
//! 8.7), or, if its method may be repeated, over a connection that had served before and ended without an answer; and
//! never without all of its body at hand. An exchange that is cut or given up resets its stream and no other.
//! Does not know: how a permit is earned, what fields mean, how errors are worded.

mod download;
mod exchange;
mod head;
mod link;
mod links;
mod upload;

use std::future::poll_fn;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::Response;
use http::uri::Scheme;
use hyper::body::Incoming;

use crate::token::Timestamp;

use super::answer::Answer;
use super::forward::response;
use super::head::Content;
use super::stream::Stream;
use super::{Address, Permit, Terms, UpstreamError};

pub(super) use download::Download;
pub(super) use head::Outgoing;

use exchange::{Exchange, Failure};
use links::Links;
use upload::Upload;

/// How often a request is sent once more. An upstream that goes on refusing is one that refuses.
const REPEATS: u32 = 2;

/// What one worker may hold of connections to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Bounds {
    pub connections: usize,
    /// Bytes of answers that wait for clients, over all streams of a connection.
    pub buffered_bytes: u32,
}

/// An upstream over HTTP/2, as one worker sees it.
pub(super) struct Http2 {
    links: Rc<Links>,
    scheme: Scheme,
    /// Whom to ask for where a client names nobody.
    address: String,
    first_byte_timeout: Duration,
    idle_timeout: Duration,
}

impl Http2 {
    pub(super) fn new(terms: &Terms) -> Self {
        let Terms { first_byte_timeout, idle_timeout, .. } = *terms;
        let Address { host, port } = &terms.dial.address;
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let scheme = if terms.dial.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        Self { links: Rc::new(Links::new(terms)), scheme, address, first_byte_timeout, idle_timeout }
    }

    /// The upstream's own name and port, and how it is spoken to.
    pub(super) fn own(&self) -> (Scheme, &str) {
        (self.scheme.clone(), &self.address)
    }

    /// Takes in a connection on which HTTP/2 was agreed on and nothing has been said.
    ///
    /// # Errors
    /// When the other side says something else.
    pub(super) async fn adopt(&self, stream: Stream) -> Result<(), UpstreamError> {
        self.links.adopt(stream).await
    }

    /// Sends a request and returns the answer as soon as its head is there.
    ///
    /// # Errors
    /// What went wrong. The request may have reached the upstream, unless the error is about connecting.
    pub(super) async fn forward(
        &self,
        outgoing: Outgoing,
        content: Content,
        body: Incoming,
        permit: &Permit,
    ) -> Result<Response<Answer>, UpstreamError> {
        let waiting = self.links.watched();
        if let Permit::Admitted(identity) = permit {
            waiting.bind(Rc::clone(identity));
        }
        let mut upload = Upload::new(content, body);
        let mut repeats = REPEATS;
        loop {
            let slot = self.links.lease(&waiting).await?;
            waiting.moved();
            let failure = match Exchange::begin(slot, &outgoing, &mut upload) {
                Ok(mut exchange) => {
                    let patience = self.first_byte_timeout;
                    let answer = poll_fn(|context| exchange.poll_head(&mut upload, &waiting, patience, context)).await;
                    match answer {
                        Ok(answer) => {
                            let (head, body) = head::answer(answer, outgoing.is_to_head())?;
                            let answer = exchange.into_answer(upload, waiting, body, self.idle_timeout);
                            return Ok(response(head, answer));
                        }
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            let (error, again) = match failure {
                Failure::Unprocessed(error) => (error, true),
                Failure::Lost { error, reused } => (error, reused && outgoing.is_repeatable()),
                Failure::Final(error) => return Err(error),
            };
            if !again || repeats == 0 || !upload.rewind() {
                return Err(UpstreamError::Broken(error));
            }
            repeats -= 1;
        }
    }

    /// From now on no connection is kept once its requests have ended.
    pub(super) fn retire(&self) {
        self.links.retire();
    }

    /// Whether nothing is left of what was sent.
    pub(super) fn is_spent(&self) -> bool {
        Rc::strong_count(&self.links) == 1 && self.links.is_spent()
    }

    /// Closes connections that nobody has used for a while, gives up requests that wait for too long, and cuts what may not
    /// go on at `time`. To be called now and then.
    pub(super) fn tidy(&self, now: Instant, time: Timestamp) {
        self.links.tidy(now, time);
    }
}
