//! The signature algorithms that a key can have, by their JWS names (RFC 7518 section 3.1, RFC 8037).
//!
//! Guarantees: `none` is not among them, and a name is matched exactly, so there is one spelling of each.
//! Does not know: keys, or how any of these is computed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a key signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    #[default]
    HS256,
    HS384,
    HS512,
    ES256,
    RS256,
    EdDSA,
}

impl Algorithm {
    pub const ALL: [Self; 6] = [Self::HS256, Self::HS384, Self::HS512, Self::ES256, Self::RS256, Self::EdDSA];

    /// The name in a JWS header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Whether whoever can verify can also sign.
    pub const fn is_hmac(self) -> bool {
        self.min_secret_bytes().is_some()
    }

    /// The shortest secret that may be used: the size of the hash (RFC 7518 section 3.2). `None` for algorithms that
    /// sign with a private key.
    pub const fn min_secret_bytes(self) -> Option<usize> {
        match self {
            Self::HS256 => Some(32),
            Self::HS384 => Some(48),
            Self::HS512 => Some(64),
            Self::ES256 | Self::RS256 | Self::EdDSA => None,
        }
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
            Algorithm::ES256 => Self::ES256,
            Algorithm::RS256 => Self::RS256,
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
        for name in ["none", "None", "", "hs256", "HS256 ", "RS1", "EDDSA"] {
            let error = name.parse::<Algorithm>().unwrap_err().to_string();
            assert!(error.contains("one of HS256, HS384, HS512, ES256, RS256, EdDSA"), "{error}");
        }
    }
}
