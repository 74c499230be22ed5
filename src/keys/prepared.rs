//! From key material to a key that is ready to compute with.
//!
//! Guarantees: a private key is accepted only if it is of exactly the type that the algorithm needs, and an RSA key only
//! from 2048 bits on; everything about a key that can be worked out once is worked out here.
//! Does not know: files, key names in the configuration, base64.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, ParsedPublicKey, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use jsonwebtoken::crypto::{JwtSigner, JwtVerifier};

use super::jwk::PublicKey;
use super::pem::{self, Encoding, PrivateKey};
use super::signers::{Ecdsa, Ed25519, Hmac, Public, Rsa};
use super::{Algorithm, BadKey};

/// A key that can sign and verify.
pub(super) struct Prepared {
    pub(super) signer: Box<dyn JwtSigner + Send + Sync>,
    pub(super) verifier: Box<dyn JwtVerifier + Send + Sync>,
    /// The one length that a signature by this key has.
    pub(super) signature_bytes: usize,
    /// Tells keys apart and gives nothing away: equal wherever the same key is used.
    pub(super) thumbprint: [u8; 32],
    /// What others verify with. A secret has nothing of the kind.
    pub(super) public: Option<PublicKey>,
}

/// A key from `secret`, which the caller has found long enough. `None` if `algorithm` takes no secret.
pub(super) fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Option<Prepared> {
    match algorithm {
        Algorithm::HS256 => Some(hs256(secret)),
        Algorithm::HS384 => Some(hmac(algorithm, hmac::HMAC_SHA384, secret)),
        Algorithm::HS512 => Some(hmac(algorithm, hmac::HMAC_SHA512, secret)),
        _ => None,
    }
}

/// An HS256 key.
pub(super) fn hs256(secret: &[u8]) -> Prepared {
    hmac(Algorithm::HS256, hmac::HMAC_SHA256, secret)
}

/// A key from a private key, if that is of the type that `algorithm` needs.
pub(super) fn from_private_key(algorithm: Algorithm, key: &PrivateKey) -> Result<Prepared, BadKey> {
    let (needed, result) = match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return Err(BadKey::NeedsSecret(algorithm)),
        Algorithm::RS256 => (pem::RSA, rsa(algorithm, key, &signature::RSA_PKCS1_SHA256)),
        Algorithm::RS384 => (pem::RSA, rsa(algorithm, key, &signature::RSA_PKCS1_SHA384)),
        Algorithm::RS512 => (pem::RSA, rsa(algorithm, key, &signature::RSA_PKCS1_SHA512)),
        Algorithm::PS256 => (pem::RSA, rsa(algorithm, key, &signature::RSA_PSS_SHA256)),
        Algorithm::PS384 => (pem::RSA, rsa(algorithm, key, &signature::RSA_PSS_SHA384)),
        Algorithm::PS512 => (pem::RSA, rsa(algorithm, key, &signature::RSA_PSS_SHA512)),
        Algorithm::ES256 => (pem::EC_P256, ecdsa(algorithm, key, &signature::ECDSA_P256_SHA256_FIXED_SIGNING)),
        Algorithm::ES384 => (pem::EC_P384, ecdsa(algorithm, key, &signature::ECDSA_P384_SHA384_FIXED_SIGNING)),
        Algorithm::EdDSA => (pem::ED25519, ed25519(algorithm, key)),
    };
    result.map_err(|rejected| {
        let (found, reason) = (key.kind(), rejected.description_());
        if found != needed {
            BadKey::WrongType { algorithm, needed, found }
        } else if found == pem::RSA && reason == "TooSmall" {
            BadKey::ShortRsa(algorithm)
        } else {
            BadKey::Unusable { algorithm, reason }
        }
    })
}

fn hmac(algorithm: Algorithm, hash: hmac::Algorithm, secret: &[u8]) -> Prepared {
    let key = hmac::Key::new(hash, secret);
    let thumbprint = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"portcullis kid");
    Prepared {
        signer: Box::new(Hmac { algorithm, key: key.clone() }),
        verifier: Box::new(Hmac { algorithm, key }),
        signature_bytes: hash.tag_len(),
        thumbprint: thirty_two(thumbprint.as_ref()),
        public: None,
    }
}

fn ecdsa(
    algorithm: Algorithm,
    key: &PrivateKey,
    signing: &'static EcdsaSigningAlgorithm,
) -> Result<Prepared, KeyRejected> {
    let pair = match key.encoding {
        Encoding::Pkcs8 => EcdsaKeyPair::from_pkcs8(signing, &key.der)?,
        Encoding::Sec1 => EcdsaKeyPair::from_private_key_der(signing, &key.der)?,
        Encoding::Pkcs1 => return Err(Unspecified.into()),
    };
    let thumbprint = thumbprint(pair.public_key())?;
    let point = pair.public_key().as_ref();
    let verifier = public_key(algorithm, point)?;
    let public = PublicKey::elliptic(point);
    // Two numbers of the length of a coordinate (RFC 7518 section 3.4), as the point has two behind its first byte.
    let signature_bytes = point.len() - 1;
    Ok(Prepared { signer: Box::new(Ecdsa { algorithm, pair }), verifier, signature_bytes, thumbprint, public })
}

fn rsa(algorithm: Algorithm, key: &PrivateKey, padding: &'static dyn RsaEncoding) -> Result<Prepared, KeyRejected> {
    let pair = match key.encoding {
        Encoding::Pkcs8 => RsaKeyPair::from_pkcs8(&key.der)?,
        Encoding::Pkcs1 => RsaKeyPair::from_der(&key.der)?,
        Encoding::Sec1 => return Err(Unspecified.into()),
    };
    let thumbprint = thumbprint(pair.public_key())?;
    let verifier = public_key(algorithm, pair.public_key().as_ref())?;
    let signature_bytes = pair.public_modulus_len();
    let public = PublicKey::rsa(pair.public_key().as_ref());
    Ok(Prepared { signer: Box::new(Rsa { algorithm, pair, padding }), verifier, signature_bytes, thumbprint, public })
}

fn ed25519(algorithm: Algorithm, key: &PrivateKey) -> Result<Prepared, KeyRejected> {
    let pair = match key.encoding {
        Encoding::Pkcs8 => Ed25519KeyPair::from_pkcs8(&key.der)?,
        Encoding::Pkcs1 | Encoding::Sec1 => return Err(Unspecified.into()),
    };
    let thumbprint = thumbprint(pair.public_key())?;
    let verifier = public_key(algorithm, pair.public_key().as_ref())?;
    let public = Some(PublicKey::ed25519(pair.public_key().as_ref()));
    Ok(Prepared { signer: Box::new(Ed25519 { algorithm, pair }), verifier, signature_bytes: 64, thumbprint, public })
}

fn public_key(algorithm: Algorithm, bytes: &[u8]) -> Result<Box<dyn JwtVerifier + Send + Sync>, KeyRejected> {
    let verification = algorithm.verification().ok_or(Unspecified)?;
    Ok(Box::new(Public { algorithm, key: ParsedPublicKey::new(verification, bytes)? }))
}

/// SHA-256 of the SubjectPublicKeyInfo: what `openssl pkey -pubout -outform DER | sha256sum` prints.
fn thumbprint(public: &impl AsDer<PublicKeyX509Der<'static>>) -> Result<[u8; 32], KeyRejected> {
    Ok(thirty_two(digest::digest(&digest::SHA256, public.as_der()?.as_ref()).as_ref()))
}

/// The output of a 256-bit hash as an array.
fn thirty_two(hash: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash);
    bytes
}
