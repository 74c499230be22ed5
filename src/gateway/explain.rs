//! What would become of a request, and why: for those who operate a gate and those whose request it refused.
//!
//! Guarantees: the verdict is that of the functions that judge requests, with the reason that answer and log would have;
//! nothing is forwarded, remembered or counted; what is shown of a token is what it claims, and none of it can be presented.
//! Does not know: what the upstream would say.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{HeaderMap, Method, Request, Uri};
use serde::Serialize;
use serde_json::Value;

use crate::metrics::Tally;
use crate::profile::rfc3339;
use crate::token::{AccessStanding, Envelope, Timestamp, TokenId};

use super::admissible::admissible;
use super::current::Current;
use super::handling::Handling;
use super::judge::{By, Judge, Presented};
use super::{Charter, Demand, Refusal, Visitor, Way, cors, path};

/// What is asked about.
#[derive(Debug)]
pub struct Question {
    pub method: Method,
    /// `None`: only what the headers present.
    pub target: Option<Uri>,
    pub headers: HeaderMap,
}

/// What would become of it. The names of its fields stay.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// When that is.
    pub now: String,
    pub verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<OfRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<OfToken>,
    pub store: OfStore,
}

#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Nothing stands in its way.
    pub passes: bool,
    pub what: String,
    /// As in the log.
    pub reason: &'static str,
    /// What the client reads; nothing where it would read the upstream's or an endpoint's own answer.
    pub status: Option<u16>,
    pub error: Option<&'static str>,
    pub message: Option<String>,
}

#[derive(Debug, Default, Serialize)]
pub struct OfRequest {
    pub method: String,
    /// In its canonical spelling.
    pub path: Option<String>,
    pub rule: Option<String>,
    pub demands: Option<String>,
    /// What the upstream would read.
    pub forwarded_as: Option<String>,
}

#[derive(Debug, Default, Serialize)]
pub struct OfToken {
    /// Of its header.
    pub kid: Option<String>,
    pub algorithm: Option<String>,
    pub typ: Option<String>,
    /// "ours", "trusted" (one of `[[issuer]]`) or "unknown".
    pub issuer_is: &'static str,
    pub key: OfKey,
    /// As it is claimed.
    pub issuer: Option<Value>,
    pub audience: Option<Value>,
    pub subject: Option<Value>,
    pub scopes: Option<Value>,
    pub times: Vec<OfTime>,
    pub leeway_seconds: u64,
    pub session: Option<OfSession>,
}

#[derive(Debug, Default, Serialize)]
pub struct OfKey {
    pub known: bool,
    /// Of a key of ours.
    pub state: Option<String>,
    pub algorithm: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub struct OfTime {
    pub claim: &'static str,
    pub at: String,
    /// From now on: below zero it is past.
    pub seconds: i64,
}

#[derive(Debug, Serialize)]
pub struct OfSession {
    pub id: String,
    pub generation: u32,
    /// "lives", "ended" or "unknown".
    pub is: &'static str,
    /// Of the session, if it lives.
    pub current_generation: Option<u32>,
    /// "good", "superseded" or "ended".
    pub token_is: &'static str,
}

#[derive(Debug, Serialize)]
pub struct OfStore {
    pub sessions: usize,
    pub ended_sessions: usize,
}

/// What would become of what is asked about.
pub async fn explain(charter: &Arc<Charter>, question: Question) -> Explanation {
    let now = charter.clock.now();
    let mut told = Explanation {
        now: rfc3339(now),
        verdict: Verdict { passes: true, what: String::new(), reason: "ok", status: None, error: None, message: None },
        request: None,
        token: token(charter, &question.headers, now),
        store: OfStore { sessions: charter.store.live(), ended_sessions: charter.store.tombstones() },
    };
    match judge(charter, question, now, &mut told).await {
        Ok(what) => told.verdict.what = what,
        Err(refusal) => {
            let wording = refusal.wording(&charter.manner.realm);
            told.verdict = Verdict {
                passes: false,
                what: clause(&refusal),
                reason: refusal.reason(),
                status: Some(wording.status.as_u16()),
                error: Some(wording.error),
                message: Some(wording.message),
            };
        }
    }
    told
}

/// The story of a request up to where it would leave ([`super::Gateway::handle`]), by the same functions. Says what would
/// happen then.
async fn judge(
    charter: &Arc<Charter>,
    question: Question,
    now: Timestamp,
    told: &mut Explanation,
) -> Result<String, Refusal> {
    let current = Rc::new(Current::new(Arc::clone(charter)));
    let judge = Judge::new(Arc::clone(charter), current, Arc::new(Tally::default()));
    let visitor = |realm| Visitor {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        realm,
        secure: false,
        certificate: None,
        arrived_at: now,
        now,
    };
    let Question { method, target, mut headers } = question;
    let Some(uri) = target else {
        let any = (&Demand::Authenticated, &Handling::default());
        let pass = judge.admit(any, &mut headers, &visitor(Default::default())).await?;
        return Ok(format!("these credentials are good: {}", who(&pass.by)));
    };
    let of_request = told.request.insert(OfRequest { method: method.to_string(), ..OfRequest::default() });
    if !headers.contains_key(HOST) {
        // Who asks about a path does not ask about that.
        headers.insert(HOST, HeaderValue::from_static("localhost"));
    }
    let mut request = Request::new(());
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri.clone(), headers);
    admissible(&mut request, &charter.bounds)?;
    let path = path::canonical(uri.path()).map_err(|_| Refusal::AmbiguousPath)?;
    of_request.path = Some(path.to_string());
    if charter.cors.is_some() && cors::is_preflight(&request) {
        return Ok("a preflight of CORS: the gate answers it".into());
    }
    let (realm, own_path) = charter.realms.of(request.headers(), &path);
    let (demand, handling) = match charter.way(request.method(), &path, own_path) {
        Way::Endpoint(_) => return Ok("an endpoint of the gate, which judges credentials by its own dialect".into()),
        Way::Withheld => return Err(Refusal::NoEndpoint),
        Way::Route(demand, handling, _) => (demand, handling),
    };
    of_request.rule = charter.routes.rule(request.method(), &path).map(super::Rule::name);
    of_request.demands = Some(demand.to_string());
    let pass = judge.admit((demand, handling), request.headers_mut(), &visitor(realm)).await?;
    let target = charter.mapping.target(&uri, path).map_err(|_| Refusal::AmbiguousPath)?;
    of_request.forwarded_as = Some(target.to_string());
    Ok(format!("forwarded: {}", who(&pass.by)))
}

