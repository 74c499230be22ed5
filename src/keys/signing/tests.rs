//! Signatures of every algorithm: what verifies, and what must not.
//!
//! Guarantees: our signatures agree with jsonwebtoken's own in both directions, and with a published example.
//! Does not know: key files.

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{DecodingKey, EncodingKey};

use super::super::{Family, generate, install_crypto};
use super::*;

const MESSAGE: &[u8] = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0";

/// Fewer than 2048 bits: made to be refused.
const RSA_1024: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXAIBAAKBgQCfJv/PFwW7YOC57orFDjbRhvElFRIzOb4rmjnMDBRGHNFmNmqB
gv+85jlXySEk/xyiMlqlcnQNcDf4GHUn+Sfs6sNmqVzYJExjHzGayiU2j6jGykkO
0+whHxaL/F7ymwWgZ+y372uLBaj/TGJJoJWeYnQ1KUAZMU5dR1rgAEhmkwIDAQAB
AoGAQJ7jK0Db0PNLC/OxYMWeuICkFTxzAV2mu6mJYjJdYQJ+e5QItsFr+VU5X02J
Ka5z/9+WMqtAN9yivRehKjPeY43xUslmLsUIeE4xHbM685qxUI/X+yIUVVVcgjCa
UpRDx/cE/rqoDHmMf4vx6PFl6cw3A7xDIAnloPuDDOkeuhECQQDTNr1JFHs09azW
ve8zeOUmlaAf3PA6TqkA0h1IUqfxonhwwTDWPi4Pq7aye2kxG5yCihZ30EYaSbyM
KilG6Lg9AkEAwOY4j1E7QG1Yfx7qSpGzKFbxoG5cf1ZScpArO+wXHBQriV9Or/rT
X4kYucAxqGvffW6OLohkbP1TvMl2jdq3DwJBAI4NWb8F3FthA+6lbXQz0gJiTYBA
ivzcHIQlzHXwyW0VNWW4OQ1OYpI9jbF6mOPjSx7smnHYjN1vTDUEwiAjso0CQFop
QTZ7mV47valtIcVI5JxuRvHdo45BIrg5enu/le2h39eNnJHUgwecZNotYwh9ozBV
hE9roMTwgzsyTx9uozECQCGbVbj49SiXkHDLKPoM7hNDg5Ec/aN5uoSWxETEJFs8
aQ8ALNJK7hRUpTjR35GHSnOiSyFH6j5zn0u5pz0uT7I=
-----END RSA PRIVATE KEY-----
";

fn fresh(algorithm: Algorithm) -> Key {
    let text = generate(algorithm).unwrap();
    if algorithm.is_hmac() {
        Key::from_secret(algorithm, text.as_bytes()).unwrap()
    } else {
        Key::from_pem(algorithm, text.as_bytes()).unwrap()
    }
}

fn elliptic(algorithm: Algorithm, der: &[u8]) -> EcdsaKeyPair {
    let signing = match algorithm {
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        _ => &ECDSA_P384_SHA384_FIXED_SIGNING,
    };
    EcdsaKeyPair::from_pkcs8(signing, der).unwrap()
}

fn block(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

#[track_caller]
fn refused(algorithm: Algorithm, pem: &str, expected: &str) {
    let error = Key::from_pem(algorithm, pem.as_bytes()).err().expect("refused").to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_signature_verifies_and_any_change_to_it_does_not() {
    for algorithm in Algorithm::ALL {
        let key = fresh(algorithm);
        let text = key.sign(MESSAGE).unwrap();
        assert!(key.verify(MESSAGE, &text), "{algorithm}");
        assert!(!key.verify(&MESSAGE[1..], &text) && !key.verify(b"", &text), "{algorithm}");

        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verify(MESSAGE, &URL_SAFE_NO_PAD.encode(flipped)), "{algorithm}, bit {bit}");
        }
        for length in [0, 1, 31, 32, 63, bytes.len() - 1] {
            if length < bytes.len() {
                assert!(!key.verify(MESSAGE, &URL_SAFE_NO_PAD.encode(&bytes[..length])), "{algorithm}, {length}");
            }
        }
        assert!(!key.verify(MESSAGE, &URL_SAFE_NO_PAD.encode([&bytes[..], &[0]].concat())), "{algorithm}");
        assert!(!key.verify(MESSAGE, &URL_SAFE_NO_PAD.encode(vec![0; bytes.len()])), "{algorithm}");
    }
}

