//! Who a client is by its certificate.
//!
//! Guarantees: a name says of which kind it is, so that nobody's common name passes for another's URI; one without a name
//! is nobody but itself.
//! Does not know: whether the certificate is good. That has been decided before anybody asks.

use http::header::HeaderValue;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::token::Thumbprint;

/// Bytes of a name. A SPIFFE ID has no more, and what is longer fits in no header beside others.
const LONGEST: usize = 2048;

/// What is kept of a client's certificate with its connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientCertificate {
    /// `URI=…` (a SPIFFE ID, say), else `DNS=…`, else `CN=…`: the first that there is, and that can stand in a header.
    pub identity: Option<HeaderValue>,
    pub thumbprint: Thumbprint,
    /// In seconds since 1970.
    not_after: i64,
}

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

    /// One that another gate has seen, and has looked at the life of.
    pub fn told(identity: Option<HeaderValue>, thumbprint: Thumbprint) -> Self {
        Self { identity, thumbprint, not_after: i64::MAX }
    }

    /// Who holds it: the same with every certificate that names the same, and the thumbprint of one that names nobody.
    pub fn holder(&self) -> Box<str> {
        match self.identity.as_ref().and_then(|identity| str::from_utf8(identity.as_bytes()).ok()) {
            Some(identity) => identity.into(),
            None => format!("x5t#S256={}", self.thumbprint.as_str()).into(),
        }
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
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    // Control characters do not pass.
    HeaderValue::from_bytes(format!("{kind}={name}").as_bytes()).ok()
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
        assert_eq!(read.thumbprint, Thumbprint::of(leaf.der()));
        let itself = format!("x5t#S256={}", read.thumbprint.as_str());
        assert_eq!(*read.holder(), *expected.unwrap_or(&itself));
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
        check("c", &[], &[""], None);
        let longest = "x".repeat(LONGEST);
        check("", &[], &[&longest], Some(&format!("URI={longest}")));
        check("", &[], &[&format!("{longest}x")], None);
        assert!(ClientCertificate::read(b"none").is_none());
    }
}
