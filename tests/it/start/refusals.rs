//! What else keeps a gate from starting: one clear line each, with the right exit code.

use std::fs;
use std::net::TcpListener;

use super::one_line;
use crate::support::{Ended, Run, Start, Upstream};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

#[test]
fn a_port_in_use_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let ended = Run::new(folder.path(), &["serve", "--listen", &address]).end().expect(1);
    assert_eq!(one_line(&ended), format!("portcullis: cannot listen on {address}: another process uses this port"));
}

#[test]
fn two_gates_do_not_share_a_port_unseen() {
    let gate = Start::before(Upstream::start().address).start();
    let folder = tempfile::tempdir().unwrap();
    let ended = Run::new(folder.path(), &["serve", "--listen", &gate.address.to_string()]).end().expect(1);
    assert!(one_line(&ended).contains("another process uses this port"));
}

/// Runs `serve` with key settings that must not do.
#[track_caller]
fn key(content: Option<&[u8]>, algorithm: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    if let Some(content) = content {
        fs::write(folder.path().join("the.key"), content).unwrap();
    }
    let mut arguments = SERVE.to_vec();
    let algorithm = format!("token.algorithm={algorithm}");
    arguments.extend(["--set", &algorithm, "--set", "token.key_file=the.key"]);
    Run::new(folder.path(), &arguments).end()
}

#[test]
fn a_key_file_that_will_not_do_is_one_line_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let pem = |algorithm: &str| {
        Run::new(folder.path(), &["keygen", "--algorithm", algorithm]).end().expect(0).stdout.into_bytes()
    };
    let (elliptic, edwards) = (pem("ES256"), pem("EdDSA"));
    for (case, content, algorithm, part) in [
        ("missing", None, "ES256", "cannot be read"),
        ("empty", Some(&b""[..]), "ES256", "holds no PEM private key"),
        ("garbage", Some(b"garbage"), "RS256", "holds no PEM private key"),
        ("cut", Some(&elliptic[..elliptic.len() / 2]), "ES256", "PEM"),
        ("of another kind", Some(&edwards), "ES256", "but ES256 needs"),
        ("another way round", Some(&elliptic), "EdDSA", "but EdDSA needs"),
    ] {
        let ended = key(content, algorithm).expect(78);
        let line = one_line(&ended);
        assert!(line.contains("the.key") && line.contains(part), "{case}: {line}");
        let body: String = String::from_utf8_lossy(&elliptic).lines().skip(1).take(1).collect();
        assert!(!ended.stderr.contains(&body), "{case}: key material on the terminal");
    }
}

#[test]
fn a_directory_in_place_of_a_file_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("the.key")).unwrap();
    let set = ["--set", "token.algorithm=ES256", "--set", "token.key_file=the.key"];
    let ended = Run::new(folder.path(), &[&SERVE[..], &set].concat()).end().expect(78);
    assert!(one_line(&ended).contains("the.key"));
    fs::create_dir(folder.path().join("users.toml")).unwrap();
    let ended = Run::new(folder.path(), &SERVE).end().expect(78);
    assert_eq!(one_line(&ended), "portcullis: users.toml: the users file is not a regular file");
}

#[test]
fn a_data_directory_that_cannot_be_had_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data"), "a file").unwrap();
    let ended = Run::new(folder.path(), &SERVE).end().expect(1);
    let line = one_line(&ended);
    assert!(line.starts_with("portcullis: data: cannot "), "{line}");
}

#[test]
fn sessions_without_their_keys_stop_the_start_and_no_key_is_made() {
    for lost in ["keys", "keys/fingerprint.key"] {
        let mut gate = Start::before(Upstream::start().address).start();
        let pair = gate.alice(&["messages:list"]);
        gate.stop();
        let (lost, aside) = (gate.folder().join("data").join(lost), gate.folder().join("aside"));
        fs::rename(&lost, &aside).unwrap();
        let ended = Run::new(&gate.folder(), &SERVE).end().expect(78);
        let line = one_line(&ended);
        assert!(line.contains("there are sessions but no") && line.contains("backup"), "{line}");
        assert!(!lost.exists(), "a fresh key would sign everybody out, silently");
        fs::rename(&aside, &lost).unwrap();
        let gate = gate.start_again();
        gate.refresh(&pair.field("refresh_token")).expect(200);
    }
}

#[test]
fn a_key_that_every_user_of_the_machine_can_read_stops_the_start() {
    use std::os::unix::fs::PermissionsExt;
    let mut gate = Start::alone().start();
    gate.stop();
    let keys = fs::read_dir(gate.folder().join("data/keys")).unwrap().map(|file| file.unwrap().path());
    let key = keys.filter(|file| file.extension().is_some_and(|it| it == "key")).max().unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let line = one_line(&Run::new(&gate.folder(), &SERVE).end().expect(78));
    assert!(line.contains("0644") && line.contains("chmod 600"), "{line}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    gate.start_again();
}

#[test]
fn a_users_file_that_is_gone_stops_a_start_and_signs_nobody_out() {
    let mut gate = Start::before(Upstream::start().address).start();
    let pair = gate.alice(&["messages:list"]);
    gate.stop();
    let (users, aside) = (gate.folder().join("users.toml"), gate.folder().join("users.aside"));
    fs::rename(&users, &aside).unwrap();
    for command in ["serve", "check"] {
        let arguments = [command, "--listen", "127.0.0.1:0"];
        let ended = Run::new(&gate.folder(), &arguments).end().expect(78);
        assert!(one_line(&ended).contains("no users, but there are sessions"), "{ended:#?}");
    }
    fs::rename(&aside, &users).unwrap();
    let gate = gate.start_again();
    gate.refresh(&pair.field("refresh_token")).expect(200);
}

#[test]
fn a_hangup_ends_nothing() {
    let gate = Start::before(Upstream::start().address).start();
    gate.signal("HUP");
    gate.wait_for_log("the configuration was read anew and is in force");
    gate.alice(&["messages:list"]);
}
