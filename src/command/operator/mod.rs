//! `portcullis status`, `sessions` and `revoke`: what an operator asks of a running gate, and has it do.
//!
//! Guarantees: the gate is found by its own configuration; it decides who may, and its own words say why not; an exit code
//! of 0 means that it was done.
//! Does not know: how any of it is done.

mod help;
mod line;
mod revoke;
mod sessions;
mod status;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use crate::config::Config;
use crate::observe::chain;

use super::{CONFIGURATION, Whereabouts};
use line::Line;

pub(super) use help::{REVOKE, SESSIONS, STATUS};
pub(super) use line::{Answer, At, LineError, exchange};
pub(super) use revoke::{RevokeArgs, run as revoke};
pub(super) use sessions::{SessionsArgs, run as sessions};
pub(super) use status::{StatusArgs, run as status};

#[derive(clap::Args)]
pub(super) struct Asking {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// How long each answer may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    #[command(flatten)]
    settings: Whereabouts,
}

impl Asking {
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    pub(super) fn configured(&self) -> Result<Config, ExitCode> {
        self.settings.configured()
    }

    /// The line to the gate of this configuration; one by which more than looking is allowed, if it has to be.
    pub(super) fn line(&self, operators: bool) -> Result<Line, ExitCode> {
        let config = self.settings.configured()?;
        let missing = match Line::of(&config.admin) {
            Some(line) if !operators || line.is_operators() => return Ok(line),
            Some(_) => "neither admin.socket nor admin.token_file is set, so nobody may do that",
            None => "admin.listen is empty and admin.socket not set, so there is nobody to ask",
        };
        eprintln!("portcullis: {missing}");
        Err(ExitCode::from(CONFIGURATION))
    }
}

pub(super) fn failed(error: &LineError) -> ExitCode {
    eprintln!("portcullis: {}", chain(error));
    ExitCode::FAILURE
}

/// Whoever reads may have read enough.
pub(super) fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// A text of somebody else's, in one line and without anything that does more than be seen.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.chars().all(|c| c.is_ascii_graphic()) => text.clone(),
        // In the form of Rust's own literals.
        Value::String(text) => format!("{text:?}"),
        // What JSON does not escape may still turn the direction of writing.
        other => other.to_string().chars().map(|c| if c.is_ascii() { c } else { '?' }).collect(),
    }
}
