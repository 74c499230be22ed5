//! The endpoints of the `form` dialect.
//!
//! Guarantees: only a form that was posted is read; where a cookie carries the refresh token, a body never does, and no
//! page but ours and the operator's is heard; a password is judged within the limits on guessing, as at every other
//! door.
//! Does not know: what the fields are called, how refusals are worded.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request};
use hyper::body::Incoming;

use crate::profile::form::{self, Call, Carrier};
use crate::profile::{Aside, Caller, Fields, RefreshRefusal, Refused, Reply};
use crate::token::TokenError;
use crate::upstream::headers::Forwarded;

use super::super::judge::sign_in_refusal;
use super::super::mapping::strip_prefix_loosely;
use super::super::{Charter, Refusal, Visitor, body};
use super::cookie;
use super::{renewed, visit};

/// Where this dialect's endpoints lie.
pub struct FormPaths {
    pub login: String,
    pub refresh: String,
    pub logout: String,
    /// What their 401 is about.
    pub realm: Arc<str>,
    /// The cookie that carries the refresh token; `None`: bodies do.
    pub cookie: Option<Arc<str>>,
}

/// What lies at or under a path of this dialect.
pub(in crate::gateway) enum Place {
    At(Call),
    /// Nothing, and not to be forwarded either.
    Beneath,
}

impl FormPaths {
    pub(super) fn find(&self, path: &str) -> Option<Place> {
        let calls = [(&self.login, Call::Login), (&self.refresh, Call::Refresh), (&self.logout, Call::Logout)];
        let (rest, call) = calls.iter().find_map(|(own, call)| Some((strip_prefix_loosely(path, own)?, *call)))?;
        Some(if rest.trim_matches('/').is_empty() { Place::At(call) } else { Place::Beneath })
    }

    /// What an answer lays aside, for the two paths that read it: a browser sends it to no other.
    pub(super) fn cookies(&self, aside: &Aside) -> impl Iterator<Item = HeaderValue> {
        let (token, max_age) = match aside {
            Aside::Keep { token, max_age } => (token.as_str(), max_age.as_secs()),
            Aside::Forget => ("", 0),
        };
        let name = self.cookie.as_deref().unwrap_or_default();
        [&self.refresh, &self.logout].into_iter().filter_map(move |path| cookie::write(name, path, token, max_age))
    }
}

pub(super) async fn answer(
    charter: &Charter,
    paths: &FormPaths,
    request: Box<Request<Incoming>>,
    place: Place,
    visitor: &Visitor<'_>,
    forwarded: Option<&Forwarded>,
    request_id: &str,
) -> Result<Reply, Refusal> {
    let Place::At(call) = place else { return Err(Refusal::NoEndpoint) };
    if *request.method() != Method::POST {
        return Err(Refusal::MethodNotAllowed("POST"));
    }
    let cookie = paths.cookie.as_deref();
    let (sessions, bounds) = (&charter.sessions, &charter.bounds);
    let (parts, incoming) = request.into_parts();
    let visit = visit(&parts.headers, visitor, request_id);
    if cookie.is_some() {
        cookie::check_origin(&parts.headers, forwarded, visitor.secure, charter.cors.as_ref())?;
    }
    // With the token in a cookie there is nothing that a body would have to say.
    let bodiless = cookie.is_some() && call != Call::Login && !parts.headers.contains_key(CONTENT_TYPE);
    if !bodiless && !body::is_form(&parts.headers) {
        return Err(Refusal::Profile(Refused::Body("Expected form-encoded data")));
    }
    let body = body::read(incoming, bounds.body_bytes, bounds.body_timeout).await?;
    if bodiless && !body.is_empty() {
        return Err(Refusal::Profile(Refused::Body("Expected form-encoded data")));
    }
    let fields = Fields::read(&body);
    let carrier = if cookie.is_some() { Carrier::Aside } else { Carrier::Body };
    let reply = match call {
        Call::Login => {
            let login = fields.login().map_err(Refusal::Profile)?;
            let credentials = charter.accounts.within(visitor.realm, login.credentials);
            let signed_in = charter.accounts.sign_in(&credentials, visitor.address, visitor.now).await;
            let caller = Caller::User(signed_in.map_err(sign_in_refusal)?, credentials.password);
            form::login(sessions, &caller, login.device, carrier, visit).await
        }
        Call::Refresh => {
            // A browser lets go of a cookie whose time is over: none is as good as an expired one.
            let gone = || Refusal::Profile(Refused::Refresh(RefreshRefusal::Token(TokenError::Expired)));
            let token = presented(&parts.headers, &fields, cookie)?.ok_or_else(gone)?;
            renewed(charter, visitor, form::refresh(sessions, token, carrier, visit)).await
        }
        Call::Logout => {
            let token = presented(&parts.headers, &fields, cookie)?.unwrap_or_default();
            form::logout(sessions, token, carrier, visit).await
        }
    };
    reply.map_err(Refusal::Profile)
}

/// The refresh token, from the one place where it may be. `None`: there is no cookie.
fn presented<'a>(
    headers: &'a HeaderMap,
    fields: &'a Fields<'a>,
    cookie: Option<&str>,
) -> Result<Option<&'a str>, Refusal> {
    let Some(name) = cookie else { return fields.refresh_token().map(Some).map_err(Refusal::Profile) };
    if fields.has_refresh_token() {
        let text = "The refresh token belongs in its cookie";
        return cookie::read(headers, name)?
            .map_or(Err(Refusal::Profile(Refused::Body(text))), |_| Err(Refusal::AmbiguousCookie));
    }
    cookie::read(headers, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(path: &str, expected: &str) {
        let paths = FormPaths {
            login: "/login".into(),
            refresh: "/api/refresh".into(),
            logout: "/logout".into(),
            realm: "User Login".into(),
            cookie: None,
        };
        let found = match paths.find(path) {
            Some(Place::At(call)) => format!("{call:?}"),
            Some(Place::Beneath) => "beneath".into(),
            None => "none".into(),
        };
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn endpoints_are_found_in_any_case_and_nothing_beneath_them_is_the_upstreams() {
        for path in ["/login", "/LOGIN/", "/login//"] {
            finds(path, "Login");
        }
        finds("/api/refresh", "Refresh");
        finds("/logout", "Logout");
        finds("/login/x", "beneath");
        for path in ["/", "/logins", "/refresh", "/api", "/a/login"] {
            finds(path, "none");
        }
    }
}
