//! One request, from arrival to answer.
//!
//! Guarantees: [`Gateway::handle`] never fails and is the only place that words and logs a refusal; the story of a
//! request is told in [`Gateway::answer`] and every step returns to it; nothing reaches the upstream without a permit.
//! Does not know: sockets, TLS, files.
//!
//! canonical path → our endpoint, or route rule → judge → forward

mod body;
mod judge;
mod line;
mod mapping;
pub mod path;
mod preset;
mod refusal;
mod route;
mod verified;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use ipnet::IpNet;
use serde::Serialize;
use tracing::warn;

use crate::account::Accounts;
use crate::clock::Clock;
use crate::keys::KeyRing;
use crate::profile::smsgate::{self, Call, Miss};
use crate::profile::{Caller, Refused, Reply, Sessions, Visit};
use crate::store::Store;
use crate::token::{Policy, SessionId, Subject, TOKENS_MANAGE, Timestamp};
use crate::upstream::headers::{X_PORTCULLIS, X_REQUEST_ID};
use crate::upstream::{Answer, Terms, Upstream};

use judge::{Judge, Presented};
use line::{Line, RequestIds};
pub use mapping::Mapping;
pub use preset::{FURTHER_SCOPES, smsgate as smsgate_rules};
pub use refusal::Refusal;
pub use route::{Demand, Routes, Rule};
pub use visitor::{Peer, Visitor};

/// What is written to the log of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    Refused,
    All,
}

/// Bounds on what a request may look like.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub headers: usize,
    pub header_bytes: usize,
    pub uri_bytes: usize,
    /// At our own endpoints.
    pub body_bytes: usize,
    pub body_timeout: Duration,
}

/// What all workers share: the rules in force and the rooms they rest on.
pub struct Charter {
    pub clock: Arc<Clock>,
    pub policy: Arc<Policy>,
    pub ring: Arc<KeyRing>,
    pub store: Arc<Store>,
    pub accounts: Arc<Accounts>,
    pub sessions: Sessions,
    pub routes: Routes,
    pub mapping: Mapping,
    /// Where the profile's endpoints lie: the API's prefix and `/auth`.
    pub auth_path: String,
    /// Paths under which the upstream has token endpoints of its own; they are never forwarded.
    pub upstream_auth_paths: Vec<String>,
    pub smsgate: bool,
    pub basic_auth: bool,
    pub trusted_proxies: Vec<IpNet>,
    pub bounds: Bounds,
    pub access_log: AccessLog,
}

/// The gate, as one worker sees it.
pub struct Gateway {
    charter: Arc<Charter>,
    judge: Judge,
    upstream: Upstream,
    request_ids: RequestIds,
}

impl Gateway {
    pub fn new(charter: Arc<Charter>, terms: Terms, cache_entries: usize) -> Self {
        let judge = Judge::new(Arc::clone(&charter), cache_entries);
        Self { charter, judge, upstream: Upstream::new(terms), request_ids: RequestIds::new() }
    }

    pub fn charter(&self) -> &Charter {
        &self.charter
    }

    /// Lets go of what has been idle for a while.
    pub fn tidy(&self) {
        self.upstream.prune();
    }

    /// When a request has reached us. Taken before anything is awaited: it tells a race from a reuse.
    pub fn arrival(&self) -> Timestamp {
        self.charter.clock.now()
    }

