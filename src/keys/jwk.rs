//! Public keys as others read them: JSON Web Keys (RFC 7517; RFC 7518 section 6, RFC 8037 section 2).
//!
//! Guarantees: made from a public key alone, so that no secret and no private part can get in.
//! Does not know: which keys are published, and where.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::Algorithm;

/// A key of the ring, as others may have it.
#[derive(Debug, Serialize)]
pub struct Jwk<'a> {
    #[serde(flatten)]
    pub(super) key: &'a PublicKey,
    #[serde(rename = "use")]
    pub(super) usage: &'static str,
    pub(super) alg: Algorithm,
    pub(super) kid: &'a Arc<str>,
}

/// The members that make up a public key, in base64url.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "kty")]
pub(super) enum PublicKey {
    #[serde(rename = "EC")]
    Elliptic { crv: &'static str, x: String, y: String },
    #[serde(rename = "OKP")]
    Octets { crv: &'static str, x: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

impl PublicKey {
    /// From an uncompressed point (SEC 1 section 2.3.3): 4, and the two coordinates, whose length tells the curve.
    pub(super) fn elliptic(point: &[u8]) -> Option<Self> {
        let coordinates = point.strip_prefix(&[4])?;
        let crv = match coordinates.len() {
            64 => "P-256",
            96 => "P-384",
            _ => return None,
        };
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        Some(Self::Elliptic { crv, x: text(x), y: text(y) })
    }

    pub(super) fn ed25519(key: &[u8]) -> Self {
        Self::Octets { crv: "Ed25519", x: text(key) }
    }

    /// From an RSAPublicKey (RFC 8017 appendix A.1.1) in DER: a sequence of modulus and exponent.
    pub(super) fn rsa(der: &[u8]) -> Option<Self> {
        const SEQUENCE: u8 = 0x30;
        let (numbers, rest) = element(SEQUENCE, der)?;
        let (n, numbers) = positive(numbers)?;
        let (e, numbers) = positive(numbers)?;
        (rest.is_empty() && numbers.is_empty()).then(|| Self::Rsa { n: text(n), e: text(e) })
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An integer without the zero that keeps it positive (RFC 7518 section 2: Base64urlUInt), and what follows.
fn positive(der: &[u8]) -> Option<(&[u8], &[u8])> {
    const INTEGER: u8 = 2;
    let (number, rest) = element(INTEGER, der)?;
    Some((number.strip_prefix(&[0]).unwrap_or(number), rest))
}

/// The content of the element of this type that `der` begins with, and what follows.
fn element(kind: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.strip_prefix(&[kind])?.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        // Nothing of that length is a key.
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::Jwk as Theirs;
    use jsonwebtoken::{DecodingKey, crypto};

    use super::super::KeyRing;
    use super::*;

    #[test]
    fn what_is_published_verifies_what_is_signed() {
        for algorithm in Algorithm::asymmetric() {
            let ring = KeyRing::in_memory(algorithm).unwrap();
            let published = serde_json::to_string(&ring.current().jwk().unwrap()).unwrap();
            let theirs: Theirs = serde_json::from_str(&published).unwrap();
            assert_eq!(theirs.common.key_id.as_deref(), Some(&**ring.current().kid()));
            let signature = ring.current().sign(b"a message").unwrap();
            let key = DecodingKey::from_jwk(&theirs).unwrap();
            assert!(crypto::verify(&signature, b"a message", &key, algorithm.into()).unwrap(), "{published}");
            assert!(!crypto::verify(&signature, b"another", &key, algorithm.into()).unwrap(), "{published}");
            for private in ["\"d\"", "\"p\"", "\"k\""] {
                assert!(!published.contains(private), "{published}");
            }
        }
    }

    #[test]
    fn a_secret_is_never_published() {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert!(KeyRing::in_memory(algorithm).unwrap().current().jwk().is_none());
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        for der in [&b""[..], &[0x30], &[0x30, 0x82, 0xff, 0xff], &[0x30, 3, 2, 1], &[0x30, 6, 2, 1, 7, 2, 1, 3, 0]] {
            assert_eq!(PublicKey::rsa(der), None, "{der:?}");
        }
        let small = PublicKey::Rsa { n: text(&[7]), e: text(&[3]) };
        assert_eq!(PublicKey::rsa(&[0x30, 7, 2, 2, 0, 7, 2, 1, 3]), Some(small));
        assert_eq!(PublicKey::elliptic(&[2; 33]), None);
        assert_eq!(PublicKey::elliptic(&[4; 64]), None);
    }
}
