//! Pages of other origins (seed Z34), and refusals that people read (seeds Z16 and Z17).

use super::*;

const APP: &str = "https://app.example";
const OTHER: &str = "https://other.example";
const EXPOSED: &str = "WWW-Authenticate, Retry-After, X-Portcullis, X-Request-Id, X-Total-Count";

#[track_caller]
fn cors_gate(upstream: &Upstream) -> Gate {
    let start = Start::before(upstream.address).set("profiles.form.enabled", "true");
    let start = start.set("cors.allowed_origins", APP).set("cors.exposed_headers", "X-Total-Count");
    start.set("cors.allowed_headers", "X-Mine").set("cors.credentials", "true").start()
}

fn said(answer: &Answer) -> Vec<(&str, &str)> {
    let headers = answer.headers.iter().filter(|(name, _)| name.starts_with("access-control-"));
    let mut said: Vec<_> = headers.map(|(name, value)| (&name["access-control-".len()..], &**value)).collect();
    said.sort_unstable();
    said
}

fn vary(answer: &Answer) -> Vec<&str> {
    answer.headers.iter().filter(|(name, _)| name == "vary").map(|(_, value)| &**value).collect()
}

#[track_caller]
fn readable(answer: &Answer) {
    let expected = [("allow-credentials", "true"), ("allow-origin", APP), ("expose-headers", EXPOSED)];
    assert_eq!(said(answer), expected, "{}", answer.text());
    assert!(vary(answer).contains(&"Origin"));
}

fn preflight(gate: &Gate, path: &str, origin: &str) -> Answer {
    let call = gate.call("OPTIONS", path).header("Origin", origin).header("Access-Control-Request-Method", "PUT");
    call.header("Access-Control-Request-Headers", "authorization").send()
}

#[test]
fn a_preflight_is_answered_here_on_every_path() {
    let upstream = Upstream::start();
    let gate = cors_gate(&upstream);
    for path in ["/login", "/refresh", "/3rdparty/v1/auth/token", LIST, "/health", "/mobile/v1/device", "/no/rule"] {
        let answer = preflight(&gate, path, APP).expect(204);
        let expected = [
            ("allow-credentials", "true"),
            ("allow-headers", "Authorization, Content-Type, X-Mine"),
            ("allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            ("allow-origin", APP),
            ("expose-headers", EXPOSED),
            ("max-age", "600"),
        ];
        assert_eq!(said(&answer), expected, "{path}");
        let foreign = preflight(&gate, path, OTHER).expect(204);
        assert_eq!((said(&foreign), vary(&foreign)), (vec![], vec!["Origin"]), "{path}");
    }
    assert!(upstream.seen().is_empty(), "the upstream was asked");
    // What is no preflight goes the way of all requests.
    gate.call("OPTIONS", LIST).header("Origin", APP).send().expect(403);
    preflight(&gate, "/a%2fb", APP).expect(400);
}

#[test]
fn a_page_can_read_what_is_answered_and_what_is_refused() {
    let gate = cors_gate(&Upstream::start());
    let from = |call: Call| call.header("Origin", APP);
    let fields = [("username", "alice"), ("password", "wonderland")];
    let pair = from(post(&gate, "/login", &fields)).send().expect(200);
    readable(&pair);
    readable(&from(post(&gate, "/login", &[])).send().expect(400));
    readable(&from(post(&gate, "/refresh", &[("refreshToken", "x")])).send().expect(401));
    readable(&from(gate.get(LIST)).send().expect(401));
    readable(&from(gate.get("/no/rule")).send().expect(403));
    readable(&from(gate.get("/a%2fb")).send().expect(400));
    readable(&from(gate.get(LIST).bearer(&pair.field("accessToken"))).send().expect(200));
}

#[test]
fn other_origins_learn_nothing_whatever_the_upstream_says() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
          Access-Control-Expose-Headers: X-Theirs\r\nVary: Accept\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    });
    let gate = cors_gate(&upstream);
    for origin in [OTHER, "null", "https://app.example.evil", "https://APP.example", "*"] {
        for path in ["/health", LIST, "/login"] {
            assert_eq!(said(&gate.get(path).header("Origin", origin).send()), [], "{origin} {path}");
        }
    }
    let none = gate.get("/health").send().expect(200);
    assert_eq!((said(&none), vary(&none)), (vec![], vec!["Accept", "Origin"]));
    readable(&gate.get("/health").header("Origin", APP).send().expect(200));
}

#[test]
fn anybodys_page_may_be_allowed_without_its_cookies() {
    let gate = gate(&[("cors.allowed_origins", "*")]);
    let answer = gate.get(LIST).header("Origin", OTHER).send().expect(401);
    let exposed = EXPOSED.trim_end_matches(", X-Total-Count");
    assert_eq!(said(&answer), [("allow-origin", "*"), ("expose-headers", exposed)]);
}

#[test]
fn switched_off_nothing_changes() {
    let theirs = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n";
    let upstream = Upstream::answering(move |_| theirs.as_bytes().to_vec());
    let gate = Start::before(upstream.address).set("profiles.form.enabled", "true").start();
    let answer = gate.get("/health").header("Origin", APP).send().expect(200);
    assert_eq!((said(&answer), vary(&answer)), (vec![("allow-origin", "*")], vec![]));
    let refusal = gate.get(LIST).header("Origin", APP).send().expect_refusal(401);
    assert_eq!((said(&refusal), vary(&refusal)), (vec![], vec![]));
    preflight(&gate, LIST, APP).expect_refusal(403);
}

#[test]
fn refusals_on_routes_can_be_the_guides_plain_text() {
    let users = crate::support::user("ann", "hush", &[], "roles = [\"editor\"]");
    let route = "[[route]]\npath = \"/admin\"\nrole = \"admin\"\n";
    let start = Start::before(Upstream::start().address).users(&users).config_file(route);
    let start = start.set("profiles.form.enabled", "true").set("routes.errors", "text");
    let gate = start.set("routes.realm", "Members").start();
    let token = login(&gate, "ann", "hush").expect(200).field("accessToken");
    for call in [
        gate.get("/admin"),
        gate.get("/admin").bearer("x"),
        gate.get("/admin").bearer(&format!("{token}x")),
        gate.get("/admin").header("Authorization", "Digest x"),
    ] {
        let answer = call.send().expect(401);
        assert_eq!(answer.text(), "Invalid or expired token.", "seed Z16");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"Members\""), "seed Z16");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.header("x-portcullis"), Some("denied"));
    }
    let answer = gate.get("/admin").bearer(&token).send().expect(403);
    assert_eq!(answer.text(), "Access denied. User ann is not an admin.", "seed Z17");
    // The other dialect has words of its own.
    gate.post("/3rdparty/v1/auth/token").send().expect_refusal(401);
    refused(login(&gate, "ann", "wrong"), 401, "Invalid username or password.");
}

#[test]
fn the_realm_of_routes_is_in_every_challenge_of_theirs() {
    let gate = gate(&[("routes.realm", "Members")]);
    for call in [gate.get(LIST), gate.get(LIST).bearer("x"), gate.get(LIST).basic("alice", "wrong")] {
        let answer = call.send().expect_refusal(401);
        assert!(answer.header("www-authenticate").unwrap().contains(" realm=\"Members\""), "{:?}", answer.headers);
    }
}
