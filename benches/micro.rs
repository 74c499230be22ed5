//! What single steps of a request cost: path, rule, token, headers.
//!
//! Guarantees: inputs are those of ordinary requests, and of the longer way where there is one; nothing here is measured
//! together with sockets or a runtime.
//! Does not know: what a whole request costs; `bench/run` and `bench/instructions` do.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on says so by ending")]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use divan::{Bencher, black_box};
use http::header::{ACCEPT, AUTHORIZATION, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{HeaderName, Method};
use portcullis::gateway::{Demand, Routes, Rule, path};
use portcullis::keys::{Algorithm, KeyRing, install_crypto};
use portcullis::token::{AccessOverlap, Lifetimes, OnReuse, Policy, Timestamp, access};
use portcullis::upstream::headers::{Authorization, Identity, Origin, Vouched, write_request};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const RULES: usize = 200;

fn main() {
    install_crypto();
    divan::main();
}

#[divan::bench(args = ["/3rdparty/v1/messages/8a1f0c", "/.well-known/api-catalog", "/caf%c3%a9/%41", "/a/%2e%2e/b"])]
fn canonical_path(bencher: Bencher<'_, '_>, given: &str) {
    bencher.bench(|| path::canonical(black_box(given)).is_ok());
}

/// Most of the rules are siblings.
#[divan::bench(args = ["/api/resource-0", "/api/resource-199/items/42", "/api/resource-199/items/42/none"])]
fn rule_of_200(bencher: Bencher<'_, '_>, path: &str) {
    let routes = routes();
    bencher.bench(|| routes.demand(black_box(&Method::GET), black_box(path)) == &Demand::Unmatched);
}

#[divan::bench(args = [Algorithm::HS256, Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA])]
fn verify(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let ring = KeyRing::in_memory(algorithm).unwrap();
    let (token, policy) = (token(&ring), policy());
    assert!(access::verify(&token, &ring, &policy, NOW).is_ok());
    bencher.bench(|| access::verify(black_box(&token), &ring, &policy, NOW).is_ok());
}

/// What is sent to the upstream, from what an ordinary client sends, and from one that plants what it may not.
#[divan::bench(args = ["ordinary", "planted"])]
fn header_hygiene(bencher: Bencher<'_, '_>, client: &str) {
    let identity = Identity::of_token("bench", "items:read", "If7F-WGq_Bea54y0", "If7F-WGq_Bea54y0.0").unwrap();
    let origin = Origin::new([192, 0, 2, 7].into(), "http");
    let request_id = HeaderValue::from_static("0198c0ffee");
    let vouched = Vouched {
        host: None,
        identity: Some(&identity),
        authorization: &Authorization::Remove,
        origin: &origin,
        forwarded: None,
        trace: None,
        own_cookie: None,
        request_id: &request_id,
    };
    let headers = headers(client == "planted");
    bencher.with_inputs(|| Vec::with_capacity(1024)).bench_local_values(|mut out| {
        write_request(&mut out, black_box(&headers), &vouched);
        out
    });
}

/// As the rules of an API are: literal names, below each a list, an item with a parameter, and one with a remainder.
fn routes() -> Routes {
    let rules = (0..RULES).map(|number| {
        let scope = Demand::Scope(format!("resource-{number}:read").into());
        match number % 4 {
            0 => Rule::new(Method::GET, format!("/api/resource-{number}"), scope),
            1 => Rule::any_method(format!("/api/resource-{number}/*"), scope),
            _ => Rule::new(Method::GET, format!("/api/resource-{number}/items/{{id}}"), scope),
        }
    });
    Routes::new(rules, Demand::Unmatched)
}

fn headers(planted: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("api.example.com"));
    headers.insert(USER_AGENT, HeaderValue::from_static("bench/1.0"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer header.payload.signature"));
    if planted {
        for name in ["connection", "x-auth-subject", "x_auth_scopes", "x-forwarded-for", "x-http-method-override"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("x-auth-session"));
        }
    }
    headers
}

/// An access token in the form in which the gate issues it.
fn token(ring: &KeyRing) -> String {
    let key = ring.current();
    let header = format!(r#"{{"alg":"{}","typ":"at+jwt","kid":"{}"}}"#, key.algorithm(), key.kid());
    let issued = NOW.as_secs();
    let claims = format!(
        r#"{{"iss":"portcullis","sub":"bench","user_id":"bench","iat":{issued},"nbf":{issued},"exp":{},"#,
        issued + 900
    ) + r#""jti":"If7F-WGq_Bea54y0.0","sid":"If7F-WGq_Bea54y0","scopes":["items:read"],"scope":"items:read"}"#;
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(message.as_bytes()).unwrap();
    format!("{message}.{signature}")
}

fn policy() -> Policy {
    let lifetimes = Lifetimes { access_ttl: Duration::from_secs(900), refresh_ttl: Duration::from_secs(2_592_000) };
    Policy {
        issuer: "portcullis".to_owned(),
        audience: Vec::new(),
        access_type: "at+jwt".to_owned(),
        leeway: Duration::from_secs(30),
        max_token_bytes: 8192,
        smsgate: lifetimes,
        form: lifetimes,
        oauth: lifetimes,
        access_ttl_max: Duration::from_secs(3600),
        session_ttl: Duration::from_secs(31_536_000),
        access_overlap: AccessOverlap::For(Duration::from_secs(30)),
        retry_window: Duration::ZERO,
        on_reuse: OnReuse::Session,
    }
}
