//! Configurations with mistakes: all told at once, each with its place, and nothing begun.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use super::complaints;
use crate::support::{Run, user};

/// Runs `serve` and `check` with a configuration file, which must not do; nothing may be made or bound.
#[track_caller]
fn wrong(config: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    // Whoever tried to bind would say that it is taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    fs::write(folder.path().join("config.toml"), config).unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let mut told = Vec::new();
    for verb in ["serve", "check", "config"] {
        let ended = Run::new(folder.path(), &[verb, "--listen", &listen]).end().expect(78);
        let lines = complaints(&ended);
        assert!(told.is_empty() || told == lines, "{verb}: {lines:?}");
        assert!(ended.stdout.is_empty(), "{verb}: {}", ended.stdout);
        told = lines;
    }
    assert_eq!(names(folder.path()), ["config.toml"]);
    told
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn three_mistakes_are_told_at_once_with_their_lines() {
    let told = wrong(
        "workers = -1\n\n[server]\ndrain_timout = \"30s\"\n\n[token]\naccess_ttl = \"15 minuts\"\nissuer = \"fine\"\n",
    );
    assert_eq!(told.len(), 4, "{told:#?}");
    for (line, parts) in told.iter().zip([
        &["config.toml:1:", "workers"][..],
        &["config.toml:4:", "unknown key", "did you mean `drain_timeout`?"],
        &["config.toml:7:", "token.access_ttl"],
        &["3 mistakes in the configuration"],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{line:?} does not say {part:?}");
        }
    }
}

#[test]
fn a_file_that_is_no_toml_is_told_with_the_line() {
    let told = wrong("workers = 1\n[server\nlisten = \"\"\n");
    assert!(told[0].starts_with("config.toml:2:"), "{told:#?}");
}

#[test]
fn mistakes_of_all_sources_are_told_together() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), "workers = -1\n").unwrap();
    let run = Run::new(folder.path(), &["check", "--set", "token.leeway=never", "--upstream", "ftp://x"]);
    let lines = complaints(&run.env("PORTCULLIS_SERVER__LISEN", "0.0.0.0:1").end().expect(78));
    assert_eq!(lines.len(), 5, "{lines:#?}");
    for (line, part) in lines.iter().zip([
        "config.toml:1:",
        "PORTCULLIS_SERVER__LISEN: unknown variable (did you mean `PORTCULLIS_SERVER__LISTEN`?)",
        "token.leeway",
        "upstream.url",
        "4 mistakes",
    ]) {
        assert!(line.contains(part), "{line:?} does not say {part:?}: {lines:#?}");
    }
}

#[test]
fn a_secret_that_protects_nothing_is_refused_and_not_repeated() {
    for (secret, part) in [
        ("tooshort", "8 bytes long, and HS256 needs at least 32"),
        ("your-256-bit-secret", "well-known default"),
        ("a-string-secret-at-least-256-bits-long", "well-known default"),
        ("secretsecretsecretsecretsecretsecret", "well-known default"),
        ("changeme00000000000000000000000000000000", "well-known default"),
        ("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "one character repeated"),
    ] {
        let told = wrong(&format!("[token]\nsecret = \"{secret}\"\n"));
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[0].starts_with("config.toml:2:") && told[0].contains(part), "{told:#?}");
        assert!(told[0].contains("portcullis keygen"), "it says what to do: {told:#?}");
        // A default's name is public; what an operator chose is not.
        assert!(part == "well-known default" || !told[0].contains(secret), "{told:#?}");
    }
    let told = wrong("[token]\nalgorithm = \"HS512\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n");
    assert!(told[0].contains("32 bytes long, and HS512 needs at least 64"), "{told:#?}");
}

#[test]
fn the_same_secret_is_refused_wherever_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), "your-256-bit-secret\n").unwrap();
    let check = || Run::new(folder.path(), &["check"]);
    for run in [
        check().env("PORTCULLIS_TOKEN__SECRET", "your-256-bit-secret"),
        check().env("PORTCULLIS_TOKEN__SECRET_FILE", "secret"),
        Run::new(folder.path(), &["check", "--set", "token.secret=your-256-bit-secret"]),
    ] {
        let ended = run.end().expect(78);
        assert!(ended.stderr.contains("well-known default"), "{ended:#?}");
    }
}

#[test]
fn a_config_file_that_was_named_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["serve", "check", "config"] {
        let ended = Run::new(folder.path(), &[verb, "--config", "elsewhere.toml"]).end().expect(78);
        assert!(ended.stderr.contains("elsewhere.toml"), "{ended:#?}");
        let ended = Run::new(folder.path(), &[verb]).env("PORTCULLIS_CONFIG", "there.toml").end().expect(78);
        assert!(ended.stderr.contains("there.toml"), "{ended:#?}");
    }
}

#[test]
fn a_users_file_with_mistakes_stops_the_start_and_names_each_line() {
    let folder = tempfile::tempdir().unwrap();
    let good = user("ada", "lovelace", &["messages:list"], "");
    let text =
        format!("{good}[[user]]\nname = \"bob\"\npassword_hash = \"open-sesame\"\n[[user]]\nscopes = [\"a b\"]\n");
    fs::write(folder.path().join("users.toml"), &text).unwrap();
    for verb in ["serve", "check"] {
        let ended = Run::new(folder.path(), &[verb, "--listen", "127.0.0.1:0"]).end().expect(78);
        let lines = complaints(&ended);
        assert!(lines[0].starts_with("portcullis: users.toml: "), "{lines:#?}");
        for part in ["line 8: `password_hash`", "line 9: this user has no `name`", "line 10: \"a b\" is no scope"] {
            assert_eq!(lines.iter().filter(|line| line.contains(part)).count(), 1, "{part}: {lines:#?}");
        }
        assert!(!ended.stderr.contains("open-sesame") && !ended.stderr.contains("$2b$"), "{ended:#?}");
    }
}
