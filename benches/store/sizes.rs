//! Memory, files, and the time that a start and a snapshot take.
//!
//! Guarantees: memory is what the kernel calls resident and no file backs, indexes and spare slots included, divided by
//! the number of sessions.
//! Does not know: traffic.

use std::fs;
use std::path::Path;
use std::time::Instant;

use portcullis::store::{Fsync, Remembered, SNAPSHOT};

use crate::sessions::{NOW, end_all, issue_all, open, start};

pub fn fill(folder: &Path, count: u64) {
    let running = start(folder, Fsync::Never);
    issue_all(&running, 0, 1, false);
    let before = memory();
    let begun = Instant::now();
    issue_all(&running, 1, count, false);
    row("signing in, 1,024 at once", begun.elapsed().as_nanos() as u64 / count, "ns each");
    row("memory per session, signed in", (memory() - before) / count, "bytes");
    let begun = Instant::now();
    running.snapshot(NOW).unwrap();
    row("writing a snapshot", begun.elapsed().as_millis() as u64, "ms");
    row("snapshot per session", fs::metadata(folder.join(SNAPSHOT)).unwrap().len() / count, "bytes");
}

pub fn load(folder: &Path, count: u64) {
    let begun = Instant::now();
    let remembered = Remembered::read(folder).unwrap();
    row("loading the snapshot", begun.elapsed().as_millis() as u64, "ms");
    let begun = Instant::now();
    let running = open(remembered, Fsync::Never);
    assert_eq!(running.live() as u64, count);
    row("opening the journal behind it", begun.elapsed().as_micros() as u64, "µs");
}

pub fn weigh(folder: &Path, what: &str, count: u64) {
    let before = memory();
    let running = start(folder, Fsync::Never);
    row(what, (memory() - before) / count, "bytes");
    assert_eq!((running.live() + running.tombstones()) as u64, count);
}

/// A 36-byte id and a 24-byte name each.
pub fn devices(folder: &Path, count: u64) {
    let running = start(folder, Fsync::Never);
    issue_all(&running, 0, 1, true);
    let before = memory();
    issue_all(&running, 1, count, true);
    row("memory per session with a device (60 bytes of text)", (memory() - before) / count, "bytes");
}

pub fn tombstones(folder: &Path, count: u64) {
    let running = start(folder, Fsync::Never);
    issue_all(&running, 0, count, false);
    let begun = Instant::now();
    end_all(&running, count);
    row("ending a session, 1,024 at once", begun.elapsed().as_nanos() as u64 / count, "ns each");
    running.snapshot(NOW).unwrap();
    row("snapshot per tombstone", fs::metadata(folder.join(SNAPSHOT)).unwrap().len() / count, "bytes");
}

/// Resident bytes of this process that no file backs.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn row(what: &str, value: u64, unit: &str) {
    println!("| {what} | {value} {unit} |");
}
