//! The endpoints of the `oauth` dialect: which one a path is, which client asks, and the answer.
//!
//! Guarantees: a client proves itself before anything is done for it, in one way and not in two (RFC 6749 section 2.3);
//! what a client may be told about tokens it is told only if it has a secret.
//! Does not know: what the parameters mean, how refusals are worded.

use std::sync::Arc;

use http::header::HeaderMap;
use http::{Method, Request};
use hyper::body::Incoming;
use zeroize::Zeroizing;

use crate::account::{Client, Password, SignInError};
use crate::profile::oauth::{self, Call, ClientFields, Demand, Metadata};
use crate::profile::{Caller, Fields, Refused, Reply};

use super::super::judge::{Presented, sign_in_refusal};
use super::super::mapping::strip_prefix_loosely;
use super::super::{Charter, Refusal, Visitor, body};
use super::{renewed, visit};

/// Where the public keys lie.
pub const KEYS: &str = "/.well-known/jwks.json";
/// Where RFC 8414 section 3 has the metadata.
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// Where this dialect's endpoints lie, and what it offers there.
pub struct OauthPaths {
    pub token: String,
    pub revoke: String,
    pub introspect: String,
    pub password_grant: bool,
    /// `None`: there is none, and its path is a path like any other.
    pub metadata: Option<Metadata>,
}

/// What lies at or under a path of this dialect.
#[derive(Clone, Copy)]
pub(in crate::gateway) enum Place {
    At(Call),
    Keys,
    Metadata,
    /// Nothing, and not to be forwarded either.
    Beneath,
}

impl OauthPaths {
    pub(super) fn find(&self, path: &str) -> Option<Place> {
        let places = [
            (&*self.token, Place::At(Call::Token)),
            (&self.revoke, Place::At(Call::Revoke)),
            (&self.introspect, Place::At(Call::Introspect)),
            (KEYS, Place::Keys),
            (METADATA, Place::Metadata),
        ];
        let spoken = places.iter().filter(|(_, place)| self.metadata.is_some() || !matches!(place, Place::Metadata));
        let (rest, place) =
            spoken.into_iter().find_map(|(own, place)| Some((strip_prefix_loosely(path, own)?, *place)))?;
        Some(if rest.trim_matches('/').is_empty() { place } else { Place::Beneath })
    }
}

impl Place {
    /// Whether a gate that only follows another one can answer: nothing here depends on a session.
    pub(super) fn is_public_knowledge(self) -> bool {
        matches!(self, Self::Keys | Self::Metadata)
    }
}

pub(super) async fn answer(
    charter: &Charter,
    paths: &OauthPaths,
    request: Box<Request<Incoming>>,
    place: Place,
    visitor: &Visitor<'_>,
    request_id: &str,
) -> Result<Reply, Refusal> {
    let call = match place {
        Place::At(call) => call,
        Place::Beneath => return Err(Refusal::NoEndpoint),
        Place::Keys | Place::Metadata if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            return Err(Refusal::MethodNotAllowed("GET, HEAD"));
        }
        Place::Keys => return oauth::keys(&charter.keys.ring()).map_err(Refusal::Profile),
        Place::Metadata => return paths.metadata.as_ref().map(Metadata::reply).ok_or(Refusal::NoEndpoint),
    };
    if *request.method() != Method::POST {
        return Err(Refusal::MethodNotAllowed("POST"));
    }
    let (parts, incoming) = request.into_parts();
    let visit = visit(&parts.headers, visitor, request_id);
    if !body::is_form(&parts.headers) {
        return Err(Refusal::Profile(Refused::Body("Expected form-encoded data")));
    }
    let body = body::read(incoming, charter.bounds.body_bytes, charter.bounds.body_timeout).await?;
    let fields = Fields::read(&body);
    let client = authenticate(charter, &parts.headers, &fields, visitor).await?;
    let (sessions, policy) = (&charter.sessions, &charter.policy);
    let reply = match call {
        Call::Token => {
            let demand = Demand::read(&fields, &client, paths.password_grant).map_err(Refusal::Profile)?;
            match demand {
                Demand::Refresh { token, scopes } => {
                    renewed(charter, visitor, oauth::refresh(sessions, &client, token, scopes, visit)).await
                }
                Demand::ClientCredentials { scopes } => {
                    oauth::begin(sessions, Caller::Client(Arc::clone(&client)), client, scopes, visit).await
                }
                Demand::Password { credentials, scopes } => {
                    let credentials = charter.accounts.within(visitor.realm, credentials);
                    let signed_in = charter.accounts.sign_in(&credentials, visitor.address, visitor.now).await;
                    let user = signed_in.map_err(|error| match error {
                        SignInError::Wrong => Refusal::Profile(Refused::WrongPassword),
                        error => sign_in_refusal(error),
                    })?;
                    oauth::begin(sessions, Caller::User(user, credentials.password), client, scopes, visit).await
                }
            }
        }
        Call::Revoke => match oauth::token(&fields) {
            Ok(token) => oauth::revoke(sessions, &client, token, visit).await,
            Err(refused) => Err(refused),
        },
        // An id alone proves nothing, and whoever asks here learns about tokens of everybody (RFC 7662 section 2.1).
        Call::Introspect if client.is_public() => return Err(Refusal::WrongCredentials),
        Call::Introspect => {
            oauth::token(&fields).and_then(|token| oauth::introspect(sessions, &client, token, policy, visit))
        }
    };
    reply.map_err(Refusal::Profile)
}

