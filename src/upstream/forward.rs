//! One request to the upstream and its answer back.
//!
//! Guarantees: forwarding demands a [`Permit`]; a request is sent a second time only over a connection that had served
//! before and ended without a byte of an answer, and then only if none of it had left or its method may be repeated (RFC
//! 9110 section 9.2.2), so an SMS is never sent twice; connect, first byte and silence each have their own deadline and
//! none bounds a whole stream.
//! Does not know: how a permit is earned, how errors are worded.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::HeaderValue;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use tokio::time::timeout;

use crate::token::Timestamp;

use super::answer::Answer;
use super::connections::{Connections, Lease};
use super::dial::{Dial, Protocol};
use super::exchange::Exchange;
use super::framing::Garbled;
use super::head::{self, Content, Head};
use super::headers::{Authorization, Forwarded, Identity, Origin, Vouched};
use super::http2::{Http2, Http2Bounds, Outgoing};
use super::stream::Stream;
use super::trace::Trace;
use super::tunnel::Tunnels;
use super::upgrade::Offer;
use super::upload::Upload;

/// How a worker reaches the upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    pub dial: Dial,
    pub protocol: Protocol,
    pub http2: Http2Bounds,
    /// What the upstream reads in `Host`; `None`: what the client has sent.
    pub host: Option<HeaderValue>,
    /// What of the client's credentials goes through on judged routes.
    pub authorization: Authorization,
    pub connect_timeout: Duration,
    pub first_byte_timeout: Duration,
    pub idle_timeout: Duration,
    pub keepalive: Duration,
    pub most_idle: usize,
    /// The name of a cookie that is the gate's alone and goes no further.
    pub own_cookie: Option<Arc<str>>,
    /// Protocols that a client may change to.
    pub upgrades: Arc<[String]>,
    /// Those of all workers.
    pub tunnels: Tunnels,
    /// How long a tunnel may be silent in both directions.
    pub tunnel_idle_timeout: Duration,
}

/// The proof that a request met its route's rule. Only the gateway's judge makes one.
#[derive(Debug)]
pub enum Permit {
    /// The route demands nothing, and the client's credentials are none of the upstream's business.
    Public,
    /// The route demands nothing, and what the client sends is the upstream's to judge.
    Passthrough,
    Admitted(Rc<Identity>),
    /// Another gate is to judge, which is told who is asking.
    HandedOver(Identity),
}

/// By what a request can be found again, here and behind.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'a> {
    pub request_id: &'a HeaderValue,
    pub trace: Option<&'a Trace>,
}

