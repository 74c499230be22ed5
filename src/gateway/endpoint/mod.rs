//! Our own endpoints: which one a path is, and the answer of its dialect.
//!
//! Guarantees: what lies at or under a path of ours is never forwarded; refusals read as the dialect words them.
//! Does not know: how tokens are made.

mod cookie;
mod form;
mod listing;
mod oauth;
mod smsgate;

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, SET_COOKIE, USER_AGENT};
use http::{Method, Request, Response};
use hyper::body::Incoming;

use crate::account::RetryAfter;
use crate::profile::listing::Call;
use crate::profile::{Caller, Content, Miss, RefreshRefusal, Refused, Reply, Visit};
use crate::token::Subject;
use crate::upstream::Answer;
use crate::upstream::headers::Forwarded;

use super::judge::Judge;
use super::{Charter, Refusal, Visitor, reply};

#[cfg(any(test, fuzzing))]
pub(super) use cookie::try_out as try_cookie;
pub use form::FormPaths;
pub use oauth::{KEYS, OauthPaths};

/// A path of ours.
pub(super) enum Endpoint<'a> {
    /// With what stands behind the prefix.
    Smsgate(&'a str),
    Listing(Result<Call, Miss>),
    Form(&'a FormPaths, form::Place),
    Oauth(&'a OauthPaths, oauth::Place),
}

impl Endpoint<'_> {
    /// Whether a gate that only follows another one can answer for itself.
    pub(super) fn is_public_knowledge(&self) -> bool {
        matches!(self, Self::Oauth(_, place) if place.is_public_knowledge())
    }
}

/// Where our endpoints lie.
pub struct Endpoints {
    /// The API's prefix and `/auth`.
    pub smsgate: String,
    /// `None`: this dialect is not spoken, and its paths are paths like any other.
    pub form: Option<FormPaths>,
    /// Likewise.
    pub oauth: Option<OauthPaths>,
}

impl Endpoints {
    /// The endpoint that a canonical path is, if it is one.
    pub(super) fn find<'a>(&'a self, method: &Method, path: &'a str) -> Option<Endpoint<'a>> {
        if let Some(rest) = super::mapping::strip_prefix_loosely(path, &self.smsgate) {
            let listing = Call::parse(method, rest).map(Endpoint::Listing);
            return Some(listing.unwrap_or(Endpoint::Smsgate(rest)));
        }
        let form = self.form.as_ref().and_then(|paths| Some(Endpoint::Form(paths, paths.find(path)?)));
        form.or_else(|| self.oauth.as_ref().and_then(|paths| Some(Endpoint::Oauth(paths, paths.find(path)?))))
    }
}

/// Answers a request for `endpoint`.
///
/// # Errors
/// The refusal to answer with.
pub(super) async fn answer(
    charter: &Charter,
    judge: &Judge,
    request: Box<Request<Incoming>>,
    endpoint: Endpoint<'_>,
    visitor: &Visitor<'_>,
    forwarded: Option<&Forwarded>,
    request_id: &HeaderValue,
) -> Result<Response<Answer>, Refusal> {
    let id = request_id.to_str().unwrap_or_default();
    let Reply { status, content, aside } = match endpoint {
        Endpoint::Smsgate(rest) => smsgate::answer(charter, judge, request, rest, visitor, id).await?,
        Endpoint::Listing(call) => listing::answer(charter, judge, request, call, visitor, id).await?,
        Endpoint::Form(paths, place) => form::answer(charter, paths, request, place, visitor, forwarded, id)
            .await
            .map_err(|refusal| Refusal::InForm { refusal: Box::new(refusal), realm: paths.realm.clone() })?,
        Endpoint::Oauth(paths, place) => oauth::answer(charter, paths, request, place, visitor, id)
            .await
            .map_err(|refusal| Refusal::InOauth(Box::new(refusal)))?,
    };
    let (body, content_type) = match content {
        Content::Nothing => (Answer::empty(), None),
        Content::Json(json) => (Answer::text(json), Some("application/json")),
        Content::Text(text) => (Answer::text(text), Some("text/plain; charset=utf-8")),
    };
    let mut response = reply::own(status, body, request_id);
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if let (Some(aside), Some(form)) = (aside, &charter.endpoints.form) {
        for cookie in form.cookies(&aside) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

/// Renews with a refresh token, which is a secret like any other: an address that forges many is not heard for a while. One
/// that was good once costs nothing, as clients try theirs before they sign in again.
async fn renewed(
    charter: &Charter,
    visitor: &Visitor<'_>,
    renewal: impl Future<Output = Result<Reply, Refused>>,
) -> Result<Reply, Refused> {
    let guesses = charter.accounts.guesses();
    guesses.check_token(visitor.address, visitor.now).map_err(|RetryAfter(wait)| Refused::Forgeries(wait))?;
    let reply = renewal.await;
    if let Err(Refused::Refresh(RefreshRefusal::Token(error))) = &reply
        && error.is_forgery()
    {
        guesses.forged(visitor.address, visitor.now);
    }
    reply
}

fn visit<'a>(headers: &'a HeaderMap, visitor: &Visitor<'a>, request_id: &'a str) -> Visit<'a> {
    let Visitor { address, certificate, arrived_at, now, .. } = *visitor;
    let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    Visit { address, agent, certificate, request_id, arrived_at, now }
}

fn subject_of(caller: &Caller) -> Subject {
    match caller {
        Caller::User(user, _) => Subject::new(Arc::clone(&user.name)),
        Caller::Bearer(token) => token.subject.clone(),
        Caller::Client(client) => Subject::of_client(&client.id),
    }
}

impl From<Miss> for Refusal {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::NotFound => Self::NoEndpoint,
            Miss::Method(allow) => Self::MethodNotAllowed(allow),
        }
    }
}
