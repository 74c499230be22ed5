//! What lasts ends with the session or the token that it was let in by.

use std::thread;
use std::time::Duration;

use super::{PATH, Stage, alive, revoke, soon};
use crate::support::{Answer, Connection, Leg, Start, refresh, until, user};

/// Without leeway, and with an overlap that must not matter.
fn exact(start: Start) -> Start {
    start.set("token.leeway", "0s").set("token.access_overlap", "0s")
}

/// Both its ends are closed.
#[track_caller]
fn closed(mut client: Connection, leg: Leg) {
    client.rest();
    leg.closed();
}

/// An event comes through.
#[track_caller]
fn streams(client: &mut Connection, leg: &mut Leg) {
    leg.send("data: 2\n\n");
    client.until(b"data: 2\n\n\r\n");
}

#[test]
fn a_revoked_session_ends_its_tunnels_and_streams_within_a_second_and_no_others() {
    let stage = Stage::new();
    for _ in 0..3 {
        let (revoked, kept) = (stage.pair(), stage.pair());
        let call = |pair: &Answer| stage.gate.get(PATH).bearer(&pair.field("access_token"));
        let (tunnel, events) = (stage.tunnel(&revoked), stage.events(&call(&revoked)));
        let mut others =
            (stage.tunnel(&kept), stage.events(&call(&kept)), stage.events(&stage.gate.get("/mobile/v1/x")));
        revoke(&stage.gate, &revoked);
        soon("the end", || {
            closed(tunnel.0, tunnel.1);
            closed(events.0, events.1);
        });
        alive(&mut others.0.0, &mut others.0.1);
        streams(&mut others.1.0, &mut others.1.1);
        streams(&mut others.2.0, &mut others.2.1);
    }
}

#[test]
fn an_answer_that_a_client_does_not_read_ends_too() {
    let stage = Stage::new();
    let pair = stage.pair();
    let (mut client, mut leg) = stage.events(&stage.gate.get(PATH).bearer(&pair.field("access_token")));
    assert!(leg.offer(256 << 20) < 32 << 20);
    revoke(&stage.gate, &pair);
    // The connection to the upstream ends although nobody reads what has come over it.
    soon("the end", || drop(leg.closed()));
    client.rest();
}

#[test]
fn a_request_on_its_way_ends_with_an_answer_that_says_why() {
    let stage = Stage::new();
    let pair = stage.gate.alice(&["messages:send", "messages:list"]);
    let token = pair.field("access_token");
    let mut upload = Connection::open(stage.gate.address);
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 1000\r\n\r\nbegun"
    );
    upload.write(head.as_bytes());
    let mut first = stage.upstream.accept();
    first.head();
    assert_eq!(first.take(5), b"begun");
    let mut waiting = Connection::open(stage.gate.address);
    waiting.write(&stage.gate.get(PATH).bearer(&token).raw());
    let mut second = stage.upstream.accept();
    second.head();
    revoke(&stage.gate, &pair);
    soon("the end", || {
        for (client, leg) in [(&mut upload, first), (&mut waiting, second)] {
            assert_eq!(client.read().expect("an answer").expect_refusal(401).field("message"), "Token revoked");
            leg.closed();
        }
    });
}

#[test]
fn a_token_that_expires_ends_what_it_was_used_for() {
    let stage = Stage::with(exact);
    let pair = stage.pair_for(2);
    let (mut tunnel, events) =
        (stage.tunnel(&pair), stage.events(&stage.gate.get(PATH).bearer(&pair.field("access_token"))));
    alive(&mut tunnel.0, &mut tunnel.1);
    closed(tunnel.0, tunnel.1);
    closed(events.0, events.1);
    stage.gate.get(PATH).bearer(&pair.field("access_token")).send().expect_refusal(401);
}

#[test]
fn a_session_that_was_refreshed_keeps_them_until_it_ends() {
    let stage = Stage::with(exact);
    let pair = stage.pair_for(2);
    let mut tunnel = stage.tunnel(&pair);
    let mut events = stage.events(&stage.gate.get(PATH).bearer(&pair.field("access_token")));
    let next = refresh(&stage.gate, &pair).expect(200);
    // Both tokens run out, and rounds are gone after that.
    thread::park_timeout(Duration::from_secs(4));
    for pair in [&pair, &next] {
        stage.gate.get(PATH).bearer(&pair.field("access_token")).send().expect_refusal(401);
    }
    alive(&mut tunnel.0, &mut tunnel.1);
    streams(&mut events.0, &mut events.1);
    revoke(&stage.gate, &next);
    soon("the end", || {
        closed(tunnel.0, tunnel.1);
        closed(events.0, events.1);
    });
}

#[test]
fn a_session_that_runs_out_ends_them_although_it_was_refreshed() {
    let stage = Stage::with(|start| exact(start).set("token.refresh_ttl", "3s").set("token.access_ttl", "2s"));
    let pair = stage.pair();
    let tunnel = stage.tunnel(&pair);
    refresh(&stage.gate, &pair).expect(200);
    closed(tunnel.0, tunnel.1);
}

#[test]
fn a_replica_ends_what_was_revoked_at_its_primary() {
    let primary = Stage::new();
    let data = primary.gate.folder().join("data");
    let replica = Stage::with(|start| {
        start
            .set("data_dir", data.to_str().unwrap())
            .set("store.kind", "replica")
            .set("store.primary_url", &format!("http://{}", primary.gate.address))
    });
    let (pair, kept) = (primary.pair(), primary.pair());
    let tunnel = replica.tunnel(&pair);
    let events = replica.events(&replica.gate.get(PATH).bearer(&pair.field("access_token")));
    let mut other = replica.tunnel(&kept);
    revoke(&primary.gate, &pair);
    soon("the end", || {
        closed(tunnel.0, tunnel.1);
        closed(events.0, events.1);
    });
    alive(&mut other.0, &mut other.1);
}

#[test]
fn scopes_that_a_user_loses_end_what_was_let_in_by_them() {
    let stage = Stage::new();
    let all = stage.pair();
    let tunnel = stage.tunnel(&all);
    stage.gate.write_users(&user("alice", "wonderland", &["messages:send"], ""));
    closed(tunnel.0, tunnel.1);
}

#[test]
fn a_password_keeps_what_it_has_begun_for_as_long_as_it_is_right() {
    let stage = Stage::new();
    let call = |name, password| stage.gate.get(PATH).basic(name, password);
    // Written anew, a hash would be another credential.
    let alice = user("alice", "wonderland", &["all:any"], "");
    let [carol, dan] = ["carol", "dan"].map(|name| user(name, "singing", &["messages:list"], ""));
    stage.gate.write_users(&[&*alice, &carol, &dan].concat());
    until("the users to be known", || {
        let asked = stage.gate.get("/3rdparty/v1/auth/sessions").basic("dan", "singing").send();
        (asked.status == 200).then_some(())
    });
    let mut kept = stage.events(&call("alice", "wonderland"));
    let changed = stage.events(&call("carol", "singing"));
    let removed = stage.events(&call("dan", "singing"));
    stage.gate.write_users(&[&*alice, &user("carol", "whistling", &["messages:list"], "")].concat());
    closed(changed.0, changed.1);
    closed(removed.0, removed.1);
    streams(&mut kept.0, &mut kept.1);
}
