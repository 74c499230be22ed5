//! Keys over TLS: whose word for the other side counts.

use std::fs;
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::provider::{Key, Provider, Reply, Stream, claims};
use super::{before, read, read_until, table};
use crate::support::{Gate, Upstream};

const ISSUER: &str = "https://idp.example";

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A provider whose certificate is for `name`, and by `authority`.
fn provider(name: &str, authority: &CertifiedIssuer<'static, KeyPair>, reply: Reply) -> Provider {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let config = Arc::new(config);
    Provider::start_tls(reply, move |mut stream: TcpStream| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).ok()?;
        connection.complete_io(&mut stream).ok()?;
        Some(Box::new(StreamOwned::new(connection, stream)) as Box<dyn Stream>)
    })
}

/// A gate that trusts `authority` to vouch for the provider by the name of `host`.
fn gate(upstream: &Upstream, provider: &Provider, host: &str, authority: &CertifiedIssuer<'static, KeyPair>) -> Gate {
    let source = format!("jwks_url = 'https://{host}:{}/jwks'\nca_file = 'ca.pem'", provider.address.port());
    let start = before(upstream, &table(ISSUER, &source, "cooldown = '200ms'"));
    fs::write(start.path().join("ca.pem"), authority.pem()).unwrap();
    start.start()
}

#[test]
fn an_authority_of_the_operators_own_is_believed() {
    let (key, authority, upstream) = (Key::new("key", "ES256"), authority(), Upstream::start());
    for name in ["localhost", "127.0.0.1"] {
        let provider = provider(name, &authority, Reply::keys(&[&key]));
        let gate = gate(&upstream, &provider, name, &authority);
        read_until(&gate, &key.token(&claims(ISSUER, "alice", "items:read")), 200);
        assert_eq!(provider.most_at_once(), 1);
    }
}

#[test]
fn a_certificate_by_somebody_else_or_for_somebody_else_is_not() {
    let (key, authority, upstream) = (Key::new("key", "ES256"), authority(), Upstream::start());
    for (provider, expected) in [
        (provider("localhost", &self::authority(), Reply::keys(&[&key])), "no TLS: invalid peer certificate"),
        (provider("idp.example", &authority, Reply::keys(&[&key])), "not valid for name"),
    ] {
        let gate = gate(&upstream, &provider, "localhost", &authority);
        let line = gate.wait_for_log("cannot be had");
        assert!(line.contains(expected), "{line}");
        read(&gate, &key.token(&claims(ISSUER, "alice", "items:read"))).expect_refusal(401);
    }
}

#[test]
fn whom_the_system_trusts_is_believed_where_no_file_is_named() {
    let (key, authority, upstream) = (Key::new("key", "ES256"), authority(), Upstream::start());
    let provider = provider("localhost", &authority, Reply::keys(&[&key]));
    let source = format!("jwks_url = 'https://localhost:{}/jwks'", provider.address.port());
    let start = before(&upstream, &table(ISSUER, &source, "cooldown = '200ms'"));
    let system = start.path().join("system.pem");
    fs::write(&system, authority.pem()).unwrap();
    let gate = start.env("SSL_CERT_FILE", system.to_str().unwrap()).start();
    read_until(&gate, &key.token(&claims(ISSUER, "alice", "items:read")), 200);
}

#[test]
fn a_start_names_a_file_of_authorities_that_holds_none() {
    let upstream = Upstream::start();
    let source = "jwks_url = 'https://localhost:1/jwks'\nca_file = 'ca.pem'";
    let start = before(&upstream, &table(ISSUER, source, ""));
    for (text, expected) in [("", "holds no certificate of an authority"), ("hello", "holds no certificate")] {
        fs::write(start.path().join("ca.pem"), text).unwrap();
        let ended = crate::support::Run::new(start.path(), &["check"]).end().expect(78);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}
