//! Refresh tokens without a form that a client could read anything into (seed Z13): what the browser and OAuth dialects
//! hand out.
//!
//! Guarantees: as for the other form, authenticity needs no state and the key is shared with nobody; a token has one
//! spelling; it holds 256 bits that nobody can guess.
//! Does not know: whether the session still exists. The store does.
//!
//! Body: version (1 byte), session (12), generation (4), issued at and expires at (8 each, seconds), and from version 2 on
//! a sealed password; as base64url without padding, with the refresh key's signature behind it. All numbers are big-endian.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::keys::{KeyRing, SigningKey};

use super::envelope::MintError;
use super::{Refreshing, Sealed, Session, SessionId, Timestamp, TokenError, TokenId, TokenKind};

const VERSION: u8 = 1;
/// With a sealed password behind the rest.
const SEALED_VERSION: u8 = 2;
const BODY: usize = 1 + SessionId::BYTES + 4 + 8 + 8;
/// Of HMAC-SHA256, as base64url.
const SIGNATURE_TEXT: usize = 43;
/// Room for any sealed password.
const LONGEST_BODY_TEXT: usize = 2048;
/// What is signed begins with this, so that it can never be the beginning of a JWT, which the same key signs.
const PURPOSE: &[u8] = b"\0portcullis opaque refresh token\0";

/// The refresh token of the session's current generation.
///
/// # Errors
/// When the key cannot sign; see [`MintError`].
pub fn mint(session: &Session, key: &SigningKey, sealed: Option<&Sealed>) -> Result<String, MintError> {
    let sealed = sealed.map_or(&[][..], Sealed::as_bytes);
    let mut body = Vec::with_capacity(BODY + sealed.len());
    body.push(if sealed.is_empty() { VERSION } else { SEALED_VERSION });
    body.extend(session.id.as_bytes());
    body.extend(session.generation.to_be_bytes());
    body.extend(session.rotated_at.as_secs().to_be_bytes());
    body.extend(session.idle_expires_at.as_secs().to_be_bytes());
    body.extend_from_slice(sealed);
    let signature = key.sign_refresh(&message(&body))?;
    Ok(URL_SAFE_NO_PAD.encode(body) + &signature)
}

/// Judges a text presented as an opaque refresh token and names the session and generation it stands for.
///
/// # Errors
/// The first check that failed.
pub fn verify(token: &str, ring: &KeyRing, now: Timestamp) -> Result<Refreshing, TokenError> {
    let end = token.len().checked_sub(SIGNATURE_TEXT).filter(|end| *end <= LONGEST_BODY_TEXT);
    let (body, signature) = end.and_then(|end| token.split_at_checked(end)).ok_or(TokenError::Malformed)?;
    let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError::Malformed)?;
    let (fixed, sealed) = bytes.split_first_chunk::<BODY>().ok_or(TokenError::Malformed)?;
    let sealed = match (fixed[0], sealed) {
        (VERSION, []) => None,
        (SEALED_VERSION, sealed) => Some(Sealed::from_bytes(sealed).ok_or(TokenError::Malformed)?),
        _ => return Err(TokenError::Malformed),
    };
    // A ring holds a few keys, and a name of one in the token would be the only thing in it that a client could read.
    let message = message(&bytes);
    if !ring.iter().any(|(key, _)| key.verify_refresh(&message, signature)) {
        return Err(TokenError::Signature);
    }
    let mut rest = &fixed[1..];
    let session = SessionId::from_bytes(take(&mut rest));
    let generation = u32::from_be_bytes(take(&mut rest));
    let [issued_at, expires_at] = [take(&mut rest), take(&mut rest)].map(u64::from_be_bytes).map(Timestamp::from_secs);
    if now >= expires_at {
        return Err(TokenError::Expired);
    }
    Ok(Refreshing { id: TokenId { session, generation, kind: TokenKind::Refresh }, issued_at, sealed })
}

fn message(body: &[u8]) -> Vec<u8> {
    [PURPOSE, body].concat()
}

/// The next field. The body has room for all of them.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let mut field = [0; N];
    if let Some((start, behind)) = rest.split_at_checked(N) {
        field.copy_from_slice(start);
        *rest = behind;
    }
    field
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::Algorithm;
    use crate::token::Profile;
    use crate::token::tests::{T0, policy, session};

    fn ring() -> KeyRing {
        KeyRing::in_memory(Algorithm::HS256).unwrap()
    }

    fn token(ring: &KeyRing) -> String {
        let mut session = session(7, "anna", T0, &policy());
        (session.generation, session.profile) = (3, Profile::Form);
        mint(&session, ring.current(), None).unwrap()
    }

    #[test]
    fn what_was_minted_is_read_until_it_expires() {
        let ring = ring();
        let token = token(&ring);
        let session = session(7, "anna", T0, &policy()).id;
        let id = TokenId { session, generation: 3, kind: TokenKind::Refresh };
        let end = T0 + policy().smsgate.refresh_ttl;
        assert_eq!(verify(&token, &ring, T0).unwrap(), Refreshing { id, issued_at: T0, sealed: None });
        assert!(matches!(verify(&token, &ring, end), Err(TokenError::Expired)));
    }

    #[test]
    fn it_tells_nothing_and_fits_a_form_and_a_cookie() {
        let token = token(&ring());
        assert_eq!(token.len(), 87);
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert!(!token.contains("anna"));
    }

    #[test]
    fn every_other_spelling_and_every_changed_character_is_refused() {
        let ring = ring();
        let token = token(&ring);
        for other in [format!("{token}="), format!("{token}A"), format!(" {token}"), token[1..].into(), String::new()] {
            assert!(verify(&other, &ring, T0).is_err(), "{other}");
        }
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(verify(str::from_utf8(&changed).unwrap(), &ring, T0).is_err(), "{at}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_token_by_chance_and_none_panics(text in "\\PC{0,120}") {
            prop_assert!(verify(&text, &ring(), T0).is_err());
        }
    }
}
