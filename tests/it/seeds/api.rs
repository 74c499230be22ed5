//! What lies beside the token endpoints and has to pass.

use super::{MESSAGES, sms};

/// Seed S40.
#[test]
fn health_needs_no_credentials() {
    let (upstream, gate) = sms();
    let paths = ["/3rdparty/v1/health", "/health", "/health/live", "/health/ready", "/health/startup"];
    for path in paths {
        assert_eq!(gate.get(path).send().expect(200).json()["status"], "pass", "{path}");
        // Nor does it mind wrong ones.
        gate.get(path).bearer("garbage").send().expect(200);
        gate.get(path).basic("alice", "wrong").send().expect(200);
    }
    for seen in upstream.seen() {
        assert!(!seen.headers.contains_key("authorization"), "{seen:?}");
    }
    gate.post("/health").send().expect_refusal(403);
}

/// Seed S41.
#[test]
fn the_api_catalog_and_the_links_to_it_pass() {
    let (_upstream, gate) = sms();
    let catalog = gate.get("/.well-known/api-catalog").send().expect(200);
    assert_eq!(catalog.header("content-type"), Some("application/linkset+json"));
    assert!(catalog.json()["linkset"].is_array());
    let list = gate.get(MESSAGES).basic("alice", "wonderland").send().expect(200);
    assert_eq!(list.header("link"), Some("</.well-known/api-catalog>; rel=\"api-catalog\""));
}

/// Seed S42: the Rust client reads it.
#[test]
fn the_total_count_of_a_list_survives() {
    let (_upstream, gate) = sms();
    let pair = gate.alice(&["all:any"]);
    let message = serde_json::json!({"phoneNumbers": ["+15550100"], "textMessage": {"text": "Hello"}});
    for _ in 0..3 {
        gate.post(MESSAGES).bearer(&pair.field("access_token")).json(&message).send().expect(202);
    }
    let list = gate.get(&format!("{MESSAGES}?limit=1")).bearer(&pair.field("access_token")).send().expect(200);
    assert_eq!(list.header("x-total-count"), Some("3"));
    assert_eq!(list.json().as_array().unwrap().len(), 1);
}

/// Seed S37 of the other side: what the upstream itself says is not ours to word.
#[test]
fn the_upstreams_own_errors_pass_as_they_are() {
    let (_upstream, gate) = sms();
    let pair = gate.alice(&["all:any"]);
    let missing = gate.get(&format!("{MESSAGES}/none")).bearer(&pair.field("access_token")).send().expect(404);
    assert_eq!((missing.header("x-portcullis"), missing.text().as_str()), (None, "{\"message\":\"not found\"}"));
    let bad = gate.post(MESSAGES).bearer(&pair.field("access_token")).body("no json").send().expect(400);
    assert_eq!(bad.header("x-portcullis"), None);
}
