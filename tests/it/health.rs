//! `portcullis health` and `portcullis stop`, which pods use as probe and hook.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Ended, Gate, Run, Start, Upstream};

fn start() -> Gate {
    Start::before(Upstream::start().address).set("admin.listen", "127.0.0.1:0").start()
}

fn admin(gate: &Gate) -> String {
    let line: Value = serde_json::from_str(&gate.wait_for_log("the operator's endpoints are there")).unwrap();
    line["address"].as_str().unwrap().to_owned()
}

#[track_caller]
fn health(address: &str, more: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    Run::new(folder.path(), &[&["health", "--address", address], more].concat()).end()
}

/// What an operator's listener that is none says.
fn imposter(serve: impl Fn(std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap());
        }
    });
    address
}

#[test]
fn a_gate_that_serves_is_well() {
    let gate = start();
    let address = admin(&gate);
    assert_eq!(health(&address, &[]).expect(0).stdout, "[+]serving ok\n[+]journal ok\nready\n");
    assert_eq!(health(&address, &["--live"]).expect(0).stdout, "ok\n");
    let excluded = health(&address, &["--exclude", "journal"]).expect(0).stdout;
    assert!(excluded.contains("[+]journal excluded: ok"), "{excluded}");
}

#[test]
fn the_configuration_tells_where_to_ask() {
    let gate = start();
    let folder = tempfile::tempdir().unwrap();
    let config = format!("[admin]\nlisten = \"{}\"\n", admin(&gate));
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    // Other gates of the tests have none, by this variable.
    let nowhere = Run::new(folder.path(), &["health"]).end().expect(78);
    assert!(nowhere.stderr.contains("admin.listen is empty"), "{nowhere:#?}");
    let set = format!("--set=admin.listen={}", admin(&gate).replace("127.0.0.1", "0.0.0.0"));
    Run::new(folder.path(), &["health", &set]).end().expect(0);
}

#[test]
fn with_an_address_no_configuration_is_read_not_even_a_broken_one() {
    let gate = start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), "nonsense").unwrap();
    let ask = || Run::new(folder.path(), &["health", "--address", &admin(&gate)]);
    ask().end().expect(0);
    ask().env("PORTCULLIS_CONFIG", "/nowhere").env("PORTCULLIS_NONSENSE", "1").end().expect(0);
}

#[test]
fn a_gate_that_waits_lives_and_is_not_well() {
    let first = start();
    let second = first.launch_beside();
    second.wait_for_log("another portcullis uses this data directory");
    let address = admin(&second);
    health(&address, &["--live"]).expect(0);
    let waits = health(&address, &[]).expect(1);
    assert!(waits.stdout.contains("[-]serving failed"), "{waits:#?}");
}

#[test]
fn whoever_is_not_there_or_no_gate_is_not_well() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(health(&gone.to_string(), &[]).expect(1).stderr.contains("does not answer"));
    let gate = start();
    // Where clients reach it nobody tells how it is.
    assert!(health(&gate.address.to_string(), &[]).expect(1).stderr.contains("is no portcullis"));
    let endless = imposter(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    health(&endless.to_string(), &[]);
}

#[test]
fn it_ends_in_time_before_whoever_is_silent_or_slow() {
    let silent = imposter(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let slow = imposter(|mut stream| {
        while stream.write_all(b"H").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    for address in [silent, slow] {
        let began = Instant::now();
        let late = health(&address.to_string(), &["--timeout", "1"]).expect(1);
        assert!(late.stderr.contains("does not answer in time"), "{late:#?}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_hook_ends_the_gate_as_term_does() {
    let mut gate = start();
    let process = gate.process().to_string();
    Run::new(Path::new("/"), &["stop", "--pid", &process]).end().expect(0);
    gate.wait_for_log("stopped");
    assert_eq!(gate.wait().code(), Some(0));
}

#[test]
fn nothing_else_is_ended() {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let refused = Run::new(Path::new("/"), &["stop", "--pid", &child.id().to_string()]).end().expect(1);
    assert!(refused.stderr.contains("is no portcullis"), "{refused:#?}");
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    // The first process of this machine is none either.
    Run::new(Path::new("/"), &["stop"]).end().expect(1);
}
