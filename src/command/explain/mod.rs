//! `portcullis explain`: what the gate makes of a token or a request, and why.
//!
//! Guarantees: it is judged by what judges requests, on the files as they are, beside a running gate or without one; nothing
//! is changed, and nothing sent, unless the gate itself is asked (`--live`); no token is printed.
//! Does not know: the rules.

mod report;

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use serde_json::{Value, json};

use crate::gateway::{Question, explain};
use crate::observe::chain;
use crate::run;

use super::operator::{Asking, failed, print};

const REFUSED: u8 = 3;
/// What any token can be, and more.
const MOST_BYTES: u64 = 1 << 20;

pub(super) const FURTHER_CODES: &str = "Here further 3 it would be refused.";
pub(super) const MANUAL: &str = "\
Tells what would become of a request: which rule decides, what that demands, which clause refuses, with the reason that the \
answer and the log have; and of its token what it claims, how far its times are from this machine's clock, whether its key is \
known, and what has become of its session. Without --path the token alone is judged. Without either the token is read from \
standard input, as it is with --token-file -.

The configuration, keys, users and sessions are read as they are, also beside a running gate, and nothing is changed. With \
--live the running gate is asked instead (over admin.socket, or with the token of admin.token_file), which judges by what it \
has in force and in memory. Passwords in `Authorization: Basic` are checked, but not with --live.

A token is a credential: hand it over in a file or by standard input, not as --header where others see the command line.

With --json one object. New fields may come; these stay:

  now
  verdict        passes, what, reason, status, error, message
  request        method, path, rule, demands, forwarded_as
  token          kid, algorithm, typ, issuer_is, key (known, state, algorithm), issuer, audience, subject, scopes,
                 times (claim, at, seconds), leeway_seconds,
                 session (id, generation, is, current_generation, token_is)
  store          sessions, ended_sessions

Examples:
  portcullis explain --method POST --path /3rdparty/v1/messages --token-file token.txt
  portcullis explain --live --token-file token.txt
  jq -r .access_token pair.json | portcullis explain
  portcullis explain --path /health";

#[derive(clap::Args)]
pub(super) struct ExplainArgs {
    /// The method of the request
    #[arg(long, value_name = "METHOD", default_value = "GET", requires = "path")]
    method: Method,
    /// Its path, as a client writes it, with its query if it has one
    #[arg(long, value_name = "PATH")]
    path: Option<Uri>,
    /// A header of it, such as 'Host: example.org'; can be given several times
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// The file with the access token that it brings; - is standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Ask the running gate, not the files
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    asking: Asking,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("{}: cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("the token holds what cannot stand in a header: a line break in the middle, or a control character")]
    NoHeader,
    #[error("the system gives no threads")]
    System(#[source] io::Error),
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let wrong = "must be NAME: VALUE";
    let (name, value) = text.split_once(':').ok_or(wrong)?;
    let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong)?;
    value.set_sensitive(true);
    Ok((HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong)?, value))
}

pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    let headers = match headers(args) {
        Ok(headers) => headers,
        Err(error) => return told(&error),
    };
    if args.live { live(args, &headers) } else { offline(args, headers) }
}

fn offline(args: &ExplainArgs, headers: HeaderMap) -> ExitCode {
    let config = match args.asking.configured() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let (charter, notes) = match run::offline(&config) {
        Ok(offline) => offline,
        Err(error) => return super::serve::not_started(&error),
    };
    notes.iter().for_each(|note| eprintln!("note: {note}"));
    let question = Question { method: args.method.clone(), target: args.path.clone(), headers };
    match tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ExplainError::System) {
        Ok(runtime) => show(args, &json!(runtime.block_on(explain(&charter, question)))),
        Err(error) => told(&error),
    }
}

fn live(args: &ExplainArgs, headers: &HeaderMap) -> ExitCode {
    let line = match args.asking.line(true) {
        Ok(line) => line,
        Err(code) => return code,
    };
    let fields = headers.iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]));
    let target = args.path.as_ref().map(ToString::to_string);
    let question = json!({"method": args.method.as_str(), "target": target, "headers": fields.collect::<Vec<_>>()});
    match line.ask("POST", "/explain", Some(&question), args.asking.patience()) {
        Ok(told) => show(args, &told),
        Err(error) => failed(&error),
    }
}

fn show(args: &ExplainArgs, told: &Value) -> ExitCode {
    print(&if args.asking.json { format!("{told:#}\n") } else { report::text(told) });
    if told.pointer("/verdict/passes") == Some(&Value::Bool(true)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(REFUSED)
    }
}

fn headers(args: &ExplainArgs) -> Result<HeaderMap, ExplainError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &args.header {
        headers.append(name, value.clone());
    }
    let from = match &args.token_file {
        Some(file) => Some(file.clone()),
        // There has to be something to judge.
        None if args.path.is_none() && !headers.contains_key(AUTHORIZATION) => Some("-".into()),
        None => None,
    };
    if let Some(from) = from {
        let mut text = zeroize::Zeroizing::new(Vec::new());
        let read = if from.as_os_str() == "-" {
            io::stdin().take(MOST_BYTES).read_to_end(&mut text)
        } else {
            fs::File::open(&from).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut text))
        };
        read.map_err(|error| ExplainError::Unreadable(from, error))?;
        let value = [b"Bearer ", text.trim_ascii()].concat();
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| ExplainError::NoHeader)?;
        value.set_sensitive(true);
        headers.append(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn told(error: &ExplainError) -> ExitCode {
    eprintln!("portcullis: {}", chain(error));
    ExitCode::FAILURE
}
