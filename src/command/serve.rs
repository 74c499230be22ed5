//! `portcullis serve` and `portcullis check`.
//!
//! Guarantees: a start that fails says why in one line and with the right exit code, before a port is bound unless the
//! port is the trouble; TERM and INT end gracefully, a second one at once; HUP asks
//! for a reload.
//! Does not know: how a gate is built.

use std::error::Error;
use std::process::ExitCode;

use rustix::process::{self, Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::config::{Config, LoadOptions};
use crate::edge::Handed;
use crate::observe::{self, Log, LogError, chain};
use crate::run::{self, Reloads, StartError, StopError};

use super::CONFIGURATION;
use super::supervisor::Supervisor;

/// Runs the gate until a signal ends it.
pub(super) fn run(config: Config, source: LoadOptions) -> ExitCode {
    let handed = match Handed::from_environment() {
        Ok(handed) => handed,
        Err(error) => return failed(&error, false),
    };
    let log = match observe::start(&config.log, std::env::var("PORTCULLIS_LOG").ok().as_deref()) {
        Ok(log) => log,
        Err(error) => return failed(&error, matches!(error, LogError::Filter(_))),
    };
    let ended = serve(config, source, handed, &log);
    // What was logged stands before the reason why it ended.
    drop(log);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error, matches!(&error, ServeError::Start(error) if error.is_configuration())),
    }
}

/// Why a gate did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    System(#[from] std::io::Error),
    #[error(transparent)]
    Stop(#[from] StopError),
    #[error(transparent)]
    Panicked(#[from] tokio::task::JoinError),
}

fn serve(config: Config, source: LoadOptions, handed: Handed, log: &Log) -> Result<(), ServeError> {
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    outlive_file_size_limit(&runtime)?;
    let prepared = run::prepare(&config, handed, Some(log.levels().clone()))?;
    // Before the first connection, or a signal would cut it. Not before the data directory is ours: who waits for that
    // has nothing to bring in order and ends by the signal itself.
    let signals = {
        let _inside = runtime.enter();
        Signals::catch()
    };
    let mut signals = signals?;
    let running = run::open(config, prepared, Some(source))?;
    let (supervisor, reloads) = (Supervisor::from_environment(), running.reloads());
    supervisor.ready();
    runtime.block_on(async {
        tokio::select! {
            () = signals.end(&supervisor, &reloads) => {}
            () = supervisor.watch(async || running.is_alive().await) => {}
        }
        info!("told to end");
        supervisor.stopping();
        let stopped = tokio::task::spawn_blocking(|| running.stop());
        tokio::select! {
            stopped = stopped => Ok(stopped??),
            () = signals.end(&supervisor, &reloads) => {
                warn!("told twice: ending at once");
                log.flush();
                std::process::exit(1);
            }
        }
    })
}

/// Builds everything, starts nothing.
pub(super) fn check(config: Config) -> ExitCode {
    match run::check(&config) {
        Ok(notes) => {
            for note in notes {
                println!("note: {note}");
            }
            println!("configuration ok");
            ExitCode::SUCCESS
        }
        // All of them are told, and the last one's code is the command's.
        Err(errors) => errors.iter().fold(ExitCode::FAILURE, |_, error| not_started(error)),
    }
}

pub(super) fn not_started(error: &StartError) -> ExitCode {
    failed(error, error.is_configuration())
}

fn failed(error: &dyn Error, is_configuration: bool) -> ExitCode {
    eprintln!("portcullis: {}", chain(error));
    if is_configuration { ExitCode::from(CONFIGURATION) } else { ExitCode::FAILURE }
}

/// The signals that mean something to a gate.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the word to end. A hangup is none: by convention it asks for a reload.
    async fn end(&mut self, supervisor: &Supervisor, reloads: &Reloads) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    supervisor.reloading();
                    // The log tells what came of it.
                    reloads.request().await;
                    supervisor.ready();
                }
            }
        }
    }
}

/// A write beyond a limit on the size of files (`ulimit -f`, systemd's `LimitFSIZE=`) sends a signal that kills, and a
/// limit must not do what a full disk does not: with the signal caught it is an error of that one write. The handler
/// stays for as long as the process, though nobody listens.
fn outlive_file_size_limit(runtime: &tokio::runtime::Runtime) -> std::io::Result<()> {
    let _inside = runtime.enter();
    signal(SignalKind::from_raw(process::Signal::XFSZ.as_raw())).map(drop)
}

/// Each connection is a file; the soft limit of many systems is 1024.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if setrlimit(Resource::Nofile, limit).is_err() {
            warn!("the limit of open files could not be raised");
        }
    }
}
