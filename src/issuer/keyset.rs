//! The public keys of an issuer, read from its JWK Set (RFC 7517).
//!
//! Guarantees: an algorithm belongs to a key and never to a token: each key is bound to those of the issuer's algorithms
//! that fit its type and, if it names one, to that one alone. What is symmetric, not for signatures, an RSA key below
//! 2048 bits, private, or without a name is left out; what is left out harms no other key. A set without one usable key
//! is none. Each key is parsed once, and is then ready for any thread.
//! Does not know: where the text comes from, tokens.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;

use crate::keys::{Algorithm, Family};

use super::claims::Signer;

const LEAST_RSA_BITS: usize = 2048;

/// The keys of one issuer.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: HashMap<Box<str>, Vec<PublicKey>>,
}

#[derive(Debug)]
pub(super) struct PublicKey {
    algorithm: Algorithm,
    /// Tells keys of one name apart.
    material: Arc<[u8]>,
    key: ParsedPublicKey,
}

/// A set, and why keys were left out: a line each.
#[derive(Debug)]
pub struct Parsed {
    pub set: KeySet,
    pub left_out: Vec<String>,
}

/// Why a text is no set of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    #[error("no JWK Set")]
    NoSet(#[source] serde_json::Error),
    #[error("more than {0} keys (limits.max_jwks_keys)")]
    TooMany(usize),
    #[error("no usable key{}", if .0.is_empty() { String::new() } else { format!(": {}", .0.join("; ")) })]
    NoKey(Vec<String>),
}

#[derive(Deserialize)]
struct Written {
    /// Each by itself, so that one that cannot be read does not hide the others.
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads the keys that one of `algorithms` can use.
    ///
    /// # Errors
    /// [`KeySetError`]; whoever has an older set keeps that.
    pub fn parse(text: &[u8], algorithms: &[Algorithm], max_keys: usize) -> Result<Parsed, KeySetError> {
        let written: Written = serde_json::from_slice(text).map_err(KeySetError::NoSet)?;
        if written.keys.len() > max_keys {
            return Err(KeySetError::TooMany(max_keys));
        }
        let (mut set, mut left_out) = (Self::default(), Vec::new());
        for (n, key) in written.keys.iter().enumerate() {
            let name = key.get("kid").and_then(Value::as_str).unwrap_or_default();
            if let Err(why) = set.add(key, algorithms) {
                left_out.push(format!("key {n} ({name:?}) {why}"));
            }
        }
        if set.keys.is_empty() { Err(KeySetError::NoKey(left_out)) } else { Ok(Parsed { set, left_out }) }
    }

    /// The key named `kid`, if it is one for `algorithm`; `None` if there is none of that name.
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> Option<Option<&PublicKey>> {
        Some(self.keys.get(kid)?.iter().find(|key| key.algorithm == algorithm))
    }

    /// Whether each key of `older` is in this set too.
    pub(super) fn covers(&self, older: &Self) -> bool {
        let has = |kid: &str, old: &PublicKey| {
            self.find(kid, old.algorithm).flatten().is_some_and(|new| new.material == old.material)
        };
        older.keys.iter().all(|(kid, keys)| keys.iter().all(|key| has(kid, key)))
    }

    /// Whether the key that signed something is in this set.
    pub(super) fn has(&self, signer: &Signer) -> bool {
        self.keys.get(&*signer.kid).is_some_and(|keys| keys.iter().any(|key| key.material == signer.material))
    }

    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(|kid| &**kid)
    }

    fn add(&mut self, written: &Value, algorithms: &[Algorithm]) -> Result<(), &'static str> {
        // Published, it is nobody's secret any more.
        if written.get("d").is_some() {
            return Err("is a private key");
        }
        let jwk = Jwk::deserialize(written).map_err(|_| "cannot be read")?;
        let common = &jwk.common;
        let kid = common.key_id.as_deref().filter(|kid| !kid.is_empty()).ok_or("has no kid")?;
        if common.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature) {
            return Err("is not for signatures");
        }
        if common.key_operations.as_ref().is_some_and(|all| !all.contains(&KeyOperations::Verify)) {
            return Err("is not for verifying");
        }
        let (family, material) = material(&jwk.algorithm)?;
        let own = common.key_algorithm.map(|own| own.to_string());
        let fits = |algorithm: &&Algorithm| {
            algorithm.family() == family && own.as_ref().is_none_or(|own| own == algorithm.as_str())
        };
        let mut keys = Vec::new();
        for algorithm in algorithms.iter().copied().filter(|algorithm| fits(&algorithm)) {
            // Each has one: a secret is of no family that a set is read for.
            let verification = algorithm.verification().ok_or("is symmetric")?;
            let key = ParsedPublicKey::new(verification, &material).map_err(|_| "cannot be read")?;
            keys.push(PublicKey { algorithm, material: material.clone().into(), key });
        }
        if keys.is_empty() {
            return Err("is for none of the issuer's algorithms");
        }
        let known = self.keys.entry(kid.into()).or_default();
        if keys.iter().any(|new| known.iter().any(|known| known.algorithm == new.algorithm)) {
            return Err("has the kid of another key");
        }
        known.append(&mut keys);
        Ok(())
    }
}

impl PublicKey {
    pub(super) fn signer(&self, kid: &str) -> Signer {
        Signer { kid: kid.into(), material: Arc::clone(&self.material) }
    }

    /// Whether `signature`, as it stood in a token, is by this key over exactly `message`.
    pub(super) fn verify(&self, message: &[u8], signature: &str) -> bool {
        // This engine refuses padding, white space and stray bits in the last character: one signature, one text.
        URL_SAFE_NO_PAD.decode(signature).is_ok_and(|signature| self.key.verify_sig(message, &signature).is_ok())
    }
}

/// A public key in the form that the cryptography reads.
fn material(parameters: &AlgorithmParameters) -> Result<(Family, Vec<u8>), &'static str> {
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let (n, e) = (number(&rsa.n)?, number(&rsa.e)?);
            let leading = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
            if n.len() * 8 - leading < LEAST_RSA_BITS {
                return Err("is an RSA key of fewer than 2048 bits");
            }
            let der = PublicKeyComponents { n, e }.as_der().map_err(|_| "cannot be read")?;
            Ok((Family::Rsa, der.as_ref().to_vec()))
        }
        AlgorithmParameters::EllipticCurve(ec) => {
            let (family, bytes) = match ec.curve {
                EllipticCurve::P256 => (Family::P256, 32),
                EllipticCurve::P384 => (Family::P384, 48),
                _ => return Err("is on a curve that is not supported"),
            };
            let (x, y) = (decoded(&ec.x)?, decoded(&ec.y)?);
            if x.len() != bytes || y.len() != bytes {
                return Err("cannot be read");
            }
            // SEC 1 section 2.3.3: the point, not compressed.
            Ok((family, [&[4], &x[..], &y[..]].concat()))
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Ok((Family::Ed25519, decoded(&pair.x)?))
        }
        AlgorithmParameters::OctetKeyPair(_) => Err("is on a curve that is not supported"),
        AlgorithmParameters::OctetKey(_) => Err("is symmetric"),
        _ => Err("is of an unknown type"),
    }
}

/// A number without the zeros that some write in front of it, against RFC 7518 section 6.3.1.1.
fn number(text: &str) -> Result<Vec<u8>, &'static str> {
    let bytes = decoded(text)?;
    Ok(bytes.iter().copied().skip_while(|byte| *byte == 0).collect())
}

fn decoded(text: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "cannot be read")
}

#[cfg(test)]
mod tests;
