//! Requests that are too much of something.

use super::Outcome::{Denied, Refused, RefusedAs};
use super::stage::play;
use super::{Case, sends};

pub fn cases() -> Vec<Case> {
    const URI: &str = "RFC 9110 section 15.5.15; CWE-770";
    const HEADER: &str = "RFC 6585 section 5; CWE-770";
    let get = |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nHost: gate\r\n{fields}\r\n");
    let path = |length: usize| format!("/mobile/v1/{}", "x".repeat(length));
    vec![
        sends("a long target", URI, get(&path(9000), ""), Denied(414)),
        sends("a long query", URI, get(&format!("/health?{}", "x".repeat(9000)), ""), Denied(414)),
        // What is read at all is bounded by the buffer for heads, and which limit is met first depends on what has come.
        sends("a target beyond what is read", URI, get(&path(200_000), ""), RefusedAs(&[414, 431])),
        sends("a megabyte of a target", URI, get(&path(1 << 20), ""), RefusedAs(&[414, 431])),
        sends("many fields", HEADER, get("/health", &many(70)), Denied(431)),
        sends("many fields of one name", HEADER, get("/health", &"X: 1\r\n".repeat(70)), Denied(431)),
        sends(
            "thousands of fields",
            "CVE-2011-3414 (hash collisions); CWE-770",
            get("/health", &many(5000)),
            Refused(431),
        ),
        sends("a field too large", HEADER, get("/health", &format!("X: {}\r\n", "x".repeat(33 << 10))), Denied(431)),
        sends(
            "a megabyte of a field",
            HEADER,
            get("/health", &format!("X: {}\r\n", "x".repeat(1 << 20))),
            Refused(431),
        ),
        sends("a name without end", HEADER, get("/health", &format!("{}: 1\r\n", "X".repeat(1 << 20))), Refused(431)),
        sends("a method without end", "RFC 9112 section 3; CWE-770", "X".repeat(1 << 20), RefusedAs(&[400, 431])),
        sends(
            "spaces without end",
            "CWE-770; slowhttptest",
            get("/health", &format!("X:{}1\r\n", " ".repeat(1 << 20))),
            Refused(431),
        ),
        sends(
            "a range of ranges",
            "CVE-2011-3192: nothing here adds ranges up",
            get("/3rdparty/v1/messages", &format!("Range: bytes=0-{}\r\n", ",5-0".repeat(1300))),
            Denied(401),
        ),
        sends(
            "a token without end",
            "CWE-770; RFC 8725 section 3",
            get("/3rdparty/v1/messages", &format!("Authorization: Bearer {}\r\n", "e".repeat(30 << 10))),
            Denied(401),
        ),
        sends(
            "a password without end",
            "CVE-2016-6515 (long passwords); CWE-400",
            get("/3rdparty/v1/messages", &format!("Authorization: Basic {}\r\n", "YTph".repeat(7 << 10))),
            Denied(401),
        ),
    ]
}

fn many(number: usize) -> String {
    (0..number).map(|n| format!("X-{n}: 1\r\n")).collect()
}

#[test]
fn what_is_too_much_is_refused_before_it_costs_anything() {
    play(cases());
}
