//! Certificates of clients.

use rcgen::{
    CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, KeyIdMethod,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use tokio_rustls::rustls::HandshakeKind;

use super::{Authority, Client, Pair, ask, authority, connect, put, start};
use crate::support::{Gate, Start, Upstream, until};

pub(super) fn client(authority: &Authority, serial: u64, change: impl FnOnce(&mut CertificateParams)) -> Pair {
    Pair::with(authority, &[], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.distinguished_name.push(DnType::CommonName, "client");
        params.serial_number = Some(SerialNumber::from(serial));
        change(params);
    })
}

pub(super) fn crl(authority: &Authority, revoked: &[u64]) -> String {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2025, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2025, 1, 1),
        next_update: date_time_ymd(2050, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(authority).unwrap().pem().unwrap()
}

/// A gate that asks for certificates, by authority `trusted`.
fn gate(upstream: &Upstream, ours: &Authority, trusted: &Authority, demand: &str) -> Gate {
    asking(start(upstream, ours), trusted, demand).start()
}

/// One that will.
pub(super) fn asking(start: Start, trusted: &Authority, demand: &str) -> Start {
    let start = start.set("tls.client_auth", demand);
    if demand == "off" {
        return start;
    }
    put(start.path(), "clients.pem", &trusted.pem());
    put(start.path(), "clients.crl", &crl(trusted, &[13]));
    start.set("tls.client_ca", "clients.pem").set("tls.client_crl", "clients.crl")
}

#[test]
fn what_a_client_shows_decides_as_the_operator_wants() {
    let (upstream, ours, trusted) = (Upstream::start(), authority("ours"), authority("clients"));
    let right = client(&trusted, 1, |_| {});
    let untrusted = client(&authority("clients"), 1, |_| {});
    let expired = client(&trusted, 2, |it| it.not_after = date_time_ymd(2020, 1, 1));
    let revoked = client(&trusted, 13, |_| {});
    let wrong = client(&trusted, 3, |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    for demand in ["off", "optional", "required"] {
        let gate = gate(&upstream, &ours, &trusted, demand);
        for (what, shows, optional, required) in [
            ("none", None, true, false),
            ("right", Some(&right), true, true),
            ("untrusted", Some(&untrusted), false, false),
            ("expired", Some(&expired), false, false),
            ("revoked", Some(&revoked), false, false),
            ("wrong usage", Some(&wrong), false, false),
        ] {
            let expected = match demand {
                "optional" => optional,
                "required" => required,
                _ => true,
            };
            let offer = Client { shows, ..Client::new(&ours) };
            let answered = offer.connect(gate.address, "localhost").and_then(|mut line| ask(&mut line));
            assert_eq!(answered.is_ok(), expected, "{what}, {demand}: {answered:?}");
        }
        let named = upstream.seen().into_iter().filter(|seen| !seen.all("x-auth-certificate").is_empty()).count();
        assert_eq!(named, if demand == "required" { 2 } else { usize::from(demand != "off") }, "{demand}");
    }
}

#[test]
fn the_upstream_learns_whom_the_certificate_names_and_never_from_the_client() {
    use std::io::Write;
    let (upstream, ours, trusted) = (Upstream::start(), authority("ours"), authority("clients"));
    let gate = gate(&upstream, &ours, &trusted, "optional");
    let spiffe = client(&trusted, 1, |it| {
        it.subject_alt_names = vec![
            SanType::DnsName("d.example".to_owned().try_into().unwrap()),
            SanType::URI("spiffe://example/a".to_owned().try_into().unwrap()),
        ];
    });
    for (shows, expected) in [(Some(&spiffe), vec!["URI=spiffe://example/a"]), (None, vec![])] {
        let mut line = Client { shows, ..Client::new(&ours) }.connect(gate.address, "localhost").unwrap();
        line.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Auth-Certificate: CN=root\r\nX_Auth_Certificate: CN=root\r\nClient-Cert: :AA==:\r\n")
            .unwrap();
        line.write_all(b"X-Forwarded-Proto: http\r\n").unwrap();
        assert_eq!(ask_rest(&mut line), 200);
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(seen.all("x-auth-certificate"), expected);
        assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
        assert!(seen.all("x_auth_certificate").is_empty() && seen.all("client-cert").is_empty());
    }
}

fn ask_rest(line: &mut super::Line) -> u16 {
    use std::io::{Read, Write};
    line.write_all(b"Connection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = line.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer)[9..12].parse().unwrap()
}

#[test]
fn a_session_is_resumed_by_any_worker_and_by_none_once_trust_has_changed() {
    let (upstream, ours, trusted) = (Upstream::start(), authority("ours"), authority("clients"));
    let gate = gate(&upstream, &ours, &trusted, "required");
    let right = client(&trusted, 7, |_| {});
    let config = Client::new(&ours).showing(&right).config();
    let kind = || {
        connect(&config, gate.address, "localhost").and_then(|mut line| {
            ask(&mut line)?;
            Ok(line.conn.handshake_kind())
        })
    };
    assert_eq!(kind(), Ok(Some(HandshakeKind::Full)));
    // They lie on two workers by turns.
    for _ in 0..8 {
        assert_eq!(kind(), Ok(Some(HandshakeKind::Resumed)));
    }
    put(&gate.folder(), "clients.crl", &crl(&trusted, &[7, 13]));
    gate.wait_for_log("the TLS files have changed");
    until("the revocation", || kind().is_err().then_some(()));
}
