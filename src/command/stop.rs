//! `portcullis stop`: tells the gate of this container to end, as a hook before the container's own end.
//!
//! Guarantees: only a process of this very program is told; what is told is what TERM tells.
//! Does not know: how a gate ends.
//!
//! Kubernetes ends a native sidecar after the app, when there is nobody left to forward to, and older versions end both at
//! once. Hooks run before either: with this one the gate ends first, and the app with nothing under way.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::observe::chain;

/// Between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub(super) struct StopArgs {
    /// Wait so long first, until whoever sends requests has learnt that they go elsewhere
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3600))]
    after: u64,
    /// The process to tell; in a container the first one
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    pid: i32,
}

#[derive(Debug, thiserror::Error)]
enum StopError {
    #[error("process {0} cannot be looked at")]
    Hidden(i32, #[source] io::Error),
    #[error("process {0} is no portcullis")]
    Foreign(i32),
    #[error("process {0} cannot be told")]
    Untold(i32, #[source] io::Error),
}

/// Waits, tells the process to end, and returns when it has.
pub(super) fn run(args: &StopArgs) -> ExitCode {
    match stop(args.pid, Duration::from_secs(args.after)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn stop(pid: i32, after: Duration) -> Result<(), StopError> {
    thread::sleep(after);
    // On a host the first process is not ours to end.
    if !is_ours(pid)? {
        return Err(StopError::Foreign(pid));
    }
    let process = Pid::from_raw(pid).ok_or(StopError::Foreign(pid))?;
    kill_process(process, Signal::TERM).map_err(|error| StopError::Untold(pid, error.into()))?;
    // As the first process of a container it takes this one along. What is left of one that nobody has buried has no file.
    while is_ours(pid).unwrap_or(false) {
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Whether it runs the very file that this process runs.
fn is_ours(pid: i32) -> Result<bool, StopError> {
    let file = |whose: &str| fs::metadata(format!("/proc/{whose}/exe")).map(|file| (file.dev(), file.ino()));
    let hidden = |error| StopError::Hidden(pid, error);
    Ok(file(&pid.to_string()).map_err(hidden)? == file("self").map_err(hidden)?)
}
