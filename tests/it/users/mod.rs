//! The users file, while the gate runs and while it does not.

mod basic;
mod changes;
mod scopes;
mod trouble;

use std::fs;

use crate::support::{Answer, Gate, Start, Upstream, until};

const LIST: &str = "/3rdparty/v1/messages";
const TAKEN: &str = "the users file has changed";
/// Said once the sessions have been brought in line, if any had to end.
const ENDED: &str = "sessions of removed users or changed passwords have ended";

#[track_caller]
fn gate() -> Gate {
    Start::before(Upstream::start().address).start()
}

/// The users file as it stands.
fn file(gate: &Gate) -> String {
    fs::read_to_string(gate.folder().join("users.toml")).unwrap()
}

/// The entry of one user in a users file.
#[track_caller]
fn entry(file: &str, name: &str) -> String {
    let entry = file.split_inclusive("[[user]]\n").find(|entry| entry.starts_with(&format!("name = {name:?}\n")));
    format!("[[user]]\n{}", entry.expect("the user is there").trim_end_matches("[[user]]\n"))
}

/// How often the log has said something.
fn said(gate: &Gate, part: &str) -> usize {
    gate.log().iter().filter(|line| line.contains(part)).count()
}

/// Replaces the users file and waits until it is in force. Sessions follow a moment later.
#[track_caller]
fn put(gate: &Gate, users: &str) {
    let before = said(gate, TAKEN);
    gate.write_users(users);
    until("the users file to be taken", || (said(gate, TAKEN) > before).then_some(()));
}

/// Replaces the users file, and waits until the sessions are in line with it. Some session has to end by it.
#[track_caller]
fn put_and_end(gate: &Gate, users: &str) {
    let before = said(gate, ENDED);
    put(gate, users);
    until("the sessions to be brought in line", || (said(gate, ENDED) > before).then_some(()));
}

fn sign_in(gate: &Gate, name: &str, password: &str) -> Answer {
    let scopes = serde_json::json!({"scopes": ["messages:send"]});
    gate.post("/3rdparty/v1/auth/token").basic(name, password).json(&scopes).send()
}

/// Sends a message with a pair's access token.
fn send(gate: &Gate, pair: &Answer) -> Answer {
    gate.post(LIST).bearer(&pair.field("access_token")).send()
}

#[track_caller]
fn refresh(gate: &Gate, pair: &Answer) -> Answer {
    gate.refresh(&pair.field("refresh_token"))
}

/// Holds a pair to be good for nothing any more.
#[track_caller]
fn ended(gate: &Gate, pair: &Answer) {
    assert_eq!(send(gate, pair).expect_refusal(401).field("message"), "Token revoked");
    assert_eq!(refresh(gate, pair).expect_refusal(401).field("message"), "Invalid refresh token");
}
