//! A storm: what blows, when the gate is killed, and what is asked for afterwards.
//!
//! Guarantees: every client asks for all it was told; a crowd that does nothing is there to the last one.
//! Does not know: what one client does.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Gate, Start, Upstream, user};

use super::chance::Chance;
use super::client::{self, Client};

pub const CLIENTS: usize = 24;
const CROWD: &str = "crowd";

/// What kind of storm it is.
pub struct Storm {
    pub name: &'static str,
    pub settings: &'static [(&'static str, &'static str)],
    pub retry_window: bool,
    /// Sessions that rest, so that snapshots and starts take their time.
    pub crowd: usize,
    /// The kill comes while a snapshot is written.
    pub during_snapshots: bool,
    /// So many starts are killed as well before one is let through.
    pub starts: usize,
    /// The disk refuses now and then, while the gate runs.
    pub outages: bool,
    /// The sessions are on an engine, and several gates are asked.
    pub shared: bool,
}

impl Storm {
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            settings: &[],
            retry_window: false,
            crowd: 0,
            during_snapshots: false,
            starts: 0,
            outages: false,
            shared: false,
        }
    }

    /// What all its gates are told.
    pub fn set(&self, start: Start) -> Start {
        let mut start = start.set("log.access", "refused");
        for name in (0..CLIENTS).map(client::name).chain([CROWD.into()]) {
            start = start.users(&user(&name, client::PASSWORD, &["all:any"], ""));
        }
        if self.retry_window {
            start = start.set("token.retry_window", "5m");
        }
        start = start.set("limits.max_sessions_per_user", "1000");
        self.settings.iter().fold(start, |start, (key, value)| start.set(key, value))
    }
}

/// How often to kill in each storm; `make crash-test` sets more.
pub fn kills() -> usize {
    std::env::var("PORTCULLIS_CRASH_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4)
}

pub fn seed() -> u64 {
    let seed = std::env::var("PORTCULLIS_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 0x5eed);
    println!("PORTCULLIS_CRASH_SEED={seed}");
    seed
}

#[track_caller]
pub fn survives(storm: &Storm) {
    let (upstream, mut chance) = (Upstream::start(), Chance::new(seed()));
    let mut clients: Vec<_> = (0..CLIENTS).map(|number| Client::new(number, chance.below(usize::MAX), storm)).collect();
    let mut gate = storm.set(Start::before(upstream.address)).start();
    for _ in 0..storm.crowd {
        gate.sign_in(CROWD, client::PASSWORD, &["messages:list"]);
    }
    let (mut killed, mut blown, mut examined) = (0, 0, 0);
    while killed < kills() {
        blow(storm, &mut gate, &mut clients, &mut chance);
        (killed, blown) = (killed + 1, blown + 1);
        for _ in 0..chance.below(storm.starts + 1) {
            let mut start = gate.launch_beside();
            // A start takes some 50 ms, of which half is the reading of configuration and keys.
            chance.dawdle(Duration::from_millis(80));
            start.kill();
            killed += 1;
        }
        gate = gate.start_again();
        examined += clients.iter_mut().map(|client| client.examine(gate.address)).sum::<usize>();
        if storm.crowd > 0 {
            let crowd = gate.get("/3rdparty/v1/auth/sessions").basic(CROWD, client::PASSWORD).send().expect(200).json();
            assert_eq!(crowd.as_array().unwrap().len(), storm.crowd, "some of the crowd are gone");
            examined += storm.crowd;
        }
    }
    let rotations: usize = clients.iter().map(Client::rotations).sum();
    // Each blow goes on until at least twenty requests of all kinds were answered.
    assert!(rotations > blown * 2, "the storm was a breeze");
    gate.stop();
    // Only a storm without violations comes to this line.
    let name = storm.name;
    println!("storm {name}: {killed} kills, {rotations} rotations, {examined} sessions examined, 0 violations");
}

/// Lets the clients storm until some of their requests were answered, and kills the gate among the next.
#[track_caller]
fn blow(storm: &Storm, gate: &mut Gate, clients: &mut [Client], chance: &mut Chance) {
    let (answered, enough) = (AtomicUsize::new(0), 20 + chance.below(300));
    let over = AtomicBool::new(false);
    let address = gate.address;
    let drizzle = Chance::new(chance.below(usize::MAX) as u64);
    thread::scope(|scope| {
        for client in clients {
            let (answered, over) = (&answered, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed)
                    && let Some(acknowledged) = client.act(address)
                {
                    answered.fetch_add(usize::from(acknowledged), Ordering::Relaxed);
                }
            });
        }
        let start = Instant::now();
        let mut weather = drizzle;
        while answered.load(Ordering::Relaxed) < enough && start.elapsed() < Duration::from_secs(20) {
            match storm.outages {
                true => outage(gate, &mut weather),
                false => thread::yield_now(),
            }
        }
        if storm.outages && chance.below(2) == 0 {
            fail(gate, chance);
            chance.dawdle(Duration::from_millis(300));
        }
        if storm.during_snapshots {
            until_snapshot(&gate.folder().join("data"));
        }
        chance.dawdle(Duration::from_millis(5));
        gate.kill();
        over.store(true, Ordering::Relaxed);
    });
}

/// Waits for the file that a snapshot is written to.
fn until_snapshot(data: &Path) {
    let start = Instant::now();
    while !data.join("sessions.tmp").exists() && start.elapsed() < Duration::from_secs(1) {
        thread::yield_now();
    }
}

/// The disk works for a while, and then for a while it does not.
fn outage(gate: &Gate, chance: &mut Chance) {
    chance.dawdle(Duration::from_millis(400));
    fail(gate, chance);
    chance.dawdle(Duration::from_millis(250));
    lift(gate);
}

#[cfg(target_os = "linux")]
fn fail(gate: &Gate, chance: &mut Chance) {
    use crate::disk::{limit, segment};
    // Nothing at all, or a few records and the beginning of another.
    let room = segment(&gate.folder().join("data")).and_then(|file| file.metadata().ok()).map_or(0, |file| file.len());
    limit(gate, [0, room + chance.below(1000) as u64][chance.below(2)]);
}

#[cfg(target_os = "linux")]
fn lift(gate: &Gate) {
    crate::disk::lift_limit(gate);
}

#[cfg(not(target_os = "linux"))]
fn fail(_: &Gate, _: &mut Chance) {}

#[cfg(not(target_os = "linux"))]
fn lift(_: &Gate) {}
