//! Who a client is by its certificate.
//!
//! Guarantees: a name says of which kind it is, so that nobody's common name passes for another's URI; a thumbprint is
//! that of RFC 8705 section 3.1.
//! Does not know: whether the certificate is good. That has been decided before anybody asks.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::HeaderValue;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What is kept of a client's certificate with its connection.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// `URI=…` (a SPIFFE ID, say), else `DNS=…`, else `CN=…`: the first that there is, and that can stand in a header.
    pub identity: Option<HeaderValue>,
    pub thumbprint: Thumbprint,
    /// In seconds since 1970.
    not_after: i64,
}

/// The SHA-256 of a certificate, as `x5t#S256` has it: base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Thumbprint([u8; 43]);

impl ClientCertificate {
    /// Reads a leaf; `None` if it is none.
    pub fn read(leaf: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
        Some(Self {
            identity: identity(&certificate),
            thumbprint: Thumbprint::of(leaf),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }

    /// Whether it has expired at `now`, in seconds since 1970. A session that is resumed is not verified again.
    pub fn has_expired(&self, now: i64) -> bool {
        self.not_after < now
    }
}

fn identity(certificate: &X509Certificate<'_>) -> Option<HeaderValue> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = || names.iter().flat_map(|extension| &extension.value.general_names);
    let uri = names().find_map(|name| if let GeneralName::URI(uri) = name { Some(("URI", *uri)) } else { None });
    let dns = || names().find_map(|name| if let GeneralName::DNSName(dns) = name { Some(("DNS", *dns)) } else { None });
    let common = || certificate.subject().iter_common_name().find_map(|name| Some(("CN", name.as_str().ok()?)));
    let (kind, name) = uri.or_else(dns).or_else(common)?;
    // Control characters do not pass.
    HeaderValue::from_bytes(format!("{kind}={name}").as_bytes()).ok()
}

impl Thumbprint {
    pub fn of(leaf: &[u8]) -> Self {
        let mut text = [0; 43];
        // 32 bytes are 43 characters.
        let _ = URL_SAFE_NO_PAD.encode_slice(digest(&SHA256, leaf), &mut text);
        Self(text)
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

#[cfg(test)]
mod tests {
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[track_caller]
    fn check(common: &str, dns: &[&str], uri: &[&str], expected: Option<&str>) {
        let mut params = CertificateParams::new(dns.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !common.is_empty() {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        params
            .subject_alt_names
            .extend(uri.iter().map(|uri| SanType::URI(Ia5String::try_from(uri.to_string()).unwrap())));
        let leaf = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let read = ClientCertificate::read(leaf.der()).unwrap();
        assert_eq!(read.identity.as_ref().map(|it| str::from_utf8(it.as_bytes()).unwrap()), expected);
        assert_eq!(read.thumbprint.as_str(), URL_SAFE_NO_PAD.encode(digest(&SHA256, leaf.der())));
    }

    #[test]
    fn a_client_is_its_uri_else_its_dns_name_else_its_common_name() {
        check("c", &["d.example"], &["spiffe://e/f", "urn:x"], Some("URI=spiffe://e/f"));
        check("c", &["d.example", "other.example"], &[], Some("DNS=d.example"));
        check("c", &[], &[], Some("CN=c"));
        check("URI=spiffe://e/f", &[], &[], Some("CN=URI=spiffe://e/f"));
        check("söme öne", &[], &[], Some("CN=söme öne"));
        check("a\r\nb", &[], &[], None);
        check("", &[], &[], None);
        assert!(ClientCertificate::read(b"none").is_none());
    }
}
