//! The commands besides `serve`, and what all of them have in common.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Ended, Run, Start, Upstream, user};

const COMMANDS: [&str; 11] =
    ["serve", "check", "audit-paths", "config", "demo", "hash-password", "keygen", "health", "keys", "stop", "store"];

#[track_caller]
fn run(folder: &Path, arguments: &[&str]) -> Ended {
    Run::new(folder, arguments).end()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn every_command_has_help_that_names_the_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = run(folder.path(), &["--help"]).expect(0).stdout;
    for command in COMMANDS {
        assert!(whole.contains(&format!("\n  {command} ")), "no {command}: {whole}");
        let help = run(folder.path(), &[command, "--help"]).expect(0);
        assert!(help.stderr.is_empty() && help.stdout.contains("Usage: portcullis"), "{help:#?}");
        for code in ["0 well", "1 failed", "2 wrong usage", "78 wrong configuration"] {
            assert!(help.stdout.contains(code), "{command}: {}", help.stdout);
            assert!(whole.contains(code), "{whole}");
        }
    }
    assert!(run(folder.path(), &["--version"]).expect(0).stdout.starts_with("portcullis "));
    assert!(is_empty(folder.path()));
}

#[test]
fn wrong_usage_is_told_apart_from_all_else() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["--frobnicate"][..],
        &["frobnicate"],
        &["serve", "--frobnicate"],
        &["serve", "extra"],
        &["check", "--set"],
        &["check", "--set", "no-value"],
        &["keygen", "--algorithm", "none"],
        &["demo", "--listen", "nowhere"],
        &["hash-password", "the-password-as-an-argument"],
        &["audit-paths", "extra"],
        &["audit-paths", "--max-requests", "0"],
        &["health", "extra"],
        &["health", "--address", "nowhere"],
        &["health", "--live", "--exclude", "journal"],
        &["health", "--timeout", "0"],
        &["stop", "extra"],
        &["stop", "--pid", "0"],
        &["keys"],
        &["keys", "add", "--algorithm", "none"],
        &["keys", "list", "extra"],
        &["keys", "retire"],
        &["keys", "retire", "no-key"],
        &["keys", "rotate", "--frobnicate"],
        &["store"],
        &["store", "salvage"],
        &["store", "verify", "here", "--data-dir", "there"],
        &["store", "inspect", "--session", "no-id"],
        &["store", "inspect", "--from", "1"],
        &["store", "inspect", "--tombstones", "--subject", "alice"],
    ] {
        let ended = run(folder.path(), arguments).expect(2);
        assert!(ended.stderr.contains("Usage:") || ended.stderr.contains("--help"), "{arguments:?}: {ended:#?}");
        assert!(ended.stdout.is_empty());
    }
    assert!(is_empty(folder.path()));
}

