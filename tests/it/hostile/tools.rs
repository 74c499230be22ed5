//! What others wrote to try servers: slow clients by the hundred, and a suite of the rules of HTTP/2.
//!
//! For some seconds here; longer and with more connections, with `make slow-test`.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Connection, Gate, Leg, Start, Upstream};

/// How many connections slowhttptest opens, and for how many seconds it goes on.
const SLOW: &str = "PORTCULLIS_SLOW_CONNECTIONS";
const SLOW_SECONDS: &str = "PORTCULLIS_SLOW_SECONDS";
/// How long an answer may take before the service counts as unavailable.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same where the machine is known to be quiet.
const QUIET_PATIENCE: Duration = Duration::from_secs(3);
const LARGE: &str = "/mobile/v1/large";
const SMALL: &str = "/mobile/v1/small";

/// Answers at [`LARGE`] with more than all sockets on the way hold, so that whoever reads slowly is waited for.
fn upstream() -> SocketAddr {
    const PIECE: &[u8] = &[b'x'; 1 << 16];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut leg = Leg::over(stream);
                while let Some(seen) = leg.next_head() {
                    if leg.next_body(&seen).is_none() {
                        return;
                    }
                    let pieces = if seen.target == LARGE { 256 } else { 0 };
                    leg.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", pieces * PIECE.len()));
                    (0..pieces).for_each(|_| leg.send(PIECE));
                }
            });
        }
    });
    address
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |number| number.parse().unwrap())
}

/// Asks over new connections and over one that it keeps, until told that it is over: how often, and the longest wait.
#[track_caller]
fn looks(gate: &Gate, over: &AtomicBool) -> (usize, Duration) {
    let (mut kept, mut count, mut longest) = (Connection::open(gate.address), 0, Duration::ZERO);
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        if count % 2 == 0 {
            gate.get(SMALL).send().expect(200);
        } else {
            kept.ask(&gate.get(SMALL)).expect(200);
        }
        longest = longest.max(start.elapsed());
        count += 1;
        thread::park_timeout(Duration::from_millis(20));
    }
    (count, longest)
}

/// Whatever it does, it finds the service available at every look it takes, and so do others.
#[track_caller]
fn stays_available(target: &str, mode: &[&str]) {
    let gate = Start::before(upstream()).set("log.access", "off").start();
    let quiet = std::env::var(SLOW).is_ok();
    let (connections, seconds) = (number(SLOW, 100), number(SLOW_SECONDS, 6));
    let patience = if quiet { QUIET_PATIENCE } else { PATIENCE };
    let before = gate.memory();
    let over = AtomicBool::new(false);
    let (said, (count, longest), grown) = thread::scope(|scope| {
        let looking = scope.spawn(|| looks(&gate, &over));
        let output = Command::new("slowhttptest")
            .args(mode)
            .args(["-c", &connections.to_string(), "-l", &seconds.to_string(), "-i", "1", "-r", "100"])
            .args(["-p", &patience.as_secs().to_string(), "-u", &format!("http://{}{target}", gate.address)])
            .output();
        let grown = gate.memory().saturating_sub(before);
        over.store(true, Ordering::Relaxed);
        (String::from_utf8_lossy(&output.unwrap().stdout).into_owned(), looking.join().unwrap(), grown)
    });
    let verdicts: Vec<_> = said.lines().filter(|line| line.contains("service available:")).collect();
    println!(
        "slowhttptest {mode:?}: {connections} connections, {seconds} s, {} looks of its own; {count} of ours, {longest:?} \
         at most; {} KiB more",
        verdicts.len(),
        grown >> 10
    );
    assert!(!verdicts.is_empty() && verdicts.iter().all(|line| line.contains("YES")), "{said}");
    assert!(count > 0 && longest < patience, "{longest:?}");
}

#[test]
#[cfg_attr(not(have_slowhttptest), ignore = "slowhttptest is not on the PATH")]
fn slow_heads_bodies_and_readers_find_the_service_available() {
    stays_available(SMALL, &["-H", "-x", "24"]);
    stays_available(SMALL, &["-B", "-s", "8192", "-x", "10"]);
    stays_available(LARGE, &["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-k", "1"]);
}

/// Packaged nowhere that the tests install from, so only where somebody has built it (it is a Go module).
#[test]
#[cfg_attr(not(have_h2spec), ignore = "h2spec is not on the PATH")]
fn a_suite_of_the_rules_of_http2_finds_them_kept() {
    let gate = Start::before(Upstream::start().address).start();
    let (address, port) = (gate.address.ip().to_string(), gate.address.port().to_string());
    let output = Command::new("h2spec").args(["-h", &address, "-p", &port, "-P", SMALL, "-o", "5"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let summary = said.lines().rfind(|line| line.contains(" tests, ")).unwrap_or_else(|| panic!("{said}"));
    println!("h2spec: {summary}");
    // What does not begin as HTTP/2 does is HTTP/1.1 here: it is answered 400 in that, and no GOAWAY.
    let known = summary.ends_with(" 1 failed") && said.contains("× 2: Sends invalid connection preface");
    assert!(known || summary.ends_with(" 0 failed"), "{said}");
}
