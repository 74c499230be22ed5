//! The shortest way through.

use crate::support::{Start, Upstream};

#[test]
fn a_signed_in_user_reaches_the_upstream_as_themselves() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let pair = gate.alice(&["messages:list"]);
    gate.get("/3rdparty/v1/messages?limit=1").bearer(&pair.field("access_token")).send().expect(200);
    let seen = upstream.only();
    assert_eq!(seen.target, "/3rdparty/v1/messages?limit=1");
    assert_eq!(seen.header("x-auth-subject"), Some("alice"));
    assert_eq!(seen.header("authorization"), None);
}

#[test]
fn guesses_that_only_the_upstream_can_judge_are_limited_by_its_answers() {
    let upstream = Upstream::answering(|seen| {
        let status = if seen.header("authorization") == Some("Bearer right") { "200 OK" } else { "401 Unauthorized" };
        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes()
    });
    let gate = Start::before(upstream.address).set("limits.signin.address_burst", "10").start();
    let device = |token: &str| gate.get("/mobile/v1/message").bearer(token).send();
    for guess in 0..10 {
        assert_eq!(device("right").status, 200);
        assert_eq!(device(&format!("guess-{guess}")).header("x-portcullis"), None);
    }
    let refused = device("guess-11").expect_refusal(429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(upstream.seen().len(), 20);
}
