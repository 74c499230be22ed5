//! Whom the certificate of a connection has to name, for a route.
//!
//! Guarantees: without a certificate, or with one that names nobody, nothing fits.
//! Does not know: whether a certificate is good; that was decided with its handshake.

use std::sync::Arc;

use crate::tls::ClientCertificate;

/// Some identities: one, or all that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// As it was written.
    pattern: Arc<str>,
}

impl Certified {
    /// `pattern`: an identity such as `DNS=client.example`, or how it begins and a `*`.
    pub fn new(pattern: &str) -> Self {
        Self { pattern: pattern.into() }
    }

    /// As it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether it names one of them.
    pub fn fits(&self, certificate: Option<&ClientCertificate>) -> bool {
        let Some(identity) = certificate.and_then(|certificate| certificate.identity.as_ref()) else { return false };
        match self.pattern.strip_suffix('*') {
            Some(beginning) => identity.as_bytes().starts_with(beginning.as_bytes()),
            None => identity.as_bytes() == self.pattern.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use crate::token::Thumbprint;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, identity: Option<&str>, expected: bool) {
        let identity = identity.map(|text| HeaderValue::from_bytes(text.as_bytes()).unwrap());
        let certificate = ClientCertificate::told(identity, Thumbprint::of(b""));
        assert_eq!(Certified::new(pattern).fits(Some(&certificate)), expected, "{pattern}: {certificate:?}");
        assert!(!Certified::new(pattern).fits(None));
    }

    #[test]
    fn an_identity_fits_as_a_whole_or_by_how_it_begins() {
        let exact = "URI=spiffe://e/ns/app";
        check(exact, Some("URI=spiffe://e/ns/app"), true);
        check(exact, Some("URI=spiffe://e/ns/app/x"), false);
        check(exact, Some("URI=spiffe://e/ns/ap"), false);
        check(exact, Some("URI=SPIFFE://e/ns/app"), false);
        check(exact, Some("CN=URI=spiffe://e/ns/app"), false);
        check(exact, None, false);
        let below = "URI=spiffe://e/ns/app/*";
        check(below, Some("URI=spiffe://e/ns/app/x"), true);
        check(below, Some("URI=spiffe://e/ns/app/"), true);
        check(below, Some("URI=spiffe://e/ns/app"), false);
        check(below, Some("URI=spiffe://e/ns/apple"), false);
        check(below, Some("DNS=spiffe://e/ns/app/x"), false);
        check("CN=s\u{f6}me*", Some("CN=s\u{f6}me \u{f6}ne"), true);
        check("DNS=*", Some("CN=x"), false);
        check("DNS=*", None, false);
    }
}
