//! Every algorithm a gate can sign with; and public keys, which are no secrets.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::ROUTE;
use crate::support::forge::{encode, parts, signed, with};
use crate::support::{Gate, Run, SECRET, Start, Upstream};

const ALGORITHMS: [&str; 12] =
    ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

#[test]
fn each_algorithm_signs_verifies_and_refuses() {
    for algorithm in ALGORITHMS {
        let upstream = Upstream::start();
        let gate = Start::before(upstream.address).set("token.algorithm", algorithm).start();
        serves(&gate, algorithm);
        // Another gate with a key of the same kind is another gate.
        let other = Start::before(upstream.address).set("token.algorithm", algorithm).start();
        let (ours, theirs) = (gate.alice(&["messages:list"]), other.alice(&["messages:list"]));
        gate.get(ROUTE).bearer(&theirs.field("access_token")).send().expect_refusal(401);
        let ours = ours.field("access_token");
        let theirs = theirs.field("access_token");
        let (message, _) = ours.rsplit_once('.').unwrap();
        let (_, signature) = theirs.rsplit_once('.').unwrap();
        gate.get(ROUTE).bearer(&format!("{message}.{signature}")).send().expect_refusal(401);
    }
}

#[test]
fn given_keys_serve_as_well_as_made_ones() {
    for algorithm in ["HS384", "HS512"] {
        let upstream = Upstream::start();
        let start = Start::before(upstream.address).set("token.algorithm", algorithm).set("token.secret", SECRET);
        serves(&start.start(), algorithm);
    }
    for algorithm in &ALGORITHMS[3..] {
        let upstream = Upstream::start();
        let (start, _) = with_key_file(Start::before(upstream.address), algorithm);
        serves(&start.start(), algorithm);
    }
}

/// Signs in, calls, refreshes, calls again; and a damaged signature is refused.
#[track_caller]
fn serves(gate: &Gate, algorithm: &str) {
    let pair = gate.alice(&["messages:list"]);
    let access = pair.field("access_token");
    assert_eq!(parts(&access).0["alg"], algorithm);
    let status = gate.get(ROUTE).bearer(&access).send().status;
    assert_eq!(status, 200, "{algorithm}: call");
    let next = gate.refresh(&pair.field("refresh_token"));
    assert_eq!(next.status, 200, "{algorithm}: refresh");
    let access = next.field("access_token");
    let status = gate.get(ROUTE).bearer(&access).send().status;
    assert_eq!(status, 200, "{algorithm}: call after refresh");
    let (message, signature) = access.rsplit_once('.').unwrap();
    for at in [0, signature.len() / 2, signature.len() - 2] {
        let letter = if signature.as_bytes()[at] == b'A' { "B" } else { "A" };
        let wrong = format!("{message}.{}{letter}{}", &signature[..at], &signature[at + 1..]);
        gate.get(ROUTE).bearer(&wrong).send().expect_refusal(401);
    }
    for wrong in [String::new(), encode([0; 64]), encode([255; 64]), encode([0; 256]), encode([0; 32])] {
        gate.get(ROUTE).bearer(&format!("{message}.{wrong}")).send().expect_refusal(401);
    }
}

/// A gate that signs with a key made by `keygen`, and that key in PEM.
#[track_caller]
fn with_key_file(start: Start, algorithm: &str) -> (Start, String) {
    Run::new(start.path(), &["keygen", "--algorithm", algorithm, "--out", "key.pem"]).end().expect(0);
    let pem = std::fs::read_to_string(start.path().join("key.pem")).unwrap();
    (start.set("token.algorithm", algorithm).set("token.key_file", "key.pem"), pem)
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    for algorithm in ["ES256", "ES384", "RS256", "PS256", "EdDSA"] {
        let upstream = Upstream::start();
        let (start, pem) = with_key_file(Start::before(upstream.address), algorithm);
        let gate = start.start();
        let pair = gate.alice(&["messages:list"]);
        let (header, claims) = parts(&pair.field("access_token"));
        let (refresh_header, refresh_claims) = parts(&pair.field("refresh_token"));
        for (name, secret) in public_forms(algorithm, &pem) {
            for (alg, hash) in
                [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
            {
                for alg in [alg, algorithm] {
                    let header = with(&header, "alg", alg).to_string();
                    let token = signed(hash, &secret, header, claims.to_string());
                    let status = gate.get(ROUTE).bearer(&token).send().status;
                    assert_eq!(status, 401, "{algorithm} gate, alg {alg}, secret: {name}");
                }
            }
            // Refresh tokens are HS256 at every gate: there the confusion would be about the key alone.
            let token = signed(hmac::HMAC_SHA256, &secret, refresh_header.to_string(), refresh_claims.to_string());
            gate.refresh(&token).expect_refusal(401);
        }
        assert!(upstream.seen().is_empty(), "{algorithm}");
        gate.get(ROUTE).bearer(&pair.field("access_token")).send().expect(200);
    }
}

/// The public key in every form in which a careless verifier might hold it, and what else is not secret.
fn public_forms(algorithm: &str, pem: &str) -> Vec<(&'static str, Vec<u8>)> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let private = STANDARD.decode(body).unwrap();
    fn both(key: &(impl AsRef<[u8]> + AsDer<PublicKeyX509Der<'static>>)) -> (Vec<u8>, Vec<u8>) {
        (key.as_ref().to_vec(), key.as_der().unwrap().as_ref().to_vec())
    }
    let (raw, der) = match algorithm {
        "RS256" | "PS256" => both(RsaKeyPair::from_pkcs8(&private).unwrap().public_key()),
        "ES256" => both(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &private).unwrap().public_key()),
        "ES384" => both(EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &private).unwrap().public_key()),
        _ => both(Ed25519KeyPair::from_pkcs8(&private).unwrap().public_key()),
    };
    let base64 = STANDARD.encode(&der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"));
    vec![
        ("raw", raw),
        ("DER", der),
        ("PEM", pem.clone().into_bytes()),
        ("PEM with a line break", format!("{pem}\n").into_bytes()),
        ("PEM with CRLF", pem.replace('\n', "\r\n").into_bytes()),
        ("base64 of the DER", base64.into_bytes()),
        ("nothing", Vec::new()),
        ("zeros", vec![0; 32]),
    ]
}
