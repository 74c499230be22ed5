//! The `oauth` dialect: RFC 6749 (tokens), 7009 (revocation), 7662 (introspection), 8414 (metadata), 7517 (keys).
//!
//! Guarantees: shapes and names are those of the RFCs and no others; a parameter without a value is one that was not
//! sent, and one that was sent twice is not chosen from (RFC 6749 section 3.2).
//! Does not know: paths, how a client has proven itself, how refusals are worded.

mod discovery;
mod views;

use std::sync::Arc;

use http::StatusCode;

use crate::account::{Client, Credentials, Grant, Password};
use crate::token::{Policy, Presenter, Profile, Scopes};

use super::sessions::renewable;
use super::{Asked, Caller, Content, Fields, Refused, Reply, Request, Sessions, Visit};

pub use discovery::{Metadata, Places, keys};

/// An endpoint of this profile that clients use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Token,
    Revoke,
    Introspect,
}

/// What a client says of itself in the body (RFC 6749 section 2.3.1).
pub struct ClientFields<'a> {
    pub id: Option<&'a str>,
    pub secret: Option<Password>,
}

/// What is asked for at the token endpoint.
pub enum Demand<'a> {
    /// For the user behind these, once they are proven.
    Password {
        credentials: Credentials,
        scopes: Option<Scopes>,
    },
    ClientCredentials {
        scopes: Option<Scopes>,
    },
    Refresh {
        token: &'a str,
        scopes: Option<Scopes>,
    },
}

impl<'a> ClientFields<'a> {
    /// # Errors
    /// When one of them was sent twice.
    pub fn read(fields: &'a Fields<'_>) -> Result<Self, Refused> {
        let secret = fields.filled("client_secret")?.map(|secret| Password::new(secret.to_owned()));
        Ok(Self { id: fields.filled("client_id")?, secret })
    }
}

impl<'a> Demand<'a> {
    /// Reads what `client` asks for.
    ///
    /// # Errors
    /// When the grant is none, or not this client's, or lacks something.
    pub fn read(fields: &'a Fields<'_>, client: &Client, password_grant: bool) -> Result<Self, Refused> {
        let name = required(fields, "grant_type", "grant_type is missing")?;
        let grant = Grant::named(name).ok_or(Refused::UnknownGrant)?;
        if grant == Grant::Password && !password_grant {
            return Err(Refused::UnknownGrant);
        }
        if !client.may(grant) {
            return Err(Refused::GrantNotAllowed);
        }
        let scopes = scopes(fields)?;
        match grant {
            Grant::Password => {
                let name = required(fields, "username", "username is missing")?.to_owned();
                let password = Password::new(required(fields, "password", "password is missing")?.to_owned());
                Ok(Self::Password { credentials: Credentials { name, password }, scopes })
            }
            Grant::ClientCredentials => Ok(Self::ClientCredentials { scopes }),
            Grant::RefreshToken => {
                Ok(Self::Refresh { token: required(fields, "refresh_token", "refresh_token is missing")?, scopes })
            }
        }
    }
}

/// The token that revocation and introspection are about. The hint beside it is only that: both kinds are told apart by
/// what they are (RFC 7009 section 2.1).
///
/// # Errors
/// When there is none, or it or the hint was sent twice.
pub fn token<'a>(fields: &'a Fields<'_>) -> Result<&'a str, Refused> {
    fields.filled("token_type_hint")?;
    required(fields, "token", "token is missing")
}

/// Grants `password` and `client_credentials`: begins a session for `caller` by way of `client`.
///
/// # Errors
/// When nothing that is asked for may be granted, or the store cannot take it.
pub async fn begin(
    sessions: &Sessions,
    caller: Caller,
    client: Arc<Client>,
    scopes: Option<Scopes>,
    visit: Visit<'_>,
) -> Result<Reply, Refused> {
    let renewable = renewable(&caller, &client);
    let scopes = scopes.map_or(Asked::Everything, Asked::Among);
    let request = Request { scopes, ttl_secs: None, device: None, client: Some(client) };
    let pair = sessions.begin(Profile::Oauth, &caller, request, visit).await?;
    Reply::json(StatusCode::OK, &views::TokenView::new(&pair, renewable, visit.now))
}

/// Grant `refresh_token`.
///
/// # Errors
/// [`Refused::Refresh`] for every reason that lies with the token or its session.
pub async fn refresh(
    sessions: &Sessions,
    client: &Client,
    token: &str,
    scopes: Option<Scopes>,
    visit: Visit<'_>,
) -> Result<Reply, Refused> {
    let by = Presenter { client: Arc::clone(&client.id), scopes, refresh_ttl: client.refresh_ttl };
    let pair = sessions.renew(Profile::Oauth, token, Some(by), visit).await?;
    Reply::json(StatusCode::OK, &views::TokenView::new(&pair, true, visit.now))
}

/// RFC 7009: the session of the token ends. What is no token is as good as revoked.
///
/// # Errors
/// [`Refused::Foreign`] for a token of somebody else; [`Refused::Unwritten`] if nobody can say that the end outlives
/// this process.
pub async fn revoke(sessions: &Sessions, client: &Client, token: &str, visit: Visit<'_>) -> Result<Reply, Refused> {
    sessions.revoke(client, token, visit).await?;
    Ok(Reply { status: StatusCode::OK, content: Content::Nothing, aside: None })
}

