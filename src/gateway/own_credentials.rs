//! The user's own name and password on their way to the upstream, and what happens when it takes them no more.
//!
//! Guarantees: what a token has sealed is opened in memory, for forwarding alone, and put into one header; a session ends
//! only if the upstream says twice, of the call and of the check, that its password is wrong.
//! Does not know: how passwords are sealed, connections.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use tracing::info;

use crate::account::{Credentials, Password, basic};
use crate::profile::Visit;
use crate::token::Verified;

use super::handling::Handing;
use super::verified::{Admitted, Token};
use super::{Charter, Refusal, Visitor};

/// Puts into `headers` what the upstream gets on behalf of a token. Returns whether that is what the token had sealed.
///
/// # Errors
/// When it should have and has not.
pub(super) fn dress(
    charter: &Charter,
    handing: &Handing,
    admitted: &Admitted,
    headers: &mut HeaderMap,
) -> Result<bool, Refusal> {
    match (handing, &admitted.token) {
        (Handing::Token, _) => {}
        (Handing::Account(value), _) => {
            headers.insert(AUTHORIZATION, value.clone());
        }
        (Handing::Own, Token::Own { verified, .. }) if verified.subject.client().is_none() => {
            let value = match admitted.own.get() {
                Some(value) => value,
                None => {
                    let opened = open(charter, verified).ok_or(Refusal::NothingSealed)?;
                    // Once for as long as the token is remembered: no call has to open anything.
                    admitted.own.get_or_init(|| opened)
                }
            };
            headers.insert(AUTHORIZATION, value.clone());
            return Ok(true);
        }
        // Clients and the users of other issuers have no password.
        (Handing::Nothing | Handing::Own, _) => {
            headers.remove(AUTHORIZATION);
        }
    }
    Ok(false)
}

/// The same on behalf of name and password.
pub(super) fn dress_basic(charter: &Charter, handing: &Handing, credentials: &Credentials, headers: &mut HeaderMap) {
    let value = match handing {
        Handing::Account(value) => value.clone(),
        Handing::Own => basic(charter.accounts.name_of(&credentials.name), credentials.password.as_bytes()),
        // A password is no token.
        Handing::Nothing | Handing::Token => {
            headers.remove(AUTHORIZATION);
            return;
        }
    };
    headers.insert(AUTHORIZATION, value);
}

fn open(charter: &Charter, verified: &Verified) -> Option<HeaderValue> {
    let password = open_password(charter, verified)?;
    Some(basic(charter.accounts.name_of(verified.subject.as_str()), password.as_bytes()))
}

fn open_password(charter: &Charter, verified: &Verified) -> Option<Password> {
    let (sealing, sealed) = (charter.sealing.as_ref()?, verified.sealed.as_ref()?);
    let bytes = sealing.open(sealed, verified.session(), &verified.subject)?;
    // What was sealed was text.
    str::from_utf8(&bytes).ok().map(|text| Password::new(text.to_owned()))
}

/// The upstream has refused a call with what the token had sealed: if the check says the same, the session is over.
///
/// # Errors
/// [`Refusal::UpstreamCredentials`] then; else the upstream's own answer stands.
pub(super) async fn refused_by_upstream(
    charter: &Charter,
    admitted: &Admitted,
    visitor: &Visitor<'_>,
    request_id: &HeaderValue,
) -> Result<(), Refusal> {
    let Token::Own { verified, .. } = &admitted.token else { return Ok(()) };
    let Some(password) = open_password(charter, verified) else { return Ok(()) };
    let credentials = Credentials { name: verified.subject.as_str().to_owned(), password };
    let stands = || charter.store.find(verified.session()).is_some();
    if charter.accounts.still_right(&credentials, &|| charter.clock.now(), &stands).await != Some(false) {
        return Ok(());
    }
    let Visitor { address, certificate, arrived_at, .. } = *visitor;
    let request_id = request_id.to_str().unwrap_or_default();
    let visit = Visit { address, agent: None, certificate, request_id, arrived_at, now: charter.clock.now() };
    info!(
        event = "upstream_credentials_rejected",
        request_id,
        user = verified.subject.as_str(),
        session = %verified.session(),
        "the upstream takes the password of this session no more: it ends"
    );
    // Where it cannot be written down the end holds in memory; on a replica it is the primary's to make, and the next
    // call that the upstream refuses asks again.
    let _ = charter.sessions.end(&verified.subject, verified.session(), visit).await;
    Err(Refusal::UpstreamCredentials)
}
