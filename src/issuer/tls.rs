//! TLS towards issuers.
//!
//! Guarantees: the other side proves its name by a chain to an authority of the named file, and of that alone, or of the
//! system; there is no way to switch that off. One cryptography: aws-lc.
//! Does not know: HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

/// Why there can be no TLS at all.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: cannot be read as PEM", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("{}: holds no certificate of an authority", path.display())]
    Empty { path: PathBuf },
    #[error("the system names no authorities: name a ca_file")]
    NoAuthorities,
    #[error("cannot be set up")]
    Setup(#[source] Error),
}

/// Made for each fetch: those are rare, and so a renewed file counts from the next one on.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, TlsError> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots(ca_file)?)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

/// Whom to trust. Blocks on the disk.
pub(super) fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        // What cannot be read among many does no harm to the others.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return if roots.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(roots) };
    };
    let trouble = |source| TlsError::File { path: path.to_owned(), source };
    for certificate in CertificateDer::pem_file_iter(path).map_err(trouble)? {
        // One that is no certificate is left out.
        let _ = roots.add(certificate.map_err(trouble)?);
    }
    if roots.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(roots) }
}
