//! `portcullis demo`: the gateway in front of a sample SMS upstream, in one process, and a walk through a session's life.
//!
//! Guarantees: everything runs on this machine and in a directory of its own, which is gone when the command ends, also
//! by Ctrl-C; no configuration file and no variable of the environment changes it.
//! Does not know: how the gateway works. It starts it from settings, as `serve` does, and then is its client.

mod client;
mod lines;
mod stage;
mod steps;
mod upstream;
mod walk;

use std::io;
use std::net::{AddrParseError, SocketAddr};
use std::path::Path;

use aws_lc_rs::error::Unspecified;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, LoadOptions, Mistake};
use client::Target;
use lines::Lines;
use stage::Stage;
use steps::{Steps, WalkError};
pub use upstream::{SampleUpstream, Seen};
use walk::Walk;

/// Where the sample's API begins: SMSGate's own place for it.
const PREFIX: &str = "/3rdparty/v1";

/// See the gateway at work: a sample SMS API behind it, and a walk through sign-in, refresh, theft and revocation
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// End after the walk; the exit code tells whether everything went as promised
    #[arg(long)]
    exit: bool,
    /// Over HTTPS, with a certificate made for this run
    #[arg(long)]
    tls: bool,
    /// Where the gateway listens [default: 127.0.0.1:8080, or a free port if that is taken]
    // The name and the type of the binary's own flag, which stands before a command or behind it.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    listen: Option<String>,
}

