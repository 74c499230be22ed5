//! The verbs of the binary.
//!
//! Guarantees: `--help` is the manual; exit codes are 0 (well), 1 (failed while running), 2 (wrong usage), 78 (wrong
//! configuration); a mistake is told in lines a person can act on, on standard error.
//! Does not know: how anything works.

mod audit_paths;
pub mod demo;
mod dev_cert;
mod explain;
mod hash_password;
mod health;
mod keygen;
mod keys;
mod operator;
mod papers;
mod serve;
mod stop;
mod store;
mod supervisor;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, LoadOptions, Mistake};
use crate::observe::chain;

const CONFIGURATION: u8 = 78;
const EXIT_CODES: &str = "Exit codes: 0 well, 1 failed while running, 2 wrong usage, 78 wrong configuration.";
const SIGNALS: &str = "Signals: TERM and INT drain and end, a second one ends at once. HUP reloads.";
const HEALTH: &str = "\
Examples:
  portcullis health --address 127.0.0.1:9090 --exclude journal    a readiness probe
  portcullis health --address 127.0.0.1:9090 --live               a liveness probe";
const GUIDE: &str = "\
Settings are read from defaults, then the file, then the environment, then these flags; the last one wins.
  PORTCULLIS_SERVER__LISTEN=0.0.0.0:8080 portcullis        a variable for every key: PORTCULLIS_SECTION__KEY
  portcullis --set token.access_ttl=5m                     any key as a flag
  portcullis check --upstream http://127.0.0.1:3000        say all that is wrong, start nothing
  portcullis audit-paths                                   ask the upstream how it reads odd paths, and compare

First steps:
  portcullis demo                                          see it work, nothing else needed
  portcullis hash-password                                 make the password_hash of a user for users.toml
  portcullis dev-cert                                      make a certificate to try TLS out

While it runs:
  portcullis health                                        is it ready? For probes in containers without a shell
  portcullis status                                        all of it at a glance: store, keys, certificates, upstream
  portcullis sessions --user anna                          where is she signed in?
  portcullis revoke --user anna                            sign her out everywhere, at once
  portcullis explain --path /a/path --token-file token     would it pass, and why not?
  portcullis keys rotate                                   sign with a new key; tokens of the old one stay valid

When something is wrong with the files:
  portcullis store verify                                  say what is wrong, and whether a start would succeed";

/// A gate in front of an HTTP API: validates the access JWT of every request, and issues, rotates and revokes those
/// tokens itself
#[derive(Parser)]
#[command(
    name = "portcullis",
    version,
    arg_required_else_help = false,
    args_conflicts_with_subcommands = true,
    after_help = format!("{GUIDE}\n\n{EXIT_CODES}\n{SIGNALS}")
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// Where settings come from.
#[derive(Args)]
#[command(next_help_heading = "Settings")]
struct Settings {
    /// Configuration file; without this ./config.toml is read if it is there
    #[arg(long, short, value_name = "FILE", env = "PORTCULLIS_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port to listen on (server.listen)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The API behind the gate (upstream.url)
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Where keys and sessions are kept (data_dir)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Any other setting, as in --set token.access_ttl=5m; can be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
}

/// Where settings come from, for commands that look at the data directory.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Settings")]
struct Whereabouts {
    /// Configuration file; without this ./config.toml is read if it is there
    #[arg(long, short, value_name = "FILE", env = "PORTCULLIS_CONFIG")]
    config: Option<PathBuf>,
    /// Where keys and sessions are kept (data_dir)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Any other setting; can be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
}

impl Whereabouts {
    /// As [`configured`].
    fn configured(&self) -> Result<Config, ExitCode> {
        let Self { config, data_dir, set } = self.clone();
        configured(&Settings { config, data_dir, set, listen: None, upstream: None })
    }
}

