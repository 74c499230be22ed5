//! What a token of another issuer opens, and how the upstream hears of it.

use serde_json::json;

use super::provider::{Key, Provider, Reply, claims};
use super::{before, gate, good, one, read, table_of};
use crate::support::forge::with;
use crate::support::{Upstream, until};

#[test]
fn every_algorithm_is_honoured() {
    let keys = ["ES256", "ES384", "RS256", "PS256", "EdDSA"].map(|algorithm| Key::new(algorithm, algorithm));
    let provider = Provider::start(Reply::keys(&keys.each_ref()));
    let upstream = Upstream::start();
    // From the first request on.
    let gate = before(&upstream, &table_of(&provider, "")).start();
    for key in &keys {
        let token = key.token(&good(&provider));
        // The second time from memory.
        (0..2).for_each(|_| drop(read(&gate, &token).expect(200)));
    }
    assert_eq!(provider.fetches(), 1);
}

#[test]
fn the_upstream_hears_of_a_subject_that_carries_its_issuer_and_of_no_session() {
    let (provider, key) = one("ES256");
    let upstream = Upstream::start();
    let gate = gate(&upstream, &provider, "");
    let token = key.token(&claims(&provider.issuer(), "alice", "items:read x"));
    let call = gate.get("/read").header("X-Auth-Session", "planted").header("X-Auth-Token-Id", "planted");
    call.bearer(&token).send().expect(200);
    let seen = upstream.only();
    assert_eq!(seen.header("x-auth-subject"), Some(&*format!("{}|alice", provider.issuer())));
    assert_eq!(seen.header("x-auth-scopes"), Some("items:read x"));
    assert_eq!((seen.header("x-auth-session"), seen.header("x-auth-token-id")), (None, None));
    assert_eq!(seen.header("authorization"), None);
}

#[test]
fn scopes_and_roles_mean_what_the_operator_says() {
    let (provider, key) = one("EdDSA");
    let upstream = Upstream::start();
    let mapped = "scopes_claim = 'scp'\nroles_claim = 'realm_access.roles'\n\
                  scopes = { reader = 'items:read', root = ['all:any'] }";
    let gate = gate(&upstream, &provider, mapped);
    let token = |scp: &str| key.token(&with(&good(&provider), "scp", json!([scp])));
    read(&gate, &token("reader")).expect(200);
    read(&gate, &token("root")).expect(200);
    let refused = read(&gate, &token("items:read")).expect_refusal(403);
    assert!(refused.text().contains("scope required: items:read"), "{}", refused.text());
    gate.get("/any").bearer(&token("nothing")).send().expect(200);
    let boss = key.token(&with(&good(&provider), "realm_access", json!({ "roles": ["boss"] })));
    gate.get("/boss").bearer(&boss).send().expect(200);
    let refused = gate.get("/boss").bearer(&token("root")).send().expect_refusal(403);
    assert!(refused.text().contains(&format!("User {}|alice is not a boss.", provider.issuer())), "{}", refused.text());
}

#[test]
fn a_scope_that_would_open_everything_opens_nothing_of_its_own() {
    let (provider, key) = one("ES256");
    let upstream = Upstream::start();
    let gate = gate(&upstream, &provider, "");
    let token = key.token(&claims(&provider.issuer(), "alice", "all:any"));
    read(&gate, &token).expect_refusal(403);
    gate.get("/any").bearer(&token).send().expect(200);
}

#[test]
fn our_own_tokens_are_judged_as_ever() {
    let (provider, _) = one("ES256");
    let upstream = Upstream::start();
    let gate = gate(&upstream, &provider, "");
    let pair = gate.alice(&["all:any"]);
    read(&gate, &pair.field("access_token")).expect(200);
    assert_eq!(upstream.only().header("x-auth-subject"), Some("alice"));
    gate.refresh(&pair.field("refresh_token")).expect(200);
}

#[test]
fn a_gate_is_ready_without_the_keys_of_others_and_says_that_it_has_none() {
    let provider = Provider::start(Reply::Raw(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n".to_vec()));
    let upstream = Upstream::start();
    let gate = before(&upstream, &table_of(&provider, "")).set("admin.listen", "127.0.0.1:0").start();
    let line = gate.wait_for_log("cannot be had");
    assert!(line.contains("answered 500") && line.contains("\"WARN\""), "{line}");
    let line = gate.wait_for_log("the operator's endpoints are there");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let admin = line["address"].as_str().unwrap().parse().unwrap();
    let ready = until("the check", || {
        let ready = crate::support::Call::new(admin, "GET", "/readyz?verbose").send().expect(200).text();
        ready.contains("[~]issuers").then_some(ready)
    });
    let expected = format!("[~]issuers troubled: {}: answered 500", provider.issuer());
    assert!(ready.contains(&expected) && ready.contains("keys in force: 0"), "{ready}");
}
