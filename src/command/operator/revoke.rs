//! `portcullis revoke`: ends sessions.
//!
//! Guarantees: 0 only if the gate says that they have ended, and that the disk knows.
//! Does not know: which sessions there are.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Asking, failed, print};

#[derive(clap::Args)]
pub(in super::super) struct RevokeArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    asking: Asking,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// All of this user's sessions, as `portcullis sessions` names them
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// This session, and those minted with its tokens
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// All sessions of everybody
    #[arg(long)]
    all: bool,
}

pub(in super::super) fn run(args: &RevokeArgs) -> ExitCode {
    let line = match args.asking.line(true) {
        Ok(line) => line,
        Err(code) => return code,
    };
    let Which { user, session, .. } = &args.which;
    let body = match (user, session) {
        (Some(user), _) => json!({"user": user}),
        (None, Some(session)) => json!({"session": session}),
        (None, None) => json!({"all": true}),
    };
    match line.ask("POST", "/revoke", Some(&body), args.asking.patience()) {
        Ok(told) if args.asking.json => print(&format!("{told}\n")),
        Ok(told) => print(&match told.get("ended").and_then(Value::as_u64).unwrap_or_default() {
            0 => "nothing to end\n".into(),
            1 => "ended 1 session\n".into(),
            number => format!("ended {number} sessions\n"),
        }),
        Err(error) => return failed(&error),
    }
    ExitCode::SUCCESS
}
