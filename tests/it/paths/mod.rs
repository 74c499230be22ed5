//! Route rules over the wire: what each path demands, in whatever spelling, and what the upstream gets of it.

mod limits;
mod mapping;
mod open;
mod operator;
mod passwords;
mod scopes;
mod spellings;
mod streams;

use crate::support::{Answer, Call, Gate, Seen, Upstream};

/// The upstream's newest request.
#[track_caller]
fn newest(upstream: &Upstream) -> Seen {
    upstream.seen().pop().expect("a request at the upstream")
}

/// Sends a call that must not reach the upstream.
#[track_caller]
fn stopped(upstream: &Upstream, name: &str, call: &Call, status: u16) -> Answer {
    let before = upstream.seen().len();
    let answer = call.send();
    assert_eq!(answer.status, status, "{name}: {}", answer.text());
    assert_eq!(upstream.seen().len(), before, "{name} reached the upstream");
    answer.expect_refusal(status)
}

/// Sends a call that must arrive, at this target.
#[track_caller]
fn arrives(upstream: &Upstream, name: &str, call: &Call, target: &str) -> Seen {
    let before = upstream.seen().len();
    let answer = call.send();
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    assert_eq!(upstream.seen().len(), before + 1, "{name}");
    let seen = newest(upstream);
    assert_eq!(seen.target, target, "{name}");
    seen
}

/// An access token of alice with these scopes, got under the prefix where this gate has its endpoints.
#[track_caller]
fn token_under(gate: &Gate, prefix: &str, scopes: &[&str]) -> String {
    let call = gate.post(&format!("{prefix}/auth/token")).basic("alice", "wonderland");
    call.json(&serde_json::json!({ "scopes": scopes })).send().expect(201).field("access_token")
}
