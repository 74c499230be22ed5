//! The host a request is for: exactly one.

use super::Outcome::{Leaves, LeavesLast, Refused};
use super::stage::play;
use super::{Case, leaves, leaves_for, plays, sends};
use crate::support::{Start, Upstream, exchange};

const ONE: &str = "RFC 9112 section 3.2: exactly one Host";
const FORM: &str = "RFC 9110 section 7.2; RFC 3986 section 3.2.2: host and port";
const USER: &str = "RFC 9110 section 4.2.4: userinfo is deprecated and an error";
const ABSOLUTE: &str = "RFC 9112 section 3.2.2: the target's authority wins";

/// Name, source, target, fields.
const REFUSED: [(&str, &str, &str, &str); 24] = [
    ("no host", ONE, "/health", ""),
    (
        "two hosts",
        "RFC 9112 section 3.2; PortSwigger, HTTP Host header attacks",
        "/health",
        "Host: gate\r\nHost: evil\r\n",
    ),
    ("one host twice", ONE, "/health", "Host: gate\r\nhost: gate\r\n"),
    ("an empty host", FORM, "/health", "Host:\r\n"),
    ("a blank host", FORM, "/health", "Host:   \r\n"),
    ("an empty host beside another", ONE, "/health", "Host: gate\r\nHost:\r\n"),
    ("a user in the host", USER, "/health", "Host: user@gate\r\n"),
    ("a user and a password in the host", USER, "/health", "Host: user:pass@gate\r\n"),
    ("a list of hosts", FORM, "/health", "Host: gate, evil\r\n"),
    ("a space in the host", FORM, "/health", "Host: gate evil\r\n"),
    (
        "a path in the host",
        "PortSwigger, HTTP Host header attacks; RFC 9110 section 7.2",
        "/health",
        "Host: gate/x\r\n",
    ),
    ("a query in the host", FORM, "/health", "Host: gate?x\r\n"),
    ("a fragment in the host", FORM, "/health", "Host: gate#x\r\n"),
    ("a backslash in the host", FORM, "/health", "Host: gate\\evil\r\n"),
    ("a scheme in the host", FORM, "/health", "Host: http://gate\r\n"),
    ("a quote in the host", "CWE-644; RFC 9110 section 7.2", "/health", "Host: \"gate\"\r\n"),
    ("a tag in the host", "CWE-644: Host header injection", "/health", "Host: <script>\r\n"),
    ("other alphabets in the host", "RFC 3986 section 3.2.2; RFC 5891 section 4", "/health", "Host: b\u{fc}cher\r\n"),
    ("a user in an absolute target", USER, "http://user@gate/health", "Host: gate\r\n"),
    ("a user and a password in an absolute target", USER, "http://user:pass@gate/health", "Host: gate\r\n"),
    ("a list in an absolute target", FORM, "http://gate,evil/health", "Host: gate\r\n"),
    ("two hosts beside an absolute target", ONE, "http://gate/health", "Host: gate\r\nHost: evil\r\n"),
    (
        "two hosts, one folded",
        "RFC 9112 section 5.2; PortSwigger, HTTP Host header attacks",
        "/health",
        "Host: gate\r\n Host: evil\r\n",
    ),
    (
        "a host behind a space",
        "PortSwigger, HTTP Host header attacks; RFC 9112 section 2.2",
        "/health",
        " Host: evil\r\nHost: gate\r\n",
    ),
];

/// Name, source, version, target, fields, host that the upstream reads.
const READ: [(&str, &str, &str, &str, &str, &str); 9] = [
    ("a host and its port", FORM, "1.1", "/health", "Host: gate:8080\r\n", "gate:8080"),
    ("an address for a host", FORM, "1.1", "/health", "Host: [2001:db8::1]:80\r\n", "[2001:db8::1]:80"),
    ("a host with an underscore", FORM, "1.1", "/health", "Host: sms_gate\r\n", "sms_gate"),
    ("an absolute target for another host", ABSOLUTE, "1.1", "http://gate/health", "Host: evil\r\n", "gate"),
    ("an absolute target for another port", ABSOLUTE, "1.1", "http://gate:81/health", "Host: gate\r\n", "gate:81"),
    (
        "an absolute target of another scheme",
        "RFC 9110 section 7.4; RFC 9112 section 3.2.2",
        "1.1",
        "https://gate/health",
        "Host: gate\r\n",
        "gate",
    ),
    ("a host of HTTP/1.0", "RFC 9112 section 3.2", "1.0", "/health", "Host: gate\r\n", "gate"),
    ("no host in HTTP/1.0", "RFC 9112 section 3.2: what leaves is HTTP/1.1 and has one", "1.0", "/health", "", ""),
    ("a host nominated away", "RFC 9110 section 7.6.1", "1.1", "/health", "Connection: host\r\nHost: gate\r\n", "gate"),
];

pub fn cases() -> Vec<Case> {
    let refused = REFUSED.map(|(name, source, target, fields)| {
        let request = format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
        sends(name, source, request.chars().map(|c| c as u8).collect::<Vec<_>>(), Refused(400))
    });
    let read = READ.map(|(name, source, version, target, fields, host)| {
        let leaving = leaves_for(host, "GET", "/health", "", "", "");
        let outcome = if version == "1.0" { LeavesLast(leaving) } else { Leaves(leaving) };
        sends(name, source, format!("GET {target} HTTP/{version}\r\n{fields}\r\n"), outcome)
    });
    let told = sends(
        "another host by other fields",
        "PortSwigger, HTTP Host header attacks: X-Forwarded-Host; RFC 7239 section 8.1",
        "GET /health HTTP/1.1\r\nHost: gate\r\nX-Forwarded-Host: evil\r\nX_Forwarded_Host: evil\r\nForwarded: host=evil\r\nX-Forwarded-Server: evil\r\n\r\n",
        Leaves(leaves("GET", "/health", "", "", "")),
    );
    let unsaid = plays("a password in a target is not logged", "CWE-532; RFC 9110 section 17.16", unsaid);
    refused.into_iter().chain(read).chain([told, unsaid]).collect()
}

#[track_caller]
fn unsaid() {
    let gate = Start::before(Upstream::start().address).start();
    for (target, host) in [("http://user:secret@gate/health", "gate"), ("/health", "user:secret@gate")] {
        exchange(gate.address, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).expect_refusal(400);
    }
    assert!(gate.whole_log().iter().all(|line| !line.contains("secret")));
}

#[test]
fn a_request_is_for_one_host() {
    play(cases());
}
