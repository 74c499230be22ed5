//! TLS with clients: other people's clients, names, renewal, certificates of clients, and what attackers do first.

mod bound;
mod clients;
mod files;
mod hostile;
mod mutual;
mod names;
mod renewal;
mod streams;

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{Gate, Start, Upstream};

pub type Authority = CertifiedIssuer<'static, KeyPair>;

pub fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A leaf and its key.
pub struct Pair {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Pair {
    pub fn new(authority: &Authority, names: &[&str]) -> Self {
        Self::with(authority, names, |_| {})
    }

    pub fn with(authority: &Authority, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::of(KeyPair::generate().unwrap(), authority, names, change)
    }

    fn of(key: KeyPair, authority: &Authority, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        Self { certificate: params.signed_by(&key, authority).unwrap(), key }
    }

    /// Writes `{name}.crt` and `{name}.key`.
    pub fn write(&self, folder: &Path, name: &str) {
        put(folder, &format!("{name}.crt"), &self.certificate.pem());
        put(folder, &format!("{name}.key"), &self.key.serialize_pem());
    }

    fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

/// Puts a file in place of what is there, for its owner alone.
pub fn put(folder: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let next = folder.join(format!("{name}.next"));
    fs::write(&next, text).unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(next, folder.join(name)).unwrap();
}

/// A start with the pair `tls` in its folder, by an authority that stands in `ca.pem`.
pub fn start(upstream: &Upstream, authority: &Authority) -> Start {
    let start = Start::before(upstream.address).set("tls.certificate", "tls.crt").set("tls.key", "tls.key");
    Pair::new(authority, &["localhost", "127.0.0.1"]).write(start.path(), "tls");
    put(start.path(), "ca.pem", &authority.pem());
    start
}

/// What a client offers and shows.
struct Client<'a> {
    authority: &'a Authority,
    shows: Option<&'a Pair>,
    alpn: &'a [&'a str],
}

impl<'a> Client<'a> {
    fn new(authority: &'a Authority) -> Self {
        Self { authority, shows: None, alpn: &["http/1.1"] }
    }

    fn showing(self, pair: &'a Pair) -> Self {
        Self { shows: Some(pair), ..self }
    }

    fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.shows {
            None => config.with_no_client_auth(),
            Some(pair) => config.with_client_auth_cert(vec![pair.certificate.der().clone()], pair.private()).unwrap(),
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// Connects and goes through the handshake.
    fn connect(&self, address: SocketAddr, name: &str) -> Result<Line, String> {
        connect(&self.config(), address, name)
    }
}

type Line = StreamOwned<ClientConnection, TcpStream>;

fn connect(config: &Arc<ClientConfig>, address: SocketAddr, name: &str) -> Result<Line, String> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| error.to_string())?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// The leaf that the gate has shown.
fn shown(line: &Line) -> CertificateDer<'static> {
    line.conn.peer_certificates().unwrap()[0].clone()
}

/// Asks for something that needs no token; the status, or why there is none.
fn ask(line: &mut Line) -> Result<u16, String> {
    line.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").map_err(|error| error.to_string())?;
    let mut reader = BufReader::new(line);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        reader.read_exact(&mut byte).map_err(|error| error.to_string())?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    reader.read_exact(&mut vec![0; length]).map_err(|error| error.to_string())?;
    Ok(head[9..12].parse().unwrap())
}

fn serves(gate: &Gate, authority: &Authority) {
    assert_eq!(ask(&mut Client::new(authority).connect(gate.address, "localhost").unwrap()), Ok(200));
}
