//! Fresh keys.
//!
//! Guarantees: every bit comes from aws-lc's generator, which the operating system seeds; what is made here is
//! accepted here.
//! Does not know: where a key is kept.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{Algorithm, pem};

/// There was no randomness, or the cryptography failed.
#[derive(Debug, thiserror::Error)]
#[error("no key could be made: the random generator failed")]
pub struct GenerateError;

impl From<Unspecified> for GenerateError {
    // `Unspecified` says nothing that could be kept.
    fn from(_: Unspecified) -> Self {
        Self
    }
}

/// The text of a fresh key for `algorithm`: for HMAC the base64url text of as many random bytes as the hash has, which
/// as a text is long enough to be `token.secret`; otherwise a private key as PKCS#8 PEM, which needs no conversion in
/// any of the usual tools.
///
/// RSA keys have 2048 bits: every validator takes them, NIST SP 800-57 allows them until 2030, and a token stays short
/// (342 characters of signature instead of 512). Whoever wants more brings a key made by openssl.
pub fn generate(algorithm: Algorithm) -> Result<Zeroizing<String>, GenerateError> {
    match algorithm {
        Algorithm::HS256 => secret::<32>(),
        Algorithm::HS384 => secret::<48>(),
        Algorithm::HS512 => secret::<64>(),
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => {
            let der: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
            Ok(pem::write(der.as_ref()))
        }
        Algorithm::ES256 => elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::ES384 => elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING),
        // Version 1 of PKCS#8: OpenSSL does not read the newer one, which carries the public key along.
        Algorithm::EdDSA => Ok(pem::write(Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref())),
    }
}

fn elliptic(signing: &'static EcdsaSigningAlgorithm) -> Result<Zeroizing<String>, GenerateError> {
    Ok(pem::write(EcdsaKeyPair::generate(signing)?.to_pkcs8v1()?.as_ref()))
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, GenerateError> {
    let mut bytes = Zeroizing::new([0; N]);
    rand::fill(&mut *bytes)?;
    Ok(bytes)
}

fn secret<const N: usize>() -> Result<Zeroizing<String>, GenerateError> {
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(*random::<N>()?)))
}

#[cfg(test)]
mod tests {
    use super::super::signing::Key;
    use super::*;

    #[test]
    fn every_fresh_key_is_accepted_as_it_is_printed() {
        for algorithm in Algorithm::ALL {
            let text = generate(algorithm).unwrap();
            let key = if algorithm.is_hmac() {
                Key::from_secret(algorithm, text.as_bytes())
            } else {
                Key::from_pem(algorithm, text.as_bytes())
            };
            assert_eq!(key.unwrap().kid().len(), 16, "{algorithm}");
        }
    }

    #[test]
    fn no_two_secrets_are_alike() {
        assert_ne!(generate(Algorithm::HS256).unwrap(), generate(Algorithm::HS256).unwrap());
    }
}
