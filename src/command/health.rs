//! `portcullis health`: asks a gate on this machine how it is, for probes where there is neither shell nor curl.
//!
//! Guarantees: it ends within its time, whatever answers; with `--address` it reads no configuration, so that a file that
//! was exchanged under a running gate does not make that gate look ill.
//! Does not know: what is looked at. It hands on the listener's own lines.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use crate::observe::chain;

use super::operator::{Answer, At, LineError, exchange};
use super::{CONFIGURATION, Whereabouts};

#[derive(clap::Args)]
pub(super) struct HealthArgs {
    /// Where the gate's operator's listener is; then no configuration is read, whatever names one [default: admin.listen]
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Option<SocketAddr>,
    /// Ask only whether the process runs (/livez), not whether it can do its work (/readyz)
    #[arg(long)]
    live: bool,
    /// A check that may fail, such as journal; can be given several times
    #[arg(long, value_name = "CHECK", value_parser = check_name, conflicts_with = "live")]
    exclude: Vec<String>,
    /// How long the whole may take
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
    #[command(flatten)]
    settings: Whereabouts,
}

/// Prints what the gate says. Success if that is "well".
pub(super) fn run(args: HealthArgs) -> ExitCode {
    let at = match args.address {
        Some(address) => At::Network(address),
        None => match args.settings.configured().map(|config| config.admin) {
            Ok(admin) => match (admin.listen, admin.socket) {
                (Some(listen), _) => At::Network(listen),
                (None, Some(socket)) => At::Socket(socket),
                (None, None) => {
                    eprintln!("portcullis: admin.listen is empty, so there is nobody to ask");
                    return ExitCode::from(CONFIGURATION);
                }
            },
            Err(code) => return code,
        },
    };
    let what = format!("GET {}", target(args.live, &args.exclude));
    let answer =
        exchange(&at, &what, "", "", Duration::from_secs(args.timeout)).and_then(|answer| match answer.status {
            200 | 503 => Ok(answer),
            _ => Err(LineError::Foreign(at)),
        });
    match answer {
        Ok(Answer { status, body }) => {
            // Whoever asked may have gone.
            let _ = io::stdout().write_all(&body);
            if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("portcullis: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// A check's name stands in a target as it is.
fn check_name(text: &str) -> Result<String, &'static str> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if plain { Ok(text.to_owned()) } else { Err("must be the name of a check, such as journal") }
}

fn target(live: bool, excluded: &[String]) -> String {
    if live {
        return "/livez".into();
    }
    excluded.iter().fold("/readyz?verbose".into(), |target, name| target + "&exclude=" + name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_left_out_by_name() {
        assert_eq!(target(true, &[]), "/livez");
        assert_eq!(target(false, &[]), "/readyz?verbose");
        assert_eq!(target(false, &["journal".into(), "x".into()]), "/readyz?verbose&exclude=journal&exclude=x");
        for wrong in ["", "a b", "a\r\nb", "a&b", "a?"] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
