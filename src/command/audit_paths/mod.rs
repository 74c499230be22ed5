//! `portcullis audit-paths`: whether the upstream reads odd spellings of paths as the gate does.
//!
//! Guarantees: asks only with methods that change nothing, only as often as allowed, and says so first; no credentials of
//! the configuration are sent.
//! Does not know: what a route does.

mod audit;
mod judge;
mod probe;
mod report;
mod variants;

use std::fs;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::observe::chain;
use crate::run;

use super::{Settings, configured};
use probe::{Probe, Stop};
use report::Verdict;

/// Of sysexits.h, as 78 is: a service that is not there.
const UNAVAILABLE: u8 = 69;
const INCOMPLETE: u8 = 3;

pub(super) const FURTHER_CODES: &str =
    "Here 1 also means that there are disagreements; further 3 not enough could be compared, 69 no upstream.";
pub(super) const MANUAL: &str = "\
The gate judges one canonical spelling of each path and forwards just that. An upstream whose router is more lenient, one
that drops a suffix or folds Unicode, may take a path that the rules do not speak of for one that they do. This asks the
upstream itself, directly, and without the gate:

  1. Every path of the rules in force, of the preset and of the token endpoints is asked for, with `sample` for {name} and
     *, and beside it a path that does not exist. Where both are answered alike, nothing can be told: `untold`.
  2. Variants of each path (letter case, slashes, dot segments, escapes, parameters, suffixes, NUL, Unicode doubles, ...)
     are asked for as the gate would forward them; those that it refuses, as they are written.
  3. A variant that is answered as its path is (status, content type, about the same length) is taken for the same route.
     It is a disagreement if the gate would forward it and demands less for it, or something else.

Only GET, HEAD and OPTIONS are sent, without credentials: 401 and 403 beside 404 tell routes apart well enough. Where the
upstream checks credentials before it looks at paths, give it some: --header-file. Answers with 429 mean nothing here, so
ask an upstream that does not limit you. Lenience that the gate holds off (`gate refuses`) is worth knowing all the same:
whoever reaches the upstream past the gate profits from it.

What to do about a disagreement: make the upstream strict, or write a [[route]] for the variant that demands as much, or
set routes.unmatched = \"deny\" where the variant gets through only because of that.

  portcullis audit-paths --upstream http://127.0.0.1:3000
  portcullis audit-paths --config config.toml --header-file headers.txt --json

Fields of --json: verdict (agree, disagree, incomplete), requests, paths, untold, left_out (that matter), spared (that
do not), kinds (kind, asked, taken, refused, looser), disagreements (kind, path, variant, forwarded, asked_with, status,
method, demand_of_path, demand_of_variant).";

#[derive(clap::Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    settings: Settings,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// How many requests may be made
    #[arg(long, value_name = "NUMBER", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_requests: u32,
    /// How long to wait for a connection, and for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
    /// File with headers to send along, one `Name: value` a line, as for the upstream's own credentials
    #[arg(long, value_name = "FILE")]
    header_file: Option<PathBuf>,
}

/// Runs the audit and tells how it went.
pub(super) fn run(args: AuditArgs) -> ExitCode {
    let config = match configured(&args.settings) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match audit(&args, &config) {
        Ok(Verdict::Agree) => ExitCode::SUCCESS,
        Ok(Verdict::Disagree) => ExitCode::FAILURE,
        Ok(Verdict::Incomplete) => ExitCode::from(INCOMPLETE),
        Err(error) => {
            eprintln!("portcullis: {}", chain(&error));
            ExitCode::from(if matches!(error, AuditError::Stop(_)) { UNAVAILABLE } else { 1 })
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum AuditError {
    #[error(transparent)]
    Stop(#[from] Stop),
    #[error("{}: cannot be read", path.display())]
    HeaderFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: line {line} is no `Name: value`", path.display())]
    Header { path: PathBuf, line: usize },
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    #[error("the system gives no threads")]
    System(#[source] io::Error),
}

fn audit(args: &AuditArgs, config: &crate::config::Config) -> Result<Verdict, AuditError> {
    let headers = args.header_file.as_deref().map_or_else(|| Ok(HeaderMap::new()), read_headers)?;
    let (foresight, paths) = run::foresight(config);
    let (to, most) = (config.upstream.url.clone(), args.max_requests);
    eprintln!(
        "portcullis: asking {to} for variants of {} paths with GET, OPTIONS and HEAD, one at a time and at most {most} times",
        paths.len()
    );
    let mut probe = Probe::new(to, headers, Duration::from_secs(args.timeout), most as usize);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AuditError::System)?;
    let findings = runtime.block_on(audit::audit(&foresight, &paths, &mut probe))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let write = if args.json { report::as_json } else { report::as_text };
    match write(&findings, probe.asked, &mut out).and_then(|()| out.flush()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(AuditError::Output(error)),
        _ => Ok(findings.verdict()),
    }
}

/// Mistakes do not repeat the line: it may hold a password.
fn read_headers(path: &Path) -> Result<HeaderMap, AuditError> {
    let path_buf = || path.to_owned();
    let text = fs::read_to_string(path).map_err(|source| AuditError::HeaderFile { path: path_buf(), source })?;
    let mut headers = HeaderMap::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let read = || {
            let (name, value) = line.split_once(':')?;
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, value))
        };
        let (name, value) = read().ok_or_else(|| AuditError::Header { path: path_buf(), line: at + 1 })?;
        headers.append(name, value);
    }
    Ok(headers)
}
