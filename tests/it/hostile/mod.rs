//! What attackers send, by name: each case says which document or incident it comes from, what goes over the wire, and what
//! has to become of it. What is refused reaches no upstream and hides nothing behind it; what is not refused leaves as
//! exactly these bytes. docs/framing.md tells operators the same in words.

mod crowd;
mod floods;
mod framing;
mod headers;
mod hosts;
mod http2;
mod paths;
mod recorder;
mod sizes;
mod stage;
mod streams;
mod tools;
mod wire;

use std::collections::HashSet;

use h2::Reason;

/// One thing that an attacker does.
struct Case {
    name: &'static str,
    /// A section of an RFC, an advisory or an incident.
    source: &'static str,
    act: Act,
}

enum Act {
    /// These bytes, on a connection of their own.
    Sends(Vec<u8>, Outcome),
    /// These frames, behind the preface and empty settings.
    Frames(Vec<u8>, Outcome),
    /// Whatever it takes.
    Plays(fn()),
}

/// What has to become of a request, and of the harmless one that follows it on the same connection.
enum Outcome {
    /// This status, and the connection is closed: what follows is not looked at.
    Refused(u16),
    /// One of these, as above: which one depends on what of it has arrived when the gate stops reading.
    RefusedAs(&'static [u16]),
    /// It is forwarded until it turns out to be no request, and then broken off: this much of it leaves, and no end of it.
    Cut(Vec<u8>),
    /// Nothing becomes of it; the next request is answered as itself.
    Ignored,
    /// This status; the next request is answered as itself.
    Denied(u16),
    /// Exactly these bytes leave for the upstream, but for the request's id; the next request is answered as itself.
    Leaves(Vec<u8>),
    /// The same, and the connection is closed behind the answer, or behind a 400 for what follows.
    LeavesLast(Vec<u8>),
    /// The stream is reset for this reason; the next one is answered as itself.
    Reset(Reason),
    /// The connection is closed for this reason.
    Away(Reason),
}

fn sends(name: &'static str, source: &'static str, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Case {
    Case { name, source, act: Act::Sends(bytes.into(), outcome) }
}

fn plays(name: &'static str, source: &'static str, play: fn()) -> Case {
    Case { name, source, act: Act::Plays(play) }
}

/// A request as it leaves for the upstream: of these fields, and with this at the end of its head.
fn leaves(method: &str, target: &str, fields: &str, framing: &str, body: &str) -> Vec<u8> {
    leaves_for("gate", method, target, fields, framing, body)
}

fn leaves_for(host: &str, method: &str, target: &str, fields: &str, framing: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\n{fields}x-forwarded-host: {host}\r\nx-forwarded-for: 127.0.0.1\r\n\
         x-forwarded-proto: http\r\nx-request-id: ?\r\n{framing}\r\n{body}"
    )
    .into_bytes()
}

/// Every case of the suite.
fn suite() -> Vec<Case> {
    [
        paths::cases(),
        framing::cases(),
        hosts::cases(),
        sizes::cases(),
        headers::cases(),
        http2::cases(),
        floods::cases(),
        streams::cases(),
        crowd::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn the_suite_is_large_and_every_case_says_where_it_comes_from() {
    let suite = suite();
    let names: HashSet<_> = suite.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), suite.len(), "two cases of one name");
    for Case { name, source, .. } in &suite {
        let known =
            ["RFC ", "CVE-", "VU#", "RUSTSEC-", "CWE-", "HTTP Garden", "PortSwigger", "slowhttptest", "Go ", "nginx "];
        assert!(known.iter().any(|known| source.contains(known)), "{name}: {source}");
    }
    println!("hostile cases: {}", suite.len());
    assert!(suite.len() >= 150, "{} cases", suite.len());
}
