//! Paths that one reader takes for another path than the next one.

use super::Outcome::{Denied, Leaves, Refused};
use super::stage::{TOKEN, play};
use super::{Case, leaves, sends};

pub fn cases() -> Vec<Case> {
    let token = std::str::from_utf8(TOKEN).unwrap();
    // With a token that opens what these paths may be taken for: it does not matter whose request it is.
    let request = |target: &str| {
        let text = format!("GET {target} HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {token}\r\n\r\n");
        text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<_>>()
    };
    let mut cases: Vec<_> = AMBIGUOUS
        .iter()
        .map(|&(name, source, rest)| sends(name, source, request(&format!("/mobile/v1{rest}")), Denied(400)))
        .collect();
    cases.extend([
        sends(
            "a byte beyond ASCII",
            "RFC 3986 section 2; RFC 3987 section 3.1",
            request("/mobile/v1/caf\u{e9}"),
            Refused(400),
        ),
        sends(
            "an absolute target with an ambiguous path",
            "RFC 9112 section 3.2.2",
            request("http://gate/mobile/v1/../x"),
            Denied(400),
        ),
        sends(
            "the server as a whole",
            "RFC 9112 section 3.2.4: asterisk-form",
            b"OPTIONS * HTTP/1.1\r\nHost: gate\r\n\r\n".to_vec(),
            Denied(400),
        ),
        sends(
            "a tunnel",
            "RFC 9110 section 9.3.6; CWE-441",
            b"CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: 10.0.0.1:22\r\n\r\n".to_vec(),
            Denied(501),
        ),
        sends(
            "an echo of credentials",
            "RFC 9110 section 9.3.8: cross-site tracing",
            b"TRACE /health HTTP/1.1\r\nHost: gate\r\n\r\n".to_vec(),
            Denied(501),
        ),
    ]);
    cases.extend(JUDGED.map(|(name, source, target)| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: gate\r\n\r\n");
        sends(name, source, request, Denied(401))
    }));
    cases.extend(CANONICAL.map(|(name, source, target, leaving)| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: gate\r\n\r\n");
        sends(name, source, request, Leaves(leaves("GET", leaving, "", "", "")))
    }));
    cases
}

/// Refused on a route that is nobody's to judge, so that no token, scope or rule can open it.
const AMBIGUOUS: [(&str, &str, &str); 40] = [
    ("an encoded slash", "CVE-2021-29492 (Envoy)", "/messages%2f1"),
    ("an encoded slash in capitals", "RFC 3986 section 2.2", "/messages%2F1"),
    ("an encoded backslash", "CVE-2021-29492 (Envoy)", "/messages%5c1"),
    ("a backslash", "RFC 3986 section 2; CWE-41", "/messages\\1"),
    ("an encoded dot", "RFC 3986 section 6.2.2.3", "/messages/%2e"),
    ("encoded dots", "CVE-2021-41773 (Apache)", "/messages/%2e%2e/logs"),
    ("a dot", "RFC 3986 section 5.2.4", "/messages/."),
    ("a dot within", "RFC 3986 section 5.2.4", "/messages/./1"),
    ("two dots within", "CVE-2019-9901 (Envoy); CWE-22", "/messages/../logs"),
    ("two dots at the end", "RFC 3986 section 5.2.4; CWE-22", "/messages/.."),
    ("dots, the first encoded", "CVE-2021-41773 (Apache)", "/messages/%2e./logs"),
    ("dots, the second encoded", "CVE-2021-41773 (Apache)", "/messages/.%2E/logs"),
    ("two slashes", "RFC 3986 section 3.3; CWE-41", "//messages"),
    ("two slashes within", "RFC 3986 section 3.3", "/messages//1"),
    ("two slashes at the end", "RFC 3986 section 3.3", "/messages//"),
    ("an encoded slash at the end", "RFC 3986 section 2.2", "/messages/%2f"),
    ("a slash encoded twice", "CVE-2021-42013 (Apache); CWE-174", "/messages%252f1"),
    ("dots encoded twice", "CVE-2021-42013 (Apache); CVE-2025-0108 (PAN-OS)", "/messages/%252e%252e/logs"),
    ("a slash encoded three times", "CWE-174", "/messages%25252f"),
    ("an encoded null", "CWE-158", "/messages%00"),
    ("an encoded line feed", "CWE-93", "/messages%0a"),
    ("an encoded field", "CWE-113: response splitting", "/messages%0d%0aX-Evil:1"),
    ("an encoded delete", "RFC 3986 section 2.1", "/messages%7f"),
    ("an encoded escape", "CWE-150", "/messages%1b"),
    ("a byte that is no UTF-8", "RFC 3629 section 10", "/messages%ff"),
    ("half a character", "RFC 3629 section 10", "/messages%c3"),
    ("an overlong dot", "CVE-2008-2938 (Tomcat); RFC 3629 section 10", "/messages%c0%ae"),
    ("an overlong slash", "CVE-2000-0884 (IIS); RFC 3629 section 10", "/messages%c0%af1"),
    ("half a surrogate", "RFC 3629 section 3", "/messages%ed%a0%80"),
    ("a percent sign alone", "RFC 3986 section 2.1", "/messages%"),
    ("half an escape", "RFC 3986 section 2.1", "/messages%6"),
    ("an escape without digits", "RFC 3986 section 2.1", "/messages%zz"),
    ("an escape of IIS", "CWE-172: %u of IIS", "/messages%u006d"),
    ("parameters", "CVE-2020-5902 (BIG-IP); RFC 3986 section 3.3", "/messages;x=1"),
    ("an empty parameter", "CVE-2020-5902 (BIG-IP)", "/messages;/1"),
    ("an encoded parameter", "RFC 3986 section 3.3", "/messages/1%3bx"),
    ("dots with a parameter", "CVE-2020-5902 (BIG-IP)", "/..;/messages"),
    ("dots and an encoded slash", "CWE-22", "/messages/..%2flogs"),
    ("dots and an encoded backslash", "CWE-22", "/messages/..%5clogs"),
    ("two slashes before everything", "RFC 3986 section 3.3; CWE-41", "/..//x"),
];

