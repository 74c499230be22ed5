//! What the system knows of this process, by the names that all Prometheus clients use.
//!
//! Guarantees: what cannot be read is left out.
//! Does not know: the gate.

use std::fs;
use std::time::Duration;

use super::Kind;

type Number = (&'static str, &'static str, Kind, f64);

pub(super) fn numbers() -> Vec<Number> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the command, in parentheses, may hold spaces.
    let fields: Vec<_> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect()).unwrap_or_default();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let cpu = field(14).zip(field(15)).map(|(user, system)| (user + system) as f64 / ticks);
    let started = field(22).zip(boot_time()).map(|(ticked, boot)| boot + ticked as f64 / ticks);
    let resident = field(24).map(|pages| (pages * rustix::param::page_size() as u64) as f64);
    // The one that reads the directory is among them.
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as f64);
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.map(|most| most as f64);
    let numbers = [
        ("process_cpu_seconds", "User and system time spent", Kind::Counter, cpu),
        ("process_start_time_seconds", "When the process began, in seconds since 1970", Kind::Gauge, started),
        ("process_resident_memory_bytes", "Memory that is resident", Kind::Gauge, resident),
        ("process_open_fds", "Open file descriptors", Kind::Gauge, open),
        ("process_max_fds", "The limit of open file descriptors", Kind::Gauge, most),
    ];
    numbers.into_iter().filter_map(|(name, help, kind, value)| Some((name, help, kind, value?))).collect()
}

fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_knows_this_process() {
        let numbers = numbers();
        assert_eq!(numbers.len(), 5);
        assert!(numbers.iter().all(|(_, _, _, value)| *value >= 0.0));
        let resident = numbers.iter().find(|(name, ..)| *name == "process_resident_memory_bytes").unwrap().3;
        assert!(resident > 1e6, "{resident}");
    }
}