#[derive(Subcommand)]
enum Verb {
    /// Run the gate (what happens without a command)
    #[command(after_help = format!("{EXIT_CODES}\n{SIGNALS}"))]
    Serve(Settings),
    /// Say all that is wrong with the configuration, keys and users file, and start nothing
    #[command(after_help = EXIT_CODES)]
    Check(Settings),
    /// Ask the upstream how it reads odd spellings of the routes' paths, and whether the gate demands as much for them
    #[command(after_help = format!("{}\n\n{EXIT_CODES} {}", audit_paths::MANUAL, audit_paths::FURTHER_CODES))]
    AuditPaths(audit_paths::AuditArgs),
    /// Print the configuration in effect and where each value comes from; secrets are hidden
    #[command(after_help = EXIT_CODES)]
    Config(Settings),
    /// Show the whole story with a sample SMS API, in one process
    #[command(after_help = EXIT_CODES)]
    Demo(demo::DemoArgs),
    /// Make an authority and a certificate for trying TLS out
    #[command(after_help = EXIT_CODES)]
    DevCert(dev_cert::DevCertArgs),
    /// Tell what the gate makes of a token or a request: which rule, which clause, and the reason that answer and log have
    #[command(after_help = format!("{}\n\n{EXIT_CODES} {}", explain::MANUAL, explain::FURTHER_CODES))]
    Explain(explain::ExplainArgs),
    /// Print what a shell needs to complete these commands
    #[command(after_help = EXIT_CODES)]
    Completions(papers::CompletionsArgs),
    /// Make the password_hash of a user: reads the password from the terminal or standard input
    #[command(after_help = EXIT_CODES)]
    HashPassword,
    /// Make a secret or private key
    #[command(after_help = EXIT_CODES)]
    Keygen(keygen::KeygenArgs),
    /// Ask a running gate whether it is ready
    #[command(after_help = format!("{HEALTH}\n\n{EXIT_CODES}"))]
    Health(health::HealthArgs),
    /// List, add, rotate and retire the keys that sign tokens, also beside a running gate
    #[command(subcommand)]
    Keys(keys::KeysVerb),
    /// Write the manual pages, for packages
    #[command(hide = true)]
    Man(papers::ManArgs),
    /// End sessions of a running gate: of a user, one of them, or all
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", operator::REVOKE))]
    Revoke(operator::RevokeArgs),
    /// Ask a running gate who is signed in
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", operator::SESSIONS))]
    Sessions(operator::SessionsArgs),
    /// Ask a running gate how it is: ready or why not, store, keys, certificates, upstream
    #[command(after_help = format!("{} {EXIT_CODES}", operator::STATUS))]
    Status(operator::StatusArgs),
    /// Tell the gate of this container to end (a hook for Kubernetes)
    #[command(after_help = EXIT_CODES)]
    Stop(stop::StopArgs),
    /// Look at the files of the store, also beside a running gate; save what damaged ones still tell; restore a backup
    #[command(subcommand)]
    Store(store::StoreVerb),
}

fn key_value(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Parses the arguments, does what they say, and tells how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.verb {
        None => serve(&cli.settings),
        Some(Verb::Serve(settings)) => serve(&settings),
        Some(Verb::Check(settings)) => with_config(&settings, serve::check),
        Some(Verb::AuditPaths(args)) => audit_paths::run(args),
        Some(Verb::Config(settings)) => with_config(&settings, |config| {
            print!("{}", config.effective());
            ExitCode::SUCCESS
        }),
        Some(Verb::Demo(args)) => outcome(demo::run(args)),
        Some(Verb::Completions(args)) => outcome(papers::completions(&args)),
        Some(Verb::Man(args)) => outcome(papers::man(&args)),
        Some(Verb::DevCert(args)) => outcome(dev_cert::run(args)),
        Some(Verb::Explain(args)) => explain::run(&args),
        Some(Verb::HashPassword) => outcome(hash_password::run()),
        Some(Verb::Keygen(args)) => outcome(keygen::run(args)),
        Some(Verb::Health(args)) => health::run(args),
        Some(Verb::Keys(verb)) => keys::run(verb),
        Some(Verb::Revoke(args)) => operator::revoke(&args),
        Some(Verb::Sessions(args)) => operator::sessions(&args),
        Some(Verb::Status(args)) => operator::status(&args),
        Some(Verb::Stop(args)) => stop::run(&args),
        Some(Verb::Store(verb)) => store::run(verb),
    }
}

/// What was read is read anew while the gate runs.
fn serve(settings: &Settings) -> ExitCode {
    with_config(settings, |config| serve::run(config, sources(settings)))
}

fn with_config(settings: &Settings, verb: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    configured(settings).map_or_else(|code| code, verb)
}

/// The configuration in effect; the exit code if it is wrong, which then has been told.
fn configured(settings: &Settings) -> Result<Config, ExitCode> {
    config::load(sources(settings)).map_err(|mistakes| {
        tell(&mistakes);
        ExitCode::from(CONFIGURATION)
    })
}

fn sources(settings: &Settings) -> LoadOptions {
    let shortcuts =
        [("server.listen", &settings.listen), ("upstream.url", &settings.upstream), ("data_dir", &settings.data_dir)];
    let shortcuts = shortcuts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
    LoadOptions {
        file: settings.config.clone(),
        environment: config::process_environment(),
        flags: shortcuts.chain(settings.set.iter().cloned()).collect(),
    }
}

fn tell(mistakes: &[Mistake]) {
    for mistake in mistakes {
        eprintln!("{mistake}");
    }
    let number = mistakes.len();
    eprintln!("portcullis: {number} {} in the configuration", if number == 1 { "mistake" } else { "mistakes" });
}

fn outcome<E: Error>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}
