//! A signing key in use: signatures as the third segment of a compact JWS (RFC 7515 section 3.1).
//!
//! Guarantees: a signature has one spelling, base64url without padding, white space or stray bits; verifying computes
//! with the key's own algorithm whatever a token says; refresh tokens are authenticated by a key that nobody outside
//! this process knows, also when the signing key is shared with an upstream; the header that stands before what a key
//! signs has one text for each type of token.
//! Does not know: claims, or whether the key is the current one.
//!
//! An ES256 signature has a twin, (r, n-s), that verifies too. It is harmless as long as nothing identifies a token by
//! its text: revocation goes by `jti`.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::prepared::{self, Prepared};
use super::{Algorithm, BadKey, Jwk, pem};

/// The types that access tokens can have: RFC 9068's, and the one for validators that know no other.
const ACCESS_TYPES: [&str; 2] = ["at+jwt", "JWT"];

/// A key that signs access tokens, together with the one that authenticates the refresh tokens issued beside them.
pub struct SigningKey {
    access: Key,
    refresh: Key,
    /// How the access tokens of this key begin, in the order of [`ACCESS_TYPES`].
    headers: [String; ACCESS_TYPES.len()],
}

impl SigningKey {
    pub(super) fn new(access: Key, refresh_secret: &[u8; 32]) -> Self {
        let refresh = Key::from_random(access.kid.clone(), refresh_secret);
        let headers = ACCESS_TYPES.map(|typ| header_segment(access.algorithm, typ, &access.kid));
        Self { access, refresh, headers }
    }

    /// The name that token headers carry.
    pub fn kid(&self) -> &Arc<str> {
        &self.access.kid
    }

    /// How access tokens are signed. Refresh tokens are always HS256.
    pub fn algorithm(&self) -> Algorithm {
        self.access.algorithm
    }

    /// What others need to verify this key's access tokens; `None` if that would let them sign as well.
    pub fn jwk(&self) -> Option<Jwk<'_>> {
        let key = self.access.prepared.public.as_ref()?;
        Some(Jwk { key, usage: "sig", alg: self.algorithm(), kid: self.kid() })
    }

    /// The type of an access token of this key that begins with `header`; `None` if that is not how we write one.
    pub(super) fn type_in(&self, header: &str) -> Option<&'static str> {
        let index = self.headers.iter().position(|ours| ours == header)?;
        ACCESS_TYPES.get(index).copied()
    }

    /// The base64url signature of `message`.
    pub fn sign(&self, message: &[u8]) -> Result<String, SignError> {
        self.access.sign(message)
    }

    /// Whether `signature`, as it stood in a token, is this key's over exactly `message`.
    pub fn verify(&self, message: &[u8], signature: &str) -> bool {
        self.access.verify(message, signature)
    }

    /// The base64url HS256 signature of `message` by the refresh key.
    pub fn sign_refresh(&self, message: &[u8]) -> Result<String, SignError> {
        self.refresh.sign(message)
    }

    /// Whether `signature` is the refresh key's over exactly `message`.
    pub fn verify_refresh(&self, message: &[u8], signature: &str) -> bool {
        self.refresh.verify(message, signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", self.kid())
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

/// The first segment of a token, in the one way in which we write it. Types and kids are names that JSON need not escape.
pub(crate) fn header_segment(algorithm: Algorithm, typ: &str, kid: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","typ":"{typ}","kid":"{kid}"}}"#))
}

/// The cryptography could not make a signature. Neither a client nor an operator can cause it with a key that loaded.
#[derive(Debug, thiserror::Error)]
#[error("signing with the key {kid} failed")]
pub struct SignError {
    kid: Arc<str>,
    source: jsonwebtoken::signature::Error,
}

/// One key with its name.
pub(super) struct Key {
    kid: Arc<str>,
    algorithm: Algorithm,
    prepared: Prepared,
    /// The length of a signature as text. Comparing it first bounds what is decoded.
    signature_chars: usize,
}

impl Key {
    /// A key from a secret of at least the size of the hash.
    pub(super) fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, BadKey> {
        let needed = algorithm.min_secret_bytes().ok_or(BadKey::NeedsPrivateKey(algorithm))?;
        if secret.trim_ascii_start().starts_with(b"-----BEGIN ") {
            return Err(BadKey::PemAsSecret(algorithm));
        }
        if secret.len() < needed {
            return Err(BadKey::ShortSecret { algorithm, bytes: secret.len(), needed });
        }
        let prepared = prepared::from_secret(algorithm, secret).ok_or(BadKey::NeedsPrivateKey(algorithm))?;
        Ok(Self::named_by_itself(algorithm, prepared))
    }

    /// A key from a secret or the text of a PEM file, whichever `algorithm` takes.
    pub(super) fn from_text(algorithm: Algorithm, text: &[u8]) -> Result<Self, BadKey> {
        if algorithm.is_hmac() { Self::from_secret(algorithm, text) } else { Self::from_pem(algorithm, text) }
    }

    /// A key from the text of a PEM file that holds a private key.
    pub(super) fn from_pem(algorithm: Algorithm, text: &[u8]) -> Result<Self, BadKey> {
        if algorithm.is_hmac() {
            return Err(BadKey::NeedsSecret(algorithm));
        }
        let prepared = prepared::from_private_key(algorithm, &pem::read(text)?)?;
        Ok(Self::named_by_itself(algorithm, prepared))
    }

    /// The same key under the name that its owner gives it.
    pub(super) fn named(self, kid: Arc<str>) -> Self {
        Self { kid, ..self }
    }

    pub(super) fn kid(&self) -> &Arc<str> {
        &self.kid
    }

    fn from_random(kid: Arc<str>, secret: &[u8; 32]) -> Self {
        Self::new(kid, Algorithm::HS256, prepared::hs256(secret))
    }

    /// Gateways that share a key agree on its name without being told one: 96 bits of its thumbprint.
    fn named_by_itself(algorithm: Algorithm, prepared: Prepared) -> Self {
        let kid = URL_SAFE_NO_PAD.encode(&prepared.thumbprint[..12]);
        Self::new(kid.into(), algorithm, prepared)
    }

    fn new(kid: Arc<str>, algorithm: Algorithm, prepared: Prepared) -> Self {
        let signature_chars = (prepared.signature_bytes * 4).div_ceil(3);
        Self { kid, algorithm, prepared, signature_chars }
    }

    fn sign(&self, message: &[u8]) -> Result<String, SignError> {
        match self.prepared.signer.try_sign(message) {
            Ok(signature) => Ok(URL_SAFE_NO_PAD.encode(signature)),
            Err(source) => Err(SignError { kid: self.kid.clone(), source }),
        }
    }

    fn verify(&self, message: &[u8], signature: &str) -> bool {
        if signature.len() != self.signature_chars {
            return false;
        }
        // This engine refuses padding, white space and stray bits in the last character: one signature, one text.
        match URL_SAFE_NO_PAD.decode(signature) {
            Ok(signature) => self.prepared.verifier.verify(message, &signature).is_ok(),
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
