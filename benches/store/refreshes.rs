//! Refreshes per second, each waiting until it is on the disk.
//!
//! Guarantees: the disk's own limit is measured before and after, in the same directory: one thread, appending as many
//! bytes as one refresh does, with an fdatasync for each.
//! Does not know: what a client does between two refreshes; these do nothing.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use portcullis::store::{Fsync, Store};
use tokio::task::LocalSet;

use crate::sessions::{Running, issue_all, refresh, runtime, start};

const SESSIONS: u64 = 10_000;
/// Threads on which the clients run, as the workers of the gate.
const WORKERS: u64 = 2;
const EACH: Duration = Duration::from_secs(3);

pub fn all(folder: &Path) {
    let bytes = bytes_each(&folder.join("bytes"));
    println!("\n| refreshes, {bytes} bytes each | clients | per second | p50 µs | p99 µs |\n|---|--:|--:|--:|--:|");
    limit(folder, bytes);
    for (name, fsync, clients) in [
        ("always", Fsync::Always, &[1, 16, 64, 256][..]),
        ("interval, 1 s", Fsync::Interval(Duration::from_secs(1)), &[1, 64]),
        ("never", Fsync::Never, &[1, 64]),
    ] {
        let running = start(&folder.join(name), fsync);
        issue_all(&running, 0, SESSIONS, false);
        for clients in clients {
            measure(&running, name, *clients);
        }
    }
    limit(folder, bytes);
}

/// What one refresh adds to the journal.
fn bytes_each(folder: &Path) -> usize {
    let running = start(folder, Fsync::Never);
    issue_all(&running, 0, SESSIONS, false);
    let length = || -> u64 { fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum() };
    let (before, kid) = (length(), "2027-01".into());
    runtime().block_on(async {
        for n in 0..SESSIONS {
            assert!(refresh(&running, n, &kid).await);
        }
    });
    ((length() - before) / SESSIONS) as usize
}

fn limit(folder: &Path, bytes: usize) {
    let (record, mut times) = (vec![7; bytes], Vec::new());
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("bare")).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < EACH {
        let one = Instant::now();
        file.write_all(&record).unwrap();
        file.sync_data().unwrap();
        times.push(one.elapsed());
    }
    row("bare append and fdatasync", 1, times, begun.elapsed());
}

fn measure(running: &Running, name: &str, clients: u64) {
    let begun = Instant::now();
    let workers = WORKERS.min(clients);
    let times = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || work(running, (worker..clients).step_by(workers as usize), clients)))
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    row(name, clients, times, begun.elapsed());
}

/// These clients of so many, each with sessions of its own.
fn work(store: &Arc<Store>, clients: impl Iterator<Item = u64>, of: u64) -> Vec<Duration> {
    let tasks = LocalSet::new();
    let until = Instant::now() + EACH;
    let clients: Vec<_> = clients
        .map(|client| {
            let store = Arc::clone(store);
            tasks.spawn_local(async move {
                let (mut times, kid) = (Vec::new(), "2027-01".into());
                let mut sessions = (client..SESSIONS).step_by(of as usize).cycle();
                while Instant::now() < until {
                    let one = Instant::now();
                    assert!(refresh(&store, sessions.next().unwrap(), &kid).await);
                    times.push(one.elapsed());
                }
                times
            })
        })
        .collect();
    runtime().block_on(tasks.run_until(async {
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.await.unwrap());
        }
        all
    }))
}

fn row(name: &str, clients: u64, mut times: Vec<Duration>, took: Duration) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_micros();
    let rate = times.len() as f64 / took.as_secs_f64();
    println!("| {name} | {clients} | {rate:.0} | {} | {} |", at(0.5), at(0.99));
}
