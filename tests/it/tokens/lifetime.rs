//! Tokens that were good: remembered by the workers, and refused from the moment they end.

use std::collections::HashSet;

use serde_json::json;

use super::{Forger, ROUTE};
use crate::support::forge::with;
use crate::support::{Call, Connection, Start, Upstream, until};

/// Connections over which `call` has passed, some to either worker, so that both remember its token.
#[track_caller]
fn with_both_workers(forger: &Forger, call: &Call) -> Vec<Connection> {
    let (mut connections, mut workers) = (Vec::new(), HashSet::new());
    until("both workers to have some connections", || {
        let mut connection = Connection::open(forger.gate.address);
        connection.ask(call).expect(200);
        connections.push(connection);
        // With one request at a time, each of them needs one connection to the upstream.
        workers.insert(forger.upstream.seen().pop().unwrap().peer);
        (workers.len() == 2 && connections.len() >= 16).then_some(())
    });
    connections
}

#[test]
fn a_remembered_token_is_refused_once_it_expires() {
    let forger = Forger::with(|start| start.set("token.leeway", "0s").set("log.access", "off"));
    let expires = forger.now() + 3;
    let token = forger.claiming(&with(&forger.claims, "exp", expires));
    let call = forger.gate.get(ROUTE).bearer(&token);
    let mut connections = with_both_workers(&forger, &call);
    let mut open = connections.len();
    while open > 0 {
        open = 0;
        for connection in &mut connections {
            let asked = jiff::Timestamp::now().as_second();
            let answer = connection.ask(&call);
            match answer.status {
                200 => {
                    assert!(asked < expires as i64, "passed at {asked}, expired at {expires}");
                    open += 1;
                }
                _ => assert_eq!(answer.expect_refusal(401).field("message"), "Token expired"),
            }
        }
    }
}

#[test]
fn a_remembered_token_is_refused_at_once_when_its_session_ends() {
    let forger = Forger::new();
    let token = forger.claiming(&forger.claims);
    let call = forger.gate.get(ROUTE).bearer(&token);
    let mut connections = with_both_workers(&forger, &call);
    let id = forger.pair.field("id");
    let revoke = forger.gate.call("DELETE", &format!("/3rdparty/v1/auth/token/{id}")).basic("alice", "wonderland");
    revoke.send().expect(204);
    let before = forger.upstream.seen().len();
    for connection in &mut connections {
        assert_eq!(connection.ask(&call).expect_refusal(401).field("message"), "Token revoked");
    }
    // The end is the session's, not the text's: another token of it, never seen before, is as dead.
    let other = forger.claiming(&with(&forger.claims, "x", 1));
    forger.gate.get(ROUTE).bearer(&other).send().expect_refusal(401);
    assert_eq!(forger.upstream.seen().len(), before);
}

#[test]
fn a_refusal_is_not_remembered_as_a_pass_nor_a_pass_as_anothers() {
    let forger = Forger::new();
    let good = forger.claiming(&forger.claims);
    let (message, _) = good.rsplit_once('.').unwrap();
    let bad = format!("{message}.{}", crate::support::forge::encode([7; 32]));
    let mut connection = Connection::open(forger.gate.address);
    for _ in 0..20 {
        connection.ask(&forger.gate.get(ROUTE).bearer(&bad)).expect(401);
        connection.ask(&forger.gate.get(ROUTE).bearer(&good)).expect(200);
    }
    // What a remembered token lacks it lacks also when it is remembered.
    let narrow = forger.claiming(&with(&forger.claims, "scopes", json!(["inbox:list"])));
    for _ in 0..20 {
        connection.ask(&forger.gate.get("/3rdparty/v1/inbox").bearer(&narrow)).expect(200);
        connection.ask(&forger.gate.get(ROUTE).bearer(&narrow)).expect_refusal(403);
    }
}

#[test]
fn with_room_for_few_every_token_is_still_judged_by_itself() {
    let forger = Forger::with(|start| start.set("limits.token_cache_entries", "2").set("workers", "1"));
    let mut connection = Connection::open(forger.gate.address);
    for round in 0..3 {
        for n in 0..10 {
            let scope = if n % 2 == 0 { "messages:list" } else { "inbox:list" };
            let claims = with(&with(&forger.claims, "x", n), "scopes", json!([scope]));
            let call = forger.gate.get(ROUTE).bearer(&forger.claiming(&claims));
            let status = connection.ask(&call).status;
            assert_eq!(status, if n % 2 == 0 { 200 } else { 403 }, "round {round}, token {n}");
        }
    }
}

#[test]
fn tokens_outlive_a_restart() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let pair = gate.alice(&["messages:list"]);
    let ended = gate.alice(&["messages:list"]);
    let id = ended.field("id");
    gate.call("DELETE", &format!("/3rdparty/v1/auth/token/{id}")).basic("alice", "wonderland").send().expect(204);
    let gate = gate.restart();
    gate.get(ROUTE).bearer(&pair.field("access_token")).send().expect(200);
    gate.get(ROUTE).bearer(&ended.field("access_token")).send().expect_refusal(401);
    gate.refresh(&ended.field("refresh_token")).expect_refusal(401);
    let next = gate.refresh(&pair.field("refresh_token")).expect(200);
    let gate = gate.restart();
    gate.get(ROUTE).bearer(&next.field("access_token")).send().expect(200);
    gate.refresh(&next.field("refresh_token")).expect(200);
}
