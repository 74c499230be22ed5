//! Files that cannot be used: one clear line each, before anything is bound.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Pair, authority, put};
use crate::support::{Run, Start, Upstream};

/// A start on these files ends with 78 and one line on each mistake; so does `check`.
#[track_caller]
fn refused(certificate: Option<&str>, key: Option<&str>, expected: &[&str]) {
    let start =
        Start::alone().config_file("tls.certificate = 'tls.crt'\ntls.key = 'tls.key'\nserver.listen = '127.0.0.1:0'\n");
    for (name, text) in [("tls.crt", certificate), ("tls.key", key)] {
        if let Some(text) = text {
            put(start.path(), name, text);
        }
    }
    let checked = Run::new(start.path(), &["check"]).end().expect(78);
    assert_eq!(checked.stderr.lines().count(), expected.len(), "{}", checked.stderr);
    for part in expected {
        assert!(checked.stderr.contains(part), "{part}: {}", checked.stderr);
    }
    let served = Run::new(start.path(), &["serve"]).end().expect(78);
    assert!(served.stderr.contains(expected[0]), "{}", served.stderr);
    assert!(!checked.stderr.contains("PRIVATE") && !served.stderr.contains("MII"), "{}", served.stderr);
}

#[test]
fn each_mistake_is_one_line_that_names_the_key_and_the_file() {
    let (root, pair) = (authority("root"), Pair::new(&authority("root"), &["a.example"]));
    let other = Pair::new(&root, &["a.example"]);
    let (crt, key) = (pair.certificate.pem(), pair.key.serialize_pem());
    let chain = |parts: &[&str]| parts.concat();
    let (own, stranger) = (Pair::new(&root, &["b.example"]), authority("stranger").pem());
    let own_key = own.key.serialize_pem();
    refused(None, None, &["tls.certificate: tls.crt: cannot be read: No such", "tls.key: tls.key: cannot be read"]);
    refused(Some(&crt), None, &["tls.key: tls.key: cannot be read: No such file"]);
    refused(Some(""), Some(&key), &["tls.certificate: tls.crt: holds no certificate in PEM"]);
    refused(
        Some(&key),
        Some(&crt),
        &["tls.crt: holds no certificate", "tls.key: holds no private key but a certificate"],
    );
    refused(Some(&crt), Some("hello"), &["tls.key: tls.key: holds no PEM private key"]);
    refused(
        Some(&crt),
        Some(&other.key.serialize_pem()),
        &["tls.key: is not the private key of the certificate in tls.crt"],
    );
    refused(
        Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        Some(&key),
        &["certificate 1 of the file cannot be read"],
    );
    let backwards = chain(&[&root.pem(), &own.certificate.pem()]);
    refused(Some(&backwards), Some(&own_key), &["wrong order: certificate 2 is the one that the key belongs to"]);
    let mixed = chain(&[&own.certificate.pem(), &stranger, &root.pem()]);
    refused(Some(&mixed), Some(&own_key), &["wrong order: certificate 1 was not issued by the one after it"]);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    refused(Some(&crt), Some(encrypted), &["tls.key: is encrypted; decrypt it with"]);
}

#[test]
fn a_key_that_all_may_read_and_an_expired_certificate_are_told_and_served() {
    let (upstream, root) = (Upstream::start(), authority("root"));
    let start = Start::before(upstream.address).set("tls.certificate", "tls.crt").set("tls.key", "tls.key");
    let expired = Pair::with(&root, &["localhost"], |it| it.not_after = rcgen::date_time_ymd(2020, 1, 1));
    expired.write(start.path(), "tls");
    fs::set_permissions(start.path().join("tls.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let gate = start.start();
    assert!(gate.wait_for_log("every user of this machine").contains("tls.key: tls.key: mode 0644"));
    gate.wait_for_log("has expired; clients refuse it");
}

#[test]
fn dev_cert_makes_what_the_gate_takes_and_overwrites_nothing() {
    let upstream = Upstream::start();
    let start = Start::before(upstream.address).set("tls.certificate", "tls.crt").set("tls.key", "tls.key");
    Run::new(start.path(), &["dev-cert", "localhost", "a.example"]).end().expect(0);
    assert_eq!(fs::metadata(start.path().join("tls.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = Run::new(start.path(), &["dev-cert"]).end().expect(1);
    assert!(again.stderr.contains("there is a file of this name already"), "{}", again.stderr);
    start.start();
}
