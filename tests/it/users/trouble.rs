//! A users file that cannot be taken: the users known so far stay, and the log says why.

use std::fs;
use std::path::Path;

use super::{file, gate, put, refresh, said, send, sign_in};
use crate::support::{Gate, until, user};

const KEPT: &str = "the users known so far stay in force";

/// Breaks the users file, and holds the gate to go on and to say what is wrong.
#[track_caller]
fn kept(gate: &Gate, broken: impl FnOnce(&Path), part: &str) {
    let before = said(gate, KEPT);
    let pair = sign_in(gate, "alice", "wonderland").expect(201);
    broken(&gate.folder().join("users.toml"));
    let line = until(part, || gate.log().into_iter().filter(|line| line.contains(KEPT)).nth(before));
    assert!(line.contains(part) && line.contains("WARN"), "{line}");
    send(gate, &pair).expect(200);
    refresh(gate, &pair).expect(200);
    sign_in(gate, "bob", "builder").expect(201);
    sign_in(gate, "alice", "wonderland").expect(201);
}

#[test]
fn a_users_file_that_vanishes_or_empties_keeps_the_users() {
    let gate = gate();
    let good = file(&gate);
    kept(&gate, |path| fs::remove_file(path).unwrap(), "missing");
    kept(&gate, |_| gate.write_users(""), "no users any more");
    // After all was well, the same is told again.
    put(&gate, &(good + &user("dora", "explorer", &["messages:send"], "")));
    sign_in(&gate, "dora", "explorer").expect(201);
    kept(&gate, |_| gate.write_users("# everybody has left\n"), "no users any more");
    kept(&gate, |path| fs::remove_file(path).unwrap(), "missing");
    sign_in(&gate, "dora", "explorer").expect(201);
}

#[test]
fn a_users_file_with_mistakes_keeps_the_users_and_the_log_shows_no_secret() {
    let gate = gate();
    let good = file(&gate);
    let mallory = user("mallory", "malice", &["all:any"], "");
    let cut = good.len() - 40;
    for (broken, part) in [
        (good[..cut].to_owned(), "mistakes"),
        (
            format!("{good}[[user]]\nname = \"mallory\"\npassword_hash = \"malice-in-the-clear\"\n"),
            "not a password hash",
        ),
        (format!("{mallory}scopess = []\n"), "did you mean `scopes`?"),
        (format!("{mallory}{mallory}"), "already defined"),
        ("\u{0}\u{1}\u{2}".to_owned(), "mistakes"),
    ] {
        kept(&gate, |_| gate.write_users(&broken), part);
    }
    sign_in(&gate, "mallory", "malice").expect_refusal(401);
    for line in gate.whole_log() {
        assert!(!line.contains("in-the-clear") && !line.contains("$2b$"), "{line}");
    }
    put(&gate, &(good + &mallory));
    sign_in(&gate, "mallory", "malice").expect(201);
}
