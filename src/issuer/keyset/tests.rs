//! Which keys of a set are taken, which are left out, and why.
//!
//! Guarantees: every key here is a real one, made anew, unless what is wrong with it is that it is not.
//! Does not know: signatures; tests of the binary make some with every algorithm.

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use serde_json::json;

use super::*;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ec(kid: &str, curve: &str, signing: &'static EcdsaSigningAlgorithm) -> Value {
    let pair = EcdsaKeyPair::generate(signing).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
    json!({ "kty": "EC", "kid": kid, "crv": curve, "x": encode(x), "y": encode(y) })
}

fn p256(kid: &str) -> Value {
    ec(kid, "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING)
}

fn p384(kid: &str) -> Value {
    ec(kid, "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING)
}

fn ed25519(kid: &str) -> Value {
    let pair = Ed25519KeyPair::generate().unwrap();
    json!({ "kty": "OKP", "kid": kid, "crv": "Ed25519", "x": encode(pair.public_key()) })
}

fn rsa(kid: &str) -> Value {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let n = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
    json!({ "kty": "RSA", "kid": kid, "n": encode(n), "e": "AQAB" })
}

fn with(key: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut key = key.clone();
    key[name] = value.into();
    key
}

fn without(key: &Value, name: &str) -> Value {
    let mut key = key.clone();
    key.as_object_mut().unwrap().remove(name);
    key
}

fn parse(keys: &[Value], algorithms: &[Algorithm]) -> Result<Parsed, KeySetError> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), algorithms, 10)
}

/// The algorithms that a key is taken for when the issuer may use any.
#[track_caller]
fn taken_for(key: Value, expected: &[Algorithm]) {
    let Parsed { set, left_out } = parse(std::slice::from_ref(&key), &Algorithm::ALL).unwrap();
    assert_eq!(left_out, Vec::<String>::new());
    let found = |algorithm: &Algorithm| set.find(key["kid"].as_str().unwrap(), *algorithm).unwrap().is_some();
    assert_eq!(Algorithm::ALL.into_iter().filter(found).collect::<Vec<_>>(), expected, "{key}");
}

/// A key is left out, and the one beside it is taken.
#[track_caller]
fn left_out(key: &Value, why: &str) {
    let Parsed { set, left_out } = parse(&[p256("good"), key.clone()], &Algorithm::ALL).unwrap();
    assert_eq!(set.kids().collect::<Vec<_>>(), ["good"], "{key}");
    assert!(left_out.len() == 1 && left_out[0].ends_with(why), "{key}: {left_out:?}");
}

#[test]
fn a_key_is_bound_to_the_algorithms_of_its_type_and_to_its_own_if_it_names_one() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    taken_for(p256("a"), &[ES256]);
    taken_for(p384("a"), &[ES384]);
    taken_for(ed25519("a"), &[EdDSA]);
    let rsa = rsa("a");
    taken_for(rsa.clone(), &[RS256, RS384, RS512, PS256, PS384, PS512]);
    taken_for(with(&rsa, "alg", "PS256"), &[PS256]);
    taken_for(
        with(&with(&rsa, "use", "sig"), "key_ops", json!(["verify"])),
        &[RS256, RS384, RS512, PS256, PS384, PS512],
    );
    // Not what RFC 7518 section 6.3.1.1 asks for, and met all the same.
    let n = URL_SAFE_NO_PAD.decode(rsa["n"].as_str().unwrap()).unwrap();
    taken_for(with(&with(&rsa, "alg", "RS256"), "n", encode([&[0], &n[..]].concat())), &[RS256]);
}

