//! The endpoints of the `smsgate` dialect: which call a request is, who may make it, and the answer.
//!
//! Guarantees: callers are authenticated before a body is read, as a stranger's body is not worth waiting for.
//! Does not know: how tokens are made, how refusals are worded.

use http::Request;
use hyper::body::Incoming;

use crate::profile::smsgate::{self, Call};
use crate::profile::{RefreshRefusal, Refused, Reply, listing};
use crate::token::TokenError;

use super::super::judge::{Judge, Presented, Right};
use super::super::{Charter, Refusal, Visitor, body};
use super::{renewed, subject_of, visit};

/// Answers a request for `rest`, the path behind our prefix.
///
/// # Errors
/// The refusal to answer with.
pub(super) async fn answer(
    charter: &Charter,
    judge: &Judge,
    request: Box<Request<Incoming>>,
    rest: &str,
    visitor: &Visitor<'_>,
    request_id: &str,
) -> Result<Reply, Refusal> {
    if !charter.smsgate {
        return Err(Refusal::Profile(Refused::Disabled));
    }
    let call = Call::parse(request.method(), rest)?;
    let sessions = &charter.sessions;
    let bounds = &charter.bounds;
    let (parts, incoming) = request.into_parts();
    let visit = visit(&parts.headers, visitor, request_id);
    let reply = match call {
        Call::Issue => {
            let caller = judge.caller(&parts.headers, visitor, Right::Manage).await?;
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
            match renewed(charter, visitor, smsgate::refresh(sessions, token, visit)).await {
                Err(Refused::Refresh(RefreshRefusal::Token(error @ TokenError::AccessPresented))) => {
                    return Err(Refusal::Token(error));
                }
                reply => reply,
            }
        }
        Call::Revoke(id) => {
            let caller = judge.caller(&parts.headers, visitor, Right::Manage).await?;
            listing::end(sessions, &subject_of(&caller), id.map(|id| id.session), visit).await
        }
    };
    reply.map_err(Refusal::Profile)
}
