//! What people do with their devices: name them, end all, or all others; and what an administrator does with those of
//! others.

use serde_json::{Value, json};

use super::{SESSIONS, TOKEN, ended, gate, lives, refresh, session_of};
use crate::support::{Answer, Call, Gate, until, user};

const OTHERS: &str = "/3rdparty/v1/auth/sessions/others";

fn delete(gate: &Gate, path: &str) -> Call {
    gate.call("DELETE", path)
}

#[track_caller]
fn listed(answer: &Answer) -> Vec<Value> {
    answer.clone().expect(200).json().as_array().unwrap().clone()
}

#[track_caller]
fn alices(gate: &Gate) -> Vec<Value> {
    listed(&gate.get(SESSIONS).basic("alice", "wonderland").send())
}

/// With an administrator beside the usual users.
#[track_caller]
fn with_root(gate: Gate) -> Gate {
    let users = [
        user("alice", "wonderland", &["all:any"], ""),
        user("root", "toor-toor", &["sessions:admin", "messages:send"], ""),
        user("bob", "builder", &["messages:send"], ""),
    ];
    gate.write_users(&users.concat());
    until("the users to be read", || {
        let answer = gate.get("/3rdparty/v1/auth/sessions").basic("root", "toor-toor").send();
        (answer.status == 200).then_some(())
    });
    gate
}

#[test]
fn the_list_tells_where_a_session_was_begun_and_where_it_was_used_last() {
    let gate = gate(&[("server.trusted_proxies", "127.0.0.1")]);
    let issue = gate.post(TOKEN).basic("alice", "wonderland").json(&json!({"scopes": ["messages:list"]}));
    let pair = issue.header("X-Forwarded-For", "203.0.113.7").header("User-Agent", "SMSGate/1.2 (Pixel)").send();
    let pair = pair.expect(201);
    let told = |session: &Value| {
        ["created_address", "created_user_agent", "address", "user_agent"].map(|name| session[name].clone())
    };
    let begun = ["203.0.113.7", "SMSGate/1.2 (Pixel)"];
    assert_eq!(told(&alices(&gate)[0]), [begun[0], begun[1], begun[0], begun[1]]);
    let again =
        gate.post(super::REFRESH).bearer(&pair.field("refresh_token")).header("X-Forwarded-For", "198.51.100.9");
    again.header("User-Agent", &format!("b\u{e4}d{}", "x".repeat(500))).send().expect(200);
    let long = format!("b??d{}", "x".repeat(196));
    assert_eq!(told(&alices(&gate)[0]), [begun[0], begun[1], "198.51.100.9", &long]);
    let gate = gate.restart();
    assert_eq!(told(&alices(&gate)[0]), [begun[0], begun[1], "198.51.100.9", &long], "also after a restart");
}

#[test]
fn nothing_of_the_user_agent_is_kept_where_nothing_is_to_be() {
    for (kept, expected) in
        [("prefix", json!("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.")), ("off", Value::Null)]
    {
        let gate = gate(&[("store.record_addresses", kept)]);
        let issue = gate.post(TOKEN).basic("alice", "wonderland").json(&json!({"scopes": ["messages:list"]}));
        issue.header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML)").send().expect(201);
        assert_eq!(alices(&gate)[0]["user_agent"], expected);
        let line = gate.wait_for_log("\"sign_in\"");
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap().get("user_agent").cloned().unwrap_or_default(),
            expected
        );
    }
}

#[test]
fn a_device_is_named_renamed_and_unnamed_and_the_name_lasts() {
    let gate = gate(&[]);
    let body = json!({"scopes": ["messages:list"], "device": {"id": "d-1"}});
    let pair = gate.post(TOKEN).basic("alice", "wonderland").json(&body).send().expect(201);
    let path = format!("{SESSIONS}/{}", session_of(&pair));
    let name = |gate: &Gate, name: Value| {
        gate.call("PATCH", &path).bearer(&pair.field("access_token")).json(&json!({"name": name})).send()
    };
    name(&gate, json!("Kitchen \u{1f4f1}")).expect(204);
    let named = json!({"id": "d-1", "name": "Kitchen \u{1f4f1}"});
    assert_eq!(alices(&gate)[0]["device"], named);
    assert_eq!(alices(&gate)[0]["current"], false, "no token was presented");
    let gate = gate.restart();
    assert_eq!(alices(&gate)[0]["device"], named);
    let next = refresh(&gate, &pair).expect(200);
    assert_eq!(alices(&gate)[0]["device"], named, "it outlives a refresh");
    name(&gate, Value::Null).expect(204);
    assert_eq!(alices(&gate)[0]["device"], json!({"id": "d-1", "name": null}));
    for wrong in [json!(7), json!("x".repeat(129)), json!("a\u{0}b")] {
        name(&gate, wrong).expect_refusal(400);
    }
    gate.call("PATCH", &path).basic("alice", "wonderland").json(&json!({})).send().expect_refusal(400);
    let form = gate.call("PATCH", &path).basic("alice", "wonderland").header("Content-Type", "text/plain");
    form.send().expect_refusal(415);
    // Neither other sessions with a plain token, nor anybody else's.
    let other = gate.alice(&["messages:list"]);
    let rename = gate.call("PATCH", &path).bearer(&other.field("access_token"));
    rename.json(&json!({"name": "mine"})).send().expect_refusal(403);
    gate.call("PATCH", &path).basic("bob", "builder").json(&json!({"name": "mine"})).send().expect(204);
    assert_eq!(alices(&gate)[1]["device"]["name"], Value::Null);
    lives(&gate, &next);
}

