//! What the SMS API's own announcement and documentation promise to their clients, one promise a test.
//!
//! `seed S3` names the promise in the list that was drawn from these texts.

mod api;
mod clients;
mod documented;
mod endpoints;
mod failure;
mod mobile;
mod prefixes;
mod rotation;
mod texts;

use portcullis::command::demo::SampleUpstream;
use serde_json::json;

use crate::support::{Answer, Call, Gate, Start, Upstream};

const TOKEN: &str = "/3rdparty/v1/auth/token";
const REFRESH: &str = "/3rdparty/v1/auth/token/refresh";
const MESSAGES: &str = "/3rdparty/v1/messages";

/// A gate with these settings before an upstream that answers everything.
#[track_caller]
fn gate(settings: &[(&str, &str)]) -> Gate {
    let start = Start::before(Upstream::start().address);
    settings.iter().fold(start, |start, (key, value)| start.set(key, value)).start()
}

/// A gate before the sample SMS API.
#[track_caller]
fn sms() -> (SampleUpstream, Gate) {
    let upstream = SampleUpstream::start("127.0.0.1:0".parse().unwrap(), "/3rdparty/v1").unwrap();
    let gate = Start::before(upstream.address()).start();
    (upstream, gate)
}

/// The first call of every sample.
fn issue(gate: &Gate) -> Call {
    gate.post(TOKEN).basic("alice", "wonderland")
}

/// The documented example: an hour, to send and to read.
#[track_caller]
fn example(gate: &Gate) -> Answer {
    issue(gate).json(&json!({"ttl": 3600, "scopes": ["messages:send", "messages:read"]})).send().expect(201)
}

#[track_caller]
fn refresh(gate: &Gate, pair: &Answer) -> Answer {
    gate.refresh(&pair.field("refresh_token"))
}

fn lifetime(pair: &Answer, token: &str) -> u64 {
    let claims = pair.claims(token);
    claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap()
}
