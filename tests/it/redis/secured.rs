//! An engine that speaks TLS only, asks for a certificate, and knows its accounts.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn tls_with_an_authority_of_ones_own_a_client_certificate_and_an_account_with_few_rights() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    // Of its own: else every certificate looks as if it had signed itself.
    authority.distinguished_name.push(DnType::CommonName, "authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let ca = write("ca.pem", &authority.pem());
    let certified = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        (write(&format!("{name}.pem"), &certificate.pem()), write(&format!("{name}.key"), &key.serialize_pem()))
    };
    let (server, client) = (certified("server"), certified("client"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let engine = Engine::with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &server.0,
        "--tls-key-file",
        &server.1,
        "--tls-ca-cert-file",
        &ca,
    ]);
    // As in docs/redis.md.
    let rights = "~{portcullis}:* +get +mget +set +setnx +exists +scan +unlink +evalsha +script|load +xadd +xread +xrange \
                  +xrevrange +time +wait +info +client|setname +client|list +select +ping";
    let answer = engine.ask(format!("ACL SETUSER gate on >hush {rights}"));
    assert!(answer.starts_with("+OK"), "{answer}");
    let password = write("password", "hush\n");
    let gate = first(&engine)
        .set("store.urls", &format!("rediss://localhost:{port}"))
        .set("store.username", "gate")
        .set("store.password_file", &password)
        .set("store.tls.ca_file", &ca)
        .set("store.tls.certificate", &client.0)
        .set("store.tls.key", &client.1)
        .start();
    let pair = gate.alice(MANY).expect(201);
    let next = refresh(&gate, &pair).expect(200);
    revoke(&gate, &next);
    refuses_within_a_second(&gate, &next);
    assert!(!gate.whole_log().iter().any(|line| line.contains("hush")));
}