fn address(text: &str) -> Result<String, AddrParseError> {
    text.parse::<SocketAddr>().map(|address| address.to_string())
}

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("--listen")]
    Listen(#[from] AddrParseError),
    #[error("the demo cannot be set up")]
    Setup(#[source] io::Error),
    #[error("the demo's settings are refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<Mistake>),
    #[error("the gateway does not start")]
    Start(#[from] crate::run::StartError),
    #[error("the gateway does not stop cleanly")]
    Stop(#[from] crate::run::StopError),
    #[error("the demo cannot write to standard output")]
    Output(#[source] io::Error),
    #[error("step {0} went otherwise than promised")]
    Surprise(usize),
    /// Only with `--exit`, where the exit code tells how the whole walk went.
    #[error("told to end before the walk did")]
    Interrupted,
}

impl From<WalkError> for DemoError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Surprise(step) => Self::Surprise(step),
            WalkError::Output(e) => Self::Output(e),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Something could not be started, or the walk met a surprise.
pub fn run(args: DemoArgs) -> Result<(), DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DemoError::Setup)?;
    // Before the directory is made: from here on a signal is remembered instead of ending the process at once.
    let mut leave = {
        let _inside = runtime.enter();
        Leave::listen().map_err(DemoError::Setup)?
    };
    let stage = Stage::build().map_err(DemoError::Setup)?;
    let upstream = SampleUpstream::start(SocketAddr::from(([127, 0, 0, 1], 0)), PREFIX).map_err(DemoError::Setup)?;
    let wanted = args.listen.as_deref().map(str::parse).transpose()?;
    let (listen, moved) = stage::choose_port(wanted);
    let authority = args.tls.then(|| stage.certify(stage::reachable(listen))).transpose().map_err(DemoError::Setup)?;
    let file = stage.configure(listen, upstream.address(), args.tls).map_err(DemoError::Setup)?;
    // No variables: a demo shows the same wherever it runs.
    let config =
        config::load(LoadOptions { file: Some(file), ..LoadOptions::default() }).map_err(DemoError::Settings)?;
    let gateway = crate::run::start(config)?;

    let address = stage::reachable(gateway.address());
    let target = match authority {
        None => Target::plain(address),
        Some(authority) => {
            Target::secure(address, &authority).map_err(|error| DemoError::Setup(io::Error::other(error)))?
        }
    };
    let shown = runtime.block_on(show(&args, &stage, &upstream, target, moved, &mut leave));
    // Stopped before the directory goes: its last act is to write there.
    let stopped = gateway.stop();
    shown?;
    Ok(stopped?)
}

async fn show(
    args: &DemoArgs,
    stage: &Stage,
    upstream: &SampleUpstream,
    gateway: Target,
    moved: bool,
    leave: &mut Leave,
) -> Result<(), DemoError> {
    let mut out = io::stdout();
    let mut lines = Lines::new(&mut out, lines::wants_colour());
    let (origin, authority) = (gateway.origin(), args.tls.then(|| stage.authority()));
    opening(&mut lines, stage, upstream, &origin, moved).map_err(DemoError::Output)?;
    let steps = Steps { gateway, lines: &mut lines };
    let mut walk = Walk { steps, upstream, password: &stage.password };
    tokio::select! {
        () = leave.asked() => return if args.exit { Err(DemoError::Interrupted) } else { Ok(()) },
        walked = walk.go() => walked?,
    }
    let steps = lines.steps();
    lines.say(&format!("\nAll {steps} steps went as promised.")).map_err(DemoError::Output)?;
    if !args.exit {
        lines.say(&invitation(&origin, &stage.password, authority.as_deref())).map_err(DemoError::Output)?;
        leave.asked().await;
        lines.say("\nThe demo ends and takes its directory with it.").map_err(DemoError::Output)?;
    }
    Ok(())
}

fn opening(
    lines: &mut Lines<'_>,
    stage: &Stage,
    upstream: &SampleUpstream,
    gateway: &str,
    moved: bool,
) -> io::Result<()> {
    lines.say("portcullis demo: the gateway in front of a sample SMS API, both in this process\n")?;
    if moved {
        lines.say("  Port 8080 is taken, so the gateway listens on a free one (--listen chooses).")?;
    }
    lines.say(&format!("  gateway    {gateway}"))?;
    lines.say(&format!(
        "  upstream   http://{}  (no token needed there: the gateway is its gate)",
        upstream.address()
    ))?;
    lines.say(&format!("  user       {}", stage::USER))?;
    lines.say(&format!("  password   {}  (made for this run)", stage.password.as_str()))?;
    lines.say(&format!("  data       {}  (removed at the end)\n", stage.directory().display()))
}

/// What to try while it runs: lines for a POSIX shell.
fn invitation(gateway: &str, password: &str, authority: Option<&Path>) -> String {
    let user = stage::USER;
    let trust = authority.map_or_else(String::new, |path| {
        format!("\n  # the authority that was made for this run\n  export CURL_CA_BUNDLE={}\n", path.display())
    });
    format!(
        r#"
It goes on running until Ctrl-C. In another terminal, try:
{trust}
  # sign in and keep both tokens
  api={gateway}{PREFIX}
  pair=$(curl -s -u '{user}:{password}' "$api/auth/token" -H 'Content-Type: application/json' \
    -d '{{"scopes": ["messages:send", "messages:read", "logs:read"]}}')
  access=$(printf '%s' "$pair" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  refresh=$(printf '%s' "$pair" | sed 's/.*"refresh_token":"\([^"]*\)".*/\1/')

  # send a message
  curl -i "$api/messages" -H "Authorization: Bearer $access" -H 'Content-Type: application/json' \
    -d '{{"phoneNumbers": ["+15550100"], "textMessage": {{"text": "Hello"}}}}'

  # what the upstream was told about you, request by request
  curl -s "$api/logs" -H "Authorization: Bearer $access"

  # refresh; the same line a second time is a theft and ends the session
  curl -i -X POST "$api/auth/token/refresh" -H "Authorization: Bearer $refresh"

  # your sessions
  curl -s -u '{user}:{password}' "$api/auth/sessions"
"#
    )
}

/// The wish to end: Ctrl-C, SIGTERM, or the terminal going away.
struct Leave {
    signals: [Signal; 3],
}

impl Leave {
    /// From here on these signals are remembered instead of ending the process.
    fn listen() -> io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// `bytes` random bytes as base64url text.
fn random_text(bytes: usize) -> Result<String, Unspecified> {
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random)?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}