/// RFC 7662: what a token is worth at this moment.
///
/// # Errors
/// None that a caller can cause.
pub fn introspect(
    sessions: &Sessions,
    client: &Client,
    token: &str,
    policy: &Policy,
    visit: Visit<'_>,
) -> Result<Reply, Refused> {
    match sessions.inspect(client, token, visit.now) {
        Some(inspected) => Reply::json(StatusCode::OK, &views::IntrospectionView::new(&inspected, policy)),
        None => Reply::json(StatusCode::OK, &views::Inactive::default()),
    }
}

fn required<'a>(fields: &'a Fields<'_>, name: &str, missing: &'static str) -> Result<&'a str, Refused> {
    fields.filled(name)?.ok_or(Refused::Body(missing))
}

/// RFC 6749 section 3.3: words of visible ASCII, a space between two.
fn scopes(fields: &Fields<'_>) -> Result<Option<Scopes>, Refused> {
    let Some(text) = fields.filled("scope")? else { return Ok(None) };
    let plain = |byte: u8| matches!(byte, b' ' | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if !text.bytes().all(plain) {
        return Err(Refused::MalformedScope);
    }
    Ok(Some(Scopes::new(text.split(' '))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn client(grants: &[Grant]) -> Client {
        Client {
            id: "app".into(),
            secret_hash: None,
            grants: grants.to_vec(),
            scopes: Scopes::new(["a:x"]),
            access_ttl: Duration::from_secs(60),
            refresh_ttl: Duration::from_secs(600),
        }
    }

    fn read(body: &str, grants: &[Grant], password_grant: bool) -> String {
        match Demand::read(&Fields::read(body.as_bytes()), &client(grants), password_grant) {
            Ok(Demand::Password { credentials, scopes }) => format!("password {} {scopes:?}", credentials.name),
            Ok(Demand::ClientCredentials { scopes }) => format!("client {scopes:?}"),
            Ok(Demand::Refresh { token, scopes }) => format!("refresh {token} {scopes:?}"),
            Err(Refused::Body(text)) => text.into(),
            Err(refused) => format!("{refused:?}"),
        }
    }

    #[track_caller]
    fn reads(body: &str, expected: &str) {
        assert_eq!(read(body, &Grant::ALL, true), expected, "{body}");
    }

    #[test]
    fn each_grant_is_read() {
        reads("grant_type=client_credentials", "client None");
        reads("grant_type=client_credentials&scope=", "client None");
        reads("grant_type=client_credentials&scope=b:y+a:x&more=1&more=2", "client Some(Scopes([\"b:y\", \"a:x\"]))");
        reads("grant_type=password&username=anna&password=p%26q", "password anna None");
        reads("grant_type=refresh_token&refresh_token=x&scope=a:x", "refresh x Some(Scopes([\"a:x\"]))");
    }

    #[test]
    fn what_is_missing_or_sent_twice_is_an_invalid_request() {
        reads("", "grant_type is missing");
        reads("grant_type=", "grant_type is missing");
        reads("grant_type=password&password=p", "username is missing");
        reads("grant_type=password&username=anna&password=", "password is missing");
        reads("grant_type=refresh_token", "refresh_token is missing");
        let twice = "A field was sent twice";
        reads("grant_type=password&grant_type=password", twice);
        reads("grant_type=client_credentials&scope=a&scope=a", twice);
        reads("grant_type=refresh_token&refresh_token=x&refresh_token=x", twice);
        for body in ["token=x&token=x", "token=x&token_type_hint=a&token_type_hint=a"] {
            assert!(matches!(token(&Fields::read(body.as_bytes())), Err(Refused::Body(text)) if text == twice));
        }
        assert!(matches!(token(&Fields::read(b"token=")), Err(Refused::Body("token is missing"))));
        assert!(ClientFields::read(&Fields::read(b"client_id=a&client_id=a")).is_err());
        assert!(ClientFields::read(&Fields::read(b"client_secret=a&client_secret=a")).is_err());
    }

    #[test]
    fn unknown_grants_and_those_of_others_are_told_apart() {
        for name in ["authorization_code", "Password", "urn:ietf:params:oauth:grant-type:jwt-bearer"] {
            reads(&format!("grant_type={name}"), "UnknownGrant");
        }
        let (password, refresh) = ("grant_type=password&username=a&password=b", "grant_type=refresh_token");
        assert_eq!(read(password, &Grant::ALL, false), "UnknownGrant", "switched off");
        assert_eq!(read(password, &[Grant::ClientCredentials], true), "GrantNotAllowed");
        assert_eq!(read(refresh, &[Grant::ClientCredentials], true), "GrantNotAllowed");
    }

    #[test]
    fn scopes_are_words_of_visible_ascii() {
        for scope in ["a%22b", "a%5Cb", "%C3%A4", "a%09b", "a%0Ab"] {
            reads(&format!("grant_type=client_credentials&scope={scope}"), "MalformedScope");
        }
    }

    #[test]
    fn an_empty_secret_is_none() {
        let body = Fields::read(b"client_id=app&client_secret=");
        let said = ClientFields::read(&body).unwrap();
        assert!(said.id == Some("app") && said.secret.is_none());
    }
}
