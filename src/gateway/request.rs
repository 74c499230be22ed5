//! The story of a request.
//!
//! Guarantees: [`Gateway::handle`] never fails; its inner twin tells what happens and returns a refusal for whatever
//! stands in the way. On the way of a request that passes, nothing is locked, formatted or copied that need not be.
//! Does not know: how any step is done.

use std::sync::Arc;
use std::time::Instant;

use http::header::{CONNECTION, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use tracing::warn;

use crate::metrics::{Decision, RuleNumber, Tally};
use crate::observe::chain;
use crate::token::Timestamp;
use crate::upstream::{Answer, Terms, Upstream, UpstreamError};

use super::admissible::admissible;
use super::handling::Handling;
use super::handover::{self, Note};
use super::judge::{By, Judge, Pass};
use super::line::{Line, RequestIds};
use super::mapping::strip_prefix_loosely;
use super::once::Turn;
use super::refusal::{Dress, Wording};
use super::{AccessLog, Charter, Peer, Refusal, Visitor, cors, endpoint, own_credentials, path, reply, visitor};

/// The gate, as one worker sees it.
pub struct Gateway {
    charter: Arc<Charter>,
    judge: Judge,
    upstream: Upstream,
    /// On a gate that only follows another one: where our own endpoints are answered.
    primary: Option<Upstream>,
    request_ids: RequestIds,
    tally: Arc<Tally>,
}

impl Gateway {
    /// With `primary`, our own endpoints are answered there.
    pub fn new(charter: Arc<Charter>, upstream: Terms, primary: Option<Terms>, cache_entries: usize) -> Self {
        let tally = charter.metrics.tally();
        let judge = Judge::new(Arc::clone(&charter), cache_entries, Arc::clone(&tally));
        let (upstream, primary) = (Upstream::new(upstream), primary.map(Upstream::new));
        Self { charter, judge, upstream, primary, request_ids: RequestIds::new(), tally }
    }

    /// Lets go of what has been idle for too long and gives up what was waited for in vain. To be called now and then.
    /// How often is also how late a stream ends that may not go on.
    pub fn tidy(&self, now: Instant) {
        let time = self.charter.clock.now();
        self.upstream.tidy(now, time);
        if let Some(primary) = &self.primary {
            primary.tidy(now, time);
        }
    }

    /// What this worker counts.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// When a request has reached us. To be taken before anything is awaited: it tells a race from a reuse.
    pub fn arrival(&self) -> Timestamp {
        self.charter.clock.now()
    }

    /// Answers a request. Never fails: what goes wrong becomes an answer. The request comes in a box, as each of the
    /// futures it passes through would else hold a copy of it, and idle connections keep the room for these.
    pub async fn handle(
        &self,
        request: Box<Request<Incoming>>,
        peer: &Peer,
        arrived_at: Timestamp,
    ) -> Response<Answer> {
        let mut request_id = self.request_ids.next();
        // Clones share the text: the request is changed and moved while its path is still looked at.
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let allowed = self.charter.cors.as_ref().map(|cors| cors.allowed(request.headers()));
        let grpc = reply::is_grpc(&request);
        let mut rule = RuleNumber::NONE;
        let mut answer = self.answer(request, &uri, peer, arrived_at, &mut request_id, &mut rule).await;
        // To an extended CONNECT, any success says that a tunnel begins (RFC 9110 section 9.3.6).
        if method == Method::CONNECT
            && answer.as_ref().is_ok_and(|it| it.status().is_success() && !matches!(it.body(), Answer::Switched(_)))
        {
            answer = Err(Refusal::NoTunnel);
        }
        let (mut response, status, reason) = match answer {
            Ok(response) => {
                let status = response.status();
                (response, status, None)
            }
            Err(refusal) => {
                // That a client breaks off or stalls is its own affair, and no reason to fill the log.
                let clients_fault = |error: &UpstreamError| {
                    use UpstreamError as E;
                    matches!(error, E::Upload(_) | E::UploadTimeout | E::Ended | E::TooManyTunnels | E::NoUpgrade)
                };
                if let Refusal::Upstream(error) | Refusal::Primary(error) = &refusal
                    && !clients_fault(error)
                {
                    let request_id = request_id.to_str().unwrap_or_default();
                    warn!(request_id, reason = refusal.reason(), error = chain(error), "upstream failed");
                }
                let mut wording = self.wording(&refusal, &uri);
                // What happened, also where the answer has to be a success of HTTP.
                let status = wording.status;
                if grpc {
                    wording.dress = Dress::Grpc;
                }
                let mut refused = reply::refused(wording, &request_id);
                if refusal.ends_connection() {
                    refused.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                (refused, status, Some(refusal.reason()))
            }
        };
        if let (Some(cors), Some(allowed)) = (&self.charter.cors, allowed) {
            cors.mark_answer(&mut response, allowed);
        }
        let decision = match reason {
            Some(reason) => {
                self.tally.refusal(rule, reason);
                Decision::Refused
            }
            None if rule == RuleNumber::GATE => Decision::Answered,
            None => Decision::Forwarded,
        };
        self.tally.request(rule, decision, status);
        let line = Line { method, uri, peer: peer.address, status };
        match (self.charter.access_log, reason) {
            (AccessLog::All, reason) => line.write(reason.unwrap_or("ok"), &request_id),
            (AccessLog::Refused, Some(reason)) => line.write(reason, &request_id),
            (AccessLog::Refused, None) | (AccessLog::Off, _) => {}
        }
        response
    }

    /// The turn of a request that says which one it is.
    fn turn(
        &self,
        handling: &Handling,
        request: &Request<Incoming>,
        path: &str,
        by: &By,
        visitor: &Visitor,
    ) -> Result<Option<Turn>, Refusal> {
        // Of those who are not known each address is somebody else.
        let who = by.subject().map_or_else(|| format!(":{}", visitor.address), str::to_owned);
        let request = (request.method(), path, request.uri().query(), request.headers());
        self.charter.once.begin(&handling.once, &who, request, visitor.now).map_err(Refusal::Repeated)
    }

    /// How a refusal reads: on routes as the operator wants it, at our endpoints as their dialect has it.
    fn wording(&self, refusal: &Refusal, uri: &Uri) -> Wording {
        let manner = &self.charter.manner;
        // With any method: which call a path is of ours does not matter here.
        let ours = |path: &str| {
            let (_, own_path) = self.charter.realms.of(&HeaderMap::new(), path);
            self.charter.endpoint(&Method::GET, path, own_path).is_some()
        };
        if manner.plain && !path::canonical(uri.path()).is_ok_and(|path| ours(&path)) {
            refusal.plain_wording(&manner.realm)
        } else {
            refusal.wording(&manner.realm)
        }
    }

    async fn answer(
        &self,
        mut request: Box<Request<Incoming>>,
        uri: &Uri,
        peer: &Peer,
        arrived_at: Timestamp,
        request_id: &mut HeaderValue,
        rule: &mut RuleNumber,
    ) -> Result<Response<Answer>, Refusal> {
        let charter = &*self.charter;
        admissible(&mut request, &charter.bounds)?;
        let path = path::canonical(uri.path()).map_err(|_| Refusal::AmbiguousPath)?;
        if charter.cors.is_some() && cors::is_preflight(&request) {
            *rule = RuleNumber::GATE;
            return Ok(cors::preflight(request_id));
        }
        let forwarded = peer.forwarded(request.headers());
        let address = visitor::client_address(peer, forwarded.as_ref(), &charter.trusted_proxies);
        let (realm, own_path) = charter.realms.of(request.headers(), &path);
        let certificate = peer.certificate.as_ref();
        let secure = peer.is_secure();
        let mut visitor = Visitor { address, realm, secure, certificate, arrived_at, now: arrived_at };
        if let Some(endpoint) = charter.endpoint(request.method(), &path, own_path) {
            *rule = RuleNumber::GATE;
            let note = charter.handover.read(request.method(), uri, request.headers(), arrived_at);
            // Boxed: what is rare must not make every request's future, which idle connections keep, as large as itself.
            if let Some(primary) = self.primary.as_ref().filter(|_| !endpoint.is_public_knowledge()) {
                if note.is_some() {
                    return Err(Refusal::NoPrimary);
                }
                let note =
                    Note { address, request_id: request_id.clone(), certificate: certificate.cloned().map(Box::new) };
                return Box::pin(handover::hand_over(charter, primary, request, &note, peer, arrived_at)).await;
            }
            if let Some(note) = &note {
                // Whatever the replica itself shows is not its client's.
                (visitor.address, visitor.certificate) = (note.address, note.certificate.as_deref());
                *request_id = note.request_id.clone();
            }
            let forwarded = forwarded.as_ref();
            return Box::pin(endpoint::answer(
                charter,
                &self.judge,
                request,
                endpoint,
                &visitor,
                forwarded,
                request_id,
            ))
            .await;
        }
        if charter.upstream_auth_paths.iter().any(|theirs| strip_prefix_loosely(&path, theirs).is_some()) {
            return Err(Refusal::NoEndpoint);
        }
        let (demand, handling, number) = charter.routes.find(request.method(), &path);
        *rule = number;
        let Pass { permit, by, sealed } = self.judge.admit((demand, handling), request.headers_mut(), &visitor).await?;
        let credentials = self.judge.guessable(&permit, request.headers(), &visitor)?;
        let turn = if handling.once.is_empty() { None } else { self.turn(handling, &request, &path, &by, &visitor)? };
        let target = charter.mapping.target(uri, path).map_err(|_| Refusal::AmbiguousPath)?;
        let sent = Instant::now();
        let answer =
            self.upstream.forward(request, target, &permit, &peer.origin, forwarded.as_ref(), request_id).await;
        if let Some(turn) = turn {
            match &answer {
                Ok(response) => turn.answered(response.status()),
                Err(UpstreamError::Connect(_) | UpstreamError::ConnectTimeout) => turn.never_left(),
                Err(_) => drop(turn),
            }
        }
        let mut response = answer.map_err(Refusal::Upstream)?;
        self.tally.upstream_answered(number, sent.elapsed());
        match &by {
            By::Token(admitted) if sealed && response.status() == StatusCode::UNAUTHORIZED => {
                let refused = own_credentials::refused_by_upstream(charter, admitted, &visitor, request_id);
                Box::pin(refused).await?;
            }
            By::User(_) => charter.sunset.mark(response.headers_mut()),
            By::Token(_) | By::Nobody => {}
        }
        if let Some(credentials) = credentials
            && response.status() == StatusCode::UNAUTHORIZED
        {
            self.judge.guessed_wrong(&credentials, &visitor);
        }
        Ok(response)
    }
}
