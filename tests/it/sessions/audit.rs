//! The audit trail: one line of JSON for each thing that happens to a session.

use serde_json::{Value, json};

use super::{SESSIONS, TOKEN, gate, refresh, session_of};
use crate::support::{Gate, Start, Upstream, until};

/// The lines of the trail so far, of one session.
#[track_caller]
fn trail(gate: &Gate, session: &str) -> Vec<Value> {
    let lines = gate.whole_log();
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == "portcullis::audit" && line["session"] == session).collect()
}

fn events(trail: &[Value]) -> Vec<&str> {
    trail.iter().map(|line| line["event"].as_str().unwrap()).collect()
}

#[test]
fn each_line_says_what_whose_from_where_and_by_which_request() {
    let gate = gate(&[("server.trusted_proxies", "127.0.0.1")]);
    let issue = gate.post(TOKEN).basic("alice", "wonderland").json(&json!({"scopes": ["messages:list"]}));
    let answer = issue.header("X-Forwarded-For", "203.0.113.7").header("User-Agent", "a/1").send().expect(201);
    let session = session_of(&answer);
    refresh(&gate, &answer).expect(200);
    until("the parent to count as stolen", || (refresh(&gate, &answer).status == 401).then_some(()));
    let trail = trail(&gate, &session);
    assert_eq!(events(&trail), ["sign_in", "refresh", "reuse"]);
    let begun = &trail[0];
    for (name, value) in [
        ("level", json!("INFO")),
        ("subject", json!("alice")),
        ("profile", json!("smsgate")),
        ("scopes", json!("messages:list")),
        ("address", json!("203.0.113.7")),
        ("user_agent", json!("a/1")),
        ("request_id", json!(answer.header("x-request-id").unwrap())),
    ] {
        assert_eq!(begun[name], value, "{name}");
    }
    assert_eq!(
        (&trail[1]["generation"], &trail[1]["subject"], &trail[1]["address"]),
        (&json!(1), &json!("alice"), &json!("127.0.0.1"))
    );
    assert_eq!((&trail[2]["generation"], &trail[2]["level"]), (&json!(0), &json!("WARN")));
    for line in gate.whole_log() {
        for secret in ["access_token", "refresh_token"] {
            assert!(!line.contains(&answer.field(secret)));
        }
    }
}

#[test]
fn a_filter_for_modules_leaves_the_trail_unless_it_names_it() {
    let listening = "error,portcullis::run=info,portcullis::access=info";
    for (filter, audit, expected) in [
        (listening.to_owned(), "true", vec!["sign_in", "revoke"]),
        (listening.to_owned(), "false", vec![]),
        (format!("{listening},portcullis::audit=off"), "true", vec![]),
    ] {
        let start = Start::before(Upstream::start().address).set("log.audit", audit);
        let gate = start.env("PORTCULLIS_LOG", &filter).start();
        let session = session_of(&gate.alice(&["messages:list"]));
        gate.call("DELETE", &format!("{SESSIONS}/{session}")).basic("alice", "wonderland").send().expect(204);
        assert_eq!(events(&trail(&gate, &session)), expected, "{filter} {audit}");
    }
}
