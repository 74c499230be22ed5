//! Guessing passwords: bounded by user and by address, and nobody else is locked out by it.

use serde_json::json;

use super::{Desk, TOKEN};
use crate::support::{Answer, Start};

const API: &str = "/3rdparty/v1/messages";

/// So slow a refill that nothing is regained while a test runs; behind a proxy that tells addresses.
fn strict(start: Start, user: u32, address: u32) -> Start {
    start
        .set("server.trusted_proxies", "127.0.0.1")
        .set("limits.signin.user_burst", &user.to_string())
        .set("limits.signin.user_refill", "1h")
        .set("limits.signin.address_burst", &address.to_string())
        .set("limits.signin.address_refill", "1h")
}

#[track_caller]
fn sign_in(desk: &Desk, from: &str, name: &str, password: &str) -> Answer {
    let call = desk.post(TOKEN).header("X-Forwarded-For", from).basic(name, password);
    desk.send(&call.json(&json!({ "scopes": ["messages:send"] })))
}

#[track_caller]
fn throttled(answer: Answer) {
    let answer = answer.expect_refusal(429);
    let wait: u64 = answer.header("retry-after").expect("how long to wait").parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    assert_eq!(answer.field("error"), "slow_down");
}

#[test]
fn guessing_at_one_user_is_stopped_and_locks_nobody_else_out() {
    let desk = Desk::with(|start| strict(start, 3, 1000));
    for _ in 0..3 {
        sign_in(&desk, "198.51.100.1", "alice", "wrong").expect_refusal(401);
    }
    throttled(sign_in(&desk, "198.51.100.1", "alice", "wrong"));
    // The right password is not told apart from wrong ones any more, here nor at an API route.
    throttled(sign_in(&desk, "198.51.100.1", "alice", "wonderland"));
    let api = desk.gate.get(API).header("X-Forwarded-For", "198.51.100.1").basic("alice", "wonderland");
    throttled(desk.send(&api));
    // Another user from there, and alice from elsewhere, have nothing to do with it.
    sign_in(&desk, "198.51.100.1", "bob", "builder").expect(201);
    sign_in(&desk, "198.51.100.2", "alice", "wonderland").expect(201);
    // Nor has a session that alice has already.
    let pair = sign_in(&desk, "198.51.100.2", "alice", "wonderland").expect(201);
    let refresh = desk.post(super::REFRESH).header("X-Forwarded-For", "198.51.100.1");
    desk.send(&refresh.bearer(&pair.field("refresh_token"))).expect(200);
    desk.unharmed();
}

#[test]
fn a_password_that_is_remembered_is_no_way_around_the_limit() {
    let desk = Desk::with(|start| strict(start, 3, 1000));
    // Bob may not list, but his password is right, which the gate remembers.
    let api = |password| desk.gate.get(API).header("X-Forwarded-For", "198.51.100.1").basic("bob", password);
    desk.send(&api("builder")).expect_refusal(403);
    for _ in 0..3 {
        desk.send(&api("wrong")).expect_refusal(401);
    }
    throttled(desk.send(&api("wrong")));
    throttled(desk.send(&api("builder")));
    desk.unharmed();
}

#[test]
fn guessing_from_one_address_is_stopped_whatever_the_names() {
    let desk = Desk::with(|start| strict(start, 1000, 4));
    for name in ["alice", "bob", "carol", "dave"] {
        sign_in(&desk, "198.51.100.1", name, "wrong").expect_refusal(401);
    }
    throttled(sign_in(&desk, "198.51.100.1", "eve", "wrong"));
    throttled(sign_in(&desk, "198.51.100.1", "bob", "builder"));
    sign_in(&desk, "198.51.100.2", "bob", "builder").expect(201);
    desk.unharmed();
}

#[test]
fn ipv6_counts_by_network() {
    let desk = Desk::with(|start| strict(start, 1000, 3));
    for host in ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::3"] {
        sign_in(&desk, host, "alice", "wrong").expect_refusal(401);
    }
    throttled(sign_in(&desk, "2001:db8:0:1::4", "alice", "wonderland"));
    sign_in(&desk, "2001:db8:0:2::1", "alice", "wonderland").expect(201);
    desk.unharmed();
}

#[test]
fn a_stranger_cannot_choose_the_address_that_is_counted() {
    let desk = Desk::with(|start| strict(start, 1000, 3).set("server.trusted_proxies", ""));
    for from in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
        sign_in(&desk, from, "alice", "wrong").expect_refusal(401);
    }
    throttled(sign_in(&desk, "198.51.100.4", "alice", "wonderland"));
    desk.gate.wait_for_log("429");
}

#[test]
fn right_passwords_cost_nothing() {
    let desk = Desk::with(|start| strict(start, 2, 2));
    for _ in 0..10 {
        sign_in(&desk, "198.51.100.1", "bob", "builder").expect(201);
    }
    sign_in(&desk, "198.51.100.1", "bob", "wrong").expect_refusal(401);
    sign_in(&desk, "198.51.100.1", "bob", "builder").expect(201);
    desk.unharmed();
}

#[test]
fn the_limit_opens_again() {
    let desk = Desk::with(|start| strict(start, 1, 1000).set("limits.signin.user_refill", "1s"));
    sign_in(&desk, "198.51.100.1", "bob", "wrong").expect_refusal(401);
    throttled(sign_in(&desk, "198.51.100.1", "bob", "builder"));
    crate::support::until("the limit to open again", || {
        (sign_in(&desk, "198.51.100.1", "bob", "builder").status == 201).then_some(())
    });
    desk.unharmed();
}
