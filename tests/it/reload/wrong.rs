//! What does not take effect.

use std::fs;

use super::traffic::token;
use super::{KEPT, LIST, count, gate, number, refused, reload, start, write};
use crate::support::{Gate, Upstream, until};

const OPEN: &str = "[[route]]\npath = \"/page\"\naccess = \"public\"\n";

#[track_caller]
fn say(lines: &[String], parts: &[&str]) {
    for part in parts {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:#?}");
    }
}

/// Goes on as before.
#[track_caller]
fn unimpressed(gate: &Gate) {
    gate.get("/page").send().expect(200);
    gate.get(LIST).bearer(&token(&gate.alice(&["messages:list"]))).send().expect(200);
}

#[test]
fn a_bad_file_says_all_that_is_wrong_and_the_former_one_goes_on() {
    let gate = gate(Upstream::start().address, OPEN);
    let lines = refused(&gate, "[server]\ndrain_timout = \"1s\"\n\n[token]\naccess_ttl = \"soon\"\n");
    say(&lines, &["config.toml:2:", "did you mean `drain_timeout`?", "config.toml:5:", "access_ttl"]);
    unimpressed(&gate);
    let lines = refused(&gate, "[[route]\n");
    say(&lines, &["config.toml:1:"]);
    unimpressed(&gate);
    assert!(number(&gate, "portcullis_config_reloads_total{outcome=\"failure\"}") >= 2.0);
    assert_eq!(number(&gate, "portcullis_config_reloads_total{outcome=\"success\"}"), 0.0);
    reload(&gate, OPEN);
    assert!(number(&gate, "portcullis_config_reloads_total{outcome=\"success\"}") >= 1.0);
}

#[test]
fn a_file_that_is_gone_is_missed_and_no_defaults_take_its_place() {
    let gate = gate(Upstream::start().address, OPEN);
    fs::remove_file(gate.folder().join("config.toml")).unwrap();
    gate.wait_for_log(KEPT);
    unimpressed(&gate);
    gate.signal("HUP");
    until("a second word", || (count(&gate, KEPT) > 1).then_some(()));
    unimpressed(&gate);
    // It is told once, however often it is looked for.
    assert_eq!(count(&gate, KEPT), 2);
    write(&gate, "[[route]]\npath = \"/other\"\naccess = \"public\"\n");
    until("the new file to be in force", || (gate.get("/other").send().status == 200).then_some(()));
}

#[test]
fn what_it_rests_on_may_come_later() {
    let gate = gate(Upstream::start().address, OPEN);
    let lines = refused(
        &gate,
        &format!("[upstream]\ncredentials = \"basic\"\nusername = \"gate\"\npassword_file = \"secret\"\n\n{OPEN}"),
    );
    say(&lines, &["secret", "cannot be read"]);
    unimpressed(&gate);
    fs::write(gate.folder().join("secret"), "a password").unwrap();
    gate.wait_for_log(super::IN_FORCE);
    unimpressed(&gate);
}

#[test]
fn what_cannot_be_used_leaves_everything_as_it_was() {
    let gate = gate(Upstream::start().address, OPEN);
    let pair = gate.alice(&["messages:list"]);
    fs::write(gate.folder().join("broken.toml"), "[[user]]\nname = 7\n").unwrap();
    for (text, part) in [
        ("[users]\nfile = \"nowhere.toml\"\n", "nowhere.toml"),
        ("[users]\nfile = \"broken.toml\"\n", "broken.toml"),
        ("[token]\nalgorithm = \"ES256\"\nkey_file = \"nowhere.pem\"\n", "nowhere.pem"),
        (
            "[[issuer]]\nissuer = \"https://a.example\"\njwks_file = \"nowhere.json\"\naudience = [\"x\"]\nalgorithms = [\"ES256\"]\n",
            "nowhere.json",
        ),
    ] {
        let lines = refused(&gate, text);
        say(&lines, &[part]);
        unimpressed(&gate);
        gate.get(LIST).bearer(&token(&pair)).send().expect(200);
    }
}

#[test]
fn what_needs_a_restart_is_named_and_stays_and_the_rest_takes_effect() {
    let gate = gate(Upstream::start().address, OPEN);
    let more = "[store]\nfsync = \"never\"\n\n[limits]\nmax_handshakes = 3\n\n[[route]]\npath = \"/other\"\naccess = \"public\"\n";
    // What the command line says is not the file's to change, and not worth a word.
    reload(&gate, &format!("workers = 7\ndata_dir = \"elsewhere\"\n\n[log]\nlevel = \"debug\"\n\n{more}"));
    gate.get("/other").send().expect(200);
    gate.get("/page").send().expect_refusal(403);
    for key in ["data_dir", "store.fsync", "limits.max_handshakes", "log.level"] {
        gate.wait_for_log(&format!("needs a restart: {key};"));
    }
    assert_eq!(count(&gate, "needs a restart: workers"), 0);
    assert!(!gate.folder().join("elsewhere").exists());
}

#[test]
fn a_certificate_where_there_was_none_needs_a_restart() {
    let gate = start(Upstream::start().address).config_file(OPEN).start();
    reload(&gate, &format!("[tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n\n{OPEN}"));
    gate.wait_for_log("needs a restart: tls.certificate;");
    unimpressed(&gate);
}
