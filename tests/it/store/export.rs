//! `store export`: what the gate lists, as lines of JSON.

use serde_json::{Value, json};

use super::{Life, damage, sid};
use crate::support::{Gate, refresh};

#[track_caller]
fn listed(gate: &Gate, name: &str, password: &str) -> Vec<Value> {
    let answer = gate.get("/3rdparty/v1/auth/sessions").basic(name, password).send().expect(200);
    answer.json().as_array().unwrap().clone()
}

/// What both say of a session, as the gate says it.
fn common(line: &Value) -> Value {
    let seconds = |name: &str| format!("{}Z", line[name].as_str().unwrap().split('.').next().unwrap());
    json!({
        "id": line["id"],
        "device": line["device"],
        "scopes": line["granted"],
        "created_at": seconds("created_at"),
        "last_refresh": seconds("rotated_at"),
        "expires_at": seconds("idle_expires_at").min(seconds("expires_at")),
        "address": line["address"],
        "user_agent": line["user_agent"],
        "created_address": line["created_address"],
        "created_user_agent": line["created_user_agent"],
        "profile": line["profile"],
        "client": line["client"],
        "current": false,
    })
}

#[test]
fn it_lists_what_the_gate_lists_and_what_has_ended() {
    let life = Life::killed();
    let device = json!({"id": "d-1", "name": "Pixel"});
    let mut life = Life { gate: life.gate.start_again(), ..life };
    let body = json!({"scopes": ["logs:read"], "ttl": 77, "device": device});
    life.gate.post("/3rdparty/v1/auth/token").basic("alice", "wonderland").json(&body).send().expect(201);
    let mut expected = listed(&life.gate, "alice", "wonderland");
    expected.extend(listed(&life.gate, "bob", "builder"));
    assert_eq!(expected.len(), 3);
    life.kill();
    let lines = life.lines(&["export"]);
    let (sessions, tombstones): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["kind"] == "session");
    let by_id = |session: &Value| session["id"].as_str().unwrap().to_owned();
    expected.sort_by_key(by_id);
    let mut found: Vec<_> = sessions.iter().map(|line| common(line)).collect();
    found.sort_by_key(by_id);
    assert_eq!(found, expected);
    let newest = sessions.last().unwrap();
    assert_eq!((&newest["device"], &newest["access_ttl"], &newest["subject"]), (&device, &json!(77), &json!("alice")));
    assert_eq!(tombstones.len(), 1);
    assert_eq!(tombstones[0]["id"], sid(&life.revoked));
    let session = |id: &str| sessions.iter().find(|line| line["id"] == id).unwrap();
    assert_eq!(session(&sid(&life.refreshed))["generation"], 2);
    assert_eq!(session(&sid(&life.untouched))["subject"], "bob");
    assert_eq!(session(&sid(&life.untouched))["expired"], false);
    assert_eq!(lines, life.lines(&["export"]), "the order does not change");
}

#[test]
fn nothing_in_it_can_be_presented() {
    let life = Life::ended();
    let text = life.store(&["export"]).expect(0).stdout + &life.store(&["inspect", "--subject", "alice"]).stdout;
    for pair in [&life.refreshed, &life.untouched, &life.revoked] {
        for token in ["access_token", "refresh_token"].map(|name| pair.field(name)) {
            assert!(!text.contains(token.rsplit('.').next().unwrap()));
        }
    }
    assert!(text.contains(&sid(&life.refreshed)));
}

#[test]
fn half_of_it_is_never_printed() {
    let life = Life::killed();
    let offset = damage(&life.segment(), 2);
    let ended = life.store(&["export"]).expect(1);
    assert!(ended.stdout.is_empty() && ended.stderr.contains(&format!("damaged at byte {offset}: ")), "{ended:#?}");
}

#[test]
fn a_gate_goes_on_where_it_was_looked_at() {
    let life = Life::killed();
    life.store(&["export"]).expect(0);
    life.store(&["verify"]).expect(0);
    let Life { gate, refreshed, untouched, revoked } = life;
    let gate = gate.start_again();
    refresh(&gate, &refreshed).expect(200);
    refresh(&gate, &untouched).expect(200);
    refresh(&gate, &revoked).expect_refusal(401);
}
