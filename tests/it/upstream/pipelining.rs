//! Requests that follow each other on one client connection without waiting.

use super::{OPEN, Stage, answers, named};
use crate::support::{Start, Upstream, ok};

const JUDGED: &str = "/3rdparty/v1/messages";

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let stage = Stage::new();
    let mut client = stage.client();
    let names = ["a", "b", "c"];
    client.write(&names.map(|name| stage.get(name).raw()).concat());
    let mut leg = stage.upstream.accept();
    for name in names {
        answers(&mut leg, &mut client, name);
    }
    stage.upstream.expect_nobody();
}

#[test]
fn what_follows_a_body_is_judged_by_itself() {
    let upstream = Upstream::answering(|seen| ok(seen.target.as_bytes()));
    let gate = Start::before(upstream.address).start();
    let token = gate.alice(&["messages:list", "messages:send"]).field("access_token");
    let smuggled = gate.get(JUDGED).raw();
    let chunks = [format!("{:x}\r\n", smuggled.len()).as_bytes(), &smuggled, b"\r\n0\r\n\r\n"].concat();
    let open = || gate.post(&named("open"));
    for (name, first) in [
        ("a length", open().body(smuggled.clone()).raw()),
        ("chunks", [open().header("Transfer-Encoding", "chunked").raw(), chunks.clone()].concat()),
        ("judged", gate.post(JUDGED).bearer(&token).body(smuggled.clone()).raw()),
    ] {
        let mut client = crate::support::Connection::open(gate.address);
        let before = upstream.seen().len();
        // A stranger behind somebody who was let through, somebody else behind the stranger.
        client.write(&[first, gate.get(JUDGED).raw(), gate.get(JUDGED).bearer(&token).raw()].concat());
        client.read().expect("an answer").expect(200);
        client.read().expect("an answer").expect_refusal(401);
        assert_eq!(client.read().expect("an answer").expect(200).text(), JUDGED, "{name}");
        let seen = upstream.seen().split_off(before);
        assert_eq!(seen.len(), 2, "{name}: {seen:?}");
        assert_eq!(seen[0].body, smuggled, "{name}");
        assert_eq!(seen[0].header("x-auth-subject").is_some(), name == "judged");
        assert_eq!((seen[1].body.len(), seen[1].header("x-auth-subject")), (0, Some("alice")), "{name}");
    }
}

#[test]
fn a_failed_exchange_does_not_shift_those_behind_it() {
    let stage = Stage::new();
    let mut client = stage.client();
    client.write(&[stage.gate.get(OPEN).raw(), stage.get("next").raw()].concat());
    let mut leg = stage.upstream.accept();
    leg.request();
    leg.send("nonsense");
    client.read().expect("an answer").expect_refusal(502);
    answers(&mut stage.upstream.accept(), &mut client, "next");
    leg.closed();
}