#[test]
fn a_signature_has_one_spelling() {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for algorithm in Algorithm::ALL {
        let key = fresh(algorithm);
        let text = key.sign(MESSAGE).unwrap();
        for other in [
            format!("{text}="),
            format!("{text}=="),
            format!("{text} "),
            format!("{text}\n"),
            format!(" {text}"),
            format!("\n{}", &text[1..]),
            format!("{}=", &text[..text.len() - 1]),
            format!("{} ", &text[..text.len() - 1]),
            format!("{} {}", &text[..9], &text[9..]),
            format!("{text}A"),
            format!("{}é", &text[..text.len() - 2]),
        ] {
            assert!(!key.verify(MESSAGE, &other), "{algorithm}: {other:?}");
        }
        // Of the 64 last characters only one is right: the others differ in bits that count, or in bits that must be 0.
        let accepted = ALPHABET
            .chars()
            .filter(|last| key.verify(MESSAGE, &format!("{}{last}", &text[..text.len() - 1])))
            .collect::<String>();
        assert_eq!(accepted, text[text.len() - 1..], "{algorithm}");
        // The other alphabet of base64 does not pass for this one.
        if text.contains(['-', '_']) {
            assert!(!key.verify(MESSAGE, &text.replace('-', "+").replace('_', "/")), "{algorithm}");
        }
    }
}

#[test]
fn a_key_of_one_algorithm_never_verifies_what_another_signed() {
    // The same secret, and the same private key: only the algorithm differs.
    let (secret, rsa) = ([b's'; 64], generate(Algorithm::RS256).unwrap());
    let keys: Vec<Key> = (Algorithm::ALL.into_iter())
        .map(|algorithm| match algorithm.family() {
            Family::Secret => Key::from_secret(algorithm, &secret).unwrap(),
            Family::Rsa => Key::from_pem(algorithm, rsa.as_bytes()).unwrap(),
            _ => fresh(algorithm),
        })
        .collect();
    for signer in &keys {
        let signature = signer.sign(MESSAGE).unwrap();
        for verifier in &keys {
            let same = signer.algorithm == verifier.algorithm;
            assert_eq!(verifier.verify(MESSAGE, &signature), same, "{} {}", signer.algorithm, verifier.algorithm);
        }
    }
}

#[test]
fn two_keys_of_one_algorithm_are_two_keys() {
    for algorithm in Algorithm::ALL {
        let (one, two) = (fresh(algorithm), fresh(algorithm));
        assert!(!two.verify(MESSAGE, &one.sign(MESSAGE).unwrap()), "{algorithm}");
        assert_ne!(one.kid, two.kid);
    }
}

/// RFC 7515, appendix A.1.
#[test]
fn the_example_of_the_standard_verifies() {
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                   eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let key = Key::from_secret(Algorithm::HS256, &URL_SAFE_NO_PAD.decode(secret).unwrap()).unwrap();
    assert_eq!(key.sign(message.as_bytes()).unwrap(), signature);
    assert!(key.verify(message.as_bytes(), signature));
}

