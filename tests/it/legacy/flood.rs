//! A flood of guesses from very many addresses at a few users: `make flood-test`; a short one is among the tests.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portcullis::account::StoredHash;

use super::{LIST, TOKEN};
use crate::support::{Connection, Gate, Start, Upstream, until};

const USERS: usize = 50;
/// Guesses at once: more than may wait for a check, and in the whole flood more than the gate makes wait, so that it is as
/// fast as the gate can turn it away.
fn at_once(whole: bool) -> usize {
    if whole { 1200 } else { 56 }
}

fn guesses() -> usize {
    std::env::var("PORTCULLIS_FLOOD_GUESSES").ok().and_then(|text| text.parse().ok()).unwrap_or(2000)
}

/// Lets this thread, and those that it begins from now on, take only what others leave: a flood comes from elsewhere, and
/// what its senders take from the processors of this machine is not the gate's doing.
fn step_back() {
    let thread = std::fs::read_link("/proc/thread-self").unwrap();
    let renice = Command::new("renice").args(["-n", "19", "-p"]).arg(thread.file_name().unwrap()).output().unwrap();
    assert!(renice.status.success(), "{renice:?}");
}

/// The time below which 99 of 100 calls with a valid token stay, until `over`.
fn p99(gate: &Gate, token: &str, over: impl Fn(usize) -> bool) -> Duration {
    let (mut connection, mut times) = (Connection::open(gate.address), Vec::new());
    while !over(times.len()) {
        let start = Instant::now();
        connection.ask(&gate.get(LIST).bearer(token)).expect(200);
        times.push(start.elapsed());
        thread::sleep(Duration::from_millis(1));
    }
    times.sort();
    times[times.len() * 99 / 100]
}

#[test]
fn memory_stays_bounded_nobody_is_locked_out_and_others_hardly_notice() {
    let guesses = guesses();
    let (addresses, whole) = (guesses / 10, guesses >= 100_000);
    let upstream = Upstream::start();
    // A hash of full cost, one for all.
    let hash = StoredHash::of(b"right").unwrap().reveal().to_owned();
    let entry = |n: usize| format!("[[user]]\nname = 'user{n}'\npassword_hash = '{hash}'\nscopes = ['all:any']\n");
    let users: String = (0..USERS).map(entry).collect();
    let gate = Start::alone()
        .set("upstream.url", &format!("http://{}", upstream.address))
        .set("server.trusted_proxies", "127.0.0.1")
        .set("workers", "2")
        .set("log.access", "off")
        .set("limits.max_sessions_per_user", "100000")
        .users(&users)
        .start();
    let sign_in = |from: &str, n: usize| {
        let call = gate.post(TOKEN).header("X-Forwarded-For", from).basic(&format!("user{n}"), "right");
        call.json(&serde_json::json!({"scopes": ["all:any"]})).send()
    };
    // Where users are at home.
    let token = (0..USERS).map(|n| sign_in(&format!("192.0.2.{n}"), n).expect(201)).next_back().unwrap();
    let token = token.field("access_token");
    let quiet = p99(&gate, &token, |calls| calls >= 500);
    let before = gate.memory();

    let over = AtomicBool::new(false);
    let (flooded, patience) = thread::scope(|scope| {
        let watching = scope.spawn(|| p99(&gate, &token, |_| over.load(Ordering::Relaxed)));
        // Users sign in all the while: at home, and from where nobody knows them.
        let signing_in = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            for n in 0..USERS {
                // In the whole flood strangers have to be lucky to be heard among so many others.
                let elsewhere = (!whole).then(|| format!("198.51.100.{n}"));
                for from in [format!("192.0.2.{n}")].into_iter().chain(elsewhere) {
                    let start = Instant::now();
                    until("a sign-in", || match sign_in(&from, n).status {
                        201 => Some(()),
                        503 => {
                            thread::sleep(Duration::from_millis(100));
                            None
                        }
                        other => panic!("a right password was answered {other}"),
                    });
                    longest = longest.max(start.elapsed());
                }
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
            longest
        });
        step_back();
        let flood: Vec<_> = (0..at_once(whole))
            .map(|part| {
                let gate = &gate;
                scope.spawn(move || {
                    let mut connection = Connection::open(gate.address);
                    let mut told = [0_usize; 3];
                    for n in (part..guesses).step_by(at_once(whole)) {
                        let (host, wrong) = (n % addresses, format!("wrong{}", n / 100));
                        let from = format!("10.{}.{}.{}", host >> 16, host >> 8 & 255, host & 255);
                        let call = gate.get(LIST).header("X-Forwarded-For", &from);
                        let status = connection.ask(&call.basic(&format!("user{}", n % USERS), &wrong)).status;
                        match status {
                            401 => told[0] += 1,
                            429 => told[1] += 1,
                            503 => told[2] += 1,
                            other => panic!("a guess was answered {other}"),
                        }
                    }
                    told
                })
            })
            .collect();
        let told = flood.into_iter().map(|part| part.join().unwrap());
        let told = told.fold([0; 3], |sum: [usize; 3], part| [sum[0] + part[0], sum[1] + part[1], sum[2] + part[2]]);
        over.store(true, Ordering::Relaxed);
        println!("flood: {guesses} guesses, {} wrong, {} throttled, {} turned away", told[0], told[1], told[2]);
        assert_eq!(told.iter().sum::<usize>(), guesses);
        (watching.join().unwrap(), signing_in.join().unwrap())
    });
    let grown = gate.memory().saturating_sub(before);
    println!("flood: memory grew by {} KiB; longest sign-in {patience:?}", grown / 1024);
    println!("flood: p99 of validated calls {flooded:?}, quiet {quiet:?}");
    assert!(grown < 48 << 20, "{grown} bytes");
    // A figure of a moment on a machine that does other things too: only the whole one is long enough to be held to it.
    assert!(!whole || flooded <= quiet * 2 + Duration::from_millis(2), "{flooded:?} against {quiet:?}");
}
