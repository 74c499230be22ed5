//! Seed S45: the API lies under another prefix on the cloud server, the private one and the phone itself.

use portcullis::command::demo::SampleUpstream;
use serde_json::json;

use crate::support::{Gate, Start, Upstream};

/// Walks through a session with the API under `prefix`.
#[track_caller]
fn works(gate: &Gate, prefix: &str) {
    let token = format!("{prefix}/auth/token");
    let body = json!({"scopes": ["messages:send", "messages:read"]});
    let pair = gate.post(&token).basic("alice", "wonderland").json(&body).send().expect(201);
    let pair = gate.post(&format!("{token}/refresh")).bearer(&pair.field("refresh_token")).send().expect(200);
    let access = pair.field("access_token");
    let message = json!({"id": "m1", "phoneNumbers": ["+15550100"], "textMessage": {"text": "Hello"}});
    gate.post(&format!("{prefix}/messages")).bearer(&access).json(&message).send().expect(202);
    gate.get(&format!("{prefix}/messages/m1")).bearer(&access).send().expect(200);
    gate.get(&format!("{prefix}/messages")).bearer(&access).send().expect_refusal(403);
    gate.get(&format!("{prefix}/health")).send().expect(200);
    let id = pair.field("id");
    gate.call("DELETE", &format!("{token}/{id}")).basic("alice", "wonderland").send().expect(204);
    gate.get(&format!("{prefix}/messages/m1")).bearer(&access).send().expect_refusal(401);
}

#[test]
fn clients_and_upstream_may_each_have_their_own_prefix() {
    for (ours, theirs) in [
        ("/3rdparty/v1", "/3rdparty/v1"),
        ("/api/3rdparty/v1", "/api/3rdparty/v1"),
        ("/", "/"),
        ("/3rdparty/v1", "/"),
        ("/3rdparty/v1", "/api/3rdparty/v1"),
        ("/api/3rdparty/v1", "/3rdparty/v1"),
        ("/", "/3rdparty/v1"),
        ("/sms", "/3rdparty/v1"),
    ] {
        println!("{ours} before {theirs}");
        let upstream = SampleUpstream::start("127.0.0.1:0".parse().unwrap(), theirs).unwrap();
        let start = Start::before(upstream.address()).set("routes.prefix", ours);
        works(&start.set("routes.upstream_prefix", theirs).start(), ours.trim_end_matches('/'));
        let mut theirs = theirs.trim_end_matches('/').to_owned();
        theirs.push_str("/messages/m1");
        assert!(upstream.seen().iter().any(|seen| seen.target == theirs), "{theirs}");
    }
}

#[test]
fn the_upstreams_own_token_endpoints_are_out_of_reach_under_every_prefix() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).set("routes.unmatched", "authenticated").start();
    let access = gate.alice(&["all:any"]).field("access_token");
    for prefix in ["/3rdparty/v1", "/api/3rdparty/v1", "/API/3rdparty/V1", "/3rdParty/v1"] {
        for path in ["/auth/token/x/y", "/auth/user", "/auth", "/auth/", "/Auth/whatever"] {
            let target = format!("{prefix}{path}");
            let answer = gate.post(&target).bearer(&access).json(&json!({"scopes": ["all:any"]})).send();
            assert!(matches!(answer.status, 404 | 405), "{target}: {}", answer.status);
            answer.clone().expect_refusal(answer.status);
        }
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}

#[test]
fn phones_follow_the_prefix() {
    for (ours, theirs, sent, received) in [
        ("/api/3rdparty/v1", "/3rdparty/v1", "/api/mobile/v1/message", "/mobile/v1/message"),
        ("/3rdparty/v1", "/api/3rdparty/v1", "/mobile/v1/message", "/api/mobile/v1/message"),
    ] {
        let upstream = Upstream::start();
        let start = Start::before(upstream.address).set("routes.prefix", ours);
        let gate = start.set("routes.upstream_prefix", theirs).start();
        gate.get(sent).bearer("opaque").send().expect(200);
        assert_eq!(upstream.only().target, received);
    }
}