#[test]
fn check_says_that_all_is_well_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &["check"]).expect(0);
    assert!(ended.stdout.ends_with("configuration ok\n"), "{ended:#?}");
    assert!(ended.stdout.contains("nobody can sign in"), "{ended:#?}");
    assert!(is_empty(folder.path()));
    fs::write(folder.path().join("users.toml"), user("ada", "lovelace", &[], "")).unwrap();
    assert!(run(folder.path(), &["check"]).expect(0).stdout.contains("users.toml: users: 1"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn check_on_a_running_gate_disturbs_nothing() {
    let gate = Start::before(Upstream::start().address).start();
    let pair = gate.alice(&["messages:list"]);
    run(&gate.folder(), &["check"]).expect(0);
    gate.refresh(&pair.field("refresh_token")).expect(200);
}

#[test]
fn config_shows_every_setting_and_hides_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let (signing, upstream) = ("8f14e45fceea167a5a36dedd4bea2543", "an upstream's password");
    fs::write(
        folder.path().join("config.toml"),
        format!(
            "[token]\nsecret = \"{signing}\"\n[upstream]\ncredentials = \"basic\"\nusername = \"gate\"\n\
             password = \"{upstream}\"\n"
        ),
    )
    .unwrap();
    let ended = run(folder.path(), &["config"]).expect(0);
    assert!(!ended.stdout.contains(signing) && !ended.stdout.contains(upstream), "{}", ended.stdout);
    assert_eq!(ended.stdout.matches("\"[secret]\"").count(), 2, "{}", ended.stdout);
    for key in ["listen = ", "username = \"gate\"", "access_ttl = ", "snapshot_interval = ", "max_sessions = "] {
        assert!(ended.stdout.contains(key), "no {key}: {}", ended.stdout);
    }
    // Without the secrets, what it prints is a configuration itself.
    let hidden = run(tempfile::tempdir().unwrap().path(), &["config"]).expect(0).stdout;
    fs::write(folder.path().join("printed.toml"), hidden).unwrap();
    run(folder.path(), &["check", "--config", "printed.toml"]).expect(0);
}

#[test]
fn what_keygen_makes_is_accepted_and_new_each_time() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in ["HS256", "HS384", "HS512"] {
        let secret = run(folder.path(), &["keygen", "--algorithm", algorithm]).expect(0).stdout;
        assert_ne!(secret, run(folder.path(), &["keygen", "--algorithm", algorithm]).expect(0).stdout);
        let check = Run::new(folder.path(), &["check", "--set", &format!("token.algorithm={algorithm}")]);
        check.env("PORTCULLIS_TOKEN__SECRET", secret.trim_end()).end().expect(0);
    }
    for algorithm in ["ES256", "ES384", "RS256", "PS512", "EdDSA"] {
        let file = format!("{algorithm}.pem");
        run(folder.path(), &["keygen", "--algorithm", algorithm, "--out", &file]).expect(0);
        let path = folder.path().join(&file);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let before = fs::read(&path).unwrap();
        let again = run(folder.path(), &["keygen", "--algorithm", algorithm, "--out", &file]).expect(1);
        assert!(again.stderr.contains(&file), "{again:#?}");
        assert_eq!(fs::read(&path).unwrap(), before, "an existing key is kept");
        let gate = Start::before(Upstream::start().address);
        fs::write(gate.path().join(&file), before).unwrap();
        let gate = gate.set("token.algorithm", algorithm).set("token.key_file", &file).start();
        let pair = gate.alice(&["messages:list"]);
        gate.get("/3rdparty/v1/messages").bearer(&pair.field("access_token")).send().expect(200);
        gate.refresh(&pair.field("refresh_token")).expect(200);
    }
}

#[test]
fn what_hash_password_makes_lets_the_user_in() {
    let folder = tempfile::tempdir().unwrap();
    let password = "correct horse b\u{e4}ttery: staple";
    let hashed = Run::new(folder.path(), &["hash-password"]).input(format!("{password}\n")).end().expect(0);
    assert_eq!(hashed.stdout.lines().count(), 1, "{hashed:#?}");
    assert!(!hashed.stdout.contains(password) && !hashed.stderr.contains(password), "{hashed:#?}");
    let gate = Start::before(Upstream::start().address);
    let hash = hashed.stdout.trim_end();
    let users = format!("[[user]]\nname = \"ada\"\npassword_hash = {hash:?}\nscopes = [\"messages:list\"]\n");
    fs::write(gate.path().join("own.toml"), users).unwrap();
    let gate = gate.set("users.file", "own.toml").start();
    gate.sign_in("ada", password, &["messages:list"]);
    for nothing in ["", "\n"] {
        let ended = Run::new(folder.path(), &["hash-password"]).input(nothing).end().expect(1);
        assert!(ended.stdout.is_empty() && ended.stderr.contains("empty"), "{ended:#?}");
    }
}

#[test]
fn the_demo_tells_the_whole_story_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let demo = Run::new(folder.path(), &["demo", "--exit", "--listen", "127.0.0.1:0"]);
    let ended = demo.env("TMPDIR", elsewhere.path().to_str().unwrap()).end().expect(0);
    assert!(ended.stdout.contains("steps went as promised"), "{ended:#?}");
    assert!(is_empty(folder.path()) && is_empty(elsewhere.path()));
}
