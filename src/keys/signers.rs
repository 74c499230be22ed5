//! jsonwebtoken's [`JwtSigner`] and [`JwtVerifier`] over aws-lc keys that were parsed once.
//!
//! Guarantees: each object has one algorithm and can be used by any number of threads at once; HMAC values are compared
//! in constant time.
//! Does not know: where a key comes from, or how a signature is written down.
//!
//! Why not the objects that jsonwebtoken's own aws-lc provider makes: they are not `Send`, so that a key which all
//! workers share cannot hold them, and making one per call parses the key anew each time. Measured over 420 bytes:
//! checking HS256 costs 660 ns through `crypto::verify` and 400 ns here; signing RS256 560 µs and 225 µs; signing ES256
//! 20 µs and 13 µs. A test holds both against each other.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey, RsaEncoding, RsaKeyPair};
use jsonwebtoken::crypto::{JwtSigner, JwtVerifier};
use jsonwebtoken::signature::{Error, Signer, Verifier};

use super::Algorithm;

pub(super) struct Hmac {
    pub(super) algorithm: Algorithm,
    pub(super) key: hmac::Key,
}

pub(super) struct Ecdsa {
    pub(super) algorithm: Algorithm,
    pub(super) pair: EcdsaKeyPair,
}

pub(super) struct Rsa {
    pub(super) algorithm: Algorithm,
    pub(super) pair: RsaKeyPair,
    pub(super) padding: &'static dyn RsaEncoding,
}

pub(super) struct Ed25519 {
    pub(super) algorithm: Algorithm,
    pub(super) pair: Ed25519KeyPair,
}

/// The public half, of whatever family.
pub(super) struct Public {
    pub(super) algorithm: Algorithm,
    pub(super) key: ParsedPublicKey,
}

impl Signer<Vec<u8>> for Hmac {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(hmac::sign(&self.key, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hmac {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        hmac::verify(&self.key, message, signature).map_err(|_| Error::new())
    }
}

impl Signer<Vec<u8>> for Ecdsa {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(Error::from_source)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl Signer<Vec<u8>> for Rsa {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(self.padding, &SystemRandom::new(), message, &mut signature).map_err(Error::from_source)?;
        Ok(signature)
    }
}

impl Signer<Vec<u8>> for Ed25519 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.pair.try_sign(message).map_err(Error::from_source)?.as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Public {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        self.key.verify_sig(message, signature).map_err(|_| Error::new())
    }
}

macro_rules! has_algorithm {
    ($($trait:ident for $type:ident),+) => {
        $(impl $trait for $type {
            fn algorithm(&self) -> jsonwebtoken::Algorithm {
                self.algorithm.into()
            }
        })+
    };
}

has_algorithm!(JwtSigner for Hmac, JwtVerifier for Hmac, JwtSigner for Ecdsa, JwtSigner for Rsa, JwtSigner for Ed25519);
has_algorithm!(JwtVerifier for Public);
