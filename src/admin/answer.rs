//! Which endpoint a request is for, whether it may be asked, and the answer.
//!
//! Guarantees: whatever changes something, or tells of somebody, is asked for by an operator who has proven to be one; what
//! it changes leaves a line in the trail; a body is bounded in size and time; nothing is ever cached.
//! Does not know: what an endpoint does.

use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::warn;

use crate::metrics::{CONTENT_TYPE as CONTENT_TYPE_OF_NUMBERS, Metrics};
use crate::upstream::headers::X_REQUEST_ID;

use super::desk::Desk;
use super::door::{Asker, Door, Shut};
use super::operations::{self, Call};
use super::overview;
use super::server::PATIENCE;
use super::status::Status;

/// Far more than any call takes: a token is at most 64 KiB in headers of clients, and 16 KiB by default.
const MOST_BODY: usize = 64 * 1024;

pub(super) type Answer = Response<Full<Bytes>>;

/// What can be asked for by whoever reaches the listener.
#[derive(Clone, Copy)]
enum Look {
    Alive,
    Ready,
    Numbers,
    Version,
    Status,
}

enum Place {
    Open(Look),
    /// For operators.
    Guarded(&'static [(Method, Call)]),
}

const NOT_FOUND: &str = "there are /livez, /healthz, /readyz, /metrics, /version and /status here, and for operators \
                         /sessions, /revoke, /log-level, /drain, /reload and /explain\n";

fn place(path: &str) -> Option<(Place, &'static str)> {
    Some(match path {
        "/livez" | "/healthz" => (Place::Open(Look::Alive), "GET, HEAD"),
        "/readyz" => (Place::Open(Look::Ready), "GET, HEAD"),
        "/metrics" => (Place::Open(Look::Numbers), "GET, HEAD"),
        "/version" => (Place::Open(Look::Version), "GET, HEAD"),
        "/status" => (Place::Open(Look::Status), "GET, HEAD"),
        "/sessions" => (Place::Guarded(&[(Method::GET, Call::Sessions)]), "GET"),
        "/revoke" => (Place::Guarded(&[(Method::POST, Call::Revoke)]), "POST"),
        "/log-level" => (Place::Guarded(&[(Method::GET, Call::Levels), (Method::PUT, Call::KeepLevels)]), "GET, PUT"),
        "/drain" => (Place::Guarded(&[(Method::POST, Call::Drain), (Method::DELETE, Call::Undrain)]), "POST, DELETE"),
        "/explain" => (Place::Guarded(&[(Method::POST, Call::Explain)]), "POST"),
        "/reload" => (Place::Guarded(&[(Method::POST, Call::Reload)]), "POST"),
        _ => return None,
    })
}

pub(super) async fn answer(
    desk: &Arc<Desk>,
    door: &Door,
    asker: Asker,
    id: &HeaderValue,
    request: Request<Incoming>,
) -> Answer {
    let Some((place, allow)) = place(request.uri().path()) else {
        return text(StatusCode::NOT_FOUND, NOT_FOUND.into());
    };
    let mut answer = match place {
        Place::Open(_) if !matches!(*request.method(), Method::GET | Method::HEAD) => not_allowed(allow),
        Place::Open(look) => show(look, request.uri().query().unwrap_or_default(), desk).await,
        Place::Guarded(calls) => match calls.iter().find(|(method, _)| method == request.method()) {
            None => not_allowed(allow),
            Some((_, call)) => match door.admit(request.headers()) {
                Ok(()) => operate(desk, asker, id, *call, request).await,
                Err(shut) => refuse(shut, asker, request.uri().path()),
            },
        },
    };
    answer.headers_mut().insert(X_REQUEST_ID, id.clone());
    answer
}

async fn show(look: Look, query: &str, desk: &Desk) -> Answer {
    match look {
        Look::Alive => text(StatusCode::OK, "ok\n".into()),
        Look::Ready => ready(query, &desk.status),
        Look::Numbers => numbers(&desk.metrics),
        Look::Version => as_json(StatusCode::OK, &json!({"name": "portcullis", "version": env!("CARGO_PKG_VERSION")})),
        Look::Status => as_json(StatusCode::OK, &overview::of(desk).await),
    }
}

async fn operate(desk: &Arc<Desk>, asker: Asker, id: &HeaderValue, call: Call, request: Request<Incoming>) -> Answer {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = match body(request.into_body()).await {
        Ok(body) => body,
        Err((status, message)) => return said(status, "bad_request", message),
    };
    operations::answer(desk, asker, id, call, &query, &body).await
}

async fn body(body: Incoming) -> Result<Bytes, (StatusCode, &'static str)> {
    match timeout(PATIENCE, Limited::new(body, MOST_BODY).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"))
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    }
}

fn refuse(shut: Shut, asker: Asker, path: &str) -> Answer {
    let peer = asker.address().map(tracing::field::display);
    warn!(peer, path, reason = ?shut, "what only an operator may was refused");
    let (status, error, message) = match shut {
        Shut::Nobody => (
            StatusCode::FORBIDDEN,
            "no_operator",
            "nobody may do that here: set admin.token_file, or admin.socket and use that",
        ),
        Shut::NoToken => (StatusCode::UNAUTHORIZED, "token_missing", "the token of admin.token_file is needed"),
        Shut::WrongToken => (StatusCode::UNAUTHORIZED, "token_wrong", "this is not the token of admin.token_file"),
    };
    let mut refused = said(status, error, message);
    if status == StatusCode::UNAUTHORIZED {
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"portcullis admin\""));
    }
    refused
}

fn not_allowed(allow: &'static str) -> Answer {
    let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n".into());
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    refused
}

fn ready(query: &str, status: &Status) -> Answer {
    let parameters = || query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let excluded: Vec<_> = parameters().filter(|(name, _)| *name == "exclude").map(|(_, value)| value).collect();
    let readiness = status.readiness(&excluded);
    match readiness.ready {
        false => text(StatusCode::SERVICE_UNAVAILABLE, readiness.lines() + "not ready\n"),
        true if parameters().any(|(name, _)| name == "verbose") => text(StatusCode::OK, readiness.lines() + "ready\n"),
        true => text(StatusCode::OK, "ok\n".into()),
    }
}

fn numbers(metrics: &Arc<Metrics>) -> Answer {
    let mut response = text(StatusCode::OK, metrics.text());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_OF_NUMBERS));
    response
}

fn text(status: StatusCode, body: String) -> Answer {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn as_json(status: StatusCode, value: &impl Serialize) -> Answer {
    // What is told here has no keys but texts.
    let body = serde_json::to_string(value).unwrap_or_default();
    let mut response = text(status, body + "\n");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What has not been done, and why.
pub(super) fn said(status: StatusCode, error: &str, message: impl Into<Value>) -> Answer {
    as_json(status, &json!({"error": error, "message": message.into()}))
}