/// Variants of a path with a rule: judged by it, so that they do not dodge it.
const JUDGED: [(&str, &str, &str); 7] = [
    ("another case", "RFC 3986 section 6.2.2.1; CWE-178", "/3rdparty/v1/MESSAGES"),
    ("another case of the prefix", "CWE-178", "/3RDPARTY/V1/messages"),
    ("a slash at the end", "RFC 3986 section 6.2.2; CWE-41", "/3rdparty/v1/messages/"),
    ("a needless escape", "RFC 3986 section 6.2.2.2; CWE-180", "/3rdparty/v1/%6dessages"),
    ("nothing but escapes", "RFC 3986 section 6.2.2.2", "/%33%72%64%70%61%72%74%79/v1/%6d%65%73%73%61%67%65%73"),
    ("an absolute target", "RFC 9112 section 3.2.2", "http://gate/3rdparty/v1/messages"),
    ("a query that looks like another path", "RFC 3986 section 3.4", "/3rdparty/v1/messages?/../../health"),
];

/// One spelling leaves, the one that was judged.
const CANONICAL: [(&str, &str, &str, &str); 6] = [
    ("a needless escape on an open route", "RFC 3986 section 6.2.2.2", "/mobile/v1/%78", "/mobile/v1/x"),
    ("escapes in lower case", "RFC 3986 section 6.2.2.1", "/mobile/v1/caf%c3%a9", "/mobile/v1/caf%C3%A9"),
    ("an absolute target on an open route", "RFC 9112 section 3.2.2", "http://gate/mobile/v1/x", "/mobile/v1/x"),
    (
        "a query full of escapes",
        "RFC 3986 section 3.4",
        "/mobile/v1/x?a=%2f..%00%zz&b=//",
        "/mobile/v1/x?a=%2f..%00%zz&b=//",
    ),
    ("a fragment", "CVE-2023-45539 (HAProxy); RFC 9112 section 3.2", "/mobile/v1/x#/../y", "/mobile/v1/x"),
    ("a fragment behind a query", "CVE-2021-32779 (Envoy); RFC 9112 section 3.2", "/mobile/v1/x?a#b", "/mobile/v1/x?a"),
];

#[test]
fn paths_are_judged_and_sent_in_one_spelling_or_refused() {
    play(cases());
}
