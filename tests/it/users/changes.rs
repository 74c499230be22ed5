//! Users who come, go, and change their passwords.

use std::fs;
use std::path::Path;

use super::{ended, entry, file, gate, put, put_and_end, refresh, send, sign_in};
use crate::support::{Gate, Run, Start, Upstream, user};

#[test]
fn a_new_user_signs_in_without_a_restart() {
    let gate = gate();
    sign_in(&gate, "dora", "explorer").expect_refusal(401);
    put(&gate, &(file(&gate) + &user("dora", "explorer", &["messages:send"], "")));
    let pair = sign_in(&gate, "dora", "explorer").expect(201);
    send(&gate, &pair).expect(200);
}

#[test]
fn the_first_user_of_a_gate_that_had_none_signs_in_without_a_restart() {
    let gate = Start::alone().set("upstream.url", &format!("http://{}", Upstream::start().address)).start();
    sign_in(&gate, "dora", "explorer").expect_refusal(401);
    put(&gate, &user("dora", "explorer", &["messages:send"], ""));
    send(&gate, &sign_in(&gate, "dora", "explorer").expect(201)).expect(200);
}

#[test]
fn the_sessions_of_a_removed_user_end_and_no_others() {
    let gate = gate();
    let (alices, bobs) =
        (sign_in(&gate, "alice", "wonderland").expect(201), sign_in(&gate, "bob", "builder").expect(201));
    let later = refresh(&gate, &bobs).expect(200);
    put_and_end(&gate, &entry(&file(&gate), "alice"));
    ended(&gate, &bobs);
    ended(&gate, &later);
    sign_in(&gate, "bob", "builder").expect_refusal(401);
    send(&gate, &alices).expect(200);
    refresh(&gate, &alices).expect(200);
}

#[test]
fn a_user_who_comes_back_does_not_bring_the_old_sessions_along() {
    let gate = gate();
    let pair = sign_in(&gate, "bob", "builder").expect(201);
    let before = file(&gate);
    put_and_end(&gate, &entry(&before, "alice"));
    put(&gate, &before);
    ended(&gate, &pair);
    sign_in(&gate, "bob", "builder").expect(201);
}

#[test]
fn a_change_of_password_ends_the_sessions() {
    let gate = gate();
    let pair = sign_in(&gate, "alice", "wonderland").expect(201);
    let bobs = sign_in(&gate, "bob", "builder").expect(201);
    let changed = user("alice", "looking-glass", &["all:any"], "") + &entry(&file(&gate), "bob");
    put_and_end(&gate, &changed);
    ended(&gate, &pair);
    sign_in(&gate, "alice", "wonderland").expect_refusal(401);
    send(&gate, &sign_in(&gate, "alice", "looking-glass").expect(201)).expect(200);
    refresh(&gate, &bobs).expect(200);
}

#[test]
fn a_refresh_is_refused_as_soon_as_the_password_is_changed() {
    let gate = gate();
    let pair = sign_in(&gate, "alice", "wonderland").expect(201);
    put(&gate, &user("alice", "looking-glass", &["all:any"], ""));
    // Without waiting for the sessions to follow.
    refresh(&gate, &pair).expect_refusal(401);
    send(&gate, &pair).expect_refusal(401);
}

#[test]
fn what_changed_while_the_gate_was_down_counts_from_the_first_request() {
    for (name, change) in [
        ("another password", (|file| user("alice", "other", &["all:any"], "") + &entry(file, "bob")) as fn(&str) -> _),
        ("no such user", |file| entry(file, "bob")),
    ] {
        println!("{name}");
        let mut gate = gate();
        let (pair, bobs) =
            (sign_in(&gate, "alice", "wonderland").expect(201), sign_in(&gate, "bob", "builder").expect(201));
        gate.stop();
        gate.write_users(&change(&file(&gate)));
        let gate = gate.start_again();
        ended(&gate, &pair);
        send(&gate, &bobs).expect(200);
        refresh(&gate, &bobs).expect(200);
    }
}

#[test]
fn a_password_changed_while_the_gate_was_down_is_seen_even_if_it_is_first_used_to_refresh() {
    let mut gate = gate();
    let pair = sign_in(&gate, "alice", "wonderland").expect(201);
    gate.stop();
    gate.write_users(&user("alice", "other", &["all:any"], ""));
    let gate = gate.start_again();
    refresh(&gate, &pair).expect_refusal(401);
    send(&gate, &pair).expect_refusal(401);
}

#[test]
fn a_session_stays_ended_when_the_old_password_comes_back_with_a_restart_in_between() {
    let gate = gate();
    let pair = sign_in(&gate, "alice", "wonderland").expect(201);
    let before = file(&gate);
    put_and_end(&gate, &user("alice", "other", &["all:any"], ""));
    let mut gate = gate.restart();
    gate.stop();
    gate.write_users(&before);
    let gate = gate.start_again();
    ended(&gate, &pair);
    sign_in(&gate, "alice", "wonderland").expect(201);
}

#[test]
fn a_refresh_carries_what_the_users_file_says_now() {
    let gate = gate();
    let pair = sign_in(&gate, "alice", "wonderland").expect(201);
    assert!(pair.claims("access_token")["email"].is_null());
    let more = "email = \"alice@example.org\"\nroles = [\"queen\"]\nclaims = { tenant = 7 }\n";
    put(&gate, &(entry(&file(&gate), "alice").trim_end().to_owned() + "\n" + more));
    let claims = refresh(&gate, &pair).expect(200).claims("access_token");
    assert_eq!(claims["email"], "alice@example.org");
    assert_eq!(claims["roles"], serde_json::json!(["queen"]));
    assert_eq!(claims["tenant"], 7);
}

/// The hash that the command makes of a password.
fn hashed(folder: &Path, password: &str) -> String {
    Run::new(folder, &["hash-password"]).input(password).end().expect(0).stdout.trim_end().to_owned()
}

#[test]
fn bcrypt_and_argon2id_hashes_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let bcrypt = bcrypt::hash("secret", 4).unwrap();
    let kinds = [
        ("argon2id", hashed(folder.path(), "secret")),
        ("bcrypt-2b", bcrypt.replace("$2y$", "$2b$")),
        ("bcrypt-2y", bcrypt.replace("$2b$", "$2y$")),
        ("bcrypt-2a", bcrypt.replace("$2b$", "$2a$").replace("$2y$", "$2a$")),
    ];
    let gate: Gate = gate();
    let mut users = file(&gate);
    for (name, hash) in &kinds {
        users += &format!("[[user]]\nname = {name:?}\npassword_hash = {hash:?}\nscopes = [\"messages:send\"]\n");
    }
    put(&gate, &users);
    for (name, _) in &kinds {
        send(&gate, &sign_in(&gate, name, "secret").expect(201)).expect(200);
        sign_in(&gate, name, "Secret").expect_refusal(401);
    }
    assert!(fs::read_to_string(gate.folder().join("users.toml")).unwrap().contains("$argon2id$v=19$"));
}

#[test]
fn an_unknown_name_and_a_wrong_password_are_answered_alike() {
    let gate = gate();
    let answers = [("alice", "wrong"), ("nobody", "wonderland"), ("Alice", "wonderland"), ("bob", "")]
        .map(|(name, password)| sign_in(&gate, name, password).expect_refusal(401));
    assert_eq!(answers[0].field("message"), "Invalid username or password");
    let told = |answer: &crate::support::Answer| {
        let headers = answer.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
        (answer.status, headers.cloned().collect::<Vec<_>>(), answer.text())
    };
    for answer in &answers {
        assert_eq!(told(answer), told(&answers[0]));
    }
}
