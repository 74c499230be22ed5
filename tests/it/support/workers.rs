//! What an observer from outside sees of a gate's workers: which connections each of them watches.
//!
//! A worker has an epoll instance of its own, and Linux tells what each instance watches.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// How many connections to `address` each worker of the process holds, the most first; a worker without any is missing.
pub fn connections_of_workers(pid: u32, address: SocketAddr) -> Vec<usize> {
    let process = Path::new("/proc").join(pid.to_string());
    let sockets = established(&process, address);
    let link = |descriptor: &str| {
        let target = fs::read_link(process.join("fd").join(descriptor)).unwrap_or_default();
        target.to_string_lossy().into_owned()
    };
    // A runtime has its epoll instance in two descriptors; both watch the same.
    let mut watched = HashSet::new();
    for entry in fs::read_dir(process.join("fd")).unwrap() {
        let descriptor = entry.unwrap().file_name().into_string().unwrap();
        if link(&descriptor) == "anon_inode:[eventpoll]" {
            let told = fs::read_to_string(process.join("fdinfo").join(descriptor)).unwrap_or_default();
            let targets = told.lines().filter_map(|line| line.strip_prefix("tfd:")?.split_whitespace().next());
            let ours = targets.map(link).filter(|socket| sockets.contains(socket));
            watched.insert(ours.collect::<BTreeSet<_>>());
        }
    }
    let mut each: Vec<_> = watched.iter().map(BTreeSet::len).filter(|connections| *connections > 0).collect();
    each.sort_unstable_by(|one, other| other.cmp(one));
    each
}

/// The connected sockets of which `address` is the local end, as links to them read.
fn established(process: &Path, address: SocketAddr) -> HashSet<String> {
    // As the kernel writes them.
    let (port, established) = (format!(":{:04X}", address.port()), "01");
    let table = fs::read_to_string(process.join("net/tcp")).unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = rows.filter(|row| row.len() > 9 && row[1].ends_with(&port) && row[3] == established);
    ours.map(|row| format!("socket:[{}]", row[9])).collect()
}
