//! Plays faults, and holds the gate to what has to become of each.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use http::Method;

use super::client::{Client, Heard, Protocol};
use super::uplink::{Arrival, FAULT, FINE, LAST, Uplink};
use super::{Fault, Outcome, When};
use crate::support::{Gate, Start, until};

/// More than all the sockets on the way hold.
const LARGE: &[u8] = &[b'x'; 8 << 20];
const SMALL: &[u8] = b"an SMS";
/// Faults that are played at a time: most wait for each other.
const AT_ONCE: usize = 12;

struct Stage {
    uplink: Uplink,
    gate: Gate,
}

/// What a gate holds, as the kernel tells.
#[derive(Clone, Debug, PartialEq)]
struct Holdings {
    sockets: usize,
    descriptors: usize,
    threads: usize,
    /// Connections of the gate, and of the upstream to it, that are not closed on both sides.
    connections: usize,
}

impl Stage {
    fn of(fault: &Fault) -> Self {
        let uplink = if fault.when == When::Never { Uplink::nowhere() } else { Uplink::start() };
        let mut start = Start::before(uplink.address).set("workers", "1").set("upstream.keepalive", "1h");
        if fault.hasty {
            start = start.set("upstream.first_byte_timeout", "700ms").set("upstream.idle_timeout", "700ms");
        }
        Self { gate: start.start(), uplink }
    }

    fn holdings(&self) -> Holdings {
        let folder = format!("/proc/{}", self.gate.process());
        let open: Vec<_> = fs::read_dir(format!("{folder}/fd"))
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            // Files are opened for a moment each second, to be followed: no fault opens any.
            .filter(|target| !target.starts_with("/"))
            .collect();
        let sockets = open.iter().filter(|target| target.to_string_lossy().starts_with("socket:")).count();
        let threads = fs::read_dir(format!("{folder}/task")).unwrap().count();
        let ports = [self.gate.address.port(), self.uplink.address.port()].map(|port| format!(":{port:04X}"));
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let connections = table.lines().skip(1).filter(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            // Established, or closed by the other side alone.
            ports.iter().any(|port| fields[1].ends_with(port) || fields[2].ends_with(port))
                && ["01", "08"].contains(&fields[3])
        });
        Holdings { sockets, descriptors: open.len(), threads, connections: connections.count() }
    }

    /// A request that nothing is wrong with, with which the gate's connection to the upstream ends.
    #[track_caller]
    fn empties(&self, client: &mut Client) {
        let heard = client.ask(&Method::GET, LAST, b"", || {});
        assert_eq!(heard, fine(&Method::GET));
    }

    #[track_caller]
    fn plays(&self, fault: &Fault, method: &Method, outcome: Outcome, protocol: Protocol) {
        let nobody = fault.when == When::Never;
        let before = self.holdings();
        let mut client = Client::open(self.gate.address, protocol);
        if matches!(fault.when, When::Kept | When::Idle) {
            assert_eq!(client.ask(&Method::GET, "first", b"", || {}), fine(&Method::GET));
        }
        self.uplink.arm(fault);
        if fault.when == When::Idle {
            self.uplink.strike();
        }
        let body = match *method {
            Method::POST if fault.early => LARGE,
            Method::POST => SMALL,
            _ => b"",
        };
        let heard = client.ask(method, FAULT, body, || self.uplink.client_has_heard());
        self.uplink.client_has_heard();
        let arrivals = self.uplink.arrivals();
        match outcome {
            Outcome::Refused(status) => {
                let Heard::Answer { status: told, denied, .. } = heard else { panic!("{heard:?}") };
                assert_eq!((told, denied), (status, true));
            }
            Outcome::Whole(status, body) => {
                assert_eq!(heard, whole(status, if *method == Method::HEAD { "" } else { body }));
            }
            Outcome::Again => assert_eq!(heard, fine(method)),
            Outcome::Cut(status) => assert!(heard == Heard::Cut(status) || heard == Heard::Nothing, "{heard:?}"),
        }
        let times = arrivals.iter().filter(|arrival| arrival.name == FAULT).count();
        match outcome {
            Outcome::Again => assert_eq!(times, 2, "{arrivals:?}"),
            _ if nobody || fault.when == When::Accepted => assert_eq!(times, 0, "{arrivals:?}"),
            // A connection that was closed while idle may have been found to be so only when it was used.
            _ if fault.when == When::Idle && *method != Method::POST => assert!((1..=2).contains(&times)),
            _ => assert_eq!(times, 1, "{arrivals:?}"),
        }

        // The client goes on, unless what it was told has no end, or it could not send its request to the end.
        let cut = matches!(heard, Heard::Cut(_) | Heard::Nothing);
        let over = protocol == Protocol::Http1 && cut;
        let may_be_over = protocol == Protocol::Http1 && body.len() == LARGE.len();
        let mut next = if over { Heard::Nothing } else { client.ask(&Method::GET, "next", b"", || {}) };
        if over {
            assert!(client.is_closed(), "cut, and not closed");
        }
        if over || (may_be_over && next == Heard::Nothing) {
            client = Client::open(self.gate.address, protocol);
            next = client.ask(&Method::GET, "next", b"", || {});
        }
        if nobody {
            assert!(matches!(next, Heard::Answer { status: 502, denied: true, .. }), "{next:?}");
        } else {
            assert_eq!(next, fine(&Method::GET));
            self.goes_elsewhere(fault);
            self.empties(&mut client);
        }
        drop(client);
        let mut last = before.clone();
        until(&format!("nothing to be left behind: {before:?}"), || {
            last = self.holdings();
            (last == before && self.uplink.open() == 0).then_some(())
        });
    }

    /// What was asked after the fault came over another connection, unless the fault was none.
    #[track_caller]
    fn goes_elsewhere(&self, fault: &Fault) {
        let arrivals = self.uplink.arrivals();
        let over =
            |name: &str| arrivals.iter().rfind(|it| it.name == name).map(|Arrival { connection, .. }| *connection);
        if fault.sound {
            assert_eq!(over("next"), over(FAULT), "a sound connection was not used again");
        } else if matches!(fault.when, When::Asked | When::Kept) && fault.then != super::End::Reads {
            let first = arrivals.iter().find(|it| it.name == FAULT).map(|it| it.connection);
            assert_ne!(over("next"), first, "a damaged connection was used again");
        }
        assert_eq!(self.uplink.reused(), 0, "a damaged connection was used again");
    }
}

