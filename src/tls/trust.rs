//! Whose word for a client counts.
//!
//! Guarantees: a client's certificate is verified to an authority of the named file and to no other, for use by clients;
//! with lists of revocations, one whose state they do not tell is refused, and so is one of which an outdated list tells.
//! Does not know: what a client may do.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{Error, RootCertStore};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::error::Problem;
use super::file::Reading;
use super::{Clients, Demand, Notice, TlsError};

const CA: &str = "tls.client_ca";
const CRL: &str = "tls.client_crl";

type Crls = Vec<CertificateRevocationListDer<'static>>;

/// What verifies clients. `now` is in seconds since 1970.
pub(super) fn verifier(
    clients: &Clients,
    provider: &Arc<CryptoProvider>,
    now: i64,
    reading: &mut Reading,
    notices: &mut Vec<Notice>,
) -> Result<Arc<dyn ClientCertVerifier>, Vec<TlsError>> {
    let (Some(path), true) = (&clients.ca, clients.demand != Demand::Off) else { return Ok(Arc::new(NoClientAuth)) };
    let trouble = |problem| TlsError { key: CA.into(), path: path.clone(), problem };
    let roots = reading.read(CA, path).and_then(|contents| roots(&contents.bytes).map_err(trouble));
    let crls = crls(clients, now, reading, notices);
    let (roots, crls) = match (roots, crls) {
        (Ok(roots), Ok(crls)) => (roots, crls),
        (roots, crls) => {
            return Err(roots.err().into_iter().chain(crls.err().into_iter().flatten()).collect());
        }
    };
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).with_crls(crls);
    builder = builder.enforce_revocation_expiration();
    if clients.demand == Demand::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| {
        let (key, path) = match (&error, clients.crls.first()) {
            (VerifierBuilderError::InvalidCrl(_), Some(path)) => (CRL, path),
            _ => (CA, path),
        };
        let problem = Problem::Unusable(Error::General(error.to_string()));
        vec![TlsError { key: key.into(), path: path.clone(), problem }]
    })
}

fn roots(text: &[u8]) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for (n, certificate) in CertificateDer::pem_slice_iter(text).enumerate() {
        let certificate = certificate.map_err(|_| Problem::DamagedPem)?;
        roots.add(certificate).map_err(|_| Problem::NotACertificate(n + 1))?;
    }
    if roots.is_empty() { Err(Problem::NoAuthority) } else { Ok(roots) }
}

fn crls(clients: &Clients, now: i64, reading: &mut Reading, notices: &mut Vec<Notice>) -> Result<Crls, Vec<TlsError>> {
    let (mut crls, mut errors) = (Crls::new(), Vec::new());
    for (n, path) in clients.crls.iter().enumerate() {
        let key = format!("{CRL}.{n}");
        let read = reading.read(&key, path).and_then(|contents| {
            crls_in(&contents.bytes).map_err(|problem| TlsError { key, path: path.clone(), problem })
        });
        match read {
            Ok(read) => {
                let is_stale = |crl: &CertificateRevocationListDer<'_>| {
                    let parsed = CertificateRevocationList::from_der(crl).ok();
                    parsed.and_then(|(_, crl)| crl.next_update()).is_some_and(|next| next.timestamp() < now)
                };
                if read.iter().any(is_stale) {
                    notices.push(Notice::StaleCrl { path: path.clone() });
                }
                crls.extend(read);
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(crls) } else { Err(errors) }
}

/// In PEM, or one in DER, as authorities publish them.
fn crls_in(bytes: &[u8]) -> Result<Crls, Problem> {
    let mut crls: Crls = CertificateRevocationListDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|_| Problem::DamagedPem)?;
    if crls.is_empty() && bytes.first() == Some(&0x30) {
        crls.push(bytes.to_vec().into());
    }
    let readable = |crl: &CertificateRevocationListDer<'_>| CertificateRevocationList::from_der(crl).is_ok();
    if crls.is_empty() || !crls.iter().all(readable) { Err(Problem::NoCrl) } else { Ok(crls) }
}
