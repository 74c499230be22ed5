//! What claims of another issuer are taken for.
//!
//! Guarantees: each case differs from a token that is accepted in the one thing that it is about.
//! Does not know: signatures.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::issuer::Source;
use crate::keys::Algorithm;
use crate::token::tests::{T0, policy};

const ISSUER: &str = "https://idp.example";

fn signer() -> Signer {
    Signer { kid: "key".into(), material: [7][..].into() }
}

fn trust() -> Trust {
    Trust {
        issuer: ISSUER.into(),
        audience: vec!["api".into(), "other".into()],
        algorithms: vec![Algorithm::ES256],
        scopes_claim: "scope".into(),
        roles_claim: None,
        scopes: None,
        source: Source::File("jwks.json".into()),
        refresh_interval: Duration::from_hours(1),
        cooldown: Duration::from_secs(30),
    }
}

/// The claims of a token that is accepted, with some of them different; null takes one away.
fn claims(different: &Value) -> Value {
    let now = T0.as_secs();
    let mut claims = json!({ "iss": ISSUER, "sub": "alice", "aud": "api", "exp": now + 300, "nbf": now, "iat": now });
    for (name, value) in different.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn judged(different: &Value, trust: &Trust) -> Result<Foreign, TokenError> {
    read(&claims(different).to_string(), signer(), trust, &policy(), T0)
}

#[track_caller]
fn check(different: Value, expected: &str) {
    let reason = judged(&different, &trust()).map_or_else(|error| error.reason(), |_| "ok");
    assert_eq!(reason, expected, "{different}");
}

#[test]
fn a_token_that_is_bound_is_held_to_it() {
    let own = Thumbprint::of(b"a certificate");
    let bound = |different: Value| judged(&different, &trust()).unwrap().certificate;
    assert_eq!(bound(json!({})), None);
    assert_eq!(bound(json!({ "cnf": { "x5t#S256": own } })), Some(own));
    check(json!({ "cnf": { "jkt": own } }), "token_confirmation");
    check(json!({ "cnf": { "x5t#S256": own, "jkt": own } }), "token_confirmation");
    check(json!({ "cnf": "none" }), "token_confirmation");
}

#[test]
fn the_claims_that_are_demanded_have_to_be_there_and_right() {
    let (now, leeway) = (T0.as_secs(), 30);
    check(json!({}), "ok");
    for needed in ["iss", "sub", "aud", "exp"] {
        check(json!({ needed: null }), "token_claims");
        check(json!({ needed: { "a": 1 } }), "token_claims");
    }
    check(json!({ "iss": "https://idp.example/" }), "token_issuer");
    check(json!({ "iss": [ISSUER] }), "token_claims");
    check(json!({ "aud": ["x", "other"] }), "ok");
    check(json!({ "aud": ["x"] }), "token_audience");
    check(json!({ "aud": [] }), "token_audience");
    check(json!({ "aud": ["api", 1] }), "token_claims");
    check(json!({ "sub": "" }), "token_kind");
    check(json!({ "sub": "a\nb" }), "token_kind");
    check(json!({ "exp": now - leeway + 1 }), "ok");
    check(json!({ "exp": now - leeway }), "token_expired");
    check(json!({ "exp": (now + 1).to_string() }), "token_claims");
    check(json!({ "exp": -1 }), "token_claims");
    check(json!({ "exp": now as f64 + 0.5 }), "ok");
    check(json!({ "exp": 1e300 }), "ok");
    check(json!({ "nbf": now + leeway }), "ok");
    check(json!({ "nbf": now + leeway + 1 }), "token_not_yet_valid");
    check(json!({ "iat": now + leeway + 1 }), "token_issued_in_future");
    check(json!({ "nbf": null, "iat": null }), "ok");
    check(json!({ "nbf": "now" }), "token_claims");
}

#[test]
fn what_looks_like_an_id_token_is_refused() {
    check(json!({ "nonce": "n" }), "token_type");
    check(json!({ "at_hash": "h" }), "token_type");
}

#[test]
fn a_claim_that_stands_twice_is_refused() {
    for twice in ["\"sub\":\"bob\"", "\"exp\":1900000000", "\"aud\":\"x\""] {
        let text = claims(&json!({})).to_string().replacen('{', &format!("{{{twice},"), 1);
        assert_eq!(read(&text, signer(), &trust(), &policy(), T0).unwrap_err().reason(), "token_claims", "{twice}");
    }
}

#[test]
fn a_subject_carries_its_issuer() {
    let subject = |sub: &str| judged(&json!({ "sub": sub }), &trust()).unwrap().subject.as_str().to_owned();
    assert_eq!(subject("alice"), "https://idp.example|alice");
    assert_eq!(subject("a|b"), "https://idp.example|a|b");
}

#[track_caller]
fn scopes(different: Value, trust: &Trust, expected: &str) {
    assert_eq!(judged(&different, trust).unwrap().scopes.to_string(), expected, "{different}");
}

#[test]
fn scopes_are_text_or_list_and_stand_where_the_operator_says() {
    scopes(json!({}), &trust(), "");
    scopes(json!({ "scope": "a:b  c" }), &trust(), "a:b c");
    scopes(json!({ "scope": ["a:b", "c d", "a:b"] }), &trust(), "a:b c d");
    // The gate's own, and the one that opens everything.
    scopes(json!({ "scope": "all:any tokens:manage tokens:refresh x" }), &trust(), "x");
    scopes(json!({ "scope": ["grün", "a\"b", "a\u{7}b", "c"] }), &trust(), "c");
    check(json!({ "scope": 7 }), "token_claims");
    check(json!({ "scope": ["a", 7] }), "token_claims");
    let elsewhere = |claim: &str| Trust { scopes_claim: claim.into(), ..trust() };
    scopes(json!({ "scp": ["a"], "scope": "b" }), &elsewhere("scp"), "a");
    scopes(json!({ "realm": { "access": { "scp": "a b" } } }), &elsewhere("realm.access.scp"), "a b");
    scopes(json!({ "https://api/scp": "a", "https://api/scp.x": "b" }), &elsewhere("https://api/scp"), "a");
    scopes(json!({ "realm": "flat" }), &elsewhere("realm.access.scp"), "");
}

#[test]
fn scopes_that_are_not_mapped_mean_nothing_where_any_is() {
    let map = [("read", vec!["messages:read", "messages:list"]), ("admin", vec!["all:any"]), ("none", vec![])];
    let map = map.into_iter().map(|(theirs, ours)| (theirs.to_owned(), Scopes::new(ours))).collect();
    let trust = Trust { scopes: Some(map), ..trust() };
    scopes(json!({ "scope": "messages:send read all:any none" }), &trust, "messages:read messages:list");
    scopes(json!({ "scope": "admin read" }), &trust, "all:any messages:read messages:list");
}

#[test]
fn roles_count_only_where_a_claim_is_named_and_may_hold_blanks() {
    let roles = |claims: Value, claim: Option<&str>| {
        let trust = Trust { roles_claim: claim.map(Into::into), ..trust() };
        judged(&claims, &trust).unwrap().roles
    };
    let claims = json!({ "roles": ["admin", "night shift"], "realm_access": { "roles": "boss man" } });
    assert_eq!(roles(claims.clone(), None), Vec::<String>::new());
    assert_eq!(roles(claims.clone(), Some("roles")), ["admin", "night shift"]);
    assert_eq!(roles(claims.clone(), Some("realm_access.roles")), ["boss man"]);
    assert_eq!(roles(claims, Some("groups")), Vec::<String>::new());
}