/// The client that asks (RFC 6749 section 2.3.1): by Basic, or by what stands in the body.
async fn authenticate(
    charter: &Charter,
    headers: &HeaderMap,
    fields: &Fields<'_>,
    visitor: &Visitor<'_>,
) -> Result<Arc<Client>, Refusal> {
    let said = ClientFields::read(fields).map_err(Refusal::Profile)?;
    let (id, secrets) = match (Presented::read(headers), said) {
        (Ok(Presented::Basic(_)), ClientFields { secret: Some(_), .. }) => return Err(two_ways()),
        (Ok(Presented::Basic(credentials)), ClientFields { id, secret: None }) => {
            let name = decoded(&credentials.name);
            if id.is_some_and(|id| id != *name) {
                return Err(two_ways());
            }
            (name.to_string(), readings(credentials.password))
        }
        (Err(Refusal::NoCredentials), ClientFields { id: Some(id), secret }) => {
            (id.to_owned(), secret.into_iter().collect())
        }
        (Ok(Presented::Bearer(_)), _) => return Err(Refusal::UnknownScheme),
        (Err(refusal), _) => return Err(refusal),
    };
    let client = charter.accounts.authenticate(&id, &secrets, visitor.address, visitor.now).await;
    client.map_err(sign_in_refusal)
}

fn two_ways() -> Refusal {
    Refusal::Profile(Refused::Body("More than one way of client authentication"))
}

/// What a secret inside Basic may be: what RFC 6749 section 2.3.1 says, or, as many programs leave the encoding out, what
/// is written there. An id needs no second reading: none has anything in it that is encoded.
fn readings(written: Password) -> Vec<Password> {
    let decoded = decoded(written.as_str());
    match written.as_str() {
        "" => Vec::new(),
        text if text == *decoded => vec![written],
        _ => vec![Password::new(decoded.to_string()), written],
    }
}

/// Undoes the encoding that id and secret have inside Basic, so that they can hold a colon and be any text.
fn decoded(text: &str) -> Zeroizing<String> {
    // Only a whole form can be parsed. What would end this one's only value stands for itself where it is not encoded.
    let form = Zeroizing::new(format!("v={}", text.replace('&', "%26")));
    let value = form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned());
    Zeroizing::new(value.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use crate::profile::oauth::Places;
    use crate::token::Scopes;

    use super::*;

    fn paths(metadata: bool) -> OauthPaths {
        let places = Places { issuer: "https://a", token: "/t", revoke: "/r", introspect: "/i", keys: KEYS };
        OauthPaths {
            token: "/oauth/token".into(),
            revoke: "/oauth/revoke".into(),
            introspect: "/oauth/introspect".into(),
            password_grant: false,
            metadata: metadata.then(|| Metadata::new(places, false, false, &Scopes::default())),
        }
    }

    #[track_caller]
    fn finds(path: &str, expected: &str) {
        let found = match paths(true).find(path) {
            Some(Place::At(call)) => format!("{call:?}"),
            Some(Place::Keys) => "keys".into(),
            Some(Place::Metadata) => "metadata".into(),
            Some(Place::Beneath) => "beneath".into(),
            None => "none".into(),
        };
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn endpoints_are_found_in_any_case_and_nothing_beneath_them_is_the_upstreams() {
        for path in ["/oauth/token", "/OAuth/Token/"] {
            finds(path, "Token");
        }
        finds("/oauth/revoke", "Revoke");
        finds("/oauth/introspect", "Introspect");
        finds("/.well-known/jwks.json", "keys");
        finds("/.well-known/oauth-authorization-server", "metadata");
        finds("/.well-known/oauth-authorization-server/tenant", "beneath");
        finds("/oauth/token/x", "beneath");
        for path in ["/", "/oauth", "/oauth/tokens", "/token", "/.well-known/openid-configuration"] {
            finds(path, "none");
        }
        assert!(paths(false).find("/.well-known/oauth-authorization-server").is_none());
    }

    #[test]
    fn a_secret_has_a_second_reading_only_where_decoding_changes_it() {
        for (text, expected) in [
            ("", &[][..]),
            ("plain-&=:/", &["plain-&=:/"]),
            ("a+b", &["a b", "a+b"]),
            ("%2B", &["+", "%2B"]),
            ("100%", &["100%"]),
        ] {
            let secrets = readings(Password::new(text.to_owned()));
            assert_eq!(secrets.iter().map(Password::as_str).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn what_stands_in_basic_is_decoded_once() {
        for (text, expected) in [
            ("plain-._~id", "plain-._~id"),
            ("a%3Ab+c%25", "a:b c%"),
            ("a%2526", "a%26"),
            ("a&b=c=d", "a&b=c=d"),
            ("%C3%A4", "\u{e4}"),
            ("100%", "100%"),
            ("", ""),
        ] {
            assert_eq!(*decoded(text), expected, "{text}");
        }
    }
}
