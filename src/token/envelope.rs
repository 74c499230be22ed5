//! The compact JWS form (RFC 7515): three segments, a strict header, a signature by the key that the header names.
//!
//! Guarantees: nothing of the payload is believed before the signature has been checked over the exact bytes received
//! (RFC 8725 section 3.3); the algorithm belongs to the key, never to the token; only header members that this gateway
//! writes are accepted, so `crit`, `b64`, `jwk`, `jku`, `x5u` and their kin are refused by one rule; base64url has one
//! spelling.
//! Does not know: what the claims mean.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::keys::{self, Algorithm, KeyRing, SigningKey};

use super::TokenError;

/// `typ` of refresh tokens. They are authenticated by a key of their own as well: two fences against one kind being
/// presented as the other (RFC 8725 sections 3.11 and 3.12).
pub(super) const REFRESH_TYPE: &str = "rt+jwt";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// A token text cut into its parts. Nothing in it is authentic yet.
pub(crate) struct Envelope<'a> {
    /// What the signature covers: header and payload as received.
    message: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Envelope<'a> {
    pub(crate) fn open(token: &'a str, max_bytes: usize) -> Result<Self, TokenError> {
        if token.len() > max_bytes {
            return Err(TokenError::TooLong);
        }
        let mut dots = memchr::memchr_iter(b'.', token.as_bytes());
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(TokenError::Malformed);
        };
        // A dot is one byte, so that these cuts fall between characters.
        let (header, payload) = (&token[..first], &token[first + 1..second]);
        Ok(Self { message: &token[..second], header, payload, signature: &token[second + 1..] })
    }

    /// The key and type that the header names, once the header is one that this gateway could have written.
    pub(super) fn header<'r>(&self, ring: &'r KeyRing) -> Result<(&'r Arc<SigningKey>, Cow<'static, str>), TokenError> {
        // Nearly every token begins with the very text that we write: then there is nothing to decode.
        if let Some((key, typ)) = ring.find_by_header(self.header) {
            return Ok((key, typ.into()));
        }
        let header = decoded(self.header)?;
        let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| TokenError::Header)?;
        let key = ring.find(header.kid).ok_or(TokenError::UnknownKey)?;
        let algorithm = if header.typ == REFRESH_TYPE { "HS256" } else { key.algorithm().as_str() };
        if header.alg != algorithm {
            return Err(TokenError::Algorithm);
        }
        Ok((key, header.typ.to_owned().into()))
    }

    /// The header as JSON, for those who know other headers than ours.
    pub(crate) fn header_text(&self) -> Result<Vec<u8>, TokenError> {
        decoded(self.header)
    }

    /// The payload as JSON. It proves nothing: it is for being shown.
    pub(crate) fn claimed(&self) -> Result<Vec<u8>, TokenError> {
        decoded(self.payload)
    }

    /// What the token says of its issuer, if that can be read in one way only. It proves nothing: it only chooses by
    /// whose keys the token has to verify.
    pub(crate) fn claimed_issuer(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Claimed {
            iss: String,
        }
        let claimed: Claimed = serde_json::from_slice(&decoded(self.payload).ok()?).ok()?;
        Some(claimed.iss)
    }

    /// The payload, if `verify` accepts the signature.
    pub(crate) fn payload(&self, verify: impl FnOnce(&[u8], &str) -> bool) -> Result<String, TokenError> {
        if !verify(self.message.as_bytes(), self.signature) {
            return Err(TokenError::Signature);
        }
        // Also where serde does not look: in claims that we ignore and the upstream may not (RFC 8725 section 3.7).
        String::from_utf8(decoded(self.payload)?).map_err(|_| TokenError::Malformed)
    }
}

/// A segment that holds a JSON object; serde would take an array for a struct.
fn decoded(segment: &str) -> Result<Vec<u8>, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(segment).map_err(|_| TokenError::Malformed)?;
    if bytes.first() == Some(&b'{') { Ok(bytes) } else { Err(TokenError::Malformed) }
}

/// The signed token text of `claims`.
pub(super) fn seal<E>(
    algorithm: Algorithm,
    typ: &str,
    kid: &str,
    claims: &impl Serialize,
    sign: impl FnOnce(&[u8]) -> Result<String, E>,
) -> Result<String, MintError>
where
    MintError: From<E>,
{
    let payload = serde_json::to_vec(claims).map_err(MintError::Claims)?;
    let mut token = keys::header_segment(algorithm, typ, kid);
    token.reserve(payload.len() * 4 / 3 + 100);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&signature);
    Ok(token)
}

/// A token could not be made. Neither a client nor an operator can cause it with valid keys and claims.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    #[error("claims cannot be written as JSON")]
    Claims(#[source] serde_json::Error),
    #[error("the key refused to sign")]
    Key(#[from] crate::keys::SignError),
}
