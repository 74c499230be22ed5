//! Requests larger than the gate cares to read.

use super::{arrives, stopped};
use crate::support::{Start, Upstream};

const ROUTE: &str = "/3rdparty/v1/messages";

#[test]
fn a_target_too_long_is_refused() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).set("limits.max_uri_bytes", "1000").start();
    let token = gate.alice(&["all:any"]).field("access_token");
    let sized = |start: &str, length: usize| format!("{start}{}", "x".repeat(length - start.len()));
    for start in [&format!("{ROUTE}?q="), &format!("{ROUTE}/"), "/health?", "/mobile/v1/"] {
        let fits = sized(start, 1000);
        arrives(&upstream, start, &gate.get(&fits).bearer(&token), &fits);
        let refusal = stopped(&upstream, start, &gate.get(&sized(start, 1001)).bearer(&token), 414);
        assert_eq!(refusal.field("error"), "invalid_request");
        stopped(&upstream, start, &gate.get(&sized(start, 20_000)).bearer(&token), 414);
    }
    let token = sized("/3rdparty/v1/auth/token?", 1001);
    stopped(&upstream, "our endpoint", &gate.post(&token).basic("alice", "wonderland"), 414);
    // Beyond what is read at all, the status is all there is.
    let status = gate.get(&sized("/health?", 200_000)).send().status;
    assert!([414, 431].contains(&status), "{status}");
    assert!(upstream.seen().iter().all(|seen| seen.target.len() <= 1000));
}

#[test]
fn too_many_or_too_large_headers_are_refused() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    for (name, target) in [("judged", ROUTE), ("public", "/health"), ("passthrough", "/mobile/v1/x")] {
        // `Host` and `Authorization` are among the hundred.
        let many = |number: usize| {
            (0..number).fold(gate.get(target).bearer(&token), |call, n| call.header(&format!("X-{n}"), "x"))
        };
        arrives(&upstream, name, &many(98), target);
        stopped(&upstream, name, &many(99), 431);
        stopped(&upstream, name, &many(150), 431);
        let same = (0..99).fold(gate.get(target).bearer(&token), |call, _| call.header("X-Same", "x"));
        stopped(&upstream, name, &same, 431);
        let large = |bytes: usize| gate.get(target).bearer(&token).header("X-Large", &"x".repeat(bytes));
        arrives(&upstream, name, &large(31 * 1024), target);
        let refusal = stopped(&upstream, name, &large(33 * 1024), 431);
        assert_eq!(refusal.field("error"), "invalid_request");
        // Beyond what is read at all, the status is all there is.
        let before = upstream.seen().len();
        assert_eq!(many(1000).send().status, 431, "{name}");
        assert_eq!(large(200 * 1024).send().status, 431, "{name}");
        assert_eq!(upstream.seen().len(), before, "{name}");
    }
    gate.get("/health").send().expect(200);
}
