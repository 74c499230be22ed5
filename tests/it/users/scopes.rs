//! Users whose scopes are narrowed or widened while they are signed in.

use serde_json::json;

use super::{LIST, entry, file, gate, put, put_and_end, refresh, send, sign_in};
use crate::support::{Answer, Gate};

const ALL: &str = "scopes = [\"all:any\"]";

/// The users file with other scopes for alice, and without bob: his session's end shows that the change has been
/// carried out in full.
#[track_caller]
fn with_scopes(gate: &Gate, scopes: &str) -> String {
    let alice = entry(&file(gate), "alice");
    assert!(alice.contains(ALL));
    alice.replace(ALL, &format!("scopes = {scopes}"))
}

fn list(gate: &Gate, pair: &Answer) -> Answer {
    gate.get(LIST).bearer(&pair.field("access_token")).send()
}

#[test]
fn narrowed_scopes_cut_what_exceeds_them_and_leave_the_rest() {
    let gate = gate();
    let within = gate.alice(&["messages:list"]);
    let wide = gate.alice(&["all:any"]);
    let mixed = gate.alice(&["messages:send", "messages:list"]);
    let beyond = gate.alice(&["messages:send"]);
    sign_in(&gate, "bob", "builder").expect(201);
    for pair in [&within, &wide, &mixed] {
        list(&gate, pair).expect(200);
    }
    put_and_end(&gate, &with_scopes(&gate, "[\"messages:list\", \"logs:read\"]"));
    list(&gate, &within).expect(200);
    for pair in [&wide, &mixed, &beyond] {
        assert_eq!(list(&gate, pair).expect_refusal(401).field("message"), "Token revoked");
    }
    // None of the sessions has ended: the next refresh carries what is left.
    for (pair, left) in [
        (&within, json!(["messages:list"])),
        (&wide, json!(["messages:list", "logs:read"])),
        (&mixed, json!(["messages:list"])),
    ] {
        let next = refresh(&gate, pair).expect(200);
        assert_eq!(next.json()["scopes"], left);
        assert_eq!(next.claims("access_token")["scopes"], left);
        list(&gate, &next).expect(200);
        send(&gate, &next).expect_refusal(403);
    }
}

#[test]
fn what_was_cut_stays_cut_over_a_restart_and_the_overlap() {
    let gate = gate();
    let wide = gate.alice(&["all:any"]);
    sign_in(&gate, "bob", "builder").expect(201);
    put_and_end(&gate, &with_scopes(&gate, "[\"messages:list\"]"));
    let gate = gate.restart();
    list(&gate, &wide).expect_refusal(401);
    let next = refresh(&gate, &wide).expect(200);
    list(&gate, &next).expect(200);
    // The overlap is for the token that a refresh replaced, not for one that was cut.
    list(&gate, &wide).expect_refusal(401);
}

#[test]
fn scopes_narrowed_while_the_gate_was_down_count_from_the_first_request() {
    let mut gate = gate();
    let (wide, within) = (gate.alice(&["all:any"]), gate.alice(&["messages:list"]));
    gate.stop();
    gate.write_users(&with_scopes(&gate, "[\"messages:list\"]"));
    let gate = gate.start_again();
    list(&gate, &wide).expect_refusal(401);
    list(&gate, &within).expect(200);
    assert_eq!(refresh(&gate, &wide).expect(200).json()["scopes"], json!(["messages:list"]));
}

#[test]
fn widened_scopes_do_not_widen_a_session_beyond_its_sign_in() {
    let gate = gate();
    let pair = sign_in(&gate, "bob", "builder").expect(201);
    let wider = entry(&file(&gate), "bob").replace("\"messages:read\"", "\"all:any\"");
    assert!(wider.contains("all:any"));
    put(&gate, &wider);
    let next = refresh(&gate, &pair).expect(200);
    assert_eq!(next.json()["scopes"], json!(["messages:send"]));
    list(&gate, &next).expect_refusal(403);
    list(&gate, &gate.sign_in("bob", "builder", &["messages:list"])).expect(200);
}

#[test]
fn scopes_that_come_back_come_back_to_the_session_that_had_them() {
    let gate = gate();
    let before = file(&gate);
    let pair = gate.alice(&["messages:send", "messages:list"]);
    put(&gate, &with_scopes(&gate, "[\"messages:list\"]"));
    let narrow = refresh(&gate, &pair).expect(200);
    assert_eq!(narrow.json()["scopes"], json!(["messages:list"]));
    put(&gate, &before);
    let wide = refresh(&gate, &narrow).expect(200);
    assert_eq!(wide.json()["scopes"], json!(["messages:send", "messages:list"]));
    send(&gate, &wide).expect(200);
}
