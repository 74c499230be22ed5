//! Plays cases, and holds the gate to what has to become of each.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::recorder::{CUT, Recorder};
use super::wire::{self, Heard};
use super::{Act, Case, Outcome, leaves};
use crate::support::{Answer, Gate, Start, until};

/// Follows every case on the same connection: a request that is nobody's secret.
pub const NEXT: &[u8] = b"GET /health?next HTTP/1.1\r\nHost: gate\r\n\r\n";

pub struct Stage {
    pub upstream: Recorder,
    pub gate: Gate,
    pub token: String,
}

impl Stage {
    #[track_caller]
    pub fn new() -> Self {
        let upstream = Recorder::start();
        let start =
            Start::before(upstream.address).set("limits.max_headers", "64").set("upstream.first_byte_timeout", "5s");
        let gate = start.start();
        let token = gate.alice(&["messages:list", "messages:send"]).field("access_token");
        Self { upstream, gate, token }
    }

    #[track_caller]
    fn sends(&self, bytes: &[u8], outcome: &Outcome) {
        let mut stream = TcpStream::connect(self.gate.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        stream.set_nodelay(true).unwrap();
        let whole = [&self.filled(bytes), NEXT].concat();
        // What is cut in the middle has to have left before that: else there may be nothing to cut.
        let first = if matches!(outcome, Outcome::Cut(_)) { end_of_head(&whole) } else { 0 };
        stream.write_all(&whole[..first]).unwrap();
        if first > 0 {
            until("the head at the upstream", || (self.upstream.length() > 0).then_some(()));
        }
        // The gate may have closed the connection over the first bytes.
        let _ = stream.write_all(&whole[first..]);
        let mut reader = BufReader::new(stream);
        let going_on = matches!(outcome, Outcome::Denied(_) | Outcome::Leaves(_));
        let most = if matches!(outcome, Outcome::Ignored) {
            1
        } else if going_on {
            2
        } else {
            usize::MAX
        };
        let answers: Vec<Answer> = std::iter::from_fn(|| Answer::read(&mut reader)).take(most).collect();
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        if most == usize::MAX {
            // In order or not: it may hold bytes that nobody has read.
            let end = reader.read(&mut [0]).map_err(|error| error.kind());
            assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "not closed after {statuses:?}: {end:?}");
        }
        if matches!(outcome, Outcome::Cut(_)) {
            until("the request to be cut", || self.upstream.ends_with(CUT).then_some(()));
        }
        let arrived = self.arrived();
        match outcome {
            Outcome::Refused(status) => assert_eq!((&*statuses, &*arrived), (&[*status][..], "")),
            Outcome::RefusedAs(allowed) => {
                assert!(statuses.len() == 1 && allowed.contains(&statuses[0]), "{statuses:?}");
                assert_eq!(arrived, "");
            }
            Outcome::Ignored => assert_eq!((&*statuses, arrived), (&[200][..], next_leaves())),
            Outcome::Denied(status) => assert_eq!((&*statuses, arrived), (&[*status, 200][..], next_leaves())),
            Outcome::Leaves(bytes) => {
                assert_eq!(arrived, self.expected(bytes) + &next_leaves());
                assert_eq!(statuses, [200, 200]);
            }
            Outcome::LeavesLast(bytes) => {
                assert_eq!(arrived, self.expected(bytes));
                assert!(matches!(&*statuses, [200] | [200, 400]), "{statuses:?}");
            }
            Outcome::Cut(begun) => {
                assert_eq!(statuses, [400]);
                assert_eq!(arrived, self.expected(begun) + CUT);
            }
            Outcome::Reset(_) | Outcome::Away(_) => panic!("of HTTP/2 only"),
        }
    }

    #[track_caller]
    fn frames(&self, frames: &[u8], outcome: &Outcome) {
        let at_once = !matches!(outcome, Outcome::Leaves(_));
        let heard = wire::converse(self.gate.address, frames, at_once);
        let arrived = self.arrived();
        let next = Heard::Status(wire::NEXT_STREAM, 200);
        match outcome {
            Outcome::Denied(status) => {
                assert_eq!((heard, arrived), (vec![Heard::Status(1, *status), next], next_leaves()));
            }
            Outcome::Leaves(bytes) => {
                assert_eq!(arrived, self.expected(bytes) + &next_leaves());
                assert_eq!(heard, [Heard::Status(1, 200), next]);
            }
            Outcome::Reset(reason) => {
                assert_eq!((heard, arrived), (vec![Heard::Reset(1, *reason), next], next_leaves()));
            }
            Outcome::Away(reason) => assert_eq!((heard, &*arrived), (vec![Heard::Away(*reason)], "")),
            _ => panic!("of HTTP/1 only"),
        }
    }

    /// What has reached the upstream, but for what is random in it.
    fn arrived(&self) -> String {
        let text: String = self.upstream.take().iter().map(|byte| char::from(*byte)).collect();
        let random = ["x-request-id: ", "x-auth-session: ", "x-auth-token-id: "];
        let masked = |line: &str| random.iter().find(|name| line.starts_with(**name)).map(|name| format!("{name}?"));
        let lines: Vec<_> = text.split("\r\n").map(|line| masked(line).unwrap_or_else(|| line.to_owned())).collect();
        lines.join("\r\n")
    }

    fn filled(&self, bytes: &[u8]) -> Vec<u8> {
        match bytes.windows(TOKEN.len()).position(|window| window == TOKEN) {
            Some(at) => [&bytes[..at], self.token.as_bytes(), &bytes[at + TOKEN.len()..]].concat(),
            None => bytes.to_vec(),
        }
    }

    fn expected(&self, bytes: &[u8]) -> String {
        bytes.iter().map(|byte| char::from(*byte)).collect()
    }
}

/// Stands for an access token.
pub const TOKEN: &[u8] = b"{token}";

fn end_of_head(request: &[u8]) -> usize {
    request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4
}

fn next_leaves() -> String {
    String::from_utf8(leaves("GET", "/health?next", "", "", "")).unwrap()
}

/// Plays cases, one after the other, and tells of all that came out wrong.
#[track_caller]
pub fn play(cases: Vec<Case>) {
    let stage = cases.iter().any(|case| !matches!(case.act, Act::Plays(_))).then(Stage::new);
    let mut wrong = Vec::new();
    // One of them alone: `HOSTILE_CASE="a flood of pings"`.
    let only = std::env::var("HOSTILE_CASE").ok();
    for case in cases.into_iter().filter(|case| only.as_ref().is_none_or(|only| only == case.name)) {
        let played = catch_unwind(AssertUnwindSafe(|| match (&case.act, &stage) {
            (Act::Sends(bytes, outcome), Some(stage)) => stage.sends(bytes, outcome),
            (Act::Frames(frames, outcome), Some(stage)) => stage.frames(frames, outcome),
            (Act::Plays(play), _) => play(),
            (Act::Sends(..) | Act::Frames(..), None) => unreachable!("there is a stage if a case wants one"),
        }));
        if played.is_err() {
            eprintln!("^^^^ {}", case.name);
            wrong.push(case.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
