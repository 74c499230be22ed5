//! Which certificate is shown for which name.

use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::{Client, Pair, authority, connect, put, shown};
use crate::support::{Start, Upstream};

#[test]
fn the_name_that_a_client_asks_for_decides_and_the_first_certificate_is_for_the_rest() {
    let (upstream, authority) = (Upstream::start(), authority("names"));
    let names: [&[&str]; 3] = [&["first.example"], &["*.wild.example"], &["exact.wild.example", "other.example"]];
    let pairs = names.map(|names| Pair::new(&authority, names));
    for refuse in [false, true] {
        let start = Start::before(upstream.address);
        let mut file = String::from("[tls]\n");
        file += if refuse { "unknown_names = 'refuse'\n" } else { "" };
        for (n, pair) in pairs.iter().enumerate() {
            pair.write(start.path(), &n.to_string());
            file += &format!("[[tls.certificates]]\ncertificate = '{n}.crt'\nkey = '{n}.key'\n");
        }
        let gate = start.config_file(&file).start();
        for (name, expected) in [
            ("first.example", Some(0)),
            ("any.wild.example", Some(1)),
            ("exact.wild.example", Some(2)),
            ("EXACT.wild.example", Some(2)),
            ("other.example", Some(2)),
        ] {
            let line = Client::new(&authority).connect(gate.address, name).unwrap();
            assert_eq!(expected.map(|n| pairs[n].certificate.der()), Some(&shown(&line)), "{name}");
        }
        for unknown in ["wild.example", "a.b.wild.example", "nobody.example", "127.0.0.1"] {
            let error = Client::new(&authority).connect(gate.address, unknown).err().unwrap();
            // The default is no certificate for that name, which the client notices.
            let expected = if refuse { "received fatal alert: UnrecognisedName" } else { "not valid for name" };
            assert!(error.contains(expected), "{unknown}: {error}");
        }
    }
}

#[test]
fn keys_of_every_kind_work_and_the_one_that_a_client_can_verify_is_taken() {
    let (upstream, authority) = (Upstream::start(), authority("kinds"));
    let keys = [
        KeyPair::generate().unwrap(),
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
    ];
    for key in keys {
        let start = Start::before(upstream.address).set("tls.certificate", "tls.crt").set("tls.key", "tls.key");
        let pair = Pair::of(key, &authority, &["localhost"], |_| {});
        pair.write(start.path(), "tls");
        let gate = start.start();
        let line = Client::new(&authority).connect(gate.address, "localhost").unwrap();
        assert_eq!(&shown(&line), pair.certificate.der());
    }
    let start = Start::before(upstream.address);
    let odd = Pair::of(KeyPair::generate_for(&PKCS_ED25519).unwrap(), &authority, &["localhost"], |_| {});
    let usual = Pair::new(&authority, &["localhost"]);
    odd.write(start.path(), "odd");
    usual.write(start.path(), "usual");
    put(start.path(), "ca.pem", &authority.pem());
    let table = |name: &str| format!("[[tls.certificates]]\ncertificate = '{name}.crt'\nkey = '{name}.key'\n");
    let gate = start.config_file(&(table("odd") + &table("usual"))).start();
    let mut config = (*Client::new(&authority).config()).clone();
    let line = connect(&std::sync::Arc::new(config.clone()), gate.address, "localhost").unwrap();
    assert_eq!(&shown(&line), odd.certificate.der());
    // One that knows nothing of Ed25519.
    let mut provider = (**config.crypto_provider()).clone();
    let verification = &mut provider.signature_verification_algorithms;
    let known: Vec<_> =
        verification.mapping.iter().filter(|(scheme, _)| !format!("{scheme:?}").contains("ED25519")).copied().collect();
    verification.mapping = Box::leak(known.into_boxed_slice());
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    config = tokio_rustls::rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let line = connect(&std::sync::Arc::new(config), gate.address, "localhost").unwrap();
    assert_eq!(&shown(&line), usual.certificate.der());
}