fn whole(status: u16, body: &str) -> Heard {
    Heard::Answer { status, denied: false, body: body.into() }
}

fn fine(method: &Method) -> Heard {
    whole(200, if *method == Method::HEAD { "" } else { FINE })
}

/// Plays each fault with every method from clients of either protocol, and tells of all that came out wrong.
#[track_caller]
pub(super) fn play(faults: Vec<Fault>) {
    // One of them alone: `FAULT="silence"`.
    let only = std::env::var("FAULT").ok();
    let faults: Vec<_> =
        faults.into_iter().filter(|fault| only.as_ref().is_none_or(|only| only == fault.name)).collect();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = catch_unwind(AssertUnwindSafe(|| in_all_ways(fault)));
                    let found = found.unwrap_or_else(|_| vec![fault.name.to_owned()]);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!("upstream faults: {}, each in six ways", faults.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn in_all_ways(fault: &Fault) -> Vec<String> {
    let stage = Stage::of(fault);
    if fault.when != When::Never {
        // What a gate opens with its first request is not the fault's.
        let mut client = Client::open(stage.gate.address, Protocol::Http1);
        stage.empties(&mut client);
        drop(client);
        until("a gate at rest", || (stage.uplink.open() == 0 && stage.holdings().connections == 0).then_some(()));
    }
    let mut wrong = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for (method, outcome) in [Method::GET, Method::POST, Method::HEAD].into_iter().zip(fault.becomes) {
            let played = catch_unwind(AssertUnwindSafe(|| stage.plays(fault, &method, outcome, protocol)));
            if played.is_err() {
                let name = format!("{}, {method} over {protocol:?}", fault.name);
                eprintln!("^^^^ {name}");
                wrong.push(name);
            }
        }
    }
    wrong
}
