//! How long tunnels last when nobody ends them: silence, and the end of the gate.

use std::time::{Duration, Instant};

use super::{Stage, alive};

#[test]
fn a_tunnel_that_is_silent_for_too_long_is_closed_and_one_that_is_not_lives() {
    let stage = Stage::with(|start| start.set("limits.tunnel_idle_timeout", "2s"));
    let pair = stage.pair();
    let (mut silent, leg) = stage.tunnel(&pair);
    let (mut busy, mut other) = stage.tunnel(&pair);
    let start = Instant::now();
    // One way is enough.
    while start.elapsed() < Duration::from_secs(5) {
        other.send("x");
        assert_eq!(busy.take(1), b"x");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert_eq!(silent.rest(), b"");
    assert_eq!(leg.closed(), b"");
    alive(&mut busy, &mut other);
}

#[test]
fn without_a_limit_a_tunnel_may_be_silent_beyond_all_other_patience() {
    let stage = Stage::with(|start| {
        start
            .set("limits.tunnel_idle_timeout", "0s")
            .set("limits.idle_timeout", "100ms")
            .set("limits.stall_timeout", "100ms")
            .set("upstream.idle_timeout", "100ms")
            .set("upstream.first_byte_timeout", "5s")
    });
    let (mut client, mut leg) = stage.tunnel(&stage.pair());
    leg.expect_silence();
    leg.expect_silence();
    alive(&mut client, &mut leg);
}

#[test]
fn told_to_end_the_gate_lets_tunnels_finish() {
    let mut stage = Stage::new();
    let (mut client, mut leg) = stage.tunnel(&stage.pair());
    stage.gate.signal("TERM");
    stage.gate.wait_for_log("draining");
    alive(&mut client, &mut leg);
    client.end();
    assert_eq!(leg.rest(), b"");
    leg.end();
    assert_eq!(client.rest(), b"");
    assert_eq!(stage.gate.wait().code(), Some(0));
}

#[test]
fn told_to_end_the_gate_closes_what_has_not_ended_when_the_drain_is_over() {
    let mut stage = Stage::with(|start| start.set("server.drain_timeout", "1s"));
    let (mut client, mut leg) = stage.tunnel(&stage.pair());
    stage.gate.signal("TERM");
    stage.gate.wait_for_log("draining");
    alive(&mut client, &mut leg);
    assert_eq!(client.rest(), b"");
    assert_eq!(leg.closed(), b"");
    assert_eq!(stage.gate.wait().code(), Some(0));
}
