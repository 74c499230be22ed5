//! The endpoints of the `smsgate` dialect: which call a request is, who may make it, and the answer.
//!
//! Guarantees: callers are authenticated before a body is read, as a stranger's body is not worth waiting for.
//! Does not know: how tokens are made, how refusals are worded.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;

use crate::profile::smsgate::{self, Call, Miss};
use crate::profile::{Caller, RefreshRefusal, Refused, Reply, Visit};
use crate::token::{SessionId, Subject, TOKENS_MANAGE, TokenError};

use super::super::judge::{Judge, Presented};
use super::super::{Charter, Refusal, Visitor, body};

/// Answers a request for `rest`, the path behind our prefix.
///
/// # Errors
/// The refusal to answer with.
pub(super) async fn answer(
    charter: &Charter,
    judge: &Judge,
    request: Box<Request<Incoming>>,
    rest: &str,
    visitor: &Visitor,
) -> Result<Reply, Refusal> {
    if !charter.smsgate {
        return Err(Refusal::Profile(Refused::Disabled));
    }
    let call = Call::parse(request.method(), rest).map_err(|miss| match miss {
        Miss::NotFound => Refusal::NoEndpoint,
        Miss::Method(allow) => Refusal::MethodNotAllowed(allow),
    })?;
    make(charter, judge, call, request, visitor).await
}

async fn make(
    charter: &Charter,
    judge: &Judge,
    call: Call,
    request: Box<Request<Incoming>>,
    visitor: &Visitor,
) -> Result<Reply, Refusal> {
    let sessions = &charter.sessions;
    let bounds = &charter.bounds;
    let visit = Visit { address: visitor.address, arrived_at: visitor.arrived_at, now: visitor.now };
    let (parts, incoming) = request.into_parts();
    let reply = match call {
        Call::Issue => {
            let caller = judge.caller(&parts.headers, visitor, false).await?;
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
            let token = str::from_utf8(token).map_err(|_| Refusal::Token(TokenError::Malformed))?;
            body::read(incoming, bounds.body_bytes, bounds.body_timeout).await?;
            match smsgate::refresh(sessions, token, visit).await {
                Err(Refused::Refresh(RefreshRefusal::Token(error @ TokenError::AccessPresented))) => {
                    return Err(Refusal::Token(error));
                }
                reply => reply,
            }
        }
        Call::Revoke(id) => {
            let caller = judge.caller(&parts.headers, visitor, false).await?;
            smsgate::end(sessions, &subject_of(&caller), id.map(|id| id.session)).await
        }
        Call::List => {
            let caller = judge.caller(&parts.headers, visitor, true).await?;
            smsgate::list(sessions, &subject_of(&caller), own_session_only(&caller), visitor.now)
        }
        Call::End(id) => {
            let caller = judge.caller(&parts.headers, visitor, true).await?;
            if let Some(own) = own_session_only(&caller)
                && id != Some(own)
            {
                return Err(Refusal::ScopeMissing(TOKENS_MANAGE.into()));
            }
            smsgate::end(sessions, &subject_of(&caller), id).await
        }
    };
    reply.map_err(Refusal::Profile)
}

fn subject_of(caller: &Caller) -> Subject {
    match caller {
        Caller::User(user) => Subject::new(Arc::clone(&user.name)),
        Caller::Bearer(token) => token.subject.clone(),
        Caller::Client(client) => Subject::of_client(&client.id),
    }
}

/// A Bearer caller that may not manage tokens sees and ends its own session only.
fn own_session_only(caller: &Caller) -> Option<SessionId> {
    match caller {
        Caller::Bearer(token) if !token.scopes.satisfy(TOKENS_MANAGE) => Some(token.session()),
        Caller::Bearer(_) | Caller::User(_) | Caller::Client(_) => None,
    }
}
