//! What people see of their sessions and do with them: list, name, end.
//!
//! Guarantees: the same for sessions of every dialect; nothing that is shown can be presented as a token.
//! Does not know: how callers prove themselves, how refusals are worded.

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::token::{Device, Scopes, Sender, Session, SessionId, Subject, Timestamp};

use super::device::check;
use super::time::rfc3339;
use super::{Content, Miss, Refused, Reply, Sessions, Visit};

const SHAPE: &str = "the body must be a JSON object with \"name\", a string or null";

/// An endpoint of the list, from method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    List,
    /// All of the caller's.
    EndAll,
    /// All of the caller's but the one whose token is presented.
    EndOthers,
    /// `None`, here and below: not an id of ours, which names nothing.
    End(Option<SessionId>),
    Name(Option<SessionId>),
    ListOf(Subject),
    EndAllOf(Subject),
}

impl Call {
    /// The call that `method` and `rest`, the path behind `{prefix}/auth`, name; `None` if the path is none of these.
    ///
    /// # Errors
    /// [`Miss`] if there is none: such a path is never forwarded.
    pub fn parse(method: &Method, rest: &str) -> Option<Result<Self, Miss>> {
        let segments: Vec<&str> = rest.split('/').filter(|segment| !segment.is_empty()).collect();
        let is = |segment: &str, name: &str| segment.eq_ignore_ascii_case(name);
        let of = |calls: &[(Method, Self)], allow| {
            let call = calls.iter().find(|(own, _)| own == method).map(|(_, call)| call.clone());
            call.ok_or(Miss::Method(allow))
        };
        Some(match *segments {
            [sessions] if is(sessions, "sessions") => {
                of(&[(Method::GET, Self::List), (Method::DELETE, Self::EndAll)], "GET, DELETE")
            }
            [sessions, others] if is(sessions, "sessions") && is(others, "others") => {
                of(&[(Method::DELETE, Self::EndOthers)], "DELETE")
            }
            [sessions, id] if is(sessions, "sessions") => {
                let id = id.parse().ok();
                of(&[(Method::DELETE, Self::End(id)), (Method::PATCH, Self::Name(id))], "DELETE, PATCH")
            }
            [users, name, sessions] if is(users, "users") && is(sessions, "sessions") => {
                match percent_decode_str(name).decode_utf8() {
                    Ok(name) => {
                        let subject = Subject::new(&*name);
                        let calls =
                            [(Method::GET, Self::ListOf(subject.clone())), (Method::DELETE, Self::EndAllOf(subject))];
                        of(&calls, "GET, DELETE")
                    }
                    Err(_) => Err(Miss::NotFound),
                }
            }
            [first, ..] if is(first, "sessions") || is(first, "users") => Err(Miss::NotFound),
            _ => return None,
        })
    }
}

/// The sessions of `subject`, or only the one named by `only`. `own` is the one whose token is presented.
///
/// # Errors
/// None that a caller can cause.
pub fn list(
    sessions: &Sessions,
    subject: &Subject,
    only: Option<SessionId>,
    own: Option<SessionId>,
    now: Timestamp,
) -> Result<Reply, Refused> {
    let listed: Vec<_> = sessions
        .list(subject, now)
        .into_iter()
        .filter(|session| only.is_none_or(|only| session.id == only))
        .map(|session| SessionView::new(session, own))
        .collect();
    Reply::json(StatusCode::OK, &listed)
}

/// Idempotent, and without effect on what is not the caller's own.
///
/// # Errors
/// [`Refused::Unwritten`] if nobody can say that the end outlives this process.
pub async fn end(
    sessions: &Sessions,
    subject: &Subject,
    id: Option<SessionId>,
    visit: Visit<'_>,
) -> Result<Reply, Refused> {
    if let Some(id) = id {
        sessions.end(subject, id, visit).await?;
    }
    Ok(done())
}

/// Ends all sessions of `subject` but `spared` and those that one descends from, on behalf of `by`.
///
/// # Errors
/// As [`end`].
pub async fn end_all(
    sessions: &Sessions,
    subject: &Subject,
    spared: Option<SessionId>,
    by: &Subject,
    visit: Visit<'_>,
) -> Result<Reply, Refused> {
    sessions.end_all(subject, spared, by, visit).await?;
    Ok(done())
}

