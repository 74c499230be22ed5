//! The identity headers: the gate's own reach the upstream, nobody else's do.

use http::Request;

use super::{JUDGED, PASSTHROUGH, PUBLIC, calls, read_loosely};
use crate::support::forge::parts;
use crate::support::{Call, Connection, Seen, Start, Upstream, exchange_h2};

const OURS: [&str; 4] = ["x-auth-subject", "x-auth-scopes", "x-auth-session", "x-auth-token-id"];

const SPELLINGS: [&str; 16] = [
    "X-Auth-Subject",
    "x-auth-subject",
    "X-AUTH-SUBJECT",
    "X_Auth_Subject",
    "x_auth_subject",
    "X_AUTH_SUBJECT",
    "X-Auth_Subject",
    "x_auth-subject",
    "X-Auth-Scopes",
    "X_Auth_Scopes",
    "x-auth_scopes",
    "X-Auth-Session",
    "X_AUTH_SESSION",
    "X-Auth-Token-Id",
    "x_auth_token_id",
    "X-Auth_Token-Id",
];

fn spoofed(call: Call) -> Call {
    SPELLINGS.iter().fold(call, |call, name| call.header(name, "mallory").header(name, "all:any"))
}

/// What the upstream reads as identity: each of [`OURS`] that is there, once, in the one right spelling.
#[track_caller]
fn identity(name: &str, seen: &Seen) -> Vec<(String, String)> {
    let found: Vec<_> = seen.headers.iter().filter(|(name, _)| OURS.contains(&&*read_loosely(name))).cloned().collect();
    for (spelled, value) in &found {
        assert!(OURS.contains(&&*spelled.to_ascii_lowercase()), "{name}: {spelled}");
        assert!(!value.contains("mallory") && !value.contains("all:any"), "{name}: {spelled}: {value}");
        assert_eq!(seen.all(spelled).len(), 1, "{name}: {spelled} twice");
    }
    found.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
}

#[test]
fn nobody_plants_an_identity_on_any_route() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    let (_, claims) = parts(&token);
    let claim = |name: &str| claims[name].as_str().unwrap().to_owned();
    let by_token = [
        ("x-auth-subject".to_owned(), "alice".to_owned()),
        ("x-auth-scopes".into(), "messages:list".into()),
        ("x-auth-session".into(), claim("sid")),
        ("x-auth-token-id".into(), claim("jti")),
    ];
    for (name, call) in calls(&gate, &token) {
        let answer = spoofed(call).send();
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let seen = upstream.seen().pop().unwrap();
        let expected: &[_] = if name == "judged" { &by_token } else { &[] };
        assert_eq!(identity(name, &seen), expected, "{name}");
    }
    // By password there is a name and there are scopes, and neither session nor token.
    spoofed(gate.get("/3rdparty/v1/messages/1").basic("bob", "builder")).send().expect(200);
    let seen = upstream.seen().pop().unwrap();
    let expected = [("x-auth-subject", "bob"), ("x-auth-scopes", "messages:send messages:read")]
        .map(|(n, v)| (n.into(), v.into()));
    assert_eq!(identity("by password", &seen), expected);
}

#[test]
fn nor_over_http_2() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    for path in [JUDGED, PUBLIC, PASSTHROUGH] {
        let mut request = Request::get(format!("http://{}{path}", gate.address));
        for name in SPELLINGS {
            request = request.header(name, "mallory").header(name, "all:any");
        }
        if path == JUDGED {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = exchange_h2(gate.address, request.body(&b""[..]).unwrap()).unwrap();
        assert_eq!(answer.status, 200, "{path}");
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(identity(path, &seen).len(), if path == JUDGED { 4 } else { 0 }, "{path}");
    }
}

#[test]
fn each_request_on_a_connection_is_its_own_callers() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let alice = gate.alice(&["messages:read"]).field("access_token");
    let bob = gate.sign_in("bob", "builder", &["messages:read"]).field("access_token");
    let mut connection = Connection::open(gate.address);
    for round in 0..20 {
        for (name, token) in [("alice", &alice), ("bob", &bob)] {
            connection.ask(&gate.get("/3rdparty/v1/messages/1").bearer(token)).expect(200);
            let seen = upstream.seen().pop().unwrap();
            assert_eq!(seen.header("x-auth-subject"), Some(name), "round {round}");
        }
        connection.ask(&gate.get(PUBLIC)).expect(200);
        assert_eq!(upstream.seen().pop().unwrap().header("x-auth-subject"), None, "round {round}");
    }
}
