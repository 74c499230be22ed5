//! The key ring as an operator changes it, beside a running gate: who stays signed in, who does not, and what is told.

mod commands;
mod following;
mod retiring;
mod rotating;
mod several;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::support::{Answer, Ended, Gate, Run, Start, Upstream, until};

fn before() -> Start {
    Start::before(Upstream::start().address)
}

/// Runs `portcullis keys` on the data directory of a gate.
#[track_caller]
fn keys(gate: &Gate, arguments: &[&str]) -> Ended {
    Run::new(&gate.folder(), &[&["keys"], arguments].concat()).end()
}

/// What `keys list` tells, as JSON.
#[track_caller]
fn listed(gate: &Gate, arguments: &[&str]) -> Vec<Value> {
    let ended = keys(gate, &[&["list", "--json"], arguments].concat()).expect(0);
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The key in a state; there is one.
#[track_caller]
fn key(gate: &Gate, state: &str) -> String {
    let keys = listed(gate, &[]);
    let mut kids = keys.iter().filter(|key| key["state"] == state).map(|key| key["kid"].as_str().unwrap().to_owned());
    let kid = kids.next().unwrap_or_else(|| panic!("no {state} key: {keys:?}"));
    assert_eq!(kids.next(), None, "{keys:?}");
    kid
}

/// Waits until a gate has found out.
#[track_caller]
fn noticed(gate: &Gate, kid: &str, state: &str) {
    let (kid, state) = (format!("\"kid\":\"{kid}\""), format!("\"state\":\"{state}\""));
    until(&format!("{kid} {state}"), || {
        gate.log().iter().any(|line| line.contains(&kid) && line.contains(&state)).then_some(())
    });
}

/// Rotates, and returns the kids before and after when the gate has found out.
#[track_caller]
fn rotate(gate: &Gate, arguments: &[&str]) -> [String; 2] {
    let old = key(gate, "current");
    keys(gate, &[&["rotate"], arguments].concat()).expect(0);
    let new = key(gate, "current");
    noticed(gate, &new, "current");
    [old, new]
}

fn header(pair: &Answer, token: &str) -> Value {
    let token = pair.field(token);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

/// The key of both tokens of a pair.
#[track_caller]
fn kid(pair: &Answer) -> String {
    let kid = header(pair, "access_token")["kid"].as_str().unwrap().to_owned();
    assert_eq!(header(pair, "refresh_token")["kid"], kid);
    kid
}
