//! What an operator does: looks at sessions and ends them, takes the gate out of rotation, changes what is logged.
//!
//! Guarantees: whatever changes something leaves a line in the trail that says by which way and from where it was asked
//! for, and is brought to its end even if who asked has gone; a gate that only follows another one says so where it cannot.
//! Does not know: who may, connections.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::StatusCode;
use http::header::HeaderValue;
use serde::Deserialize;
use serde_json::json;
use tokio::task::spawn_local;
use tracing::info;

use crate::observe::AUDIT;
use crate::profile::{Refused, Sessions, Visit};
use crate::token::{SessionId, Subject};

use super::answer::{Answer, as_json, said};
use super::desk::{Desk, Rooms};
use super::door::Asker;
use super::{listing, question};

/// In the trail, whoever ended a session: no name of a user or client begins so.
const OPERATOR: &str = ":operator";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Sessions,
    Revoke,
    Levels,
    KeepLevels,
    Drain,
    Undrain,
    Reload,
    Explain,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepLevels {
    // Named so that a body which says nothing of it is refused.
    #[serde(deserialize_with = "Option::deserialize")]
    level: Option<String>,
}

/// Exactly one of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum Revoke {
    User(String),
    Session(String),
    All(bool),
}

/// Who asks, and by which request.
#[derive(Clone, Copy)]
struct Operator<'a> {
    asker: Asker,
    id: &'a str,
}

pub(super) async fn answer(
    desk: &Arc<Desk>,
    asker: Asker,
    id: &HeaderValue,
    call: Call,
    query: &str,
    body: &[u8],
) -> Answer {
    let operator = Operator { asker, id: id.to_str().unwrap_or_default() };
    match call {
        Call::Sessions => match desk.rooms() {
            Some(rooms) => listing::answer(&rooms.charter(), query),
            None => not_yet(),
        },
        Call::Revoke => revoke(desk, operator, body).await,
        Call::Levels => levels(desk),
        Call::KeepLevels => keep_levels(desk, operator, body),
        Call::Drain => drain(desk, operator, true),
        Call::Undrain => drain(desk, operator, false),
        Call::Reload => reload(desk, operator).await,
        Call::Explain => match desk.rooms() {
            Some(rooms) => question::answer(&rooms.charter(), body).await,
            None => not_yet(),
        },
    }
}

async fn revoke(desk: &Arc<Desk>, operator: Operator<'_>, body: &[u8]) -> Answer {
    let revoke = match serde_json::from_slice(body) {
        Ok(Revoke::All(false)) | Err(_) => {
            let shape = r#"the body must be one of {"user": "NAME"}, {"session": "ID"} and {"all": true}"#;
            return said(StatusCode::BAD_REQUEST, "bad_request", shape);
        }
        Ok(revoke) => revoke,
    };
    let Some(rooms) = desk.rooms() else { return not_yet() };
    if rooms.charter().store.is_replica() {
        let primary = rooms.primary.as_deref().unwrap_or("its primary");
        let message = format!("this gate only follows another one: sessions are ended there, at {primary}");
        return said(StatusCode::CONFLICT, "replica", message);
    }
    let (desk, id, asker) = (Arc::clone(desk), operator.id.to_owned(), operator.asker);
    // On its own: whoever asked may go away.
    let ending = spawn_local(async move {
        let operator = Operator { asker, id: &id };
        let Some(rooms) = desk.rooms() else { return not_yet() };
        match end(rooms, &revoke, operator).await {
            Ok(Some(ended)) => as_json(StatusCode::OK, &json!({"ended": ended})),
            Ok(None) => said(StatusCode::BAD_REQUEST, "bad_request", "this is no session's id"),
            Err(_) => said(
                StatusCode::SERVICE_UNAVAILABLE,
                "unwritten",
                "ended in memory; the disk has not taken it, so a crash now would bring sessions back: ask again",
            ),
        }
    });
    ending.await.unwrap_or_else(|_| said(StatusCode::INTERNAL_SERVER_ERROR, "failed", "broke off"))
}

