//! Metadata (RFC 8414) and public keys (RFC 7517).

use serde_json::json;

use crate::support::until;

use super::*;

const METADATA: &str = "/.well-known/oauth-authorization-server";
const KEYS: &str = "/.well-known/jwks.json";

#[test]
fn the_metadata_says_where_everything_is() {
    let gate = gate(&[("profiles.oauth.issuer_url", "https://gate.example/")]);
    let answer = gate.get(METADATA).send().expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let told = answer.json();
    assert_eq!(told["issuer"], "https://gate.example");
    assert_eq!(told["token_endpoint"], "https://gate.example/oauth/token");
    assert_eq!(told["revocation_endpoint"], "https://gate.example/oauth/revoke");
    assert_eq!(told["introspection_endpoint"], "https://gate.example/oauth/introspect");
    assert_eq!(told["jwks_uri"], "https://gate.example/.well-known/jwks.json");
    assert_eq!(
        told["introspection_endpoint_auth_methods_supported"],
        json!(["client_secret_basic", "client_secret_post"])
    );
    assert!(told["scopes_supported"].as_array().unwrap().contains(&json!("messages:send")));
    assert_eq!(refused(gate.post(METADATA).send(), 405, "invalid_request").header("allow"), Some("GET, HEAD"));
    assert_eq!(gate.call("HEAD", METADATA).send().expect(200).text(), "");
}

#[test]
fn without_an_issuer_there_is_no_metadata() {
    gate(&[]).get(METADATA).send().expect_refusal(403);
}

#[test]
fn a_secret_is_no_public_key() {
    assert_eq!(gate(&[]).get(KEYS).send().expect(200).json(), json!({"keys": []}));
    let known = start(&[]).with_known_secret().start();
    assert_eq!(known.get(KEYS).send().expect(200).json(), json!({"keys": []}));
}

#[test]
fn public_keys_are_told_without_their_private_part() {
    for (algorithm, members) in [
        ("ES256", &["alg", "crv", "kid", "kty", "use", "x", "y"][..]),
        ("ES384", &["alg", "crv", "kid", "kty", "use", "x", "y"]),
        ("RS256", &["alg", "e", "kid", "kty", "n", "use"]),
        ("PS256", &["alg", "e", "kid", "kty", "n", "use"]),
        ("EdDSA", &["alg", "crv", "kid", "kty", "use", "x"]),
    ] {
        let gate = gate(&[("token.algorithm", algorithm)]);
        let keys = gate.get(KEYS).send().expect(200).json();
        let [key] = &keys["keys"].as_array().unwrap()[..] else { panic!("{keys}") };
        let mut found: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!((found, &key["alg"]), (members.to_vec(), &json!(algorithm)));
        // The one that tokens name.
        let token = own(&gate, "reports").field("access_token");
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.clone()).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.kid, jwk.common.key_id);
    }
}

#[test]
fn a_replica_tells_keys_and_metadata_itself_and_hands_all_else_to_its_primary() {
    let settings = [("token.algorithm", "ES256"), ("profiles.oauth.issuer_url", "https://gate.example")];
    let mut primary = gate(&settings);
    let data = primary.folder().join("data");
    let replica = start(&settings)
        .set("data_dir", data.to_str().unwrap())
        .set("store.kind", "replica")
        .set("store.primary_url", &format!("http://{}", primary.address))
        .start();
    let pair = alice(&replica, "web");
    let next = refresh(&replica, "web", &pair).expect(200);
    until("the replica to know", || (list(&replica, &next).status == 200).then_some(()));
    assert_eq!(introspect(&replica, "guard", &next.field("access_token"))["active"], true);
    let keys = primary.get(KEYS).send().expect(200).text();
    primary.kill();
    assert_eq!(replica.get(KEYS).send().expect(200).text(), keys);
    replica.get(METADATA).send().expect(200);
    token(&replica, "reports", &[("grant_type", "client_credentials")]).expect(503);
}
