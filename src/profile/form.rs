//! The `form` dialect: form bodies in, camelCase JSON or one line of text out, opaque refresh tokens (seed Z1 to Z13).
//!
//! Guarantees: the texts are those of the guide, which shows them to people; a field that was sent twice is not chosen
//! from.
//! Does not know: paths, how refusals are worded, whether a password is right.

use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::account::{Credentials, Password};
use crate::token::{Device, Pair, Profile, Timestamp};

use super::device::check;
use super::{Aside, Asked, Caller, Content, Fields, Refused, Reply, Request, Sessions, Visit};

/// An endpoint of this profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Login,
    Refresh,
    Logout,
}

/// How a refresh token travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Body,
    /// Beside the body, which never holds it.
    Aside,
}

/// Whom a login names, and on what device.
pub struct Login {
    pub credentials: Credentials,
    pub device: Option<Device>,
}

impl Fields<'_> {
    /// `POST /login`: who signs in.
    ///
    /// # Errors
    /// [`Refused::Body`] with the guide's words.
    pub fn login(&self) -> Result<Login, Refused> {
        let name = self.one("username", "Missing username")?.to_owned();
        let password = Password::new(self.one("password", "Missing password")?.to_owned());
        let text = |name| Ok::<_, Refused>(self.filled(name)?.map(str::to_owned));
        let device = Device { id: text("deviceId")?, name: text("deviceName")? };
        let device = (device.id.is_some() || device.name.is_some()).then_some(device);
        check(device.as_ref())?;
        Ok(Login { credentials: Credentials { name, password }, device })
    }

    /// `POST /refresh` and `POST /logout`: the token.
    ///
    /// # Errors
    /// [`Refused::Body`] with the guide's words.
    pub fn refresh_token(&self) -> Result<&str, Refused> {
        self.one("refreshToken", "Missing refreshToken")
    }

    /// Whether there is any token.
    pub fn has_refresh_token(&self) -> bool {
        self.has("refreshToken")
    }
}

/// `POST /login`, once it is proven who that is: all that the user may have.
///
/// # Errors
/// When the store cannot take the session.
pub async fn login(
    sessions: &Sessions,
    caller: &Caller,
    device: Option<Device>,
    carrier: Carrier,
    visit: Visit<'_>,
) -> Result<Reply, Refused> {
    let request = Request { scopes: Asked::Everything, ttl_secs: None, device, client: None };
    let pair = sessions.begin(Profile::Form, caller, request, visit).await?;
    reply(pair, carrier, visit.now)
}

/// `POST /refresh`.
///
/// # Errors
/// [`Refused::Refresh`] for every reason that lies with the token or its session.
pub async fn refresh(sessions: &Sessions, token: &str, carrier: Carrier, visit: Visit<'_>) -> Result<Reply, Refused> {
    let pair = sessions.renew(Profile::Form, token, None, visit).await?;
    reply(pair, carrier, visit.now)
}

/// `POST /logout`: the session ends, and its access tokens with it. Idempotent, and silent about what is no token.
///
/// # Errors
/// [`Refused::Unwritten`] if nobody can say that the end outlives this process.
pub async fn logout(sessions: &Sessions, token: &str, carrier: Carrier, visit: Visit<'_>) -> Result<Reply, Refused> {
    sessions.leave(Profile::Form, token, visit).await?;
    let aside = (carrier == Carrier::Aside).then_some(Aside::Forget);
    Ok(Reply { status: StatusCode::OK, content: Content::Text("Logged out successfully"), aside })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PairView<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    token_type: &'static str,
    expires_in: u64,
}

fn reply(pair: Pair, carrier: Carrier, now: Timestamp) -> Result<Reply, Refused> {
    let left = |until: Timestamp| until.as_secs().saturating_sub(now.as_secs());
    let view = PairView {
        access_token: &pair.access_token,
        refresh_token: (carrier == Carrier::Body).then_some(&pair.refresh_token),
        token_type: "Bearer",
        expires_in: left(pair.expires_at),
    };
    let reply = Reply::json(StatusCode::OK, &view)?;
    let max_age = Duration::from_secs(left(pair.refresh_expires_at));
    let aside = || Aside::Keep { token: Zeroizing::new(pair.refresh_token), max_age };
    Ok(Reply { aside: (carrier == Carrier::Aside).then(aside), ..reply })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn login_refused(body: &str, expected: &str) {
        match Fields::read(body.as_bytes()).login() {
            Err(Refused::Body(text)) => assert_eq!(text, expected, "{body}"),
            _ => panic!("{body} was taken"),
        }
    }

    #[test]
    fn a_login_names_a_user_a_password_and_perhaps_a_device() {
        let login = Fields::read(b"username=an+na&password=a%26b%3D%C3%BC&deviceId=d1&deviceName=").login().unwrap();
        assert_eq!(
            (login.credentials.name.as_str(), login.credentials.password.as_bytes()),
            ("an na", "a&b=\u{fc}".as_bytes())
        );
        assert_eq!(login.device, Some(Device { id: Some("d1".into()), name: None }));
        assert_eq!(Fields::read(b"username=a&password=b&deviceId=").login().unwrap().device, None);
    }

    #[test]
    fn what_is_missing_is_named_in_the_words_of_the_guide() {
        login_refused("", "Missing username");
        login_refused("password=b", "Missing username");
        login_refused("username=a", "Missing password");
        login_refused("Username=a&password=b", "Missing username");
        assert!(matches!(Fields::read(b"refresh_token=x").refresh_token(), Err(Refused::Body("Missing refreshToken"))));
    }

    #[test]
    fn nothing_is_chosen_from_two() {
        login_refused("username=a&username=b&password=c", "A field was sent twice");
        login_refused("username=a&password=b&password=b", "A field was sent twice");
    }

    #[test]
    fn a_device_is_short_and_plain() {
        let text = "device id and name must be short texts without control characters";
        login_refused("username=a&password=b&deviceName=%00", text);
        login_refused(&format!("username=a&password=b&deviceId={}", "x".repeat(129)), text);
    }
}
