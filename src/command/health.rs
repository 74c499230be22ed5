//! `portcullis health`: asks a gate on this machine how it is, for probes where there is neither shell nor curl.
//!
//! Guarantees: it ends within its time, whatever answers; with `--address` it reads no configuration, so that a file that
//! was exchanged under a running gate does not make that gate look ill.
//! Does not know: what is looked at. It hands on the listener's own lines.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::observe::chain;

use super::{CONFIGURATION, Whereabouts};

/// Far more than a gate says.
const MOST_BYTES: u64 = 64 * 1024;

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

/// Why nothing is known about a gate.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    #[error("{0} does not answer")]
    Unreachable(SocketAddr, #[source] io::Error),
    #[error("{0} does not answer in time")]
    Late(SocketAddr),
    #[error("what answers at {0} is no portcullis")]
    Foreign(SocketAddr),
}

/// Prints what the gate says. Success if that is "well".
pub(super) fn run(args: HealthArgs) -> ExitCode {
    let at = match args.address {
        Some(address) => address,
        None => match args.settings.configured().map(|config| config.admin.listen) {
            Ok(Some(listen)) => listen,
            Ok(None) => {
                eprintln!("portcullis: admin.listen is empty, so there is nobody to ask");
                return ExitCode::from(CONFIGURATION);
            }
            Err(code) => return code,
        },
    };
    match ask(nearest(at), &target(args.live, &args.exclude), Duration::from_secs(args.timeout)) {
        Ok(Answer { well, text }) => {
            // Whoever asked may have gone.
            let _ = io::stdout().write_all(&text);
            if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

/// Who listens on every address is asked by way of this machine's own.
fn nearest(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

struct Answer {
    well: bool,
    text: Vec<u8>,
}

fn ask(at: SocketAddr, target: &str, within: Duration) -> Result<Answer, HealthError> {
    let by = Instant::now() + within;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    let bytes = exchange(at, request.as_bytes(), by).map_err(|error| match error.kind() {
        // A socket's timeout shows as either.
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => HealthError::Late(at),
        _ => HealthError::Unreachable(at, error),
    })?;
    read(&bytes).ok_or(HealthError::Foreign(at))
}

/// All that the other end says until it closes.
fn exchange(at: SocketAddr, request: &[u8], by: Instant) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&at, left(by)?)?;
    stream.set_write_timeout(Some(left(by)?))?;
    stream.write_all(request)?;
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    while bytes.len() as u64 <= MOST_BYTES {
        // Anew for each piece: who sends a byte now and then does not prolong it.
        stream.set_read_timeout(Some(left(by)?))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// A timeout of zero would mean none.
fn left(by: Instant) -> io::Result<Duration> {
    by.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or(io::ErrorKind::TimedOut.into())
}

/// `None`: no answer of the operator's listener.
fn read(bytes: &[u8]) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).ok()? else { return None };
    let well = match head.code? {
        200 => true,
        503 => false,
        _ => return None,
    };
    Some(Answer { well, text: bytes.get(length..)?.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: Option<(bool, &str)>) {
        let found = read(answer.as_bytes()).map(|answer| (answer.well, String::from_utf8(answer.text).unwrap()));
        assert_eq!(found, expected.map(|(well, text)| (well, text.to_owned())), "{answer:?}");
    }

    #[test]
    fn only_what_the_operators_listener_says_counts() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n", Some((true, "ok\n")));
        check("HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready\n", Some((false, "not ready\n")));
        for foreign in
            ["HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 200 OK\r\n", "", "SSH-2.0-x\r\n", "HTTP/1.1 301 \r\n\r\n"]
        {
            check(foreign, None);
        }
    }

    #[test]
    fn an_address_that_means_all_of_them_is_asked_at_home() {
        for (listen, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("10.1.2.3:9090", "10.1.2.3:9090"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(nearest(listen.parse().unwrap()).to_string(), asked);
        }
    }

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
