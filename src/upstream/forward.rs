//! One request to the upstream and its answer back.
//!
//! Guarantees: forwarding demands a [`Permit`]; a request is sent a second time only if no byte of the first try had
//! left, so an SMS is never sent twice; connect, first byte and silence each have their own deadline and none bounds a
//! whole stream.
//! Does not know: how a permit is earned, how errors are worded.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::header::HeaderValue;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;

use super::answer::Answer;
use super::connections::{Address, Connections, Lease};
use super::headers::{self, Authorization, Forwarded, Identity, Origin};
use super::upload::Upload;

/// How this worker reaches the upstream.
#[derive(Clone, Debug)]
pub struct Terms {
    pub address: Address,
    /// What of the client's credentials goes through on judged routes.
    pub authorization: Authorization,
    pub connect_timeout: Duration,
    pub first_byte_timeout: Duration,
    pub idle_timeout: Duration,
    pub keepalive: Duration,
    pub most_idle: usize,
}

/// The proof that a request met its route's rule. Only the gateway's judge makes one.
#[derive(Debug)]
pub enum Permit {
    /// The route demands nothing, and the client's credentials are none of the upstream's business.
    Public,
    /// The route demands nothing, and what the client sends is the upstream's to judge.
    Passthrough,
    Admitted(Rc<Identity>),
}

#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("cannot connect to the upstream")]
    Connect(#[source] std::io::Error),
    #[error("the upstream did not accept a connection in time")]
    ConnectTimeout,
    #[error("the upstream did not begin to answer in time")]
    FirstByteTimeout,
    #[error("the exchange with the upstream broke off")]
    Exchange(#[source] hyper::Error),
}

/// The other side, as one worker sees it.
pub struct Upstream {
    terms: Terms,
    connections: Rc<Connections>,
}

impl Upstream {
    pub fn new(terms: Terms) -> Self {
        Self { connections: Rc::new(Connections::new(&terms)), terms }
    }

    /// Sends `request` on to `target` and returns the answer as soon as its head is there.
    ///
    /// # Errors
    /// What went wrong on the upstream's side. The request may have reached it, unless the error is about connecting.
    pub async fn forward(
        &self,
        mut request: Box<Request<Incoming>>,
        target: PathAndQuery,
        permit: &Permit,
        origin: &Origin,
        forwarded: Option<Forwarded>,
        request_id: HeaderValue,
    ) -> Result<Response<Answer>, UpstreamError> {
        let (identity, authorization) = match permit {
            Permit::Public => (None, &Authorization::Remove),
            Permit::Passthrough => (None, &Authorization::Keep),
            // A password is for the gate alone: only a token may be handed on.
            Permit::Admitted(identity)
                if identity.token_id.is_none() && matches!(self.terms.authorization, Authorization::Keep) =>
            {
                (Some(&**identity), &Authorization::Remove)
            }
            Permit::Admitted(identity) => (Some(&**identity), &self.terms.authorization),
        };
        headers::clean_request(request.headers_mut(), identity, authorization, origin, forwarded, request_id);
        *request.uri_mut() = Uri::from(target);
        *request.version_mut() = Version::HTTP_11;
        let (mut response, lease) = self.exchange(Box::new(request.map(Upload::new))).await?;
        headers::clean_response(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        Ok(response.map(|body| Answer::relayed(body, lease, self.terms.idle_timeout)))
    }

    /// Lets go of connections that nobody has used for a while, and gives up those that keep a request waiting for too
    /// long. To be called now and then.
    pub fn tidy(&self, now: Instant) {
        self.connections.tidy(now);
    }

    async fn exchange(&self, mut request: Box<Request<Upload>>) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        let mut lease = self.connections.lease().await?;
        loop {
            request.body_mut().watched_by(&lease.waiting);
            lease.waiting.begin();
            let answer = lease.sender.try_send_request(*request).await;
            lease.waiting.end();
            let mut failed = match answer {
                Ok(response) => return Ok((response, lease)),
                Err(_) if lease.waiting.was_in_vain() => return Err(UpstreamError::FirstByteTimeout),
                Err(failed) => failed,
            };
            // hyper hands the request back only if it had not begun to write it: the one case in which a second try
            // cannot repeat anything.
            match failed.take_message() {
                Some(unsent) if lease.reused => {
                    *request = unsent;
                    lease = Box::pin(self.connections.connect()).await?;
                }
                _ => return Err(UpstreamError::Exchange(failed.into_error())),
            }
        }
    }
}
