//! `portcullis serve` and `portcullis check`.
//!
//! Guarantees: a start that fails says why in one line and with the right exit code, before a port is bound unless the
//! port is the trouble; TERM and INT end gracefully, a second one at once.
//! Does not know: how a gate is built.

use std::process::ExitCode;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::config::Config;
use crate::observe::{self, chain};
use crate::run::{self, StartError};

use super::CONFIGURATION;

/// Runs the gate until a signal ends it.
pub(super) fn run(config: Config) -> ExitCode {
    if let Err(error) = observe::start(&config.log, std::env::var("PORTCULLIS_LOG").ok().as_deref()) {
        eprintln!("portcullis: {}", chain(&error));
        return ExitCode::from(CONFIGURATION);
    }
    raise_file_limit();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&chain(&error)),
    };
    let prepared = match run::prepare(&config) {
        Ok(prepared) => prepared,
        Err(error) => return not_started(&error),
    };
    // Before the first connection, or a signal would cut it. Not before the data directory is ours: who waits for that
    // has nothing to bring in order and ends by the signal itself.
    let signals = {
        let _inside = runtime.enter();
        Signals::catch()
    };
    let mut signals = match signals {
        Ok(signals) => signals,
        Err(error) => return failed(&chain(&error)),
    };
    let running = match run::open(&config, prepared) {
        Ok(running) => running,
        Err(error) => return not_started(&error),
    };
    runtime.block_on(async {
        signals.end().await;
        info!("told to end");
        let stopped = tokio::task::spawn_blocking(|| running.stop());
        tokio::select! {
            stopped = stopped => match stopped {
                Ok(Ok(())) => ExitCode::SUCCESS,
                Ok(Err(error)) => failed(&chain(&error)),
                Err(panicked) => failed(&chain(&panicked)),
            },
            () = signals.end() => {
                warn!("told twice: ending at once");
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
        Err(errors) => errors.iter().map(not_started).next_back().unwrap_or(ExitCode::FAILURE),
    }
}

fn not_started(error: &StartError) -> ExitCode {
    eprintln!("portcullis: {}", chain(error));
    if error.is_configuration() { ExitCode::from(CONFIGURATION) } else { ExitCode::FAILURE }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("portcullis: {why}");
    ExitCode::FAILURE
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

    /// Waits for the word to end. A hangup is none: by convention it asks for a reload, and left alone it would kill.
    async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    info!("hangup: the users file is looked at every second anyway, all else is read at the start");
                }
            }
        }
    }
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
