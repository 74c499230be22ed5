//! The story of a request.
//!
//! Guarantees: [`Gateway::handle`] never fails; its inner twin tells what happens and returns a refusal for whatever
//! stands in the way. On the way of a request that passes, nothing is locked, formatted or copied that need not be.
//! Does not know: how any step is done.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONNECTION, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use tracing::warn;

use crate::metrics::{Decision, RuleNumber, Tally};
use crate::observe::chain;
use crate::token::Timestamp;
use crate::upstream::headers::X_REQUEST_ID;
use crate::upstream::{Answer, Marks, Terms, Trace, Traces, Upstream, UpstreamError};

use super::admissible::admissible;
use super::current::Current;
use super::handling::Handling;
use super::handover::{self, Note};
use super::judge::{By, Judge, Pass};
use super::line::{Line, RequestIds};
use super::once::Turn;
use super::refusal::{Dress, Wording};
use super::{AccessLog, Charter, Peer, Refusal, Visitor, Way, cors, endpoint, own_credentials, path, reply, visitor};

/// Upstreams to which nothing new is sent.
pub struct Retired(Vec<Rc<Upstream>>);

/// The gate, as one worker sees it.
pub struct Gateway {
    charter: Arc<Charter>,
    current: Rc<Current>,
    judge: Judge,
    upstream: Rc<Upstream>,
    /// On a gate that only follows another one: where our own endpoints are answered.
    primary: Option<Rc<Upstream>>,
    request_ids: RequestIds,
    traces: Traces,
    tally: Arc<Tally>,
}

/// What has become known of a request on its way, for the line about it.
struct Noted {
    request_id: HeaderValue,
    rule: RuleNumber,
    /// Whom trusted proxies name.
    client: Option<IpAddr>,
    /// What its rule says of lines.
    log: Option<AccessLog>,
}

impl Retired {
    /// Looks after what is still under way, as [`Gateway::tidy`] does. Whether anything is.
    pub fn tidy(&mut self, now: Instant, time: Timestamp) -> bool {
        // Whoever still sends something has a hold on it, and so has what is sent.
        self.0.retain(|upstream| {
            upstream.tidy(now, time);
            Rc::strong_count(upstream) > 1 || !upstream.is_spent()
        });
        !self.0.is_empty()
    }
}

impl Gateway {
    pub fn new(charter: Arc<Charter>) -> Self {
        let upstream = |terms: &Arc<Terms>| Rc::new(Upstream::new(Arc::clone(terms)));
        let (tally, current) = (charter.metrics.tally(), Rc::new(Current::new(Arc::clone(&charter))));
        let (to_upstream, to_primary) = (upstream(&charter.upstream), charter.primary.as_ref().map(upstream));
        Self::with(charter, current, to_upstream, to_primary, tally)
    }

    /// The one that takes its place under another charter. Connections to an upstream on the same terms are shared; what
    /// lasts goes by the new charter from now on.
    pub fn succeeded_by(&self, charter: Arc<Charter>) -> Self {
        self.current.replace(Arc::clone(&charter));
        let kept = |known: &Rc<Upstream>, terms: &Arc<Terms>| known.is_under(terms).then(|| Rc::clone(known));
        let made = |terms: &Arc<Terms>| Rc::new(Upstream::new(Arc::clone(terms)));
        let upstream = kept(&self.upstream, &charter.upstream).unwrap_or_else(|| made(&charter.upstream));
        let primary = charter.primary.as_ref().map(|terms| {
            let known = self.primary.as_ref().and_then(|known| kept(known, terms));
            known.unwrap_or_else(|| made(terms))
        });
        let tally = charter.metrics.tally_after(&self.tally);
        Self::with(charter, Rc::clone(&self.current), upstream, primary, tally)
    }

    fn with(
        charter: Arc<Charter>,
        current: Rc<Current>,
        upstream: Rc<Upstream>,
        primary: Option<Rc<Upstream>>,
        tally: Arc<Tally>,
    ) -> Self {
        let judge = Judge::new(Arc::clone(&charter), Rc::clone(&current), Arc::clone(&tally));
        let traces = Traces::new(charter.tracing);
        Self { charter, current, judge, upstream, primary, request_ids: RequestIds::begun(), traces, tally }
    }

