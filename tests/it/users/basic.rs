//! Name and password directly on API routes: remembered for speed, never beyond a change of the users file.

use super::{LIST, entry, file, gate, put};
use crate::support::{Answer, Gate, user};

fn list(gate: &Gate, name: &str, password: &str) -> Answer {
    gate.get(LIST).basic(name, password).send()
}

#[test]
fn a_remembered_password_is_forgotten_when_it_changes() {
    let gate = gate();
    for _ in 0..3 {
        list(&gate, "alice", "wonderland").expect(200);
    }
    put(&gate, &user("alice", "looking-glass", &["all:any"], ""));
    list(&gate, "alice", "wonderland").expect_refusal(401);
    list(&gate, "alice", "looking-glass").expect(200);
}

#[test]
fn a_removed_user_is_forgotten() {
    let gate = gate();
    list(&gate, "alice", "wonderland").expect(200);
    put(&gate, &entry(&file(&gate), "bob"));
    list(&gate, "alice", "wonderland").expect_refusal(401);
    list(&gate, "bob", "builder").expect_refusal(403);
}

#[test]
fn a_remembered_user_has_the_scopes_of_now() {
    let gate = gate();
    list(&gate, "bob", "builder").expect_refusal(403);
    list(&gate, "alice", "wonderland").expect(200);
    let users = file(&gate);
    let swapped = entry(&users, "bob").replace("messages:read", "messages:list")
        + &entry(&users, "alice").replace("all:any", "logs:read");
    put(&gate, &swapped);
    let refusal = list(&gate, "alice", "wonderland").expect_refusal(403);
    assert_eq!(refusal.field("message"), "scope required: messages:list");
    list(&gate, "bob", "builder").expect(200);
}
