//! The `smsgate` dialect: JSON, `Authorization` headers, both spellings of every field.
//!
//! Guarantees: answers satisfy the API's own documentation and all of the vendor's clients (two of five read camelCase,
//! the others snake_case); a trailing slash and any ASCII case of the path are the same endpoint.
//! Does not know: how callers prove themselves, how refusals are worded.

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::token::{Device, Pair, Profile, Scopes, Timestamp, TokenId};

use super::device::check;
use super::time::rfc3339;
use super::{Asked, Caller, Miss, Refused, Reply, Request, Sessions, Visit};

const SHAPE: &str = "the body must be a JSON object with \"scopes\", a list of strings, and optionally \"ttl\", whole \
                     seconds, and \"device\"";

/// An endpoint of this profile, from method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Issue,
    Refresh,
    /// Ends the session that a `jti` belongs to. `None`: not an id of ours, which ends nothing.
    Revoke(Option<TokenId>),
}

impl Call {
    /// The call that `method` and `rest`, the path behind `{prefix}/auth`, name.
    ///
    /// # Errors
    /// [`Miss`] if there is none: such a path is never forwarded.
    pub fn parse(method: &Method, rest: &str) -> Result<Self, Miss> {
        let mut segments = rest.trim_start_matches('/').splitn(4, '/').filter(|segment| !segment.is_empty());
        let (first, second, more) = (segments.next().unwrap_or_default(), segments.next(), segments.next());
        let is = |segment: &str, name: &str| segment.eq_ignore_ascii_case(name);
        let only = |wanted: Method, allow: &'static str, call: Self| {
            if *method == wanted { Ok(call) } else { Err(Miss::Method(allow)) }
        };
        match (first, second) {
            _ if more.is_some() => Err(Miss::NotFound),
            (token, None) if is(token, "token") => only(Method::POST, "POST", Self::Issue),
            (token, Some(refresh)) if is(token, "token") && is(refresh, "refresh") => {
                only(Method::POST, "POST", Self::Refresh)
            }
            (token, Some(id)) if is(token, "token") => only(Method::DELETE, "DELETE", Self::Revoke(id.parse().ok())),
            _ => Err(Miss::NotFound),
        }
    }
}

#[derive(Deserialize)]
struct IssueBody {
    /// Wide enough for any number of seconds that a client may think of: what is too long is capped, not refused.
    #[serde(default)]
    ttl: Option<i128>,
    #[serde(default)]
    scopes: Scopes,
    #[serde(default)]
    device: Option<Device>,
}

/// `POST {prefix}/auth/token`.
///
/// # Errors
/// When the body is not what it must be, or the grant is refused.
pub async fn issue(sessions: &Sessions, caller: &Caller, body: &[u8], visit: Visit<'_>) -> Result<Reply, Refused> {
    let request = parse_issue(body)?;
    let pair = sessions.begin(Profile::Smsgate, caller, request, visit).await?;
    pair_reply(StatusCode::CREATED, &pair, visit.now)
}

/// `POST {prefix}/auth/token/refresh`. Whatever the body says is ignored: clients send none, `{}` or anything.
///
/// # Errors
/// [`Refused::Refresh`] for every reason that lies with the token or its session.
pub async fn refresh(sessions: &Sessions, token: &str, visit: Visit<'_>) -> Result<Reply, Refused> {
    let pair = sessions.renew(Profile::Smsgate, token, None, visit).await?;
    pair_reply(StatusCode::OK, &pair, visit.now)
}

fn parse_issue(body: &[u8]) -> Result<Request, Refused> {
    let body: IssueBody = Some(body)
        // serde would take an array for a struct.
        .filter(|body| body.trim_ascii_start().starts_with(b"{"))
        .and_then(|body| serde_json::from_slice(body).ok())
        .ok_or(Refused::Body(SHAPE))?;
    if body.ttl.is_some_and(i128::is_negative) {
        return Err(Refused::Body("ttl must not be negative"));
    }
    let ttl_secs = body.ttl.map(|secs| u64::try_from(secs).unwrap_or(u64::MAX));
    check(body.device.as_ref())?;
    Ok(Request { scopes: Asked::These(body.scopes), ttl_secs, device: body.device, client: None })
}