#[test]
fn all_sessions_but_this_one_end_at_once() {
    let gate = gate(&[]);
    let (own, first, second) =
        (gate.alice(&["tokens:manage"]), gate.alice(&["messages:list"]), gate.alice(&["messages:list"]));
    let bobs = gate.sign_in("bob", "builder", &["messages:send"]);
    delete(&gate, OTHERS).bearer(&first.field("access_token")).send().expect_refusal(403);
    delete(&gate, OTHERS).basic("alice", "wonderland").send().expect_refusal(400);
    lives(&gate, &second);
    delete(&gate, OTHERS).bearer(&own.field("access_token")).send().expect(204);
    ended(&gate, &first);
    ended(&gate, &second);
    refresh(&gate, &bobs).expect(200);
    let left = listed(&gate.get(SESSIONS).bearer(&own.field("access_token")).send());
    assert_eq!((left.len(), &left[0]["current"]), (1, &json!(true)));
    let gate = gate.restart();
    assert_eq!(alices(&gate).len(), 1, "the ends last");
    refresh(&gate, &own).expect(200);
}

#[test]
fn a_session_minted_by_another_one_keeps_that_one_too() {
    let gate = gate(&[]);
    let parent = gate.alice(&["tokens:manage", "messages:list"]);
    let mint = |from: &Answer| {
        let body = json!({"scopes": ["tokens:manage", "messages:list"]});
        gate.post(TOKEN).bearer(&from.field("access_token")).json(&body).send().expect(201)
    };
    let (child, sibling) = (mint(&parent), mint(&parent));
    delete(&gate, OTHERS).bearer(&child.field("access_token")).send().expect(204);
    ended(&gate, &sibling);
    lives(&gate, &parent);
    lives(&gate, &child);
}

#[test]
fn all_of_ones_own_sessions_end_with_the_password() {
    let gate = gate(&[]);
    let (first, second) = (gate.alice(&["messages:list"]), gate.alice(&["messages:list"]));
    let bobs = gate.sign_in("bob", "builder", &["messages:send"]);
    delete(&gate, SESSIONS).bearer(&first.field("access_token")).send().expect_refusal(403);
    delete(&gate, SESSIONS).basic("alice", "wrong").send().expect_refusal(401);
    lives(&gate, &first);
    delete(&gate, SESSIONS).basic("alice", "wonderland").send().expect(204);
    ended(&gate, &first);
    ended(&gate, &second);
    refresh(&gate, &bobs).expect(200);
    delete(&gate, SESSIONS).basic("alice", "wonderland").send().expect(204);
}

#[test]
fn an_administrator_sees_and_ends_the_sessions_of_others_and_nobody_else_does() {
    let gate = with_root(gate(&[]));
    let (alice, bob) = (gate.alice(&["all:any"]), gate.sign_in("bob", "builder", &["messages:send"]));
    let root = gate.sign_in("root", "toor-toor", &["sessions:admin"]);
    let (of_bob, of_alice) = ("/3rdparty/v1/auth/users/bob/sessions", "/3rdparty/v1/auth/users/alice/sessions");
    // `all:any` is for the API and not for the gate.
    for method in ["GET", "DELETE"] {
        for caller in [
            gate.call(method, of_bob).bearer(&alice.field("access_token")),
            gate.call(method, of_bob).basic("alice", "wonderland"),
        ] {
            assert_eq!(caller.send().expect_refusal(403).field("message"), "scope required: sessions:admin");
        }
        gate.call(method, of_alice).bearer(&bob.field("access_token")).send().expect_refusal(403);
        gate.call(method, of_alice).send().expect_refusal(401);
    }
    gate.post(TOKEN)
        .basic("alice", "wonderland")
        .json(&json!({"scopes": ["sessions:admin"]}))
        .send()
        .expect_refusal(403);
    let seen = listed(&gate.get(of_bob).bearer(&root.field("access_token")).send());
    assert_eq!((seen.len(), &seen[0]["id"]), (1, &json!(session_of(&bob))));
    delete(&gate, of_bob).basic("root", "toor-toor").send().expect(204);
    ended(&gate, &bob);
    delete(&gate, of_alice).bearer(&root.field("access_token")).send().expect(204);
    ended(&gate, &alice);
    delete(&gate, "/3rdparty/v1/auth/users/nobody/sessions").basic("root", "toor-toor").send().expect(204);
    refresh(&gate, &root).expect(200);
    let line = gate.wait_for_log(&session_of(&bob));
    let revoked: Vec<Value> = gate.log().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let by = |subject: &str| {
        let of = |line: &&Value| line["event"] == "revoke" && line["subject"] == subject;
        revoked.iter().find(of).map(|line| line["by"].clone())
    };
    assert_eq!((by("bob"), by("alice")), (Some(json!("root")), Some(json!("root"))), "{line}");
}
