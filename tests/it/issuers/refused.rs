//! What a token of another issuer does not open, and what is not taken for one.

use aws_lc_rs::hmac;
use serde_json::json;

use super::provider::{Key, Provider, Reply, claims};
use super::{before, gate, good, one, read, reason, table_of};
use crate::support::forge::{forge, signed, with, without};
use crate::support::{Upstream, until};

#[test]
fn none_of_our_endpoints_takes_one() {
    let (provider, key) = one("ES256");
    let upstream = Upstream::start();
    let gate = super::before(&upstream, &table_of(&provider, "scopes = { all = 'all:any' }"))
        .set("profiles.form.enabled", "true")
        .start();
    gate.wait_for_log("the keys of an issuer are known");
    // Somebody of the same name, who may do everything.
    let all = key.token(&claims(&provider.issuer(), "alice", "all tokens:manage tokens:refresh"));
    let (ours, auth) = (gate.alice(&["all:any"]), "/3rdparty/v1/auth");
    read(&gate, &all).expect(200);
    for call in [
        gate.post(&format!("{auth}/token")).json(&json!({ "scopes": ["messages:send"] })),
        gate.post(&format!("{auth}/token/refresh")),
        gate.call("DELETE", &format!("{auth}/token/{}", ours.field("id"))),
        gate.get(&format!("{auth}/sessions")),
        gate.call("DELETE", &format!("{auth}/sessions/{}", ours.claims("access_token")["sid"].as_str().unwrap())),
    ] {
        let refused = call.bearer(&all).send().expect_refusal(401);
        assert!(refused.header("www-authenticate").unwrap().contains("invalid_token"), "{refused:?}");
    }
    let form = |path: &str| {
        let body = format!("refreshToken={all}");
        gate.post(path).header("Content-Type", "application/x-www-form-urlencoded").body(body).send()
    };
    form("/refresh").expect(401);
    form("/logout").expect(200);
    // Nobody was signed out by it.
    gate.refresh(&ours.field("refresh_token")).expect(200);
}

#[test]
fn keys_and_algorithms_are_those_of_the_issuer_that_it_names() {
    let (keys, other) = ([Key::new("rsa", "RS256"), Key::new("ec", "ES256")], Key::new("first", "ES256"));
    let (a, b) = (Provider::start(Reply::keys(&keys.each_ref())), Provider::start(Reply::keys(&[&other])));
    let upstream = Upstream::start();
    let gate = before(&upstream, &(table_of(&a, "") + &table_of(&b, ""))).start();
    until("both", || (gate.log().iter().filter(|line| line.contains("are known")).count() == 2).then_some(()));
    let [rsa, ec] = &keys;
    read(&gate, &rsa.token(&good(&a))).expect(200);
    read(&gate, &other.token(&good(&b))).expect(200);

    let secret = crate::support::SECRET.as_bytes();
    let by_hmac = |kid: &str, secret: &[u8]| {
        let header = json!({ "alg": "HS256", "typ": "at+jwt", "kid": kid }).to_string();
        signed(hmac::HMAC_SHA256, secret, header, good(&a).to_string())
    };
    let ours = gate.alice(&["all:any"]).field("access_token");
    let (our_header, our_claims) = crate::support::forge::parts(&ours);
    let our_kid = our_header["kid"].as_str().unwrap();
    let header = |alg: &str, kid: &str| json!({ "alg": alg, "typ": "at+jwt", "kid": kid });
    for (what, token, expected) in [
        ("their public key as a secret", by_hmac("rsa", &rsa.public_bytes()), "token_algorithm"),
        ("our secret, their name and key", by_hmac("rsa", secret), "token_algorithm"),
        ("our secret and key, their name", by_hmac(our_kid, secret), "token_algorithm"),
        (
            "ours by our secret, their name",
            forge(our_header.to_string(), with(&our_claims, "iss", a.issuer()).to_string()),
            "token_algorithm",
        ),
        ("b's key, a's name", other.token(&good(&a)), "token_unknown_key"),
        ("a's key, b's name", ec.token(&good(&b)), "token_unknown_key"),
        ("b's key by the name of a's", other.sign(&header("ES256", "ec"), &good(&a)), "token_signature"),
        ("another algorithm of the same type", rsa.sign(&header("PS256", "rsa"), &good(&a)), "token_algorithm"),
        ("another type of key", ec.sign(&header("ES256", "rsa"), &good(&a)), "token_algorithm"),
        ("their key, our name", ec.token(&with(&good(&a), "iss", "portcullis")), "token_unknown_key"),
        (
            "their key, our name and kid",
            ec.sign(&header("HS256", our_kid), &with(&good(&a), "iss", "portcullis")),
            "token_signature",
        ),
        ("a name that nobody has", ec.token(&with(&good(&a), "iss", "https://nobody.example")), "token_unknown_key"),
        ("no name", ec.token(&without(&good(&a), "iss")), "token_unknown_key"),
        ("another audience", ec.token(&with(&good(&a), "aud", "web")), "token_audience"),
        ("no audience", ec.token(&without(&good(&a), "aud")), "token_claims"),
        ("expired", ec.token(&with(&good(&a), "exp", 1)), "token_expired"),
        ("no end", ec.token(&without(&good(&a), "exp")), "token_claims"),
        ("an ID token", ec.token(&with(&good(&a), "nonce", "n")), "token_type"),
        ("another type", ec.sign(&with(&header("ES256", "ec"), "typ", "logout+jwt"), &good(&a)), "token_type"),
    ] {
        let answer = read(&gate, &token).expect_refusal(401);
        assert_eq!(reason(&gate, &answer), expected, "{what}");
    }
}

#[test]
fn a_start_names_a_file_that_cannot_be_used() {
    let upstream = Upstream::start();
    let start = |file: &str| {
        let start = before(&upstream, &super::table("https://a.example", "jwks_file = 'jwks.json'", ""));
        if !file.is_empty() {
            std::fs::write(start.path().join("jwks.json"), file).unwrap();
        }
        start
    };
    let key = Key::new("first", "ES256");
    for (file, expected) in [
        ("", "jwks.json: cannot be read"),
        ("<html>", "jwks.json: no JWK Set"),
        ("{\"keys\":[]}", "jwks.json: no usable key"),
        ("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AAAA\"}]}", "key 0 (\"a\") is symmetric"),
    ] {
        let start = start(file);
        for command in ["check", "serve"] {
            let arguments = [command, "--set", "server.listen=127.0.0.1:0"];
            let ended = crate::support::Run::new(start.path(), &arguments).end().expect(78);
            assert!(ended.stderr.contains(expected), "{command}: {}", ended.stderr);
        }
    }
    let start = start(&String::from_utf8(super::provider::set(&[&key])).unwrap());
    let ended = crate::support::Run::new(start.path(), &["check"]).end().expect(0);
    assert!(ended.stdout.contains("note: jwks.json: keys of https://a.example: 1"), "{}", ended.stdout);
}

#[test]
fn no_more_of_it_is_logged_than_of_any_token() {
    let (provider, key) = one("ES256");
    let upstream = Upstream::start();
    let gate = gate(&upstream, &provider, "");
    let token = key.token(&good(&provider));
    read(&gate, &token).expect(200);
    read(&gate, &(token.clone() + "A")).expect_refusal(401);
    for line in gate.whole_log() {
        assert!(!line.contains("eyJ"), "{line}");
    }
}
