//! `portcullis status`, `sessions` and `revoke`, beside a running gate.

use std::fs;
use std::io::{Read, Write};

use serde_json::Value;

use crate::support::{Ended, Gate, Run, Start, Upstream, list};

/// A gate that is found by the `config.toml` in its folder.
fn start() -> Gate {
    let start = Start::before(Upstream::start().address);
    let socket = start.path().join("admin.sock");
    start.config_file(&format!("[admin]\nsocket = {socket:?}\n")).start()
}

fn run(gate: &Gate, arguments: &[&str]) -> Ended {
    Run::new(&gate.folder(), arguments).end()
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn who_is_signed_in_is_shown() {
    let gate = start();
    assert_eq!(run(&gate, &["sessions"]).expect(0).stdout, "nobody is signed in\n");
    gate.alice(&["messages:list"]);
    gate.alice(&["messages:list"]);
    gate.sign_in("bob", "builder", &["messages:read"]);
    let all = run(&gate, &["sessions"]).expect(0).stdout;
    assert_eq!((all.lines().count(), all.matches(" alice ").count(), all.matches(" bob ").count()), (4, 2, 1), "{all}");
    let of_bob = run(&gate, &["sessions", "--user", "bob", "--json"]).expect(0);
    assert_eq!(lines(&of_bob).len(), 1);
    assert_eq!(lines(&of_bob)[0]["scopes"], serde_json::json!(["messages:read"]));
    assert_eq!(lines(&run(&gate, &["sessions", "--json", "--limit", "2"]).expect(0)).len(), 2);
}

#[test]
fn sessions_are_ended_by_user_by_id_and_all_of_them() {
    let gate = start();
    let pairs: Vec<_> = (0..3).map(|_| gate.alice(&["messages:list"])).collect();
    let id = pairs[0].claims("access_token")["sid"].as_str().unwrap().to_owned();
    assert_eq!(run(&gate, &["revoke", "--session", &id]).expect(0).stdout, "ended 1 session\n");
    list(&gate, &pairs[0]).expect_refusal(401);
    list(&gate, &pairs[1]).expect(200);
    assert_eq!(run(&gate, &["revoke", "--session", &id]).expect(0).stdout, "nothing to end\n");
    assert_eq!(run(&gate, &["revoke", "--user", "alice", "--json"]).expect(0).stdout, "{\"ended\":2}\n");
    gate.alice(&["messages:list"]);
    gate.sign_in("bob", "builder", &["messages:read"]);
    assert_eq!(run(&gate, &["revoke", "--all"]).expect(0).stdout, "ended 2 sessions\n");
    let wrong = run(&gate, &["revoke", "--session", "nonsense"]).expect(1);
    assert!(wrong.stderr.contains("this is no session's id"), "{}", wrong.stderr);
    for usage in [&["revoke"][..], &["revoke", "--all", "--user", "x"], &["revoke", "--user", "x", "--session", "y"]] {
        run(&gate, usage).expect(2);
    }
}

#[test]
fn a_gate_at_a_glance() {
    let mut gate = start();
    let text = run(&gate, &["status"]).expect(0).stdout;
    for part in [
        "portcullis ",
        "primary",
        ": ready",
        "check        journal ok",
        "0 sessions",
        "healthy",
        "HS256 current",
        "can be reached",
    ] {
        assert!(text.contains(part), "no {part}: {text}");
    }
    let told: Value = serde_json::from_str(&run(&gate, &["status", "--json"]).expect(0).stdout).unwrap();
    assert_eq!(told["ready"], true);
    gate.stop();
    let gone = run(&gate, &["status"]).expect(1);
    assert!(gone.stderr.contains("admin.sock does not answer"), "{}", gone.stderr);
}

#[test]
fn over_the_network_the_token_of_the_configuration_is_shown() {
    let start = Start::before(Upstream::start().address).set("admin.listen", "127.0.0.1:0");
    fs::write(start.path().join("token"), "0123456789abcdef0123456789abcdef").unwrap();
    let token = format!("admin.token_file={}", start.path().join("token").display());
    let (key, value) = token.split_once('=').unwrap();
    let gate = start.set(key, value).start();
    let line: Value = serde_json::from_str(&gate.wait_for_log("the operator's endpoints are there")).unwrap();
    let listen = format!("--set=admin.listen={}", line["address"].as_str().unwrap());
    run(&gate, &["sessions", &listen, &format!("--set={token}")]).expect(0);
    // Looking is for everybody; the rest is nobody's without a token, and no other one's.
    run(&gate, &["status", &listen]).expect(0);
    let none = run(&gate, &["sessions", &listen]).expect(78);
    assert!(none.stderr.contains("neither admin.socket nor admin.token_file is set"), "{}", none.stderr);
    fs::write(gate.folder().join("other"), "f".repeat(32)).unwrap();
    let wrong = run(&gate, &["revoke", "--all", &listen, "--set=admin.token_file=other"]).expect(1);
    assert!(wrong.stderr.contains("this is not the token"), "{}", wrong.stderr);
    let nobody = run(&gate, &["status"]).expect(78);
    assert!(nobody.stderr.contains("there is nobody to ask"), "{}", nobody.stderr);
}

#[test]
fn what_is_no_gate_is_told_from_one() {
    let folder = tempfile::tempdir().unwrap();
    let imposter = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = imposter.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = imposter.accept().unwrap();
        // Taken in, or closing would reset.
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").unwrap();
    });
    let ended = Run::new(folder.path(), &["status", &format!("--set=admin.listen={address}")]).end().expect(1);
    assert!(ended.stderr.contains("is no portcullis"), "{}", ended.stderr);
}
