//! The log: what it never says, and that nobody waits for it.

use http::Request;
use serde_json::Value;

use super::{Desk, REFRESH, SESSIONS, TOKEN};
use crate::support::{Gate, Start, Upstream, exchange_h2};

#[test]
fn nothing_that_can_be_presented_is_logged_at_any_level() {
    let desk = Desk::with(|start| start.set("log.level", "trace").set("token.secret", crate::support::SECRET));
    desk.secrets.borrow_mut().push(crate::support::SECRET.into());
    let pair = desk.send(&desk.sign_in().body(r#"{"scopes":["messages:list","tokens:manage"]}"#)).expect(201);
    let next = desk.send(&desk.post(REFRESH).bearer(&pair.field("refresh_token"))).expect(200);
    let access = next.field("access_token");
    desk.send(&desk.post(TOKEN).bearer(&access).body(r#"{"scopes":["messages:list"]}"#)).expect(201);
    desk.send(&desk.gate.get(SESSIONS).bearer(&access)).expect(200);
    desk.send(&desk.gate.get("/3rdparty/v1/nowhere").bearer(&access)).expect(403);
    desk.send(&desk.post(TOKEN).basic("alice", "not-the-password").body("{}")).expect(401);
    desk.send(&desk.gate.get("/3rdparty/v1/messages").basic("bob", "builder")).expect(403);
    desk.send(&desk.post(REFRESH).bearer(&pair.field("refresh_token"))).expect(401);
    desk.send(&desk.post(REFRESH).bearer(&next.field("refresh_token"))).expect(401);
    for (target, authorization) in [
        ("/3rdparty/v1/nowhere", format!("Bearer {access}")),
        ("/3rdparty/v1/messages", "Basic Ym9iOmJ1aWxkZXI=".into()),
    ] {
        let request = Request::get(format!("http://{}{target}?token={access}", desk.gate.address));
        let request = request.header("authorization", authorization).header("cookie", format!("t={access}"));
        exchange_h2(desk.gate.address, request.body(&b""[..]).unwrap()).unwrap().expect(403);
    }
    let talk = desk.gate.whole_log().iter().filter(|line| line.contains("TRACE") || line.contains("DEBUG")).count();
    assert!(talk > 0, "it says nothing more than usual");
    desk.unharmed();
}

/// Has as many requests refused, each of which leaves a line of some 7 KiB; a pipe holds nine of them. Returns their
/// target.
#[track_caller]
fn refused(gate: &Gate, times: usize) -> String {
    let target = format!("/{}", "x".repeat(7000));
    for _ in 0..times {
        gate.get(&target).send().expect_refusal(403);
    }
    target
}

#[test]
fn a_reader_of_the_log_who_stalls_stops_nobody_and_is_told_what_was_missed() {
    let gate = Start::before(Upstream::start().address).start();
    let reading = gate.log_reading();
    let stalled = reading.lock().unwrap();
    let target = refused(&gate, 400);
    drop(stalled);
    let told: Value = serde_json::from_str(&gate.wait_for_log("lines of the log were lost")).unwrap();
    let (lost, log) = (told["lines"].as_u64().unwrap(), gate.whole_log());
    let written = log.iter().filter(|line| line.contains(&target)).count() as u64;
    assert!(lost > 100 && written > 100, "{lost} lost, {written} written");
    assert_eq!(lost + written, 400);
}

#[test]
fn a_reader_of_the_log_who_stalls_does_not_keep_the_gate_from_its_end() {
    let mut gate = Start::before(Upstream::start().address).start();
    let reading = gate.log_reading();
    let stalled = reading.lock().unwrap();
    refused(&gate, 20);
    gate.stop();
    drop(stalled);
}

#[test]
fn the_last_line_is_written_before_the_end() {
    let mut gate = Start::before(Upstream::start().address).start();
    gate.stop();
    gate.wait_for_log("\"stopped\"");
}