fn who(by: &By) -> String {
    match by {
        By::Nobody => "nobody is asked who they are".into(),
        By::Token(admitted) => format!("a token of {}", admitted.token.subject()),
        By::User(user) => format!("the password of {}", user.name),
    }
}

/// What was refused, in words that no client gets to read.
fn clause(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Token(error) => format!("the token: {}", crate::observe::chain(error)),
        Refusal::ScopeMissing(scope) => format!("the rule demands the scope {scope}"),
        Refusal::RoleMissing { role, .. } => format!("the rule demands the role {role}"),
        Refusal::NoRule => "no rule speaks of this method and path, and routes.unmatched is \"deny\"".into(),
        Refusal::Superseded => "the token was replaced by a refresh, or its scopes were taken from the user".into(),
        Refusal::Ended => "the session has ended".into(),
        Refusal::Lost => "the token is of a time that a restored backup does not know".into(),
        Refusal::OtherRealm => "the token is of another realm's user".into(),
        Refusal::NoEndpoint => "the path is under `auth`, where nothing is forwarded".into(),
        refusal => refusal.wording("").message,
    }
}

/// What the token in `headers` claims, if there is one.
fn token(charter: &Charter, headers: &HeaderMap, now: Timestamp) -> Option<OfToken> {
    headers.get(AUTHORIZATION)?;
    let Ok(Presented::Bearer(token)) = Presented::read(headers) else { return None };
    let policy = &charter.policy;
    let leeway_seconds = policy.leeway.as_secs();
    let unreadable = || OfToken { issuer_is: "unknown", leeway_seconds, ..OfToken::default() };
    let Some(envelope) = str::from_utf8(token).ok().and_then(|text| Envelope::open(text, policy.max_token_bytes).ok())
    else {
        return Some(unreadable());
    };
    let read = |text: Option<Vec<u8>>| text.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let (header, claims) = (read(envelope.header_text().ok()), read(envelope.claimed().ok()));
    let of = |name: &str| claims.as_ref().and_then(|claims| claims.get(name)).cloned();
    let word = |name: &str| header.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let (kid, issuer) = (word("kid"), of("iss"));
    let (issuer_is, key) = key(charter, issuer.as_ref().and_then(Value::as_str), kid.as_deref());
    let time = |claim| {
        let at = of(claim)?.as_u64()?;
        let seconds = at.cast_signed().saturating_sub(now.as_secs().cast_signed());
        Some(OfTime { claim, at: rfc3339(Timestamp::from_secs(at)), seconds })
    };
    let id = of("jti").and_then(|id| id.as_str()?.parse::<TokenId>().ok()).filter(|_| issuer_is == "ours");
    Some(OfToken {
        algorithm: word("alg"),
        typ: word("typ"),
        audience: of("aud"),
        subject: of("sub"),
        scopes: of("scopes").or_else(|| of("scope")),
        times: ["iat", "nbf", "exp"].into_iter().filter_map(time).collect(),
        session: id.map(|id| session(charter, id, now)),
        kid,
        issuer,
        issuer_is,
        key,
        leeway_seconds,
    })
}

fn key(charter: &Charter, issuer: Option<&str>, kid: Option<&str>) -> (&'static str, OfKey) {
    let (Some(issuer), Some(kid)) = (issuer, kid) else { return ("unknown", OfKey::default()) };
    if let Some(known) = charter.issuers.knows(issuer, kid) {
        return ("trusted", OfKey { known, ..OfKey::default() });
    }
    let ring = charter.keys.ring();
    let of_key = OfKey {
        known: ring.find(kid).is_some(),
        state: ring.state(kid).map(|state| state.to_string()),
        algorithm: ring.find(kid).map(|key| key.algorithm().as_str()),
    };
    (if issuer == charter.policy.issuer { "ours" } else { "unknown" }, of_key)
}

fn session(charter: &Charter, id: TokenId, now: Timestamp) -> OfSession {
    let (store, found) = (&charter.store, charter.store.find(id.session));
    let standing = store.access_standing(id, now);
    OfSession {
        id: id.session.to_string(),
        generation: id.generation,
        is: match (&found, standing) {
            (Some(_), _) => "lives",
            (None, AccessStanding::Ended) => "ended",
            (None, _) => "unknown",
        },
        current_generation: found.map(|session| session.generation),
        token_is: match standing {
            AccessStanding::Good { .. } => "good",
            AccessStanding::Superseded => "superseded",
            AccessStanding::Ended => "ended",
        },
    }
}