    /// Answers a request. Never fails: what goes wrong becomes an answer.
    pub async fn handle(&self, request: Request<Incoming>, peer: &Peer, arrived_at: Timestamp) -> Response<Answer> {
        let request_id = self.request_ids.next();
        let log = self.charter.access_log;
        let line = (log != AccessLog::Off).then(|| Line::of(&request, peer));
        match self.answer(request, peer, arrived_at, &request_id).await {
            Ok(response) => {
                if let (AccessLog::All, Some(line)) = (log, line) {
                    line.write(response.status(), "ok", &request_id);
                }
                response
            }
            Err(refusal) => {
                let response = refused(&refusal, &request_id);
                if let Refusal::Upstream(error) = &refusal {
                    warn!(request_id = ?request_id, reason = refusal.reason(), error = error as &dyn std::error::Error, "upstream failed");
                }
                if let Some(line) = line {
                    line.write(response.status(), refusal.reason(), &request_id);
                }
                response
            }
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
        arrived_at: Timestamp,
        request_id: &HeaderValue,
    ) -> Result<Response<Answer>, Refusal> {
        let charter = &*self.charter;
        let request = self.admissible(request)?;
        let path = path::canonical(request.uri().path()).map_err(|_| Refusal::AmbiguousPath)?.into_owned();
        let forwarded = peer.forwarded(request.headers());
        let visitor = Visitor {
            address: visitor::client_address(peer, forwarded.as_ref(), &charter.trusted_proxies),
            arrived_at,
            now: charter.clock.now(),
        };
        if let Some(rest) = mapping::strip_prefix_loosely(&path, &charter.auth_path) {
            let rest = rest.to_owned();
            return self.endpoint(request, &rest, &visitor, request_id).await;
        }
        if charter.upstream_auth_paths.iter().any(|own| mapping::strip_prefix_loosely(&path, own).is_some()) {
            return Err(Refusal::NoEndpoint);
        }
        let demand = charter.routes.demand(request.method(), &path);
        let permit = self.judge.admit(demand, request.headers(), &visitor).await?;
        let target = charter.mapping.target(&path, request.uri().query()).map_err(|_| Refusal::AmbiguousPath)?;
        self.upstream
            .forward(request, target, &permit, &peer.origin, forwarded, request_id.clone())
            .await
            .map_err(Refusal::Upstream)
    }

    /// Refuses what no rule should have to look at, and gives every request one `Host`.
    fn admissible(&self, mut request: Request<Incoming>) -> Result<Request<Incoming>, Refusal> {
        let bounds = &self.charter.bounds;
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            return Err(Refusal::MethodUnsupported);
        }
        if request.uri().path_and_query().map_or(0, |target| target.as_str().len()) > bounds.uri_bytes {
            return Err(Refusal::UriTooLong);
        }
        let headers = request.headers();
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if headers.len() > bounds.headers || bytes > bounds.header_bytes {
            return Err(Refusal::HeadersTooLarge);
        }
        let host = one_host(&request)?;
        if let Some(host) = host {
            request.headers_mut().insert(HOST, host);
        }
        Ok(request)
    }