#[derive(Serialize)]
struct PairView<'a> {
    id: String,
    token_type: &'static str,
    access_token: &'a str,
    refresh_token: &'a str,
    expires_at: String,
    expires_in: u64,
    scopes: &'a Scopes,
    #[serde(rename = "tokenType")]
    token_type_camel: &'static str,
    #[serde(rename = "accessToken")]
    access_token_camel: &'a str,
    #[serde(rename = "refreshToken")]
    refresh_token_camel: &'a str,
    #[serde(rename = "expiresAt")]
    expires_at_camel: String,
    #[serde(rename = "expiresIn")]
    expires_in_camel: u64,
}

fn pair_reply(status: StatusCode, pair: &Pair, now: Timestamp) -> Result<Reply, Refused> {
    let expires_at = rfc3339(pair.expires_at);
    let expires_in = pair.expires_at.as_secs().saturating_sub(now.as_secs());
    let view = PairView {
        id: pair.id.to_string(),
        token_type: "Bearer",
        access_token: &pair.access_token,
        refresh_token: &pair.refresh_token,
        expires_at: expires_at.clone(),
        expires_in,
        scopes: &pair.scopes,
        token_type_camel: "Bearer",
        access_token_camel: &pair.access_token,
        refresh_token_camel: &pair.refresh_token,
        expires_at_camel: expires_at,
        expires_in_camel: expires_in,
    };
    Reply::json(status, &view)
}

#[cfg(test)]
mod tests {
    use crate::token::SessionId;

    use super::super::device::MAX_DEVICE_TEXT;
    use super::*;

    #[track_caller]
    fn call(method: Method, rest: &str, expected: Result<Call, Miss>) {
        assert_eq!(Call::parse(&method, rest), expected, "{method} {rest}");
    }

    #[test]
    fn endpoints_are_found_in_any_case_and_with_a_trailing_slash() {
        call(Method::POST, "/token", Ok(Call::Issue));
        call(Method::POST, "/token/", Ok(Call::Issue));
        call(Method::POST, "/Token/REFRESH/", Ok(Call::Refresh));
        call(Method::DELETE, "/token/garbage", Ok(Call::Revoke(None)));
        let id =
            TokenId { session: SessionId::from_bytes([7; 12]), generation: 3, kind: crate::token::TokenKind::Access };
        call(Method::DELETE, &format!("/token/{id}"), Ok(Call::Revoke(Some(id))));
    }

    #[test]
    fn what_is_no_endpoint_is_said_so() {
        call(Method::GET, "/token", Err(Miss::Method("POST")));
        call(Method::GET, "", Err(Miss::NotFound));
        call(Method::POST, "/tokens", Err(Miss::NotFound));
        call(Method::POST, "/token/refresh/x", Err(Miss::NotFound));
        call(Method::DELETE, "/token/x/y/z", Err(Miss::NotFound));
    }

    #[track_caller]
    fn body_refused(body: &str) {
        assert!(matches!(parse_issue(body.as_bytes()), Err(Refused::Body(_))), "{body}");
    }

    #[test]
    fn a_body_of_the_wrong_shape_is_refused() {
        for body in [
            "",
            "[]",
            "1",
            "{",
            "{\"ttl\":-1,\"scopes\":[]}",
            "{\"ttl\":1.5}",
            "{\"ttl\":\"60\"}",
            "{\"scopes\":\"a:b\"}",
            "{\"scopes\":[1]}",
            "{\"device\":{\"id\":\"a\\u0000\"}}",
            "\u{feff}{}",
        ] {
            body_refused(body);
        }
        body_refused(&format!("{{\"device\":{{\"name\":\"{}\"}}}}", "x".repeat(MAX_DEVICE_TEXT + 1)));
    }
}
