//! The sessions of everybody, or of one user, a page at a time.
//!
//! Guarantees: a page is bounded whatever is asked for; nothing that is shown can be presented as a token.
//! Does not know: who may look.

use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use crate::gateway::Charter;
use crate::profile::rfc3339;
use crate::store::Place;
use crate::token::{Device, Scopes, Session, SessionId, Subject};

use super::answer::{Answer, as_json, said};

const MOST: usize = 1000;
const USUAL: usize = 100;

struct Wish {
    user: Option<Subject>,
    session: Option<SessionId>,
    after: Option<String>,
    most: usize,
}

#[derive(Serialize)]
struct Listed<'a> {
    id: String,
    user: &'a str,
    profile: &'static str,
    client: Option<&'a str>,
    device: Option<&'a Device>,
    scopes: &'a Scopes,
    generation: u32,
    created_at: String,
    last_refresh: String,
    expires_at: String,
    address: Option<String>,
    user_agent: Option<&'a str>,
    parent: Option<String>,
}

pub(super) fn answer(charter: &Charter, query: &str) -> Answer {
    match Wish::read(query).and_then(|wish| page(charter, &wish)) {
        Ok((sessions, next)) => {
            let shown: Vec<_> = sessions.iter().map(Listed::new).collect();
            as_json(StatusCode::OK, &json!({"sessions": shown, "next": next}))
        }
        Err(message) => said(StatusCode::BAD_REQUEST, "bad_request", message),
    }
}

fn page(charter: &Charter, wish: &Wish) -> Result<(Vec<Session>, Option<String>), &'static str> {
    const ODD: &str = "after must be what `next` of another page said";
    let (store, now) = (&charter.store, charter.clock.now());
    if let Some(id) = wish.session {
        let of_user = |session: &Session| wish.user.as_ref().is_none_or(|user| session.subject == *user);
        let found = store.find(id).filter(|session| !session.expired(now) && of_user(session));
        return Ok((found.into_iter().collect(), None));
    }
    let Some(user) = &wish.user else {
        let after: Option<Place> = wish.after.as_deref().map(str::parse).transpose().map_err(|_| ODD)?;
        let (sessions, next) = store.page(after, wish.most, now);
        return Ok((sessions, next.map(|next| next.to_string())));
    };
    let after: Option<SessionId> = wish.after.as_deref().map(str::parse).transpose().map_err(|_| ODD)?;
    let mut sessions = store.sessions_of(user, now);
    // An order that stays, whatever ends or is renewed between two pages.
    sessions.sort_by_key(|session| session.id);
    sessions.retain(|session| after.is_none_or(|after| session.id > after));
    let more = sessions.len() > wish.most;
    sessions.truncate(wish.most);
    let next = sessions.last().filter(|_| more).map(|last| last.id.to_string());
    Ok((sessions, next))
}

impl Wish {
    fn read(query: &str) -> Result<Self, &'static str> {
        let mut wish = Self { user: None, session: None, after: None, most: USUAL };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "user" => wish.user = Some(Subject::new(&*value)),
                "session" => wish.session = Some(value.parse().map_err(|_| "session must be a session's id")?),
                "after" => wish.after = Some(value.into_owned()),
                "limit" => {
                    let most = value.parse().ok().filter(|most| (1..=MOST).contains(most));
                    wish.most = most.ok_or("limit must be a number from 1 to 1000")?;
                }
                _ => return Err("there are user, session, limit and after"),
            }
        }
        Ok(wish)
    }
}

impl<'a> Listed<'a> {
    fn new(session: &'a Session) -> Self {
        Self {
            id: session.id.to_string(),
            user: session.subject.as_str(),
            profile: session.profile.name(),
            client: session.client.as_deref(),
            device: session.device.as_deref(),
            scopes: &session.granted,
            generation: session.generation,
            created_at: rfc3339(session.created_at),
            last_refresh: rfc3339(session.rotated_at),
            expires_at: rfc3339(session.idle_expires_at.min(session.expires_at)),
            address: session.used_from.address.map(|address| address.to_string()),
            user_agent: session.used_from.agent.as_deref(),
            parent: session.parent.map(|parent| parent.to_string()),
        }
    }
}