/// Calls the device of a session as the body says. Without effect on what is not the caller's own.
///
/// # Errors
/// When the body is not what it must be; as [`end`].
pub async fn name(
    sessions: &Sessions,
    subject: &Subject,
    id: Option<SessionId>,
    body: &[u8],
    visit: Visit<'_>,
) -> Result<Reply, Refused> {
    let NameBody { name } = serde_json::from_slice(body).map_err(|_| Refused::Body(SHAPE))?;
    check(Some(&Device { id: None, name: name.clone() }))?;
    if let Some(id) = id {
        sessions.rename(subject, id, name.filter(|name| !name.is_empty()), visit).await?;
    }
    Ok(done())
}

fn done() -> Reply {
    Reply { status: StatusCode::NO_CONTENT, content: Content::Nothing, aside: None }
}

#[derive(Deserialize)]
struct NameBody {
    // Named so that a body which says nothing of it is refused, and does not take a name away.
    #[serde(deserialize_with = "Option::deserialize")]
    name: Option<String>,
}

#[derive(Serialize)]
struct SessionView {
    id: String,
    device: Option<Device>,
    scopes: Scopes,
    created_at: String,
    last_refresh: String,
    expires_at: String,
    address: Option<String>,
    user_agent: Option<Box<str>>,
    created_address: Option<String>,
    created_user_agent: Option<Box<str>>,
    profile: &'static str,
    client: Option<String>,
    /// Whether it is the one whose token was presented.
    current: bool,
}

impl SessionView {
    fn new(session: Session, own: Option<SessionId>) -> Self {
        let told = |sender: Sender| (sender.address.map(|address| address.to_string()), sender.agent);
        let (address, user_agent) = told(session.used_from);
        let (created_address, created_user_agent) = told(session.begun_from);
        Self {
            id: session.id.to_string(),
            device: session.device.map(|device| *device),
            scopes: session.granted,
            created_at: rfc3339(session.created_at),
            last_refresh: rfc3339(session.rotated_at),
            expires_at: rfc3339(session.idle_expires_at.min(session.expires_at)),
            address,
            user_agent,
            created_address,
            created_user_agent,
            profile: session.profile.name(),
            client: session.client.map(|client| client.to_string()),
            current: own == Some(session.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn call(method: Method, rest: &str, expected: Option<Result<Call, Miss>>) {
        assert_eq!(Call::parse(&method, rest), expected, "{method} {rest}");
    }

    #[test]
    fn endpoints_are_found_in_any_case_and_with_a_trailing_slash() {
        let id = SessionId::from_bytes([7; 12]);
        call(Method::GET, "/sessions", Some(Ok(Call::List)));
        call(Method::DELETE, "/Sessions/", Some(Ok(Call::EndAll)));
        call(Method::DELETE, "/sessions/OTHERS/", Some(Ok(Call::EndOthers)));
        call(Method::DELETE, &format!("/sessions/{id}"), Some(Ok(Call::End(Some(id)))));
        call(Method::PATCH, &format!("/sessions/{id}"), Some(Ok(Call::Name(Some(id)))));
        call(Method::DELETE, "/sessions/garbage", Some(Ok(Call::End(None))));
        call(Method::GET, "/users/anna/sessions", Some(Ok(Call::ListOf(Subject::new("anna")))));
        call(Method::DELETE, "/users/an%20n%C3%A4/sessions/", Some(Ok(Call::EndAllOf(Subject::new("an n\u{e4}")))));
    }

    #[test]
    fn what_is_no_endpoint_is_said_so() {
        call(Method::POST, "/sessions", Some(Err(Miss::Method("GET, DELETE"))));
        call(Method::GET, "/sessions/others", Some(Err(Miss::Method("DELETE"))));
        call(Method::GET, "/sessions/x", Some(Err(Miss::Method("DELETE, PATCH"))));
        call(Method::PUT, "/users/anna/sessions", Some(Err(Miss::Method("GET, DELETE"))));
        for rest in ["/sessions/x/y", "/users", "/users/anna", "/users/anna/sessions/x", "/users/%FF/sessions"] {
            call(Method::GET, rest, Some(Err(Miss::NotFound)));
        }
        for rest in ["", "/", "/token", "/token/refresh", "/x/sessions"] {
            call(Method::GET, rest, None);
        }
    }

    #[test]
    fn a_name_is_given_or_taken_but_never_forgotten() {
        let name = |body: &str| serde_json::from_str::<NameBody>(body).ok().map(|body| body.name);
        assert_eq!(name("{\"name\":\"phone\"}"), Some(Some("phone".into())));
        assert_eq!(name("{\"name\":null}"), Some(None));
        for body in ["{}", "{\"name\":1}", "null", ""] {
            assert_eq!(name(body), None, "{body}");
        }
    }
}
