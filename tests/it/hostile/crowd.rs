//! Thousands that only hold their connections: whoever has something to ask is served as if they were not there.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::stage::play;
use super::wire::{PREFACE, SETTINGS, frame};
use super::{Case, plays};
use crate::support::{Connection, Gate, Start, Upstream};

/// How many, where the machine is known to be quiet and then to be held to the latency as well.
const MANY: &str = "PORTCULLIS_HOSTILE_CONNECTIONS";
const FEW: usize = 500;

pub fn cases() -> Vec<Case> {
    vec![plays("idle and byte-a-second connections by the thousand", "slowhttptest: slowloris; CVE-2007-6750", crowd)]
}

/// A third says nothing, a third a byte of a head each second, a third speaks HTTP/2 and then says nothing. Whoever is
/// dropped comes again.
struct Loiterer {
    stream: TcpStream,
    kind: usize,
}

impl Loiterer {
    fn come(address: SocketAddr, kind: usize) -> Option<Self> {
        let mut stream = TcpStream::connect(address).ok()?;
        let first: &[&[u8]] = match kind % 3 {
            0 => &[],
            1 => &[b"GET /health HTTP/1.1\r\nHost: gate\r\nX: "],
            _ => &[PREFACE, &frame(SETTINGS, 0, 0, &[])],
        };
        stream.write_all(&first.concat()).ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(Self { stream, kind })
    }

    /// Says its byte, if it says any; whether it is still let in.
    fn stay(&mut self) -> bool {
        let said = self.kind % 3 != 1 || self.stream.write(b"x").is_ok();
        let mut heard = [0; 256];
        let let_in = match self.stream.read(&mut heard) {
            Ok(length) => length > 0 && self.kind % 3 == 2,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        said && let_in
    }
}

#[track_caller]
fn crowd() {
    let wanted: Option<usize> = std::env::var(MANY).ok().map(|number| number.parse().unwrap());
    let number = wanted.unwrap_or(FEW);
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let gate = Start::before(Upstream::start().address)
        .set("limits.max_connections", "20000")
        .set("log.access", "off")
        .start();
    let calls = if wanted.is_some() { 20_000 } else { 500 };
    let quiet = latencies(&gate, calls);
    let before = gate.memory();
    let over = Arc::new(AtomicBool::new(false));
    let crowding = {
        let (address, over) = (gate.address, Arc::clone(&over));
        let mut there: Vec<_> = (0..number).map(|kind| Loiterer::come(address, kind).expect("a place")).collect();
        thread::spawn(move || {
            let mut returned = 0;
            while !over.load(Ordering::Relaxed) {
                let start = Instant::now();
                for loiterer in &mut there {
                    if !loiterer.stay()
                        && let Some(again) = Loiterer::come(address, loiterer.kind)
                    {
                        *loiterer = again;
                        returned += 1;
                    }
                    // A little at a time: it is about the gate, and not about who is first on the processor.
                    if loiterer.kind % 100 == 0 {
                        thread::sleep(Duration::from_millis(5));
                    }
                }
                thread::sleep(Duration::from_secs(1).saturating_sub(start.elapsed()));
            }
            returned
        })
    };
    // Long enough for the first of them to be dropped, where it is about that.
    let crowded = latencies(&gate, calls);
    let patience = Instant::now() + Duration::from_secs(if wanted.is_some() { 25 } else { 0 });
    let mut later = crowded;
    while Instant::now() < patience {
        later = latencies(&gate, calls);
    }
    let grown = gate.memory().saturating_sub(before);
    over.store(true, Ordering::Relaxed);
    let returned = crowding.join().unwrap();
    println!(
        "crowd: {number} connections, {returned} came again; p50/p99 quiet {:?}/{:?}, crowded {:?}/{:?}, later {:?}/{:?}; {} KiB more, {} bytes each",
        quiet.0,
        quiet.1,
        crowded.0,
        crowded.1,
        later.0,
        later.1,
        grown >> 10,
        grown / number
    );
    assert!(grown < ((number * 16) << 10) + (8 << 20), "{grown} bytes more");
    if wanted.is_some() {
        let allowed = (quiet.1 * 2).max(Duration::from_millis(1));
        assert!(crowded.1 <= allowed && later.1 <= allowed, "{crowded:?} and {later:?} after {quiet:?}");
    }
}

/// Median and 99th percentile of calls one after the other, each tenth over a connection of its own.
#[track_caller]
fn latencies(gate: &Gate, calls: usize) -> (Duration, Duration) {
    let mut line = Connection::open(gate.address);
    let mut all: Vec<_> = (0..calls)
        .map(|n| {
            let start = Instant::now();
            if n % 10 == 0 {
                line = Connection::open(gate.address);
            }
            line.ask(&gate.get("/health")).expect(200);
            start.elapsed()
        })
        .collect();
    all.sort_unstable();
    (all[calls / 2], all[calls * 99 / 100])
}

#[test]
fn a_crowd_holds_nobody_up() {
    play(cases());
}
