//! Good tokens in the wrong place, and the right place in unusual spellings.

use super::{Forger, ROUTE};
use crate::support::Call;

const REFRESH: &str = "/3rdparty/v1/auth/token/refresh";

#[test]
fn an_access_token_does_not_refresh() {
    let forger = Forger::new();
    for token in [forger.pair.field("access_token"), forger.claiming(&forger.claims)] {
        let refusal = forger.gate.refresh(&token).expect_refusal(403);
        assert_eq!(refusal.field("message"), "scope required: tokens:refresh");
        assert!(refusal.header("www-authenticate").unwrap().contains("insufficient_scope"));
    }
    // Nor does one that claims the scope of refresh tokens, or everything.
    for scopes in [["tokens:refresh"], ["all:any"]] {
        let token = forger.claiming(&crate::support::forge::with(&forger.claims, "scopes", scopes.to_vec()));
        forger.gate.refresh(&token).expect_refusal(403);
    }
}

#[test]
fn whoever_knows_the_signing_secret_cannot_make_refresh_tokens() {
    let forger = Forger::new();
    forger.control();
    let (header, claims) = crate::support::forge::parts(&forger.pair.field("refresh_token"));
    assert_eq!(header["typ"], "rt+jwt");
    let forged = crate::support::forge::forge(header.to_string(), claims.to_string());
    forger.refused("the real claims, signed by the forger", &forged);
    let access = crate::support::forge::with(&forger.header, "typ", "rt+jwt");
    forger.refused("access claims under the refresh type", &forger.headed(&access));
    forger.refused("refresh claims under the access type", &forger.claiming(&claims));
    // The real one is still good: a stranger's guesses end no session.
    forger.gate.refresh(&forger.pair.field("refresh_token")).expect(200);
}

#[test]
fn authorization_is_read_in_one_way_only() {
    let forger = Forger::new();
    let token = forger.pair.field("access_token");
    let call = |value: &str| forger.gate.get(ROUTE).header("Authorization", value);
    for value in [
        format!("bearer {token}"),
        format!("BEARER {token}"),
        format!("bEaReR {token}"),
        format!("Bearer    {token}"),
        format!("Bearer {token}   "),
        format!("   Bearer {token}\t"),
    ] {
        let answer = call(&value).send();
        assert_eq!(answer.status, 200, "{value:?}: {}", answer.text());
    }
    let before = forger.upstream.seen().len();
    for value in [
        format!("Bearer\t{token}"),
        format!("Bearer{token}"),
        format!("Bearer:{token}"),
        format!("Bearer={token}"),
        format!("Bearer \"{token}\""),
        format!("Bearer Bearer {token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token},{token}"),
        format!("Bearer x, Bearer {token}"),
        format!("Basic x, Bearer {token}"),
        format!("Token {token}"),
        format!("JWT {token}"),
        format!("DPoP {token}"),
        format!("Digest {token}"),
        format!("Negotiate {token}"),
        token.clone(),
        format!(" {token}"),
        "Bearer".into(),
        "Bearer ".into(),
        "Bearer null".into(),
        "Bearer undefined".into(),
        String::new(),
    ] {
        let answer = call(&value).send();
        assert!(matches!(answer.status, 400 | 401), "{value:?}: {}", answer.status);
        let status = answer.status;
        answer.expect_refusal(status);
        // Basic that has no reading is the one bad request among them.
        assert_eq!(status == 400, value.starts_with("Basic"), "{value:?}");
    }
    assert_eq!(forger.upstream.seen().len(), before);
}

#[test]
fn two_authorization_headers_are_ambiguous() {
    let forger = Forger::new();
    let (access, refresh) = (forger.pair.field("access_token"), forger.pair.field("refresh_token"));
    let double = |call: Call, token: &str| call.bearer(token).header("authorization", &format!("Bearer {token}"));
    double(forger.gate.get(ROUTE), &access).send().expect_refusal(400);
    double(forger.gate.post(REFRESH), &refresh).send().expect_refusal(400);
    forger.gate.get(ROUTE).bearer(&access).basic("alice", "wonderland").send().expect_refusal(400);
    forger.gate.get(ROUTE).bearer(&access).header("Authorization", "").send().expect_refusal(400);
    let sign_in = forger.gate.post("/3rdparty/v1/auth/token").basic("alice", "wonderland").basic("bob", "builder");
    sign_in.json(&serde_json::json!({ "scopes": ["messages:send"] })).send().expect_refusal(400);
    assert!(forger.upstream.seen().is_empty());
    forger.gate.refresh(&refresh).expect(200);
}

#[test]
fn a_token_anywhere_but_in_authorization_is_no_token() {
    let forger = Forger::new();
    let token = forger.pair.field("access_token");
    let get = |target: &str| forger.gate.get(target);
    for (name, call) in [
        ("query access_token", get(&format!("{ROUTE}?access_token={token}"))),
        ("query token", get(&format!("{ROUTE}?token={token}&jwt={token}"))),
        ("query authorization", get(&format!("{ROUTE}?Authorization=Bearer%20{token}"))),
        ("cookie", get(ROUTE).header("Cookie", &format!("access_token={token}; Authorization=Bearer {token}"))),
        ("proxy credentials", get(ROUTE).header("Proxy-Authorization", &format!("Bearer {token}"))),
        ("another header", get(ROUTE).header("X-Authorization", &format!("Bearer {token}"))),
        ("underscores", get(ROUTE).header("_Authorization", &format!("Bearer {token}"))),
        ("an access token header", get(ROUTE).header("X-Access-Token", &token)),
        ("a web socket protocol", get(ROUTE).header("Sec-WebSocket-Protocol", &format!("bearer, {token}"))),
    ] {
        let answer = call.send();
        assert_eq!(answer.status, 401, "{name}");
        let answer = answer.expect_refusal(401);
        // RFC 6750 section 3.1: without credentials, no error code in the challenge.
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"portcullis\""), "{name}");
    }
    let form = forger.gate.post(ROUTE).header("Content-Type", "application/x-www-form-urlencoded");
    form.body(format!("access_token={token}")).send().expect_refusal(401);
    assert!(forger.upstream.seen().is_empty());
    assert!(forger.gate.whole_log().iter().all(|line| !line.contains(&token)), "the token is in the log");
}
