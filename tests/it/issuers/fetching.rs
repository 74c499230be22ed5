//! When keys are fetched, how often, and what a provider cannot do to a gate.

use std::time::{Duration, Instant};

use super::provider::{Key, Reply, claims};
use super::{before, gate, good, one, read, read_until, reason, table_of};
use crate::support::forge::with;
use crate::support::{Connection, Upstream, until};
use serde_json::json;

#[test]
fn ten_thousand_unknown_keys_cause_one_fetch_for_each_cooldown() {
    let (provider, key) = one("ES256");
    let upstream = Upstream::start();
    let table = table_of(&provider, "").replace("200ms", "1s");
    let gate = before(&upstream, &table).set("log.access", "off").start();
    gate.wait_for_log("the keys of an issuer are known");
    let (token, begin) = (key.token(&good(&provider)), Instant::now());
    let before = provider.fetches();
    let mut connection = Connection::open(gate.address);
    for n in 0..10_000 {
        let unknown = key.sign(&json!({ "alg": "ES256", "kid": format!("{n}-{:p}", &n) }), &good(&provider));
        let answer = connection.ask(&gate.get("/read").bearer(&unknown));
        assert_eq!(answer.status, 401);
        if n % 1000 == 0 {
            read(&gate, &token).expect(200);
        }
    }
    let (fetches, cooldowns) = (provider.fetches() - before, begin.elapsed().as_secs() as usize + 1);
    assert!(fetches <= cooldowns, "{fetches} fetches in {cooldowns} cooldowns");
    assert!(fetches >= 1 || cooldowns < 3, "nothing was fetched in {cooldowns} cooldowns");
    assert_eq!(provider.most_at_once(), 1);
}

#[test]
fn known_keys_keep_working_while_the_issuer_is_down_and_new_ones_are_found_when_it_is_back() {
    let (provider, key) = one("ES256");
    let upstream = Upstream::start();
    let gate = gate(&upstream, &provider, "");
    let new = Key::new("second", "EdDSA");
    let (old_token, new_token) = (key.token(&good(&provider)), new.token(&good(&provider)));
    provider.reply(Reply::Raw(Vec::new()));
    let before = provider.fetches();
    let refused = read(&gate, &new_token).expect_refusal(401);
    assert_eq!(reason(&gate, &refused), "token_unknown_key");
    until("a fetch", || (provider.fetches() > before).then_some(()));
    gate.wait_for_log("cannot be had");
    read(&gate, &old_token).expect(200);
    read(&gate, &key.token(&claims(&provider.issuer(), "bob", "items:read"))).expect(200);
    provider.reply(Reply::keys(&[&key, &new]));
    read_until(&gate, &new_token, 200);
    gate.wait_for_log("can be had again");
    read(&gate, &old_token).expect(200);
}

#[test]
fn a_key_that_is_gone_takes_its_tokens_with_it_also_those_that_were_remembered() {
    let (provider, old) = one("ES256");
    let upstream = Upstream::start();
    let gate = gate(&upstream, &provider, "refresh_interval = '1s'");
    let token = old.token(&good(&provider));
    read(&gate, &token).expect(200);
    let new = Key::new("second", "ES256");
    provider.reply(Reply::keys(&[&new]));
    // Nobody asks for it: it is found out all the same.
    read_until(&gate, &token, 401);
    read(&gate, &new.token(&good(&provider))).expect(200);
    // Another key by the same name.
    let impostor = Key::new("second", "ES256");
    let token = new.token(&good(&provider));
    read(&gate, &token).expect(200);
    provider.reply(Reply::keys(&[&impostor]));
    read_until(&gate, &token, 401);
}

#[test]
fn an_issuer_that_comes_later_is_found() {
    let (provider, key) = one("ES256");
    provider.reply(Reply::Raw(b"HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n".to_vec()));
    let upstream = Upstream::start();
    let gate = before(&upstream, &table_of(&provider, "")).start();
    gate.wait_for_log("cannot be had");
    read(&gate, &key.token(&good(&provider))).expect_refusal(401);
    provider.reply(Reply::keys(&[&key]));
    read_until(&gate, &key.token(&good(&provider)), 200);
}

/// After one good answer a bad one: it is told, and what is known stays in force.
#[track_caller]
fn harmless(reply: Reply, expected: &str) {
    let (provider, key) = one("ES256");
    let upstream = Upstream::start();
    let gate = before(&upstream, &table_of(&provider, "refresh_interval = '1s'"))
        .set("limits.jwks_timeout", "500ms")
        .set("limits.max_jwks_bytes", "4KiB")
        .set("limits.max_jwks_keys", "3")
        .start();
    gate.wait_for_log("the keys of an issuer are known");
    let token = key.token(&good(&provider));
    read(&gate, &token).expect(200);
    provider.reply(reply);
    let line = gate.wait_for_log("cannot be had");
    assert!(line.contains(expected), "{line}");
    // One that nobody remembers.
    read(&gate, &key.token(&claims(&provider.issuer(), "bob", "items:read"))).expect(200);
    assert_eq!(provider.most_at_once(), 1);
}

fn raw(head: &str, body: impl Into<Vec<u8>>) -> Reply {
    let body = body.into();
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    Reply::Raw([head.into_bytes(), body].concat())
}

#[test]
fn a_redirect_is_not_followed() {
    let (elsewhere, key) = one("ES256");
    let location = format!("302 Found\r\nlocation: {}/jwks", elsewhere.issuer());
    harmless(raw(&location, super::provider::set(&[&key])), "answered 302 Found, and redirects are not followed");
    assert_eq!(elsewhere.fetches(), 0);
}

#[test]
fn a_body_that_is_too_large_is_cut_off() {
    harmless(raw("200 OK", vec![b' '; 5000]), "more than 4096 bytes");
    harmless(Reply::Endless, "more than 4096 bytes");
}

#[test]
fn a_slow_answer_is_given_up() {
    harmless(Reply::Silence, "no whole answer in time");
    harmless(Reply::Drip, "no whole answer in time");
}

#[test]
fn garbage_is_no_set_of_keys() {
    harmless(raw("200 OK", "<html>"), "no JWK Set");
    harmless(raw("200 OK", "{\"keys\":[]}"), "no usable key");
    harmless(raw("200 OK", "{\"keys\":[{},{},{},{}]}"), "more than 3 keys");
    harmless(raw("200 OK", "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"first\",\"k\":\"AAAA\"}]}"), "is symmetric");
    harmless(Reply::Raw(b"\0\0\0\0\r\n\r\n".to_vec()), "is no HTTP");
    harmless(Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{".to_vec()), "broke off in the body");
    harmless(raw("204 No", ""), "answered 204");
}

#[test]
fn a_request_never_waits_for_a_provider() {
    let (provider, key) = one("ES256");
    provider.reply(Reply::Silence);
    let upstream = Upstream::start();
    let gate = before(&upstream, &table_of(&provider, "")).set("limits.jwks_timeout", "5m").start();
    until("a fetch", || (provider.fetches() == 1).then_some(()));
    let begin = Instant::now();
    for n in 0..20 {
        let token = key.token(&with(&good(&provider), "n", n));
        read(&gate, &token).expect_refusal(401);
    }
    assert!(begin.elapsed() < Duration::from_secs(60));
    // Nor does the end.
    let mut gate = gate;
    gate.stop();
    assert_eq!((provider.fetches(), provider.most_at_once()), (1, 1));
}
