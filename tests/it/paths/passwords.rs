//! A user name and password in place of a token on the API's routes.

use std::time::{Duration, Instant};

use super::{arrives, stopped};
use crate::support::{Connection, Start, Upstream};

const SEND: &str = "/3rdparty/v1/messages";

#[test]
fn a_password_opens_what_its_user_may_have() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).set("limits.signin.user_burst", "1000").start();
    for _ in 0..3 {
        let seen = arrives(&upstream, "bob", &gate.post(SEND).basic("bob", "builder"), SEND);
        assert_eq!(seen.header("x-auth-subject"), Some("bob"));
        assert_eq!(seen.header("authorization"), None);
        let refusal = stopped(&upstream, "bob", &gate.get(SEND).basic("bob", "builder"), 403);
        assert_eq!(refusal.field("message"), "scope required: messages:list");
        // A right one that is remembered does not let a wrong one in.
        for (name, password) in
            [("bob", "Builder"), ("bob", ""), ("bob", "builder "), ("Bob", "builder"), ("alice", "builder")]
        {
            stopped(&upstream, &format!("{name}:{password}"), &gate.post(SEND).basic(name, password), 401);
        }
    }
    arrives(&upstream, "alice", &gate.get(SEND).basic("alice", "wonderland"), SEND);
}

#[test]
fn a_wrong_password_is_told_how_to_do_better() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let wrong = stopped(&upstream, "wrong", &gate.post(SEND).basic("bob", "wrong"), 401);
    assert_eq!(wrong.header("www-authenticate"), Some("Basic realm=\"portcullis\", charset=\"UTF-8\""));
    let unknown = stopped(&upstream, "unknown", &gate.post(SEND).basic("nobody", "wrong"), 401);
    assert_eq!(wrong.text(), unknown.text());
}

#[test]
fn passwords_can_be_kept_to_the_token_endpoint() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).set("routes.basic_auth", "deny").start();
    for (name, password) in [("bob", "builder"), ("bob", "wrong"), ("nobody", "x")] {
        let refusal = stopped(&upstream, name, &gate.post(SEND).basic(name, password), 401);
        assert_eq!(refusal.header("www-authenticate"), Some("Bearer realm=\"portcullis\""));
    }
    let token = gate.sign_in("bob", "builder", &["messages:send"]).field("access_token");
    arrives(&upstream, "by token", &gate.post(SEND).bearer(&token), SEND);
    gate.get("/3rdparty/v1/auth/sessions").basic("bob", "builder").send().expect(200);
}

#[test]
fn a_right_password_is_not_worked_out_anew_for_every_call() {
    // A hash that takes a good part of a second: a hundred of them would take a minute.
    let slow = bcrypt::hash("patience", 13).unwrap();
    let users = format!("[[user]]\nname = \"dora\"\npassword_hash = {slow:?}\nscopes = [\"messages:send\"]\n");
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).users(&users).start();
    let start = Instant::now();
    gate.post(SEND).basic("dora", "patience").send().expect(200);
    let once = start.elapsed();
    let start = Instant::now();
    let mut connections: Vec<_> = (0..10).map(|_| Connection::open(gate.address)).collect();
    for _ in 0..10 {
        for connection in &mut connections {
            connection.ask(&gate.post(SEND).basic("dora", "patience")).expect(200);
        }
    }
    let hundred = start.elapsed();
    assert!(hundred < once * 20 + Duration::from_secs(1), "once {once:?}, a hundred times {hundred:?}");
    assert_eq!(upstream.seen().len(), 101);
}
