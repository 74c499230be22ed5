//! How long requests take while something goes over all sessions beside them.
//!
//! Guarantees: two threads ask and refresh all along, with pauses, so that there is a processor to be had: what takes
//! long then has waited, for a lock, the disk or the scheduler. What the scheduler does shows beside a thread that only
//! computes; what the disk does, beside one that writes and deletes a file as large as a snapshot, in the same pieces.
//! Does not know: the rest of a request.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portcullis::store::{Fsync, SNAPSHOT, Store};

use crate::sessions::{NOW, ask, issue_all, mix, refresh, runtime, start};

const THREADS: u64 = 2;
const ASKED_BETWEEN: u64 = 8;
const PAUSE: Duration = Duration::from_micros(200);
/// As the store writes a snapshot.
const PIECE: usize = 1 << 20;
const PIECES_UNSYNCED: u64 = 8;
const AT_LEAST: Duration = Duration::from_secs(2);

pub fn all(folder: &Path, count: u64) {
    println!("\n| fsync | beside | took ms | what | p50 µs | p99 µs | p99.9 µs | max µs | at ms | over 5 ms |");
    println!("|---|---|--:|---|--:|--:|--:|--:|--:|--:|");
    for (name, fsync) in [("never", Fsync::Never), ("always", Fsync::Always)] {
        let running = start(folder, fsync);
        let store = &**running;
        let measure = |beside, work: &(dyn Fn() + Sync)| traffic(store, count, name, beside, work);
        measure("nothing", &|| thread::sleep(AT_LEAST));
        measure("computing", &|| compute(AT_LEAST));
        measure("a bare file", &|| write_bare(folder));
        measure("a snapshot", &|| store.snapshot(NOW).unwrap());
        measure("a snapshot", &|| store.snapshot(NOW).unwrap());
        measure("sweeps that find nothing", &|| {
            let begun = Instant::now();
            while begun.elapsed() < AT_LEAST {
                store.sweep(NOW);
            }
        });
        if fsync == Fsync::Always {
            continue;
        }
        let more = count / 5;
        measure("a fifth more sign in", &|| issue_all(&running, count, count + more, false));
    }
    let running = start(folder, Fsync::Never);
    // All were used within a day, so this is the end of half of them.
    let later = NOW + Duration::from_hours(720 - 12);
    traffic(&running, count, "never", "a sweep that ends half", &|| running.sweep(later));
}

fn compute(how_long: Duration) {
    let (begun, mut n) = (Instant::now(), 0);
    while begun.elapsed() < how_long {
        n = (0..10_000).fold(n, |n, _| mix(n));
    }
    std::hint::black_box(n);
}

fn write_bare(folder: &Path) {
    let (path, piece) = (folder.join("bare"), vec![7; PIECE]);
    let mut file = File::create(&path).unwrap();
    for n in 0..=fs::metadata(folder.join(SNAPSHOT)).unwrap().len() / PIECE as u64 {
        file.write_all(&piece).unwrap();
        if n % PIECES_UNSYNCED == PIECES_UNSYNCED - 1 {
            file.sync_data().unwrap();
        }
    }
    file.sync_data().unwrap();
    fs::remove_file(path).unwrap();
    File::open(folder).unwrap().sync_all().unwrap();
}

fn traffic(store: &Store, count: u64, fsync: &str, beside: &str, work: &(dyn Fn() + Sync)) {
    let over = AtomicBool::new(false);
    let (mut asked, mut refreshed) = (Vec::new(), Vec::new());
    let (begun, took) = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let over = &over;
                scope.spawn(move || requests(store, count, thread, over))
            })
            .collect();
        let begun = Instant::now();
        work();
        let took = begun.elapsed();
        over.store(true, Ordering::Relaxed);
        for thread in threads {
            let [one, other] = thread.join().unwrap();
            asked.extend(one);
            refreshed.extend(other);
        }
        (begun, took.as_millis())
    });
    row(&format!("{fsync} | {beside} | {took} | asking"), begun, asked);
    row("| | | refreshing", begun, refreshed);
}

/// How long, and since when.
type Took = (Duration, Instant);

/// How long each asking and each refreshing took.
fn requests(store: &Store, count: u64, thread: u64, over: &AtomicBool) -> [Vec<Took>; 2] {
    let (runtime, kid): (_, Arc<str>) = (runtime(), "2027-01".into());
    let (mut asked, mut refreshed) = (Vec::new(), Vec::new());
    let mut n = mix(thread);
    while !over.load(Ordering::Relaxed) {
        for _ in 0..ASKED_BETWEEN {
            n = mix(n);
            let begun = Instant::now();
            std::hint::black_box(ask(store, n % count));
            asked.push((begun.elapsed(), begun));
        }
        n = mix(n);
        let mine = n % count / THREADS * THREADS + thread;
        let begun = Instant::now();
        if runtime.block_on(refresh(store, mine, &kid)) {
            refreshed.push((begun.elapsed(), begun));
        }
        thread::sleep(PAUSE);
    }
    [asked, refreshed]
}

fn row(what: &str, since: Instant, mut times: Vec<Took>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].0.as_nanos() as f64 / 1000.0;
    let [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1.0].map(at);
    let worst = times[times.len() - 1].1.saturating_duration_since(since).as_millis();
    let slow = times.iter().filter(|time| time.0 > Duration::from_millis(5)).count();
    println!("| {what} | {p50:.1} | {p99:.1} | {p999:.1} | {max:.0} | {worst} | {slow} of {} |", times.len());
}
