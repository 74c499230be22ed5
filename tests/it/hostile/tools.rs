//! What others wrote to try servers: slow clients, a load of HTTP/2, and a suite of its rules.
//!
//! For some seconds here; longer and with more connections, with `make slow-test`.

use std::process::Command;

use crate::support::{Gate, Start, Upstream};

/// How many connections slowhttptest opens, and for how many seconds it goes on.
const SLOW: &str = "PORTCULLIS_SLOW_CONNECTIONS";
const SLOW_SECONDS: &str = "PORTCULLIS_SLOW_SECONDS";

fn number(variable: &str, otherwise: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| otherwise.to_owned())
}

/// What a tool says, its errors too.
#[track_caller]
fn says(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn large() -> (Upstream, Gate) {
    // More than a slow reader takes in the time.
    let body = vec![b'x'; 1 << 20];
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer = [head.into_bytes(), body].concat();
    let upstream = Upstream::answering(move |_| answer.clone());
    let gate = Start::before(upstream.address).set("log.access", "off").start();
    (upstream, gate)
}

/// Available at every look it took while it held its connections.
#[track_caller]
fn stays_available(mode: &[&str]) {
    let (_upstream, gate) = large();
    let (connections, seconds) = (number(SLOW, "200"), number(SLOW_SECONDS, "6"));
    let url = format!("http://{}/mobile/v1/x", gate.address);
    let common = ["-c", &*connections, "-l", &*seconds, "-i", "1", "-r", "200", "-p", "3", "-u", &*url];
    let said = says("slowhttptest", &[mode, &common[..]].concat());
    let looks: Vec<_> = said.lines().filter(|line| line.contains("service available:")).collect();
    let unavailable = looks.iter().filter(|line| line.contains("NO")).count();
    println!(
        "slowhttptest {mode:?}: {connections} connections, {seconds} s, {} looks, unavailable at {unavailable}",
        looks.len()
    );
    assert!(!looks.is_empty() && unavailable == 0, "{said}");
    assert!(!said.contains("Exit status: Service unavailable"), "{said}");
    gate.get("/mobile/v1/x").send().expect(200);
}

#[test]
#[cfg_attr(not(have_slowhttptest), ignore = "slowhttptest is not on the PATH")]
fn slowloris_finds_the_service_available() {
    stays_available(&["-H"]);
}

#[test]
#[cfg_attr(not(have_slowhttptest), ignore = "slowhttptest is not on the PATH")]
fn slow_bodies_find_the_service_available() {
    stays_available(&["-B"]);
}

#[test]
#[cfg_attr(not(have_slowhttptest), ignore = "slowhttptest is not on the PATH")]
fn slow_readers_find_the_service_available() {
    stays_available(&["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-k", "1"]);
}

#[test]
#[cfg_attr(not(have_h2load), ignore = "h2load (nghttp2-client) is not on the PATH")]
fn a_load_of_streams_is_answered_in_full() {
    let gate = Start::before(Upstream::start().address).set("log.access", "off").start();
    let url = format!("http://{}/mobile/v1/x", gate.address);
    let said = says("h2load", &["-n", "4000", "-c", "8", "-m", "32", &url]);
    assert!(said.contains("4000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
    assert!(said.contains("status codes: 4000 2xx"), "{said}");
}

/// Not packaged anywhere that tests may install from, so only where somebody has it.
#[test]
#[cfg_attr(not(have_h2spec), ignore = "h2spec is not on the PATH")]
fn a_suite_of_the_rules_of_http2_finds_them_kept() {
    let gate = Start::before(Upstream::start().address).start();
    let port = gate.address.port().to_string();
    let said = says("h2spec", &["-h", "127.0.0.1", "-p", &port, "-P", "/mobile/v1/x", "-o", "5"]);
    let summary = said.lines().rfind(|line| line.contains(" tests, ")).unwrap_or_else(|| panic!("{said}"));
    // What does not begin as HTTP/2 does is HTTP/1.1 here, and is answered 400 in that.
    assert!(summary.ends_with(" 0 failed") || summary.ends_with(" 1 failed"), "{said}");
    if summary.ends_with(" 1 failed") {
        assert!(said.contains("× 2: Sends invalid connection preface"), "{said}");
    }
}
