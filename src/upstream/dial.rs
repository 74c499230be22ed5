//! How a connection to the upstream comes about.
//!
//! Guarantees: with TLS, nothing is sent before the other side has proven its name by a chain to an authority that is
//! trusted here, unless the operator has given that up in so many words; HTTP/2 is spoken with TLS only if both sides have
//! agreed to it; one cryptography: aws-lc.
//! Does not know: deadlines, what is sent.

use std::fmt;
use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use zeroize::Zeroizing;

use super::stream::Stream;

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// Where the upstream is, and whether it is spoken to through TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct Dial {
    pub address: Address,
    pub tls: Option<Tls>,
}

/// What is spoken with the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// With TLS what both sides can, HTTP/2 first; in the clear HTTP/1.1.
    Auto,
    Http1,
    /// In the clear without asking whether the upstream can (RFC 9113 section 3.3).
    Http2,
}

/// The name is resolved again on each connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

/// What every handshake rests on. Clones share it, and the sessions that are resumed.
#[derive(Clone)]
pub struct Tls {
    in_force: Arc<ArcSwap<Offers>>,
    name: ServerName<'static>,
    papers: Papers,
}

/// The same for each protocol that can be offered (RFC 7301): one set of sessions would be resumed for another.
struct Offers {
    any: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// What is shown and believed.
#[derive(Clone, Debug)]
pub struct Papers {
    pub trust: Trust,
    /// The files of the gate's own certificate and its key, which it shows if it is asked.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// Follows the files behind a [`Tls`].
pub struct Renewing {
    tls: Tls,
    /// Their contents when they were last looked at. A key is among them: never shown.
    seen: Vec<Option<Zeroizing<Vec<u8>>>>,
}

/// Whose word for the upstream counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The authorities of the system.
    System,
    /// Those of Mozilla, as this binary was built with.
    Mozilla,
    /// Those in this file, and no others.
    File(PathBuf),
    /// Anybody's: whoever is on the way can be the upstream.
    Anybody,
}

/// Why there can be no TLS with the upstream.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: cannot be read as PEM", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("{}: holds no certificate", path.display())]
    Empty { path: PathBuf },
    #[error(
        "the system names no authorities: name a file with upstream.tls.ca_file, or set upstream.tls.roots = \"mozilla\""
    )]
    NoAuthorities,
    #[error("{}: is not the key of {}", key.display(), certificate.display())]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        #[source]
        source: Error,
    },
    #[error("no certificate can name the upstream {0:?}")]
    Name(String, #[source] InvalidDnsNameError),
    #[error("TLS cannot be set up")]
    Setup(#[from] Error),
}

impl Dial {
    /// Whether the upstream can be reached at this moment, TLS included.
    ///
    /// # Errors
    /// Why not.
    pub async fn try_out(&self) -> io::Result<()> {
        self.connect(Protocol::Auto).await.map(drop)
    }

    /// A connection over which this protocol can be spoken.
    ///
    /// # Errors
    /// When there is none, or the other side has not proven to be the upstream, or does not agree to HTTP/2 under TLS.
    pub(super) async fn connect(&self, protocol: Protocol) -> io::Result<Stream> {
        let Address { host, port } = &self.address;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        let Some(Tls { in_force, name, .. }) = &self.tls else { return Ok(Stream::Clear(stream)) };
        let config = in_force.load().of(protocol);
        let stream = TlsConnector::from(config).connect(name.clone(), stream).await?;
        if protocol == Protocol::Http2 && stream.get_ref().1.alpn_protocol() != Some(HTTP2) {
            return Err(io::Error::other("the upstream does not agree to HTTP/2"));
        }
        Ok(Stream::Tls(Box::new(stream)))
    }
}

/// Without what stands in front of every path.
impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, Address { host, port }) = (if self.tls.is_some() { "https" } else { "http" }, &self.address);
        if host.contains(':') { write!(f, "{scheme}://[{host}]:{port}") } else { write!(f, "{scheme}://{host}:{port}") }
    }
}

impl Stream {
    /// Whether HTTP/2 was agreed on.
    pub(super) fn agreed_to_http2(&self) -> bool {
        match self {
            Self::Clear(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(HTTP2),
        }
    }
}

impl Offers {
    fn of(&self, protocol: Protocol) -> Arc<ClientConfig> {
        Arc::clone(match protocol {
            Protocol::Auto => &self.any,
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        })
    }
}

impl Tls {
    /// For an upstream whose certificate has to bear `name`. Blocks on the disk.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn new(name: &str, papers: Papers) -> Result<Self, TlsError> {
        let name = ServerName::try_from(name.to_owned()).map_err(|error| TlsError::Name(name.into(), error))?;
        Ok(Self { in_force: Arc::new(ArcSwap::from_pointee(papers.offers()?)), name, papers })
    }
}

/// Whether both are the same one: clones are, and what was made from the same files is not.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.in_force, &other.in_force)
    }
}

impl Papers {
    fn offers(&self) -> Result<Offers, TlsError> {
        Ok(Offers { any: self.config(&[HTTP2, HTTP1])?, http1: self.config(&[HTTP1])?, http2: self.config(&[HTTP2])? })
    }

    fn config(&self, offered: &[&[u8]]) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match &self.trust {
            Trust::Anybody => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
            trust => builder.with_root_certificates(roots(trust)?),
        };
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (chain, private) = (chain(certificate)?, private(key)?);
                let pair = |source| TlsError::Pair { certificate: certificate.into(), key: key.into(), source };
                builder.with_client_auth_cert(chain, private).map_err(pair)?
            }
        };
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let authorities = if let Trust::File(path) = &self.trust { Some(path) } else { None };
        let own = self.own.iter().flat_map(|(certificate, key)| [certificate, key]);
        authorities.into_iter().chain(own).map(PathBuf::as_path)
    }
}

impl Renewing {
    /// `None` if there are no files to follow.
    pub fn new(tls: Tls) -> Option<Self> {
        let seen: Vec<_> = tls.papers.files().map(content).collect();
        (!seen.is_empty()).then_some(Self { tls, seen })
    }

    /// Puts changed files in force, for the connections to come. Whether there were any. Blocks on the disk.
    ///
    /// # Errors
    /// What is wrong with them, once: what was in force stays so.
    pub fn look(&mut self) -> Result<bool, TlsError> {
        let now: Vec<_> = self.tls.papers.files().map(content).collect();
        // A renewal that is under way shows as a file that is not there, and not for long.
        if now == self.seen || now.contains(&None) {
            return Ok(false);
        }
        // Also if they are wrong: the same fault need not be told each second.
        drop(mem::replace(&mut self.seen, now));
        self.tls.in_force.store(Arc::new(self.tls.papers.offers()?));
        Ok(true)
    }
}

fn content(path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    fs::read(path).ok().map(Zeroizing::new)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

fn roots(trust: &Trust) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match trust {
        // What cannot be read among many does no harm to the others.
        Trust::System => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Trust::Mozilla => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Trust::File(path) => {
            roots.add_parsable_certificates(chain(path)?);
            if roots.is_empty() {
                return Err(TlsError::Empty { path: path.clone() });
            }
        }
        Trust::Anybody => {}
    }
    if roots.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(roots) }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let trouble = |source| TlsError::File { path: path.into(), source };
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(trouble)?.collect::<Result<_, _>>().map_err(trouble)?;
    if chain.is_empty() { Err(TlsError::Empty { path: path.into() }) } else { Ok(chain) }
}

fn private(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::File { path: path.into(), source })
}

/// Believes any certificate, but whoever shows it must have its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