/// How many have ended; `None` for what is no id.
async fn end(rooms: &Rooms, revoke: &Revoke, operator: Operator<'_>) -> Result<Option<usize>, Refused> {
    let charter = rooms.charter();
    let sessions = &charter.sessions;
    let (by, visit) = (Subject::new(OPERATOR), operator.visit(sessions));
    let ended = match revoke {
        Revoke::User(user) => {
            operator.tell("revoke", Some(user), None);
            sessions.end_all(&Subject::new(user.as_str()), None, &by, visit).await?
        }
        Revoke::Session(id) => {
            let Ok(id) = id.parse::<SessionId>() else { return Ok(None) };
            operator.tell("revoke", None, Some(id));
            usize::from(sessions.end_any(id, &by, visit).await?.is_some())
        }
        Revoke::All(_) => {
            operator.tell("revoke_all", None, None);
            sessions.store.end_everybody().await.map_err(|_| Refused::Unwritten)?
        }
    };
    Ok(Some(ended))
}

fn levels(desk: &Desk) -> Answer {
    let Some(levels) = &desk.levels else { return no_log() };
    let (said, configured) = (levels.said(), levels.configured());
    let level = said.as_deref().unwrap_or(&configured);
    as_json(StatusCode::OK, &json!({"level": level, "configured": configured, "until_further_notice": said.is_some()}))
}

fn keep_levels(desk: &Desk, operator: Operator<'_>, body: &[u8]) -> Answer {
    let Ok(KeepLevels { level }) = serde_json::from_slice(body) else {
        let shape = r#"the body must be {"level": "debug"}, or {"level": null} for what the configuration says"#;
        return said(StatusCode::BAD_REQUEST, "bad_request", shape);
    };
    let Some(log) = &desk.levels else { return no_log() };
    match log.keep(level.as_deref()) {
        Ok(()) => {
            operator.tell("log_level", level.as_deref(), None);
            levels(desk)
        }
        Err(error) => said(StatusCode::BAD_REQUEST, "bad_request", error.to_string()),
    }
}

fn drain(desk: &Desk, operator: Operator<'_>, drained: bool) -> Answer {
    operator.tell(if drained { "drain" } else { "undrain" }, None, None);
    let changed = desk.status.drain(drained);
    as_json(StatusCode::OK, &json!({"drained": drained, "changed": changed, "ready": desk.status.is_ready()}))
}

async fn reload(desk: &Arc<Desk>, operator: Operator<'_>) -> Answer {
    let Some(rooms) = desk.rooms() else { return not_yet() };
    operator.tell("reload", None, None);
    match (rooms.reload)().await {
        Ok(needs_restart) => as_json(StatusCode::OK, &json!({"reloaded": true, "needs_restart": needs_restart})),
        Err(mistakes) => {
            let message = "the configuration in force stays so";
            let body = json!({"error": "configuration", "message": message, "mistakes": mistakes});
            as_json(StatusCode::UNPROCESSABLE_ENTITY, &body)
        }
    }
}

fn not_yet() -> Answer {
    said(StatusCode::SERVICE_UNAVAILABLE, "starting", "the gate is still starting, or waits for its data directory")
}

fn no_log() -> Answer {
    said(StatusCode::NOT_IMPLEMENTED, "no_log", "this process has set up no log")
}

impl<'a> Operator<'a> {
    /// From this machine, if over the socket.
    fn visit(&self, sessions: &Sessions) -> Visit<'a> {
        let address = self.asker.address().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
        let now = sessions.clock.now();
        Visit { address, agent: None, certificate: None, request_id: self.id, arrived_at: now, now }
    }

    /// The line in the trail. Before the deed: one that takes the process along is in it too.
    fn tell(&self, action: &str, what: Option<&str>, session: Option<SessionId>) {
        let session = session.map(tracing::field::display);
        let peer = self.asker.address().map(tracing::field::display);
        info!(target: AUDIT, event = "operator", action, what, session, by_way_of = self.asker.name(), peer,
            request_id = self.id, "told by the operator");
    }
}
