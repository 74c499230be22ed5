//! What a token is bound to: the certificate that its client has shown (RFC 8705 section 3).
//!
//! Guarantees: a thumbprint has one spelling; a claim `cnf` (RFC 7800 section 3.1) that asks for anything else, or for
//! anything more, is never taken for one that asks for less.
//! Does not know: certificates, connections.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::TokenError;

/// The SHA-256 of a certificate, as `x5t#S256` has it: base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Thumbprint([u8; 43]);

/// The claim `cnf` of a token that is bound to a certificate.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Confirmation {
    #[serde(rename = "x5t#S256")]
    pub certificate: Thumbprint,
}

/// The claim `cnf` as it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Bound {
    #[default]
    ToNothing,
    ToCertificate(Thumbprint),
    /// To what nobody here asks about, such as a key (RFC 9449), or to nothing that can be read.
    Otherwise,
}

impl Thumbprint {
    /// Of a certificate in DER.
    pub fn of(leaf: &[u8]) -> Self {
        let mut text = [0; 43];
        // 32 bytes are 43 characters.
        let _ = URL_SAFE_NO_PAD.encode_slice(digest(&SHA256, leaf), &mut text);
        Self(text)
    }

    /// `None` unless it is the base64url of 32 bytes in its one spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then_some(Self(text.as_bytes().try_into().ok()?))
    }

    pub fn as_str(&self) -> &str {
        // Base64 is ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Bound {
    /// # Errors
    /// [`TokenError::Confirmation`] if it is bound to anything but a certificate.
    pub(crate) fn certificate(self) -> Result<Option<Thumbprint>, TokenError> {
        match self {
            Self::ToNothing => Ok(None),
            Self::ToCertificate(thumbprint) => Ok(Some(thumbprint)),
            Self::Otherwise => Err(TokenError::Confirmation),
        }
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Also `null` and whatever else is no object: who writes the claim wants something.
        let Value::Object(members) = Value::deserialize(deserializer)? else { return Ok(Self::Otherwise) };
        let thumbprint = members.get("x5t#S256").filter(|_| members.len() == 1);
        let thumbprint = thumbprint.and_then(Value::as_str).and_then(Thumbprint::parse);
        Ok(thumbprint.map_or(Self::Otherwise, Self::ToCertificate))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        cnf: Bound,
    }

    #[track_caller]
    fn check(claims: &Value, expected: Bound) {
        let read: Claims = serde_json::from_str(&claims.to_string()).unwrap();
        assert_eq!(read.cnf, expected, "{claims}");
    }

    #[test]
    fn only_a_thumbprint_alone_binds_to_a_certificate() {
        let own = Thumbprint::of(b"a certificate");
        assert_eq!(Thumbprint::parse(own.as_str()), Some(own));
        check(&json!({}), Bound::ToNothing);
        check(&json!({ "cnf": Confirmation { certificate: own } }), Bound::ToCertificate(own));
        for otherwise in [
            json!(null),
            json!({}),
            json!("x5t#S256"),
            json!([own]),
            json!({ "jkt": own }),
            json!({ "x5t#S256": own, "jkt": own }),
            json!({ "x5t#S256": own, "kid": "a" }),
            json!({ "x5t": own }),
            json!({ "x5t#s256": own }),
            json!({ "x5t#S256": null }),
            json!({ "x5t#S256": [own] }),
            json!({ "x5t#S256": "" }),
            json!({ "x5t#S256": format!("{}=", own.as_str()) }),
            json!({ "x5t#S256": &own.as_str()[..42] }),
            json!({ "x5t#S256": "A".repeat(44) }),
            // The last two bits belong to no byte: another spelling of 32 zeros.
            json!({ "x5t#S256": format!("{}B", "A".repeat(42)) }),
        ] {
            check(&json!({ "cnf": otherwise }), Bound::Otherwise);
        }
    }

    #[test]
    fn what_asks_for_something_else_is_refused() {
        assert!(matches!(Bound::Otherwise.certificate(), Err(TokenError::Confirmation)));
        assert!(matches!(Bound::ToNothing.certificate(), Ok(None)));
    }
}