    /// What it does not share with its successor: to be tidied on, until nothing is left of it.
    pub fn retire(&self, successor: &Self) -> Retired {
        let still = |upstream: &&Rc<Upstream>| {
            let shared = [Some(&successor.upstream), successor.primary.as_ref()];
            !shared.into_iter().flatten().any(|shared| Rc::ptr_eq(shared, upstream))
        };
        let own = [Some(&self.upstream), self.primary.as_ref()].into_iter().flatten().filter(still);
        Retired(own.inspect(|upstream| upstream.retire()).cloned().collect())
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
        let mut noted = Noted { request_id: self.request_ids.next(), rule: RuleNumber::NONE, client: None, log: None };
        let trace = self.traces.of(request.headers());
        // Clones share the text: the request is changed and moved while its path is still looked at.
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let allowed = self.charter.cors.as_ref().map(|cors| cors.allowed(request.headers()));
        let grpc = reply::is_grpc(&request);
        let mut answer = self.answer(request, &uri, peer, arrived_at, trace.as_ref(), &mut noted).await;
        let Noted { request_id, rule, client, log } = noted;
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
                    let trace_id = trace.as_ref().map(Trace::id);
                    warn!(request_id, trace_id, reason = refusal.reason(), error = chain(error), "upstream failed");
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
        let line = Line { method, uri, peer: peer.address, client, status, trace: trace.as_ref() };
        match (log.unwrap_or(self.charter.access_log), reason) {
            (AccessLog::All, reason) => line.write(reason.unwrap_or("ok"), &request_id),
            (AccessLog::Refused, Some(reason)) => line.write(reason, &request_id),
            (AccessLog::Refused, None) | (AccessLog::Off, _) => {}
        }
        if decision == Decision::Forwarded {
            // Moved and not cloned: the first clone of such a text allocates.
            response.headers_mut().insert(X_REQUEST_ID, request_id);
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
        trace: Option<&Trace>,
        noted: &mut Noted,
    ) -> Result<Response<Answer>, Refusal> {
        let charter = &*self.charter;
        admissible(&mut request, &charter.bounds)?;
        let path = path::canonical(uri.path()).map_err(|_| Refusal::AmbiguousPath)?;
        if charter.cors.is_some() && cors::is_preflight(&request) {
            noted.rule = RuleNumber::GATE;
            return Ok(cors::preflight(&noted.request_id));
        }
        let forwarded = peer.forwarded(request.headers());
        let address = visitor::client_address(peer, forwarded.as_ref(), &charter.trusted_proxies);
        noted.client = Some(address);
        let (realm, own_path) = charter.realms.of(request.headers(), &path);
        let (certificate, secure) = (peer.certificate.as_ref(), peer.is_secure());
        let mut visitor = Visitor { address, realm, secure, certificate, arrived_at, now: arrived_at };
        let (demand, handling, number) = match charter.way(request.method(), &path, own_path) {
            Way::Endpoint(endpoint) => {
                noted.rule = RuleNumber::GATE;
                let note = charter.handover.read(request.method(), uri, request.headers(), arrived_at);
                // Boxed: what is rare must not make every request's future, which idle connections keep, as large as itself.
                if let Some(primary) = self.primary.as_ref().filter(|_| !endpoint.is_public_knowledge()) {
                    if note.is_some() {
                        return Err(Refusal::NoPrimary);
                    }
                    let certificate = certificate.cloned().map(Box::new);
                    let note = Note { address, request_id: noted.request_id.clone(), certificate };
                    let handed = handover::hand_over(charter, primary, request, &note, trace, peer, arrived_at);
                    return Box::pin(handed).await;
                }
                if let Some(note) = &note {
                    (visitor.address, noted.client) = (note.address, Some(note.address));
                    // Whatever the replica itself shows is not its client's.
                    visitor.certificate = note.certificate.as_deref();
                    noted.request_id = note.request_id.clone();
                }
                let (forwarded, id) = (forwarded.as_ref(), &noted.request_id);
                let answer = endpoint::answer(charter, &self.judge, request, endpoint, &visitor, forwarded, id);
                return Box::pin(answer).await;
            }
            Way::Withheld => return Err(Refusal::NoEndpoint),
            Way::Route(demand, handling, number) => (demand, handling, number),
        };
        (noted.rule, noted.log) = (number, handling.log);
        let Pass { permit, by, sealed } = self.judge.admit((demand, handling), request.headers_mut(), &visitor).await?;
        let credentials = self.judge.guessable(&permit, request.headers(), &visitor)?;
        let turn = if handling.once.is_empty() { None } else { self.turn(handling, &request, &path, &by, &visitor)? };
        let target = charter.mapping.target(uri, path).map_err(|_| Refusal::AmbiguousPath)?;
        let sent = Instant::now();
        let marks = Marks { request_id: &noted.request_id, trace };
        let answer = self.upstream.forward(request, target, &permit, &peer.origin, forwarded.as_ref(), marks).await;
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
                let refused = own_credentials::refused_by_upstream(charter, admitted, &visitor, &noted.request_id);
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
