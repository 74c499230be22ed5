//! Refresh tokens that are presented again, and what that ends.

use super::{ended, gate, lives, refresh, refused};

#[test]
fn a_token_is_good_for_one_refresh_and_its_reuse_ends_the_session() {
    let gate = gate(&[]);
    let first = gate.alice(&["messages:list"]);
    let second = refresh(&gate, &first).expect(200);
    assert_eq!(refused(&refresh(&gate, &first)), "Invalid refresh token");
    ended(&gate, &first);
    ended(&gate, &second);
    let line = gate.wait_for_log("\"reuse\"");
    assert!(line.contains("alice") && line.contains("WARN"), "{line}");
}

#[test]
fn the_reuse_of_an_ancestor_ends_the_session_at_once_even_with_a_retry_window() {
    for window in ["0s", "5m"] {
        let gate = gate(&[("token.retry_window", window)]);
        let mut pairs = vec![gate.alice(&["messages:list"])];
        for _ in 0..2 {
            pairs.push(refresh(&gate, pairs.last().unwrap()).expect(200));
        }
        assert_eq!(refused(&refresh(&gate, &pairs[0])), "Invalid refresh token", "{window}");
        for pair in &pairs {
            ended(&gate, pair);
        }
    }
}

#[test]
fn a_reuse_ends_that_session_and_no_other() {
    let gate = gate(&[]);
    let (stolen, other) = (gate.alice(&["messages:list"]), gate.alice(&["messages:list"]));
    let next = refresh(&gate, &stolen).expect(200);
    refused(&refresh(&gate, &stolen));
    ended(&gate, &next);
    lives(&gate, &other);
    lives(&gate, &refresh(&gate, &other).expect(200));
}

#[test]
fn if_so_configured_a_reuse_ends_all_sessions_of_the_user_and_nobody_elses() {
    let gate = gate(&[("token.on_reuse", "user")]);
    let (stolen, other) = (gate.alice(&["messages:list"]), gate.alice(&["messages:list"]));
    let bobs = gate.sign_in("bob", "builder", &["messages:send", "messages:read"]);
    let next = refresh(&gate, &stolen).expect(200);
    refused(&refresh(&gate, &stolen));
    ended(&gate, &next);
    ended(&gate, &other);
    refresh(&gate, &bobs).expect(200);
    lives(&gate, &gate.alice(&["messages:list"]));
}

#[test]
fn a_stranger_cannot_end_a_session_by_guessing() {
    let gate = gate(&[]);
    let first = gate.alice(&["messages:list"]);
    let token = first.field("refresh_token");
    let next = refresh(&gate, &first).expect(200);
    // As a reuse, each of them would end the session.
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let other = next.field("refresh_token");
    for guess in [
        format!("{message}."),
        format!("{message}.{}", other.rsplit_once('.').unwrap().1),
        format!("{message}.{}", signature.chars().rev().collect::<String>()),
        format!("{header}.{}.{signature}", other.split('.').nth(1).unwrap()),
        format!("{token}."),
        token[1..].to_owned(),
    ] {
        assert_eq!(refused(&gate.refresh(&guess)), "Invalid refresh token", "{guess}");
    }
    lives(&gate, &refresh(&gate, &next).expect(200));
}
