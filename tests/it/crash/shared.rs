//! Storms over two gates and one engine: a gate is killed, or both, or the engine, and what was acknowledged is asked for at
//! a gate that may be another than the one that has said so.
//!
//! Guarantees: as [`super::storm`].
//! Does not know: what one client does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Engine, Gate, Start, Upstream};

use super::chance::Chance;
use super::client::Client;
use super::storm::{CLIENTS, Storm, kills, seed};

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn kills_of_gates_and_of_their_engine_lose_nothing() {
    survives(&Storm { shared: true, ..Storm::named("engine") });
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn kills_of_gates_and_of_their_engine_log_nobody_out_within_a_retry_window() {
    survives(&Storm { shared: true, retry_window: true, ..Storm::named("engine, retry window") });
}

#[track_caller]
fn survives(storm: &Storm) {
    let (upstream, mut engine, mut chance) = (Upstream::start(), Engine::start(), Chance::new(seed()));
    let mut clients: Vec<_> = (0..CLIENTS).map(|number| Client::new(number, chance.below(usize::MAX), storm)).collect();
    let first = gate(storm, &upstream, &engine).start();
    let folder = first.folder();
    let second = gate(storm, &upstream, &engine)
        .set("data_dir", folder.join("data").to_str().unwrap())
        .set("users.file", folder.join("users.toml").to_str().unwrap())
        .start();
    let mut gates = [first, second];
    let (mut killed, mut examined) = (0, 0);
    for round in 0..kills() {
        let addresses = gates.each_ref().map(|gate| gate.address);
        let kill = |chance: &mut Chance| {
            // All kinds come up, however short the storm is.
            match (round + chance.below(2)) % 3 {
                0 => {
                    engine.kill();
                    chance.dawdle(Duration::from_millis(500));
                    engine.run();
                    1
                }
                1 => {
                    gates[chance.below(2)].kill();
                    1
                }
                _ => {
                    gates.iter_mut().for_each(Gate::kill);
                    2
                }
            }
        };
        killed += blow(addresses, &mut clients, &mut chance, kill);
        // One that was not killed is asked as it is; with none left those that come after them are.
        if !gates.iter_mut().any(|gate| gate.is_running()) {
            gates = gates.map(Gate::start_again);
        }
        let asked = gates.iter_mut().position(|gate| gate.is_running()).unwrap();
        let address = gates[asked].address;
        examined += clients.iter_mut().map(|client| client.examine(address)).sum::<usize>();
        gates = gates.map(|mut gate| if gate.is_running() { gate } else { gate.start_again() });
    }
    let rotations: usize = clients.iter().map(Client::rotations).sum();
    assert!(rotations > kills() * 2, "the storm was a breeze");
    let name = storm.name;
    println!("storm {name}: {killed} kills, {rotations} rotations, {examined} sessions examined, 0 violations");
}

fn gate(storm: &Storm, upstream: &Upstream, engine: &Engine) -> Start {
    let start = storm.set(Start::before(upstream.address));
    start.set("store.kind", "redis").set("store.urls", &engine.url()).set("store.timeout", "1s")
}

/// Lets the clients storm, each at one gate and then at the other, until some of their requests were answered, and kills
/// among the next.
#[track_caller]
fn blow(
    gates: [SocketAddr; 2],
    clients: &mut [Client],
    chance: &mut Chance,
    kill: impl FnOnce(&mut Chance) -> usize,
) -> usize {
    let (answered, enough, over) = (AtomicUsize::new(0), 20 + chance.below(300), AtomicBool::new(false));
    thread::scope(|scope| {
        for (number, client) in clients.iter_mut().enumerate() {
            let (answered, over) = (&answered, &over);
            scope.spawn(move || {
                let mut turn = number;
                while !over.load(Ordering::Relaxed)
                    && let Some(acknowledged) = client.act(gates[turn % 2])
                {
                    turn += 1;
                    answered.fetch_add(usize::from(acknowledged), Ordering::Relaxed);
                }
            });
        }
        let start = Instant::now();
        while answered.load(Ordering::Relaxed) < enough && start.elapsed() < Duration::from_secs(20) {
            thread::yield_now();
        }
        chance.dawdle(Duration::from_millis(5));
        let killed = kill(chance);
        over.store(true, Ordering::Relaxed);
        killed
    })
}