#[test]
fn jsonwebtokens_own_signatures_and_ours_verify_each_other() {
    install_crypto();
    install_crypto();
    for algorithm in Algorithm::ALL {
        let text = generate(algorithm).unwrap();
        let der = || pem::read(text.as_bytes()).unwrap().der;
        let (ours, encoding, decoding) = match algorithm {
            _ if algorithm.is_hmac() => (
                Key::from_secret(algorithm, text.as_bytes()),
                EncodingKey::from_secret(text.as_bytes()),
                DecodingKey::from_secret(text.as_bytes()),
            ),
            Algorithm::ES256 | Algorithm::ES384 => (
                Key::from_pem(algorithm, text.as_bytes()),
                EncodingKey::from_ec_pem(text.as_bytes()).unwrap(),
                DecodingKey::from_ec_der(elliptic(algorithm, &der()).public_key().as_ref()),
            ),
            Algorithm::EdDSA => (
                Key::from_pem(algorithm, text.as_bytes()),
                EncodingKey::from_ed_pem(text.as_bytes()).unwrap(),
                DecodingKey::from_ed_der(Ed25519KeyPair::from_pkcs8(&der()).unwrap().public_key().as_ref()),
            ),
            _ => (
                Key::from_pem(algorithm, text.as_bytes()),
                EncodingKey::from_rsa_pem(text.as_bytes()).unwrap(),
                DecodingKey::from_rsa_der(RsaKeyPair::from_pkcs8(&der()).unwrap().public_key().as_ref()),
            ),
        };
        let ours = ours.unwrap();
        let theirs = jsonwebtoken::crypto::sign(MESSAGE, &encoding, algorithm.into()).unwrap();
        assert!(ours.verify(MESSAGE, &theirs), "{algorithm}");
        let signature = ours.sign(MESSAGE).unwrap();
        assert!(jsonwebtoken::crypto::verify(&signature, MESSAGE, &decoding, algorithm.into()).unwrap(), "{algorithm}");
        assert_eq!(ours.prepared.signer.algorithm(), algorithm.into());
        assert_eq!(ours.prepared.verifier.algorithm(), algorithm.into());
    }
}

#[test]
fn the_older_encodings_of_a_private_key_are_the_same_key() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
    let new = Key::from_pem(Algorithm::ES256, pem::write(pair.to_pkcs8v1().unwrap().as_ref()).as_bytes()).unwrap();
    let old = Key::from_pem(Algorithm::ES256, block("EC PRIVATE KEY", sec1.as_ref()).as_bytes()).unwrap();
    assert!(new.verify(MESSAGE, &old.sign(MESSAGE).unwrap()));
    assert_eq!(new.kid, old.kid);

    let text = generate(Algorithm::RS256).unwrap();
    // PKCS#8 wraps the PKCS#1 structure behind 26 bytes, for keys of this size.
    let pkcs1 = block("RSA PRIVATE KEY", &pem::read(text.as_bytes()).unwrap().der[26..]);
    let new = Key::from_pem(Algorithm::RS256, text.as_bytes()).unwrap();
    let old = Key::from_pem(Algorithm::RS256, pkcs1.as_bytes()).unwrap();
    assert!(new.verify(MESSAGE, &old.sign(MESSAGE).unwrap()));
    assert_eq!(new.kid, old.kid);
}

#[test]
fn a_private_key_of_another_type_is_refused_by_name() {
    for made in [Algorithm::ES256, Algorithm::ES384, Algorithm::RS256, Algorithm::EdDSA] {
        let text = generate(made).unwrap();
        for wanted in Algorithm::asymmetric().filter(|wanted| wanted.family() != made.family()) {
            refused(wanted, &text, &format!("but {wanted} needs an"));
        }
        refused(Algorithm::HS256, &text, "signs with a secret");
    }
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let sec1: EcPrivateKeyRfc5915Der<'_> = p384.private_key().as_der().unwrap();
    let expected = "holds an EC key on the curve P-384, but ES256 needs an EC key on the curve P-256";
    refused(Algorithm::ES256, &pem::write(p384.to_pkcs8v1().unwrap().as_ref()), expected);
    refused(Algorithm::ES256, &block("EC PRIVATE KEY", sec1.as_ref()), expected);
    refused(Algorithm::ES256, RSA_1024, "holds an RSA key, but ES256");
}

#[test]
fn a_short_or_broken_private_key_is_refused() {
    for algorithm in Algorithm::asymmetric().filter(|algorithm| algorithm.family() == Family::Rsa) {
        refused(algorithm, RSA_1024, "shorter than 2048 bits");
    }
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::RS256, Algorithm::PS256, Algorithm::EdDSA] {
        let der = pem::read(generate(algorithm).unwrap().as_bytes()).unwrap().der;
        refused(algorithm, &pem::write(&der[..der.len() - 1]), "is not a valid key for");
    }
    refused(Algorithm::EdDSA, &pem::write(b"nonsense"), "holds a key of an unknown type");
}

#[test]
fn debug_shows_name_and_algorithm_only() {
    let key = SigningKey::new(Key::from_secret(Algorithm::HS256, &[b'x'; 32]).unwrap(), &[7; 32]);
    assert_eq!(format!("{key:?}"), format!("SigningKey {{ kid: {:?}, algorithm: HS256, .. }}", key.kid()));
}
