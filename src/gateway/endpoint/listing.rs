//! The endpoints of the list of sessions: who may make a call, and the answer.
//!
//! Guarantees: a token that may not manage tokens reaches its own session only; the sessions of others are for those with
//! a scope that nothing implies.
//! Does not know: how sessions are shown, how refusals are worded.

use http::Request;
use hyper::body::Incoming;

use crate::profile::listing::{self, Call};
use crate::profile::{Caller, Miss, Refused, Reply};
use crate::token::{SessionId, TOKENS_MANAGE};

use super::super::judge::{Judge, Right};
use super::super::{Charter, Refusal, Visitor, body};
use super::{subject_of, visit};

/// Answers `call`.
///
/// # Errors
/// The refusal to answer with.
pub(super) async fn answer(
    charter: &Charter,
    judge: &Judge,
    request: Box<Request<Incoming>>,
    call: Result<Call, Miss>,
    visitor: &Visitor<'_>,
    request_id: &str,
) -> Result<Reply, Refusal> {
    let (call, sessions) = (call?, &charter.sessions);
    let (parts, incoming) = request.into_parts();
    let visit = visit(&parts.headers, visitor, request_id);
    let right = match call {
        Call::List | Call::End(_) | Call::Name(_) => Right::Own,
        Call::EndAll | Call::EndOthers => Right::Manage,
        Call::ListOf(_) | Call::EndAllOf(_) => Right::Administer,
    };
    let caller = judge.caller(&parts.headers, visitor, right).await?;
    let subject = subject_of(&caller);
    let reply = match call {
        Call::List => listing::list(sessions, &subject, only(&caller), own(&caller), visitor.now),
        Call::EndAll => listing::end_all(sessions, &subject, None, &subject, visit).await,
        Call::EndOthers => {
            let own = own(&caller)
                .ok_or(Refusal::Profile(Refused::Body("Present the access token of the session to keep")))?;
            listing::end_all(sessions, &subject, Some(own), &subject, visit).await
        }
        Call::End(id) => {
            within(&caller, id)?;
            listing::end(sessions, &subject, id, visit).await
        }
        Call::Name(id) => {
            within(&caller, id)?;
            if !body::is_json(&parts.headers) {
                return Err(Refusal::Profile(Refused::NotJson));
            }
            let body = body::read(incoming, charter.bounds.body_bytes, charter.bounds.body_timeout).await?;
            listing::name(sessions, &subject, id, &body, visit).await
        }
        Call::ListOf(other) => listing::list(sessions, &other, None, own(&caller), visitor.now),
        Call::EndAllOf(other) => listing::end_all(sessions, &other, None, &subject, visit).await,
    };
    reply.map_err(Refusal::Profile)
}

/// The session whose token is presented.
fn own(caller: &Caller) -> Option<SessionId> {
    match caller {
        Caller::Bearer(token) => Some(token.session()),
        Caller::User(..) | Caller::Client(_) => None,
    }
}

/// The only session that is the caller's to see and change, unless all of its subject's are.
fn only(caller: &Caller) -> Option<SessionId> {
    match caller {
        Caller::Bearer(token) if !token.scopes.satisfy(TOKENS_MANAGE) => Some(token.session()),
        Caller::Bearer(_) | Caller::User(..) | Caller::Client(_) => None,
    }
}

fn within(caller: &Caller, id: Option<SessionId>) -> Result<(), Refusal> {
    match only(caller) {
        Some(only) if id != Some(only) => Err(Refusal::ScopeMissing(TOKENS_MANAGE.into())),
        _ => Ok(()),
    }
}
