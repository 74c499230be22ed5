//! Which certificate is shown to whom.
//!
//! Guarantees: a name that a certificate has goes before a wildcard that covers it, and a wildcard covers one label; of
//! several certificates for a name the first is shown whose algorithm the client can verify.
//! Does not know: where certificates come from.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::certificate::Certificate;

type Keys = Vec<Arc<CertifiedKey>>;

/// The certificates by name.
#[derive(Debug)]
pub(super) struct Names {
    exact: HashMap<String, Keys>,
    /// By what follows the first label.
    wildcard: HashMap<String, Keys>,
    /// The first certificate, and those for the same name as its first.
    default: Keys,
}

impl Names {
    pub(super) fn new(certificates: &[Certificate]) -> Self {
        let mut names = Self { exact: HashMap::new(), wildcard: HashMap::new(), default: Keys::new() };
        for certificate in certificates {
            for name in &certificate.names {
                let key = Arc::clone(&certificate.key);
                match name.strip_prefix("*.") {
                    Some(suffix) => names.wildcard.entry(suffix.to_owned()).or_default().push(key),
                    None => names.exact.entry(name.clone()).or_default().push(key),
                }
            }
        }
        if let Some(first) = certificates.first() {
            let also = first.names.first();
            let same = certificates[1..].iter().filter(|other| also.is_some_and(|name| other.names.contains(name)));
            names.default = [first].into_iter().chain(same).map(|it| Arc::clone(&it.key)).collect();
        }
        names
    }

    /// Whether there is a certificate for what a client asks for.
    pub(super) fn know(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| self.find(name).is_some())
    }

    fn find(&self, name: &str) -> Option<&Keys> {
        let name = name.to_ascii_lowercase();
        let covered = || name.split_once('.').and_then(|(_, suffix)| self.wildcard.get(suffix));
        self.exact.get(&name).or_else(covered)
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let keys = name.and_then(|name| self.find(name)).unwrap_or(&self.default);
        let verifiable = keys.iter().find(|key| key.key.choose_scheme(schemes).is_some());
        // With none, the handshake fails for the reason it fails for.
        verifiable.or(keys.first()).cloned()
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};
    use tokio_rustls::rustls::SignatureScheme as Scheme;
    use tokio_rustls::rustls::crypto::aws_lc_rs::sign::any_supported_type;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    use super::*;

    fn certificate(names: &[&str], algorithm: &'static SignatureAlgorithm) -> Certificate {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let leaf = CertificateParams::new(names.clone()).unwrap().self_signed(&key).unwrap();
        let key = any_supported_type(&PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap();
        let key = Arc::new(CertifiedKey::new(vec![leaf.der().clone()], key));
        Certificate { key, names, not_before: 0, not_after: 0 }
    }

    #[test]
    fn names_are_found_exactly_then_by_wildcard_then_by_default() {
        let all = [
            certificate(&["a.example"], &PKCS_ECDSA_P256_SHA256),
            certificate(&["*.example", "b.example"], &PKCS_ECDSA_P256_SHA256),
            certificate(&["www.example"], &PKCS_ECDSA_P256_SHA256),
            certificate(&["a.example", "other.example"], &PKCS_ED25519),
        ];
        let names = Names::new(&all);
        let (ecdsa, both) = ([Scheme::ECDSA_NISTP256_SHA256], [Scheme::ED25519, Scheme::ECDSA_NISTP256_SHA256]);
        for (name, schemes, expected) in [
            (Some("a.example"), &both[..], 0),
            (Some("a.example"), &[Scheme::ED25519], 3),
            (Some("A.EXAMPLE"), &ecdsa, 0),
            (Some("b.example"), &ecdsa, 1),
            (Some("www.example"), &ecdsa, 2),
            (Some("any.example"), &ecdsa, 1),
            (Some("deep.any.example"), &ecdsa, 0),
            (Some("example"), &ecdsa, 0),
            (Some("elsewhere"), &ecdsa, 0),
            (Some("elsewhere"), &[Scheme::ED25519], 3),
            (Some("elsewhere"), &[Scheme::RSA_PSS_SHA256], 0),
            (None, &ecdsa, 0),
        ] {
            let found = names.choose(name, schemes).unwrap();
            assert!(Arc::ptr_eq(&found, &all[expected].key), "{name:?} {schemes:?}");
        }
        assert!(names.know(Some("any.example")) && names.know(Some("B.example")));
        assert!(!names.know(Some("elsewhere")) && !names.know(Some("x.y.example")) && !names.know(None));
    }
}