#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("cannot connect to the upstream")]
    Connect(#[source] io::Error),
    #[error("the upstream did not accept a connection in time")]
    ConnectTimeout,
    #[error("the upstream was silent for too long")]
    AnswerTimeout,
    #[error("the exchange with the upstream broke off")]
    Broken(#[source] io::Error),
    #[error("the upstream's answer cannot be read")]
    Garbled(#[from] Garbled),
    #[error("the client broke off its request")]
    Upload(#[source] io::Error),
    #[error("the client kept its request back for too long")]
    UploadTimeout,
    #[error("there are as many tunnels as there may be")]
    TooManyTunnels,
    #[error("a change of protocol has no place in HTTP/2")]
    NoUpgrade,
    #[error("whoever this was forwarded for is not admitted any more")]
    Ended,
}

/// The other side, as one worker sees it.
pub struct Upstream {
    terms: Arc<Terms>,
    connections: Rc<Connections>,
    /// Unless that is never spoken.
    http2: Option<Http2>,
    /// Whether the upstream has agreed to HTTP/2, once it was asked.
    agreed: Cell<Option<bool>>,
}

/// What a request goes over.
enum Way<'a> {
    /// With the connection that asked for more, if one did.
    Http1(Option<Stream>),
    Http2(&'a Http2),
}

impl Upstream {
    pub fn new(terms: Arc<Terms>) -> Self {
        let http2 = match terms.protocol {
            Protocol::Http2 => true,
            Protocol::Auto => terms.dial.tls.is_some(),
            Protocol::Http1 => false,
        };
        let http2 = http2.then(|| Http2::new(&terms));
        Self { connections: Rc::new(Connections::new(&terms)), http2, agreed: Cell::new(None), terms }
    }

    /// Whether these are the terms it was made for.
    pub fn is_under(&self, terms: &Arc<Terms>) -> bool {
        Arc::ptr_eq(&self.terms, terms)
    }

    /// Begins nothing new from now on, and keeps no connection that is not in use.
    pub fn retire(&self) {
        self.connections.retire();
        if let Some(http2) = &self.http2 {
            http2.retire();
        }
    }

    /// Whether nothing is left of what was sent: then it need not be tidied any more.
    pub fn is_spent(&self) -> bool {
        self.connections.is_spent() && self.http2.as_ref().is_none_or(Http2::is_spent)
    }

    /// What of the client's credentials goes on under `permit`.
    pub fn authorization(&self, permit: &Permit) -> &Authorization {
        match permit {
            Permit::Public => &Authorization::Remove,
            Permit::Passthrough | Permit::HandedOver(_) => &Authorization::Keep,
            // A password is for the gate alone: only a token may be handed on.
            Permit::Admitted(identity)
                if !identity.by_token() && matches!(self.terms.authorization, Authorization::Keep) =>
            {
                &Authorization::Remove
            }
            Permit::Admitted(_) => &self.terms.authorization,
        }
    }

    /// Sends `request` on to `target` and returns the answer as soon as its head is there.
    ///
    /// # Errors
    /// What went wrong. The request may have reached the upstream, unless the error is about connecting.
    pub async fn forward(
        &self,
        request: Box<Request<Incoming>>,
        target: PathAndQuery,
        permit: &Permit,
        origin: &Origin,
        forwarded: Option<&Forwarded>,
        marks: Marks<'_>,
    ) -> Result<Response<Answer>, UpstreamError> {
        let identity = match permit {
            Permit::Public | Permit::Passthrough => None,
            Permit::Admitted(identity) => Some(&**identity),
            Permit::HandedOver(identity) => Some(identity),
        };
        let authorization = self.authorization(permit);
        let own_cookie = self.terms.own_cookie.as_deref();
        let host = self.terms.host.as_ref();
        let Marks { request_id, trace } = marks;
        let vouched = Vouched { identity, authorization, origin, host, forwarded, request_id, trace, own_cookie };
        let (mut parts, body) = request.into_parts();
        let content = Upload::content(&body);
        let offer = self.offer(&mut parts, content, permit)?;
        let asked = match self.way(offer.is_some()).await? {
            Way::Http1(asked) => asked,
            Way::Http2(http2) => {
                let own = http2.own();
                let outgoing = Outgoing::new(&parts.method, &target, content, &parts.headers, &vouched, own)
                    .map_err(|error| UpstreamError::Connect(io::Error::other(error)))?;
                // Boxed: requests over HTTP/1.1 need not carry it.
                let answer = Box::pin(http2.forward(outgoing, content, body, permit)).await;
                return answer.inspect_err(|error| self.doubt(error));
            }
        };
        let mut head = head::write(&parts.method, &target, content, &parts.headers, &vouched);
        if let Some(offer) = &offer {
            offer.write(&mut head);
        }
        let upload = Upload::new(head, content, body);
        let (to_head, repeatable) = (parts.method == Method::HEAD, parts.method.is_idempotent());
        // Cleared, it has room for the answer's fields.
        let mut spare = parts.headers;
        spare.clear();

        let lease = match asked {
            Some(stream) => self.connections.over(stream),
            None => self.connections.lease(!repeatable).await.inspect_err(|error| self.doubt(error))?,
        };
        let lease = bound(lease, permit);
        let mut exchange = Box::new(Exchange::new(lease, upload, offer));
        let patience = self.terms.first_byte_timeout;
        loop {
            let answer = poll_fn(|context| exchange.poll_head(to_head, &mut spare, patience, context)).await;
            match answer {
                Ok((head, _)) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                    return exchange.into_tunnel(head, self.terms.tunnel_idle_timeout);
                }
                Ok((head, sequel)) => {
                    let idle_timeout = self.terms.idle_timeout;
                    let download = exchange.into_download(sequel, idle_timeout);
                    return Ok(response(head, Answer::relayed(download, idle_timeout)));
                }
                Err(broken @ UpstreamError::Broken(_)) => {
                    let (upload, offer) = exchange.unanswered(repeatable).ok_or(broken)?;
                    let lease = bound(Box::pin(self.connections.connect()).await?, permit);
                    *exchange = Exchange::new(lease, upload, offer);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What a request goes over. An upgrade has no place in HTTP/2 (RFC 9113 section 8.6); what the upstream would have to
    /// offer is another thing (RFC 8441).
    async fn way(&self, upgrade: bool) -> Result<Way<'_>, UpstreamError> {
        let Some(http2) = &self.http2 else { return Ok(Way::Http1(None)) };
        match (self.terms.protocol, upgrade) {
            (Protocol::Http2, true) => return Err(UpstreamError::NoUpgrade),
            (Protocol::Http2, false) => return Ok(Way::Http2(http2)),
            (Protocol::Auto | Protocol::Http1, true) => return Ok(Way::Http1(None)),
            (Protocol::Auto | Protocol::Http1, false) => {}
        }
        match self.agreed.get() {
            Some(true) => Ok(Way::Http2(http2)),
            Some(false) => Ok(Way::Http1(None)),
            // Boxed, as it is asked once.
            None => Box::pin(self.ask(http2)).await,
        }
    }

    /// Asks whether the upstream can speak HTTP/2. The connection that was made for it is for the request that asks.
    async fn ask<'a>(&self, http2: &'a Http2) -> Result<Way<'a>, UpstreamError> {
        let stream = match timeout(self.terms.connect_timeout, self.terms.dial.connect(Protocol::Auto)).await {
            Ok(connected) => connected.map_err(UpstreamError::Connect)?,
            Err(_) => return Err(UpstreamError::ConnectTimeout),
        };
        let agreed = stream.agreed_to_http2();
        let way = if agreed {
            http2.adopt(stream).await?;
            Way::Http2(http2)
        } else {
            Way::Http1(Some(stream))
        };
        self.agreed.set(Some(agreed));
        Ok(way)
    }

    /// Where no connection can be made, the upstream may be another one by now, which has to be asked anew.
    fn doubt(&self, error: &UpstreamError) {
        if matches!(error, UpstreamError::Connect(_)) {
            self.agreed.set(None);
        }
    }

    /// The change of protocol that goes on with a request. What asks for none has nothing to pay.
    fn offer(&self, parts: &mut Parts, content: Content, permit: &Permit) -> Result<Option<Offer>, UpstreamError> {
        if parts.extensions.is_empty() || matches!(permit, Permit::HandedOver(_)) {
            return Ok(None);
        }
        Offer::read(parts, content, &self.terms.upgrades, &self.terms.tunnels)
    }

    /// Lets go of connections that nobody has used for a while, gives up those that keep a request waiting for too long,
    /// and cuts what may not go on at `time`. To be called now and then.
    pub fn tidy(&self, now: Instant, time: Timestamp) {
        self.connections.tidy(now, time);
        if let Some(http2) = &self.http2 {
            http2.tidy(now, time);
        }
    }
}

/// Ties what is sent over `lease` to whom it is sent for.
fn bound(lease: Lease, permit: &Permit) -> Lease {
    if let Permit::Admitted(identity) = permit {
        lease.waiting.bind(Rc::clone(identity));
    }
    lease
}

pub(super) fn response(head: Head, answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    if let Some(reason) = head.reason {
        response.extensions_mut().insert(reason);
    }
    response
}
