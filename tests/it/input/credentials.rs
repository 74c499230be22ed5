//! Who may ask for tokens, and how those who may not are told.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::json;

use super::{Desk, REFRESH, SESSIONS, TOKEN};

#[test]
fn a_wrong_password_and_an_unknown_name_are_one_answer() {
    let desk = Desk::new();
    let body = json!({ "scopes": ["messages:list"] });
    let mut answers = Vec::new();
    for (name, password) in [
        ("alice", "wonderlanD"),
        ("alice", "wonderland "),
        ("alice", ""),
        ("Alice", "wonderland"),
        ("alice ", "wonderland"),
        ("nobody", "wonderland"),
        ("nobody", ""),
        ("alice:", "wonderland"),
        ("alice", "builder"),
        ("' OR '1'='1", "' OR '1'='1"),
        ("*)(uid=*))(|(uid=*", "x"),
        ("älice", "pässword"),
        (&*"a".repeat(5000), "x"),
        ("alice", &*"x".repeat(5000)),
    ] {
        let call = desk.post(TOKEN).basic(name, password).json(&body);
        let answer = desk.refused(&format!("{:.20} {:.20}", name, password), &call, 401);
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"portcullis\", charset=\"UTF-8\""));
        answers.push(answer.text());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    desk.unharmed();
}

#[test]
fn credentials_without_a_sound_reading_are_refused() {
    let desk = Desk::new();
    let encode = |bytes: &[u8]| STANDARD.encode(bytes);
    for value in [
        "Basic".to_owned(),
        "Basic ".into(),
        "Basic wonderland".into(),
        "Basic alice:wonderland".into(),
        format!("Basic {}", encode(b"alice")),
        format!("Basic {}", encode(b"alice\0wonderland")),
        format!("Basic {}", encode(b":wonderland")),
        format!("Basic {}", encode(b"")),
        format!("Basic {}", encode(b"alice:wonder\nland")),
        format!("Basic {}", encode(b"al\xffice:wonderland")),
        format!("Basic {}", encode(b"alice:\xc0\xaf")),
        format!("Basic {}", STANDARD_NO_PAD.encode(b"alice:wonderland")),
        format!("Basic {} {}", encode(b"alice:wonderland"), encode(b"alice:wonderland")),
        format!("Basic {},", encode(b"alice:wonderland")),
        format!("Basic \"{}\"", encode(b"alice:wonderland")),
        format!("Basic%20{}", encode(b"alice:wonderland")),
        format!("Basic\t{}", encode(b"alice:wonderland")),
        format!("Bearer {}", encode(b"alice:wonderland")),
        format!("Digest {}", encode(b"alice:wonderland")),
        "x".repeat(20_000),
    ] {
        let call = desk.post(TOKEN).header("Authorization", &value).body(r#"{"scopes":["messages:list"]}"#);
        let answer = desk.send(&call);
        let status = answer.status;
        // 400 where the scheme is Basic and the rest cannot be read, 401 where it is anything else.
        assert!(matches!(status, 400 | 401), "{value:.60}: {status}");
        assert!(status == 401 || value.starts_with("Basic "), "{value:.60}: {status}");
        let answer = answer.expect_refusal(status);
        assert!(!answer.text().contains("wonderland"), "{}", answer.text());
    }
    let none = desk.refused("no credentials", &desk.post(TOKEN).body(r#"{"scopes":["messages:list"]}"#), 401);
    assert_eq!(none.header("www-authenticate"), Some("Bearer realm=\"portcullis\""));
    // What has one reading, however unusual.
    for value in [format!("basic {}", encode(b"alice:wonderland")), format!("BASIC   {}", encode(b"alice:wonderland"))]
    {
        let call = desk.post(TOKEN).header("Authorization", &value).body(r#"{"scopes":["messages:list"]}"#);
        assert_eq!(desk.send(&call).status, 201, "{value}");
    }
    desk.unharmed();
}

#[test]
fn strangers_are_refused_before_their_body_is_looked_at() {
    let desk = Desk::new();
    for body in ["", "{broken", "[]"] {
        desk.refused(body, &desk.post(TOKEN).body(body), 401);
        desk.refused(body, &desk.post(TOKEN).basic("alice", "wrong").body(body), 401);
        desk.refused(body, &desk.post(TOKEN).bearer("x.y.z").body(body), 401);
        desk.refused(body, &desk.post(REFRESH).bearer("x.y.z").body(body), 401);
        desk.refused(body, &desk.post(REFRESH).body(body), 401);
    }
    let text = desk.post(TOKEN).basic("alice", "wrong").header("Content-Type", "text/plain").body("x");
    desk.refused("of any type", &text, 401);
    desk.unharmed();
}

#[test]
fn a_token_manages_tokens_only_with_the_scope_for_it() {
    let desk = Desk::new();
    let sign_in = |scopes: &[&str]| desk.send(&desk.sign_in().json(&json!({ "scopes": scopes }))).expect(201);
    let plain = sign_in(&["messages:list"]).field("access_token");
    let other = sign_in(&["messages:list"]);
    let (method, jti) = ("DELETE", format!("{TOKEN}/{}", other.field("id")));
    for call in [
        desk.post(TOKEN).bearer(&plain).body(r#"{"scopes":["messages:list"]}"#),
        desk.gate.call(method, &jti).bearer(&plain),
        desk.gate.call(method, &format!("{SESSIONS}/AAAAAAAAAAAAAAAA")).bearer(&plain),
    ] {
        let answer = desk.refused("without it", &call, 403);
        assert_eq!(answer.field("message"), "scope required: tokens:manage");
        assert!(answer.header("www-authenticate").unwrap().contains("scope=\"tokens:manage\""));
    }
    let manager = sign_in(&["messages:list", "tokens:manage"]).field("access_token");
    let minted = desk.post(TOKEN).bearer(&manager).body(r#"{"scopes":["messages:list"]}"#);
    desk.send(&minted).expect(201);
    // Never more than the caller's own.
    for scopes in [json!(["messages:send"]), json!(["inbox:list", "messages:send"])] {
        let call = desk.post(TOKEN).bearer(&manager).json(&json!({ "scopes": scopes }));
        desk.refused(&scopes.to_string(), &call, 403);
    }
    let narrowed = desk.post(TOKEN).bearer(&manager).body(r#"{"scopes":["all:any"]}"#);
    let narrowed = desk.send(&narrowed);
    let granted = narrowed.json()["scopes"].clone();
    assert!(narrowed.status == 403 || granted == json!(["messages:list", "tokens:manage"]), "{}", narrowed.text());
    desk.send(&desk.gate.call(method, &jti).bearer(&manager)).expect(204);
    desk.unharmed();
}

#[test]
fn a_password_does_not_refresh() {
    let desk = Desk::new();
    let answer = desk.refused("Basic", &desk.post(REFRESH).basic("alice", "wonderland"), 401);
    assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
    desk.unharmed();
}