#[test]
fn keys_that_are_not_fit_are_left_out_and_harm_no_other() {
    let (p256, rsa) = (p256("a"), rsa("a"));
    left_out(&json!({ "kty": "oct", "kid": "a", "k": encode([7; 64]) }), "is symmetric");
    left_out(&json!({ "kty": "oct", "kid": "a", "k": encode([7; 64]), "alg": "A128KW" }), "is symmetric");
    left_out(&json!({ "kty": "oct", "kid": "a", "k": encode([7; 64]), "alg": "HS256", "use": "sig" }), "is symmetric");
    left_out(&with(&rsa, "alg", "HS256"), "is for none of the issuer's algorithms");
    left_out(&with(&rsa, "alg", "RSA-OAEP-256"), "is for none of the issuer's algorithms");
    left_out(&with(&rsa, "alg", "ES256"), "is for none of the issuer's algorithms");
    left_out(&with(&rsa, "alg", "none"), "is for none of the issuer's algorithms");
    left_out(&with(&p256, "use", "enc"), "is not for signatures");
    left_out(&with(&p256, "use", "tls"), "is not for signatures");
    left_out(&with(&p256, "key_ops", json!(["sign"])), "is not for verifying");
    left_out(&with(&p256, "key_ops", json!([])), "is not for verifying");
    left_out(&with(&rsa, "n", encode([0xff; 255])), "is an RSA key of fewer than 2048 bits");
    left_out(&with(&rsa, "n", encode([[0x7f].as_slice(), &[0xff; 255]].concat())), "of fewer than 2048 bits");
    left_out(&with(&rsa, "n", encode([vec![0; 256], vec![0xff; 128]].concat())), "of fewer than 2048 bits");
    left_out(&with(&rsa, "e", "AA"), "cannot be read");
    left_out(&with(&rsa, "n", "not base64url!"), "cannot be read");
    left_out(&without(&rsa, "n"), "is of an unknown type");
    left_out(&with(&p256, "x", encode([1; 31])), "cannot be read");
    left_out(&with(&p256, "x", encode([1; 32])), "cannot be read");
    left_out(&with(&p256, "crv", "P-384"), "cannot be read");
    left_out(&with(&p256, "crv", "P-521"), "is on a curve that is not supported");
    left_out(&with(&p256, "crv", "secp256k1"), "is of an unknown type");
    left_out(&with(&ed25519("a"), "x", encode([1; 31])), "cannot be read");
    left_out(&with(&p256, "kty", "AKP"), "is of an unknown type");
    left_out(&with(&p256, "d", encode([1; 32])), "is a private key");
    left_out(&without(&p256, "kid"), "has no kid");
    left_out(&with(&p256, "kid", ""), "has no kid");
    left_out(&with(&p256, "kid", 7), "cannot be read");
    left_out(&json!("key"), "cannot be read");
    left_out(&self::p256("good"), "has the kid of another key");
}

#[test]
fn one_name_may_stand_for_keys_of_several_algorithms() {
    let Parsed { set, left_out } = parse(&[p256("a"), ed25519("a")], &Algorithm::ALL).unwrap();
    assert!(left_out.is_empty(), "{left_out:?}");
    let found = |algorithm| set.find("a", algorithm).unwrap().map(|key| key.algorithm);
    assert_eq!(found(Algorithm::ES256), Some(Algorithm::ES256));
    assert_eq!(found(Algorithm::EdDSA), Some(Algorithm::EdDSA));
    assert_eq!(found(Algorithm::RS256), None);
    assert!(set.find("b", Algorithm::ES256).is_none());
}

#[test]
fn a_text_without_a_usable_key_is_no_set() {
    for text in ["", "<html>", "[]", "{}", "{\"keys\":{}}", "{\"keys\":null}", "\u{0}"] {
        assert!(matches!(KeySet::parse(text.as_bytes(), &Algorithm::ALL, 10), Err(KeySetError::NoSet(_))), "{text}");
    }
    assert!(matches!(parse(&[], &Algorithm::ALL), Err(KeySetError::NoKey(left_out)) if left_out.is_empty()));
    let error = parse(&[p256("a")], &[Algorithm::RS256]).unwrap_err().to_string();
    assert_eq!(error, "no usable key: key 0 (\"a\") is for none of the issuer's algorithms");
    let many: Vec<_> = (0..11).map(|n| json!({ "kid": n.to_string() })).collect();
    assert!(matches!(parse(&many, &Algorithm::ALL), Err(KeySetError::TooMany(10))));
}

#[test]
fn a_set_covers_another_one_if_it_has_the_very_same_keys() {
    let (a, b) = (p256("a"), ed25519("b"));
    let set = |keys: &[Value]| parse(keys, &Algorithm::ALL).unwrap().set;
    let both = set(&[a.clone(), b.clone()]);
    assert!(both.covers(&KeySet::default()) && both.covers(&set(&[b.clone(), a.clone()])));
    assert!(both.covers(&set(std::slice::from_ref(&a))));
    assert!(!set(&[a]).covers(&both));
    // Another key by the same name.
    assert!(!set(&[p256("a"), b]).covers(&both));
}
