//! Sessions over sockets: rotation, races, reuse, revocation, minting, bounds.

mod audit;
mod bounds;
mod devices;
mod listing;
mod minting;
mod overlap;
mod race;
mod retry;
mod reuse;
mod revocation;
mod rotation;

use crate::support::{Answer, Gate, Start, Upstream, list, refresh};

const TOKEN: &str = "/3rdparty/v1/auth/token";
const REFRESH: &str = "/3rdparty/v1/auth/token/refresh";
const SESSIONS: &str = "/3rdparty/v1/auth/sessions";

/// A gate with these settings, before an upstream that answers everything.
#[track_caller]
fn gate(settings: &[(&str, &str)]) -> Gate {
    let start = Start::before(Upstream::start().address);
    settings.iter().fold(start, |start, (key, value)| start.set(key, value)).start()
}

/// What a 401 tells people.
#[track_caller]
fn refused(answer: &Answer) -> String {
    answer.clone().expect_refusal(401).field("message")
}

/// Holds the session of its latest pair to be alive. Changes nothing.
#[track_caller]
fn lives(gate: &Gate, pair: &Answer) {
    list(gate, pair).expect(200);
}

/// Holds the session of a pair to have ended: neither of the two is good for anything.
#[track_caller]
fn ended(gate: &Gate, pair: &Answer) {
    assert_eq!(refused(&list(gate, pair)), "Token revoked");
    assert_eq!(refused(&refresh(gate, pair)), "Invalid refresh token");
}

/// The id of a pair's session.
#[track_caller]
fn session_of(pair: &Answer) -> String {
    pair.claims("access_token")["sid"].as_str().unwrap().to_owned()
}
