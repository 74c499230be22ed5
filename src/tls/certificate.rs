//! A certificate with its chain and its key, from files.
//!
//! Guarantees: the key is that of the first certificate, and each certificate was issued under the name of the next, so
//! that clients can follow; weak keys do not pass. A leaf that has expired does: refusing it would end a gate that still
//! serves those who do not look.
//! Does not know: for which names it will be asked.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::Error;
use tokio_rustls::rustls::InconsistentKeys;
use tokio_rustls::rustls::crypto::aws_lc_rs::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::error::Problem;
use super::file::{Contents, Reading};
use super::{Files, Notice, TlsError};
use crate::keys::{Encoding, read_private_key};

const LEAST_RSA_BITS: usize = 2048;

/// One that can be shown.
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// In lower case; `*.` stands before those with any first label.
    pub(super) names: Vec<String>,
    /// In seconds since 1970.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

/// What the leaf says.
struct Leaf {
    names: Vec<String>,
    not_before: i64,
    not_after: i64,
}

impl Certificate {
    /// Reads one. `now` is in seconds since 1970.
    pub(super) fn read(
        files: &Files,
        now: i64,
        reading: &mut Reading,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, Vec<TlsError>> {
        let key_of = |word: &str| format!("{}.{word}", files.table);
        let wrong = |word: &str, path: &Path| {
            let (key, path) = (key_of(word), path.to_owned());
            move |problem| vec![TlsError { key, path, problem }]
        };
        // All that can be said at once is.
        let chain = reading.read(&key_of("certificate"), &files.certificate).map_err(|error| vec![error]);
        let chain =
            chain.and_then(|contents| chain_of(&contents.bytes).map_err(wrong("certificate", &files.certificate)));
        let key = reading.read(&key_of("key"), &files.key).map_err(|error| vec![error]);
        let key = key.and_then(|contents| {
            if contents.mode & 0o007 != 0 {
                let (key, path) = (key_of("key"), files.key.clone());
                notices.push(Notice::OpenToAll { key, path, mode: contents.mode });
            }
            signing_key(&contents).map_err(wrong("key", &files.key))
        });
        let ocsp = files.ocsp.as_ref().map(|path| {
            let contents = reading.read(&key_of("ocsp"), path).map_err(|error| vec![error])?;
            if !is_ocsp_response(&contents.bytes) {
                return Err(wrong("ocsp", path)(Problem::NotOcsp));
            }
            Ok(contents.bytes.to_vec())
        });
        let (chain, key, ocsp) = match (chain, key, ocsp.transpose()) {
            (Ok(chain), Ok(key), Ok(ocsp)) => (chain, key, ocsp),
            (chain, key, ocsp) => {
                let errors = [chain.err(), key.err(), ocsp.err()];
                return Err(errors.into_iter().flatten().flatten().collect());
            }
        };
        in_order(&chain, &key, files)?;
        let leaf = leaf_of(&chain[0]).map_err(wrong("certificate", &files.certificate))?;
        if leaf.not_before > now {
            notices.push(Notice::NotYetValid { path: files.certificate.clone() });
        }
        if leaf.names.is_empty() {
            notices.push(Notice::NoNames { path: files.certificate.clone() });
        }
        let key = CertifiedKey { ocsp, ..CertifiedKey::new(chain, key) };
        Ok(Self { key: Arc::new(key), names: leaf.names, not_before: leaf.not_before, not_after: leaf.not_after })
    }
}

/// At least one, each of them readable.
fn chain_of(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(|_| Problem::DamagedPem)?;
    if chain.is_empty() {
        return Err(Problem::NoCertificate);
    }
    for (n, certificate) in chain.iter().enumerate() {
        parsed(certificate).ok_or(Problem::NotACertificate(n + 1))?;
    }
    Ok(chain)
}

fn parsed<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(certificate).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, certificate)| certificate)
}

fn signing_key(contents: &Contents) -> Result<Arc<dyn SigningKey>, Problem> {
    let found = read_private_key(&contents.bytes)?;
    let der = &found.der[..];
    let key: PrivateKeyDer<'_> = match found.encoding {
        Encoding::Pkcs8 => PrivatePkcs8KeyDer::from(der).into(),
        Encoding::Pkcs1 => PrivatePkcs1KeyDer::from(der).into(),
        Encoding::Sec1 => PrivateSec1KeyDer::from(der).into(),
    };
    any_supported_type(&key).map_err(|_| Problem::UnsupportedKey(found.kind()))
}

/// Holds the key to the first certificate, and each certificate to the next one.
fn in_order(chain: &[CertificateDer<'static>], key: &Arc<dyn SigningKey>, files: &Files) -> Result<(), Vec<TlsError>> {
    let of_chain = |problem| {
        vec![TlsError { key: format!("{}.certificate", files.table), path: files.certificate.clone(), problem }]
    };
    let fits = |certificate: &CertificateDer<'static>| {
        let pair = CertifiedKey::new(vec![certificate.clone()], Arc::clone(key));
        !matches!(pair.keys_match(), Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)))
    };
    match chain.iter().position(fits) {
        Some(0) => {}
        Some(n) => return Err(of_chain(Problem::LeafIsNotFirst(n + 1))),
        None => {
            let problem = Problem::Mismatch(files.certificate.clone());
            return Err(vec![TlsError { key: format!("{}.key", files.table), path: files.key.clone(), problem }]);
        }
    }
    for (n, pair) in chain.windows(2).enumerate() {
        let issued = match (parsed(&pair[0]), parsed(&pair[1])) {
            (Some(issued), Some(issuer)) => issued.issuer().as_raw() == issuer.subject().as_raw(),
            _ => false,
        };
        if !issued {
            return Err(of_chain(Problem::WrongOrder(n + 1)));
        }
    }
    Ok(())
}

fn leaf_of(certificate: &CertificateDer<'static>) -> Result<Leaf, Problem> {
    let leaf = parsed(certificate).ok_or(Problem::NotACertificate(1))?;
    if let Ok(PublicKey::RSA(key)) = leaf.public_key().parsed()
        && key.key_size() < LEAST_RSA_BITS
    {
        return Err(Problem::ShortRsa(key.key_size()));
    }
    let names = leaf.subject_alternative_name().ok().flatten().map(|extension| &extension.value.general_names);
    let names = names.into_iter().flatten().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let validity = leaf.validity();
    Ok(Leaf {
        names: names.collect(),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}

/// Whether it is a response that says something (RFC 6960 section 4.2.1): a sequence whose first element is the status
/// `successful`. What it says is for clients to judge.
fn is_ocsp_response(der: &[u8]) -> bool {
    let Some((0x30, rest)) = der.split_first().map(|(tag, rest)| (*tag, rest)) else { return false };
    let body = match rest.split_first() {
        Some((length, body)) if *length < 0x80 => Some(body),
        Some((length, body)) => body.get(usize::from(*length & 0x7f)..),
        None => None,
    };
    body.is_some_and(|body| body.starts_with(&[0x0a, 1, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_successful_ocsp_response_is_one() {
        for (der, expected) in [
            (&b"\x30\x05\x0a\x01\x00\xa0\x00"[..], true),
            (b"\x30\x82\x01\x00\x0a\x01\x00", true),
            (b"\x30\x03\x0a\x01\x06", false),
            (b"\x30", false),
            (b"\x30\xff", false),
            (b"", false),
            (b"-----BEGIN", false),
        ] {
            assert_eq!(is_ocsp_response(der), expected, "{der:?}");
        }
    }
}
