//! What the store costs: refreshes that are on the disk, memory, starts, and what snapshots and sweeps cost others.
//!
//! Guarantees: each measurement has a process and files of its own, so none counts what another has left behind; what
//! the machine alone would do is measured beside it, in the same directory and the same run.
//! Does not know: tokens, HTTP. What a refresh computes while the disk works (`settle`) is nothing here.
//!
//! `cargo bench --bench store -- --sessions 10000000 --directory /var/lib/portcullis-bench --only stalls`; each of these
//! is optional.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench that cannot go on says so by ending")]

mod refreshes;
mod sessions;
mod sizes;
mod stalls;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Freed memory goes back to the system at once: what is resident is what is used.
const EXACT: (&str, &str) = ("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0");

fn main() {
    let (mut sessions, mut directory, mut only, mut step) = (1_000_000, std::env::temp_dir(), None, None);
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--sessions" => sessions = value.parse().unwrap(),
            "--directory" => directory = PathBuf::from(value),
            "--only" => only = Some(value),
            "--step" => step = Some(value),
            unknown => panic!("{unknown} is none of --sessions, --directory, --only"),
        }
    }
    match step {
        Some(step) => run(&step, &directory, sessions),
        None => all(&directory, sessions, only.as_deref()),
    }
}

fn all(directory: &Path, sessions: u64, only: Option<&str>) {
    let folder = tempfile::tempdir_in(directory).unwrap();
    let wanted = |part: &str| only.is_none_or(|only| only == part);
    let child = |step: &str, exact: bool| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--step", step, "--sessions", &sessions.to_string(), "--directory"]).arg(folder.path());
        if exact {
            child.env(EXACT.0, EXACT.1);
        }
        assert!(child.status().unwrap().success());
    };
    println!("{}", machine(directory));
    if wanted("refreshes") {
        child("refreshes", false);
    }
    if wanted("sizes") || wanted("stalls") {
        println!("\n| {sessions} sessions | |\n|---|--:|");
        child("fill", true);
    }
    if wanted("sizes") {
        child("load", false);
        child("weigh", true);
        child("devices", true);
        child("tombstones", true);
        child("weigh-tombstones", true);
    }
    if wanted("stalls") {
        child("stalls", false);
    }
}

fn run(step: &str, folder: &Path, sessions: u64) {
    match step {
        "refreshes" => refreshes::all(&folder.join("refreshes")),
        "fill" => sizes::fill(&folder.join("filled"), sessions),
        "load" => sizes::load(&folder.join("filled"), sessions),
        "weigh" => sizes::weigh(&folder.join("filled"), "memory per session, loaded", sessions),
        "devices" => sizes::devices(&folder.join("devices"), sessions.min(1_000_000)),
        "tombstones" => sizes::tombstones(&folder.join("tombstones"), sessions.min(1_000_000)),
        "weigh-tombstones" => {
            sizes::weigh(&folder.join("tombstones"), "memory per tombstone", sessions.min(1_000_000));
        }
        "stalls" => stalls::all(&folder.join("filled"), sessions),
        unknown => panic!("no step {unknown}"),
    }
}

/// What a reader has to know of where this ran.
fn machine(directory: &Path) -> String {
    let line = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let directory = directory.canonicalize().unwrap();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = fields.filter(|mount| directory.starts_with(mount[1])).max_by_key(|mount| mount[1].len());
    let disk = mount.map_or_else(String::new, |mount| format!("{} on {} ({})", mount[2], mount[0], mount[3]));
    let cores = std::thread::available_parallelism().unwrap();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} × {}, memory {}, Linux {}, files on {disk}",
        line("/proc/cpuinfo", "model name"),
        line("/proc/meminfo", "MemTotal"),
        release.trim()
    )
}
