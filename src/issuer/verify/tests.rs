//! Whose keys and algorithms a token has to meet, and which header it may have.
//!
//! Guarantees: each case differs from a token that is accepted in the one thing that it is about.
//! Does not know: claims beyond `iss`, fetching.

use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use crate::issuer::{KeySet, Source, Trust};
use crate::token::tests::{T0, policy};

const A: &str = "https://a.example";
const B: &str = "https://b.example";

fn pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

fn set(pair: &EcdsaKeyPair) -> KeySet {
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
    let text = json!({ "keys": [{ "kty": "EC", "kid": "key", "crv": "P-256", "x": x, "y": y }] }).to_string();
    KeySet::parse(text.as_bytes(), &[Algorithm::ES256], 10).unwrap().set
}

fn issuers(keys: &[(&str, &EcdsaKeyPair)]) -> Issuers {
    let trust = |issuer: &str| Trust {
        issuer: issuer.into(),
        audience: vec!["api".into()],
        algorithms: vec![Algorithm::ES256],
        scopes_claim: "scope".into(),
        roles_claim: None,
        scopes: None,
        source: Source::File("jwks.json".into()),
        refresh_interval: Duration::from_hours(1),
        cooldown: Duration::from_secs(30),
    };
    let issuers = Issuers::new(keys.iter().map(|(issuer, _)| trust(issuer)).collect());
    for (issuer, (_, pair)) in issuers.list.iter().zip(keys) {
        issuers.replace(issuer, set(pair));
    }
    issuers
}

fn message(header: &Value, issuer: &str) -> String {
    let claims = json!({ "iss": issuer, "sub": "alice", "aud": "api", "exp": T0.as_secs() + 300 });
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn signed(header: &Value, issuer: &str, pair: &EcdsaKeyPair) -> String {
    let message = message(header, issuer);
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// `nobody`: for the judge of our own tokens.
#[track_caller]
fn check(issuers: &Issuers, token: &str, expected: &str) {
    let reason = match issuers.verify(token, &policy(), T0) {
        None => "nobody",
        Some(Ok(_)) => "ok",
        Some(Err(error)) => error.reason(),
    };
    assert_eq!(reason, expected);
}

#[test]
fn headers_are_those_of_access_tokens_by_a_known_key() {
    let pair = pair();
    let issuers = issuers(&[(A, &pair)]);
    let header = |different: &Value| {
        let mut header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "key" });
        for (name, value) in different.as_object().unwrap() {
            header[name] = value.clone();
        }
        header.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        header
    };
    for (different, expected) in [
        (json!({}), "ok"),
        (json!({ "typ": null }), "ok"),
        (json!({ "typ": "jwt" }), "ok"),
        (json!({ "typ": "application/at+jwt" }), "ok"),
        (json!({ "typ": "rt+jwt" }), "token_type"),
        (json!({ "typ": "logout+jwt" }), "token_type"),
        (json!({ "kid": null }), "token_header"),
        (json!({ "kid": "other" }), "token_unknown_key"),
        (json!({ "alg": "none" }), "token_algorithm"),
        (json!({ "alg": "HS256" }), "token_algorithm"),
        (json!({ "alg": "RS256" }), "token_algorithm"),
        (json!({ "crit": ["exp"] }), "token_header"),
        (json!({ "b64": false }), "token_header"),
        // Where others say that keys are: not looked at.
        (json!({ "jku": "https://evil.example", "x5t": "abc", "jwk": { "kty": "oct" } }), "ok"),
        (json!({ "alg": null }), "nobody"),
        (json!({ "kid": 7 }), "nobody"),
    ] {
        check(&issuers, &signed(&header(&different), A, &pair), expected);
    }
}

#[test]
fn a_token_meets_the_keys_of_the_issuer_that_it_names_and_no_others() {
    let (a, b) = (pair(), pair());
    let issuers = issuers(&[(A, &a), (B, &b)]);
    let header = json!({ "alg": "ES256", "kid": "key" });
    check(&issuers, &signed(&header, A, &a), "ok");
    check(&issuers, &signed(&header, B, &b), "ok");
    check(&issuers, &signed(&header, A, &b), "token_signature");
    check(&issuers, &signed(&header, B, &a), "token_signature");
    check(&issuers, &signed(&header, "portcullis", &a), "nobody");
    check(&issuers, &signed(&header, "https://A.example", &a), "nobody");
    check(&issuers, "a.b.c", "nobody");
    check(&issuers, "", "nobody");
    let token = signed(&header, A, &a);
    check(&issuers, &format!("{token}="), "token_signature");
    check(&issuers, &token[..token.len() - 1], "token_signature");
}

#[test]
fn a_public_key_is_no_secret() {
    let pair = pair();
    let issuers = issuers(&[(A, &pair)]);
    let message = message(&json!({ "alg": "HS256", "kid": "key" }), A);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pair.public_key().as_ref()), message.as_bytes());
    check(&issuers, &format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)), "token_algorithm");
}

#[test]
fn only_an_unknown_key_leaves_a_word_and_only_a_key_that_is_gone_moves_the_epoch() {
    let (old, new) = (pair(), pair());
    let issuers = issuers(&[(A, &old)]);
    let asked = |issuers: &Issuers| {
        let mut notified = std::pin::pin!(issuers.list[0].unknown_key.notified());
        std::future::Future::poll(notified.as_mut(), &mut std::task::Context::from_waker(std::task::Waker::noop()))
            .is_ready()
    };
    let by = |kid: &str| signed(&json!({ "alg": "ES256", "kid": kid }), A, &new);
    check(&issuers, &by("key"), "token_signature");
    assert!(!asked(&issuers));
    (0..3).for_each(|n| check(&issuers, &by(&n.to_string()), "token_unknown_key"));
    assert!(asked(&issuers) && !asked(&issuers));

    let epoch = issuers.epoch();
    issuers.replace(&issuers.list[0], set(&old));
    assert_eq!(issuers.epoch(), epoch);
    issuers.replace(&issuers.list[0], set(&new));
    assert_ne!(issuers.epoch(), epoch);
    check(&issuers, &by("key"), "ok");
}
