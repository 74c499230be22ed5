//! What the commands print and refuse.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{before, key, keys, listed, rotate};
use crate::support::{Gate, Run, SECRET, refresh};

#[track_caller]
fn sessions(gate: &Gate, kid: &str) -> u64 {
    let keys = listed(gate, &[]);
    keys.iter().find(|key| key["kid"] == kid).unwrap()["sessions"].as_u64().unwrap()
}

#[test]
fn list_tells_states_numbers_and_times_beside_a_running_gate_and_without_one() {
    let mut gate = before().start();
    let pairs: Vec<_> = (0..3).map(|_| gate.alice(&["messages:list"])).collect();
    let first = key(&gate, "current");
    assert_eq!(sessions(&gate, &first), 3);
    let [_, second] = rotate(&gate, &[]);
    refresh(&gate, &pairs[0]).expect(200);
    for running in [true, false] {
        if !running {
            gate.stop();
        }
        assert_eq!((sessions(&gate, &first), sessions(&gate, &second)), (2, 1));
    }
    let listed = listed(&gate, &[]);
    let (retiring, current) = (&listed[0], &listed[1]);
    assert_eq!((&retiring["state"], &current["state"]), (&"retiring".into(), &"current".into()));
    assert_eq!((&retiring["algorithm"], &retiring["safe_to_retire"]), (&"HS256".into(), &false.into()));
    assert_eq!(retiring["safe_at"], retiring["refresh_until"]);
    assert!(retiring["access_until"].as_str() < retiring["refresh_until"].as_str());
    assert!(retiring["since"].as_str() >= retiring["created"].as_str());
    for field in ["refresh_until", "access_until", "safe_at"] {
        assert!(current[field].is_null(), "{current}");
    }
    let text = keys(&gate, &["list"]).expect(0).stdout;
    for part in [&first, &second, "  retiring since ", "safe to drop at ", retiring["safe_at"].as_str().unwrap()] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let private = fs::read_to_string(gate.folder().join(format!("data/keys/{second}.key"))).unwrap();
    let secret = private.lines().find_map(|line| line.strip_prefix("secret = '")).unwrap();
    assert!(!text.contains(&secret[..8]));
}

#[test]
fn files_are_private_and_nothing_is_left_over() {
    let gate = before().start();
    rotate(&gate, &[]);
    keys(&gate, &["add", "--algorithm", "EdDSA"]).expect(0);
    let files: Vec<_> =
        fs::read_dir(gate.folder().join("data/keys")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 5, "{files:?}");
    for file in files {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn the_next_key_that_is_named_becomes_the_current_one() {
    let gate = before().start();
    let added = ["ES256", "EdDSA"].map(|algorithm| {
        let line = keys(&gate, &["add", "--algorithm", algorithm]).expect(0).stdout;
        line.split_once(':').unwrap().0.to_owned()
    });
    let [old, new] = rotate(&gate, &["--", &added[1]]);
    assert_eq!(new, added[1]);
    let refused = keys(&gate, &["rotate", "--", &old]).expect(1);
    assert!(refused.stderr.contains("is retiring; only a next one"), "{refused:#?}");
    assert_eq!(rotate(&gate, &[])[1], added[0]);
}

#[test]
fn what_cannot_be_done_is_refused_with_1_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let unknown = "AAAAAAAAAAAAAAAA";
    for arguments in [&["list"][..], &["add"], &["rotate"], &["retire", unknown]] {
        let command = [&["keys"], arguments].concat();
        let ended = Run::new(folder.path(), &command).end().expect(1);
        assert!(ended.stderr.contains("they are made at the first start") && ended.stdout.is_empty(), "{ended:#?}");
        let secret = Run::new(folder.path(), &command).env("PORTCULLIS_TOKEN__SECRET", SECRET).end().expect(1);
        assert!(secret.stderr.contains("token.secret names the key that signs"), "{secret:#?}");
        let file = Run::new(folder.path(), &command)
            .env("PORTCULLIS_TOKEN__KEY_FILE", "key.pem")
            .env("PORTCULLIS_TOKEN__ALGORITHM", "ES256")
            .end()
            .expect(1);
        assert!(file.stderr.contains("token.key_file names the key that signs"), "{file:#?}");
        Run::new(folder.path(), &command).env("PORTCULLIS_TOKEN__LEEWAY", "wrong").end().expect(78);
    }
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    let gate = before().start();
    for arguments in [["retire", unknown], ["rotate", unknown]] {
        let ended = keys(&gate, &arguments).expect(1);
        assert!(ended.stderr.contains("no key AAAAAAAAAAAAAAAA is known here"), "{ended:#?}");
    }
    assert_eq!(listed(&gate, &[]).len(), 1);
}

#[test]
fn every_command_has_examples() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["list", "add", "rotate", "retire"] {
        let help = Run::new(folder.path(), &["keys", command, "--help"]).end().expect(0).stdout;
        assert!(help.contains(&format!("\n  portcullis keys {command}")) && help.contains("Exit codes"), "{help}");
    }
}
