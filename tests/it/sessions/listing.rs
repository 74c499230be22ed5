//! The list of one's sessions, and ending one of them.

use serde_json::{Value, json};

use super::{SESSIONS, TOKEN, ended, gate, list, lives, refresh, session_of};
use crate::support::{Answer, Gate};

#[track_caller]
fn sessions(answer: &Answer) -> Vec<Value> {
    answer.clone().expect(200).json().as_array().unwrap().clone()
}

/// Alice's sessions, by password.
#[track_caller]
fn alices(gate: &Gate) -> Vec<Value> {
    sessions(&gate.get(SESSIONS).basic("alice", "wonderland").send())
}

#[track_caller]
fn ids(sessions: &[Value]) -> Vec<String> {
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

fn end(gate: &Gate, with: &Answer, id: &str) -> Answer {
    gate.call("DELETE", &format!("{SESSIONS}/{id}")).bearer(&with.field("access_token")).send()
}

#[test]
fn the_list_tells_devices_scopes_times_and_addresses_and_nothing_that_can_be_presented() {
    let gate = gate(&[]);
    let device = json!({"id": "d-1", "name": "Pixel 9 \u{1f4f1}"});
    let body = json!({"scopes": ["messages:list"], "device": device});
    let pair = gate.post(TOKEN).basic("alice", "wonderland").json(&body).send().expect(201);
    let plain = gate.alice(&["logs:read"]);
    gate.sign_in("bob", "builder", &["messages:send"]);
    let pair = refresh(&gate, &pair).expect(200);
    let answer = gate.get(SESSIONS).basic("alice", "wonderland").send();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    for secret in ["access_token", "refresh_token"] {
        assert!(!answer.text().contains(&pair.field(secret)));
    }
    let listed = sessions(&answer);
    assert_eq!(ids(&listed), [session_of(&plain), session_of(&pair)], "the newest sign-in first");
    assert_eq!((&listed[0]["device"], &listed[1]["device"]), (&Value::Null, &device));
    assert_eq!(listed[1]["scopes"], json!(["messages:list"]));
    assert_eq!(listed[1]["address"], "127.0.0.1");
    for time in ["created_at", "last_refresh", "expires_at"] {
        let text = listed[1][time].as_str().unwrap();
        assert!(text.len() == 20 && text.ends_with('Z'), "{time}: {text}");
    }
    let of = |name: &str| listed[1][name].as_str().unwrap().to_owned();
    assert!(of("created_at") <= of("last_refresh") && of("last_refresh") < of("expires_at"));
}

#[test]
fn addresses_are_kept_as_far_as_they_are_to_be() {
    for (kept, v4, v6) in [
        ("full", json!("203.0.113.77"), json!("2001:db8:1:2::9")),
        ("prefix", json!("203.0.113.0"), json!("2001:db8:1::")),
        ("off", Value::Null, Value::Null),
    ] {
        let gate = gate(&[("store.record_addresses", kept), ("server.trusted_proxies", "127.0.0.1")]);
        for (address, expected) in [("203.0.113.77", v4), ("2001:db8:1:2::9", v6)] {
            let from = |call: crate::support::Call| call.header("X-Forwarded-For", address);
            let issue = gate.post(TOKEN).basic("alice", "wonderland").json(&json!({"scopes": ["messages:list"]}));
            let pair = from(issue).send().expect(201);
            assert_eq!(alices(&gate)[0]["address"], expected, "{kept} {address}");
            // A refresh from elsewhere takes its place.
            refresh(&gate, &pair).expect(200);
            let near = match kept {
                "full" => json!("127.0.0.1"),
                "prefix" => json!("127.0.0.0"),
                _ => Value::Null,
            };
            assert_eq!(alices(&gate)[0]["address"], near, "{kept}");
        }
    }
}

#[test]
fn a_token_without_tokens_manage_sees_and_ends_only_its_own_session() {
    let gate = gate(&[]);
    let (own, other) = (gate.alice(&["messages:list"]), gate.alice(&["messages:list"]));
    let list_with = |pair: &Answer| sessions(&gate.get(SESSIONS).bearer(&pair.field("access_token")).send());
    assert_eq!(ids(&list_with(&own)), [session_of(&own)]);
    for foreign in [session_of(&other), "AAAAAAAAAAAAAAAA".into(), "garbage".into()] {
        let refusal = end(&gate, &own, &foreign).expect_refusal(403);
        assert_eq!(refusal.field("message"), "scope required: tokens:manage", "{foreign}");
    }
    lives(&gate, &other);
    end(&gate, &own, &session_of(&own)).expect(204);
    ended(&gate, &own);
    assert_eq!(ids(&alices(&gate)), [session_of(&other)]);
}

#[test]
fn a_token_with_tokens_manage_sees_and_ends_all_of_its_user_and_nothing_of_others() {
    let gate = gate(&[]);
    let (manager, other) = (gate.alice(&["tokens:manage"]), gate.alice(&["messages:list"]));
    let bobs = gate.sign_in("bob", "builder", &["messages:send"]);
    let listed = sessions(&gate.get(SESSIONS).bearer(&manager.field("access_token")).send());
    assert_eq!(ids(&listed), [session_of(&other), session_of(&manager)]);
    for foreign in [session_of(&bobs), "AAAAAAAAAAAAAAAA".into(), "garbage".into(), other.field("id")] {
        end(&gate, &manager, &foreign).expect(204);
    }
    lives(&gate, &other);
    refresh(&gate, &bobs).expect(200);
    end(&gate, &manager, &session_of(&other)).expect(204);
    end(&gate, &manager, &session_of(&other)).expect(204);
    ended(&gate, &other);
}

#[test]
fn the_password_sees_and_ends_all_of_its_user() {
    let gate = gate(&[]);
    let (first, second) = (gate.alice(&["messages:list"]), gate.alice(&["messages:list"]));
    let end = gate.call("DELETE", &format!("{SESSIONS}/{}", session_of(&first))).basic("alice", "wonderland");
    end.send().expect(204);
    ended(&gate, &first);
    lives(&gate, &second);
    assert_eq!(ids(&alices(&gate)), [session_of(&second)]);
}

#[test]
fn strangers_see_nothing() {
    let gate = gate(&[]);
    let pair = gate.alice(&["messages:list"]);
    gate.get(SESSIONS).send().expect_refusal(401);
    gate.get(SESSIONS).basic("alice", "wrong").send().expect_refusal(401);
    gate.get(SESSIONS).bearer(&pair.field("refresh_token")).send().expect_refusal(403);
    end(&gate, &pair, &session_of(&pair)).expect(204);
    gate.get(SESSIONS).bearer(&pair.field("access_token")).send().expect_refusal(401);
    list(&gate, &pair).expect_refusal(401);
}
