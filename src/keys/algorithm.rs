//! The signature algorithms that a key can have, by their JWS names (RFC 7518 section 3.1, RFC 8037).
//!
//! Guarantees: `none` is not among them, and a name is matched exactly, so there is one spelling of each.
//! Does not know: keys, or how any of these is computed.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    VerificationAlgorithm,
};
use serde::{Deserialize, Serialize};

/// How a key signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    #[default]
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// What kind of key an algorithm takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Secret,
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Algorithm {
    pub const ALL: [Self; 12] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// Those with a private key, and a public one that others may have.
    pub fn asymmetric() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|algorithm| !algorithm.is_hmac())
    }

    /// The name in a JWS header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Whether whoever can verify can also sign.
    pub const fn is_hmac(self) -> bool {
        matches!(self.family(), Family::Secret)
    }

    /// The shortest secret that may be used: the size of the hash (RFC 7518 section 3.2). `None` for algorithms that
    /// sign with a private key.
    pub const fn min_secret_bytes(self) -> Option<usize> {
        match self {
            Self::HS256 => Some(32),
            Self::HS384 => Some(48),
            Self::HS512 => Some(64),
            _ => None,
        }
    }

    pub(crate) const fn family(self) -> Family {
        match self {
            Self::HS256 | Self::HS384 | Self::HS512 => Family::Secret,
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => Family::Rsa,
            Self::ES256 => Family::P256,
            Self::ES384 => Family::P384,
            Self::EdDSA => Family::Ed25519,
        }
    }

    /// How a public key verifies; `None` where there is none.
    pub(crate) fn verification(self) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match self {
            Self::HS256 | Self::HS384 | Self::HS512 => return None,
            Self::RS256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::RS384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::RS512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::PS256 => &RSA_PSS_2048_8192_SHA256,
            Self::PS384 => &RSA_PSS_2048_8192_SHA384,
            Self::PS512 => &RSA_PSS_2048_8192_SHA512,
            Self::ES256 => &ECDSA_P256_SHA256_FIXED,
            Self::ES384 => &ECDSA_P384_SHA384_FIXED,
            Self::EdDSA => &ED25519,
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.into_iter().find(|known| known.as_str() == name).ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

/// A name that is not one of [`Algorithm::ALL`].
#[derive(Debug, thiserror::Error)]
#[error("unknown algorithm {0:?}: it is one of {known}", known = Algorithm::ALL.map(Algorithm::as_str).join(", "))]
pub struct UnknownAlgorithm(String);

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::HS256 => Self::HS256,
            Algorithm::HS384 => Self::HS384,
            Algorithm::HS512 => Self::HS512,
            Algorithm::RS256 => Self::RS256,
            Algorithm::RS384 => Self::RS384,
            Algorithm::RS512 => Self::RS512,
            Algorithm::PS256 => Self::PS256,
            Algorithm::PS384 => Self::PS384,
            Algorithm::PS512 => Self::PS512,
            Algorithm::ES256 => Self::ES256,
            Algorithm::ES384 => Self::ES384,
            Algorithm::EdDSA => Self::EdDSA,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_its_algorithm() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse::<Algorithm>().unwrap(), algorithm);
            assert_eq!(serde_json::to_string(&algorithm).unwrap(), format!("\"{algorithm}\""));
            assert_eq!(serde_json::from_str::<Algorithm>(&format!("\"{algorithm}\"")).unwrap(), algorithm);
            assert_eq!(format!("{:?}", jsonwebtoken::Algorithm::from(algorithm)), algorithm.as_str());
        }
    }

    #[test]
    fn none_and_other_spellings_are_unknown() {
        for name in ["none", "None", "", "hs256", "HS256 ", "RS1", "EDDSA", "rs256", "ES512", "dir"] {
            let error = name.parse::<Algorithm>().unwrap_err().to_string();
            assert!(error.contains("one of HS256, HS384, HS512, RS256, RS384"), "{error}");
        }
    }

    #[test]
    fn an_algorithm_takes_a_secret_or_has_a_public_key_to_verify_with() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.is_hmac(), algorithm.min_secret_bytes().is_some(), "{algorithm}");
            assert_eq!(algorithm.is_hmac(), algorithm.verification().is_none(), "{algorithm}");
        }
        assert_eq!(Algorithm::asymmetric().count(), 9);
    }
}
