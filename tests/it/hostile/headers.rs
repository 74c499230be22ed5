//! Fields that would make the upstream believe what the gate has not said.

use super::Outcome::{Denied, Leaves};
use super::stage::{TOKEN, play};
use super::{Case, leaves, sends};

const SPOOF: &str = "CWE-290; CVE-2025-64484 (oauth2-proxy)";
const UNDERSCORE: &str = "RFC 3875 section 4.1.18: - and _ are one; CVE-2025-64484 (oauth2-proxy)";
const HOP: &str = "RFC 9110 section 7.6.1; CVE-2022-31813 (Apache): fields removed by nominating them";
const FORWARDED: &str = "RFC 7239 section 8.1; CWE-348";
const METHOD: &str = "CWE-650; RFC 9110 section 9.1";

/// Removed on a route that is open: name, source, fields.
const REMOVED: [(&str, &str, &str); 30] = [
    ("a subject of one's own", SPOOF, "X-Auth-Subject: root\r\n"),
    ("a subject in capitals", SPOOF, "X-AUTH-SUBJECT: root\r\n"),
    ("two subjects", SPOOF, "X-Auth-Subject: root\r\nx-auth-subject: admin\r\n"),
    ("an empty subject", SPOOF, "X-Auth-Subject:\r\n"),
    ("a subject with underscores", UNDERSCORE, "X_Auth_Subject: root\r\n"),
    ("a subject with an underscore first", UNDERSCORE, "X_Auth-Subject: root\r\n"),
    ("a subject with an underscore last", UNDERSCORE, "X-Auth_Subject: root\r\n"),
    ("a subject with dots", "PHP and WSGI map dots as they do underscores; CWE-290", "X.Auth.Subject: root\r\n"),
    ("a subject with a tilde", "RFC 3875 section 4.1.18; CWE-290", "X~Auth~Subject: root\r\n"),
    ("scopes of one's own", SPOOF, "X-Auth-Scopes: all:any\r\n"),
    ("scopes with underscores", UNDERSCORE, "x_auth_scopes: all:any\r\n"),
    ("a session of one's own", SPOOF, "X-Auth-Session: 1\r\nX_AUTH_SESSION: 2\r\n"),
    ("a token id of one's own", SPOOF, "X-Auth-Token-Id: 1\r\nX_Auth_Token_Id: 2\r\n"),
    ("the gate's mark", "CWE-345; RFC 9110 section 16.3", "X-Portcullis: denied\r\n"),
    ("a visitor of a replica", "CWE-290; RFC 9110 section 17", "X-Portcullis-Visitor: 127.0.0.1\r\n"),
    ("a request id of one's own", "CWE-117: log injection", "X-Request-Id: 1\"}\r\n"),
    (
        "an address of one's own",
        "CVE-2025-41235 (Spring Cloud Gateway); RFC 7239 section 8.1",
        "X-Forwarded-For: 127.0.0.1\r\n",
    ),
    (
        "addresses in several fields",
        FORWARDED,
        "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 127.0.0.1\r\nx_forwarded_for: 127.0.0.1\r\n",
    ),
    ("an address of nginx", FORWARDED, "X-Real-IP: 127.0.0.1\r\nx_real_ip: 127.0.0.1\r\n"),
    ("an address of the standard", FORWARDED, "Forwarded: for=127.0.0.1;proto=https\r\n"),
    ("a scheme of one's own", FORWARDED, "X-Forwarded-Proto: https\r\nX_Forwarded-Proto: https\r\n"),
    (
        "a port and a prefix of one's own",
        "RFC 7239 section 8.1; CWE-348",
        "X-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /evil\r\n",
    ),
    ("another method", METHOD, "X-HTTP-Method-Override: DELETE\r\n"),
    (
        "another method by its other names",
        METHOD,
        "X-HTTP-Method: DELETE\r\nX-Method-Override: DELETE\r\nx_http_method_override: DELETE\r\n",
    ),
    ("credentials for the next proxy", "RFC 9110 section 11.7.2", "Proxy-Authorization: Basic cm9vdDpyb290\r\n"),
    (
        "an upgrade to h2c",
        "RFC 9113 section 3.1; Bishop Fox, h2c smuggling (2020)",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ),
    (
        "an upgrade to h2c that is half one",
        "RFC 9113 section 3.1; Bishop Fox, h2c smuggling (2020)",
        "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ),
    ("a secret of one's own hop", HOP, "Connection: X-Hop\r\nX-Hop: 1\r\n"),
    (
        "words about the connection",
        "RFC 9110 section 7.6.1",
        "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n",
    ),
    ("credentials on a public route", "CWE-522; RFC 9110 section 17.16", "Authorization: Basic cm9vdDpyb290\r\n"),
];

/// Neither plants nor removes anything on a route with a rule: fields, what of them crosses.
const JUDGED: [(&str, &str, &str, &str); 8] = [
    ("identities beside a token", SPOOF, "X-Auth-Subject: root\r\nX_Auth_Scopes: all:any\r\nX-Auth-Session: 1\r\n", ""),
    ("a subject nominated away", HOP, "Connection: X-Auth-Subject\r\n", ""),
    (
        "every identity nominated away",
        HOP,
        "Connection: close-not, x-auth-subject, X-Auth-Scopes, x-auth-session, x-auth-token-id\r\n",
        "",
    ),
    (
        "a way nominated away",
        "CVE-2022-31813 (Apache); RFC 9110 section 7.6.1",
        "Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id\r\n",
        "",
    ),
    ("credentials nominated away", HOP, "Connection: Authorization\r\n", ""),
    ("a host nominated away beside a token", HOP, "Connection: Host\r\n", ""),
    (
        "nominations that are no names",
        "RFC 9110 section 7.6.1; CWE-20",
        "Connection: , ,, \"x-auth-subject\", x-auth-scopes;q=1, \x5f\r\n",
        "",
    ),
    (
        "thousands of nominations",
        "CWE-407: quadratic work; RFC 9110 section 7.6.1",
        "{many}X-Stays: 1\r\n",
        "x-stays: 1\r\n",
    ),
];

pub fn cases() -> Vec<Case> {
    let token = std::str::from_utf8(TOKEN).unwrap();
    let removed = REMOVED.map(|(name, source, fields)| {
        let request = format!("GET /health HTTP/1.1\r\nHost: gate\r\n{fields}\r\n");
        sends(name, source, request, Leaves(leaves("GET", "/health", "", "", "")))
    });
    let judged = JUDGED.map(|(name, source, fields, crossing)| {
        let fields = fields.replace("{many}", &format!("Connection: {}\r\n", "a,".repeat(4000)));
        let request = format!("GET /3rdparty/v1/messages HTTP/1.1\r\nHost: gate\r\n{fields}Authorization: Bearer {token}\r\n\r\n");
        let identity = "x-auth-subject: alice\r\nx-auth-scopes: messages:list messages:send\r\nx-auth-session: ?\r\nx-auth-token-id: ?\r\n";
        let fields = format!("{crossing}{identity}");
        sends(name, source, request, Leaves(leaves("GET", "/3rdparty/v1/messages", &fields, "", "")))
    });
    let twice = |name, source, fields: &str, status| {
        let request = format!("GET /3rdparty/v1/messages HTTP/1.1\r\nHost: gate\r\n{fields}\r\n");
        sends(name, source, request, Denied(status))
    };
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let alone = [
        twice("identities without a token", SPOOF, "X-Auth-Subject: alice\r\nX-Auth-Scopes: all:any\r\n", 401),
        twice(
            "credentials twice",
            "RFC 9110 section 5.3; RFC 6750 section 3.1",
            &format!("{bearer}Authorization: Basic cm9vdDpyb290\r\n"),
            400,
        ),
        twice("credentials under a name with an underscore", UNDERSCORE, "Authorization_: Bearer x\r\n", 401),
        twice("a token in the query only", "RFC 9700 section 4.3.2", "X-Original-URL: /health\r\n", 401),
        twice(
            "another path by other fields",
            "CVE-2018-14773 (Symfony): X-Original-URL",
            "X-Original-URL: /health\r\nX-Rewrite-URL: /health\r\n",
            401,
        ),
    ];
    removed.into_iter().chain(judged).chain(alone).collect()
}

#[test]
fn only_the_gate_says_who_is_asking() {
    play(cases());
}