    async fn endpoint(
        &self,
        request: Request<Incoming>,
        rest: &str,
        visitor: &Visitor,
        request_id: &HeaderValue,
    ) -> Result<Response<Answer>, Refusal> {
        if !self.charter.smsgate {
            return Err(Refusal::Profile(Refused::Disabled));
        }
        let call = Call::parse(request.method(), rest).map_err(|miss| match miss {
            Miss::NotFound => Refusal::NoEndpoint,
            Miss::Method(allow) => Refusal::MethodNotAllowed(allow),
        })?;
        let reply = self.call(call, request, visitor).await?;
        let mut response = own(reply.status, reply.body.map_or_else(Answer::empty, Answer::text), request_id);
        if reply.status != StatusCode::NO_CONTENT {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(response)
    }

    async fn call(&self, call: Call, request: Request<Incoming>, visitor: &Visitor) -> Result<Reply, Refusal> {
        let sessions = &self.charter.sessions;
        let bounds = &self.charter.bounds;
        let visit = Visit { address: visitor.address, arrived_at: visitor.arrived_at, now: visitor.now };
        let (parts, incoming) = request.into_parts();
        // Authenticated before the body is read: a stranger's body is not worth waiting for.
        let reply = match call {
            Call::Issue => {
                let caller = self.judge.caller(&parts.headers, visitor, false).await?;
                if !body::is_json(&parts.headers) {
                    return Err(Refusal::Profile(Refused::NotJson));
                }
                let body = body::read(incoming, bounds.body_bytes, bounds.body_timeout).await?;
                smsgate::issue(sessions, &caller, &body, visit).await
            }
            Call::Refresh => {
                let Presented::Bearer(token) = Presented::read(&parts.headers)? else {
                    return Err(Refusal::UnknownScheme);
                };
                body::read(incoming, bounds.body_bytes, bounds.body_timeout).await?;
                match smsgate::refresh(sessions, token, visit).await {
                    Err(Refused::Refresh(crate::profile::RefreshRefusal::Token(
                        error @ crate::token::TokenError::AccessPresented,
                    ))) => return Err(Refusal::Token(error)),
                    reply => reply,
                }
            }
            Call::Revoke(id) => {
                let caller = self.judge.caller(&parts.headers, visitor, false).await?;
                Ok(smsgate::end(sessions, &subject_of(&caller), id.map(|id| id.session)).await)
            }
            Call::List => {
                let caller = self.judge.caller(&parts.headers, visitor, true).await?;
                smsgate::list(sessions, &subject_of(&caller), own_session_only(&caller), visitor.now)
            }
            Call::End(id) => {
                let caller = self.judge.caller(&parts.headers, visitor, true).await?;
                if let Some(own) = own_session_only(&caller)
                    && id != Some(own)
                {
                    return Err(Refusal::ScopeMissing(TOKENS_MANAGE.into()));
                }
                Ok(smsgate::end(sessions, &subject_of(&caller), id).await)
            }
        };
        reply.map_err(Refusal::Profile)
    }
}

fn subject_of(caller: &Caller) -> Subject {
    match caller {
        Caller::User(user) => Subject::new(Arc::clone(&user.name)),
        Caller::Bearer(token) => token.subject.clone(),
    }
}

/// A Bearer caller that may not manage tokens sees and ends its own session only.
fn own_session_only(caller: &Caller) -> Option<SessionId> {
    match caller {
        Caller::Bearer(token) if !token.scopes.satisfy(TOKENS_MANAGE) => Some(token.session()),
        Caller::Bearer(_) | Caller::User(_) => None,
    }
}

/// The one host of a request. The authority of an absolute target wins over the header (RFC 9112 section 3.2.2); in
/// HTTP/2 both must agree (RFC 9113 section 8.3.1). `None`: an HTTP/1.0 request without one, which is allowed.
fn one_host(request: &Request<Incoming>) -> Result<Option<HeaderValue>, Refusal> {
    let mut fields = request.headers().get_all(HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(Refusal::AmbiguousHost);
    }
    let authority = request.uri().authority();
    let host = match (authority, field) {
        (Some(authority), field) => {
            let agrees = field.is_none_or(|field| field.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()));
            if authority.as_str().contains('@') || (request.version() == Version::HTTP_2 && !agrees) {
                return Err(Refusal::AmbiguousHost);
            }
            HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::AmbiguousHost)?
        }
        (None, Some(field)) if is_host(field.as_bytes()) => return Ok(None),
        (None, None) if request.version() == Version::HTTP_10 => return Ok(None),
        (None, _) => return Err(Refusal::AmbiguousHost),
    };
    Ok(Some(host))
}

/// Whether a `Host` field could be a host and port (RFC 3986 section 3.2.2), so that no two readers differ on it.
fn is_host(host: &[u8]) -> bool {
    !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(byte))
}

#[derive(Serialize)]
struct RefusalBody<'a> {
    message: &'a str,
    error: &'static str,
    error_description: &'a str,
}

fn refused(refusal: &Refusal, request_id: &HeaderValue) -> Response<Answer> {
    let wording = refusal.wording();
    let body = RefusalBody { message: &wording.message, error: wording.error, error_description: &wording.message };
    let body = serde_json::to_vec(&body).unwrap_or_default();
    let mut response = own(wording.status, Answer::text(body), request_id);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_PORTCULLIS, HeaderValue::from_static("denied"));
    if let Some(challenge) = wording.challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(wait) = wording.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if let Some(methods) = wording.allow {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
    response
}

/// An answer of our own: never to be cached (RFC 6749 section 5.1).
fn own(status: StatusCode, body: Answer, request_id: &HeaderValue) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_REQUEST_ID, request_id.clone());
    response
}
