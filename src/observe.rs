//! The log: one line per event, JSON for machines, text for people.
//!
//! Guarantees: control characters in fields are escaped in both forms, so no client can forge a line or colour a
//! terminal; standard error only, so that standard output belongs to commands.
//! Does not know: what is logged. (What may not be: tokens, passwords, `Authorization`, queries, bodies.)

use std::error::Error;
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, ParseError};
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat, LogLevel};

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("PORTCULLIS_LOG is not a log filter")]
    Filter(#[from] ParseError),
    #[error("logging has been set up already")]
    Twice(#[from] TryInitError),
}

/// Starts logging for the process. `filter` (variable `PORTCULLIS_LOG`, as in `portcullis=debug`) overrides the level.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub fn start(log: &Log, filter: Option<&str>) -> Result<(), LogError> {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let filter = match filter {
        Some(filter) => EnvFilter::try_new(filter)?,
        None => EnvFilter::default().add_directive(level.into()),
    };
    let terminal = io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal,
    };
    let lines = if json {
        fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed()
    } else {
        fmt::layer().with_target(false).with_ansi(terminal).with_writer(io::stderr).boxed()
    };
    Ok(tracing_subscriber::registry().with(filter).with(lines).try_init()?)
}

/// An error and its causes on one line. To be logged in place of the error itself, of which a line shows no causes.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
