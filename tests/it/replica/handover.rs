//! Token endpoints at a replica: the primary answers, and knows who is asking.

use serde_json::json;

use super::{TOKEN, primary, refuses_within_a_second, replica_of, replica_on};
use crate::admin::ask;
use crate::support::{Answer, Gate, Start, list, refresh, until};

const SESSIONS: &str = "/3rdparty/v1/auth/sessions";
const CLIENT: &str = "198.51.100.7";

/// A replica behind a proxy that tells who the client is.
fn behind_a_proxy(primary: &Gate) -> Start {
    replica_of(primary).set("server.trusted_proxies", "127.0.0.1")
}

#[track_caller]
fn sign_in_from(gate: &Gate, address: &str) -> Answer {
    let call = gate.post(TOKEN).basic("alice", "wonderland").header("X-Forwarded-For", address);
    call.json(&json!({"scopes": ["messages:list", "tokens:manage"]})).send().expect(201)
}

#[track_caller]
fn addresses(gate: &Gate) -> Vec<String> {
    let sessions = gate.get(SESSIONS).basic("alice", "wonderland").send().expect(200).json();
    sessions.as_array().unwrap().iter().map(|session| session["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_life_of_a_session_can_be_led_at_replicas_alone() {
    let primary = primary().start();
    let replicas = [replica_of(&primary).start(), replica_of(&primary).start()];
    let first = replicas[0].alice(&["messages:list", "tokens:manage"]);
    for gate in [&replicas[0], &replicas[1], &primary] {
        list(gate, &first).expect(200);
    }
    let second = refresh(&replicas[1], &first).expect(200);
    let reused = refresh(&replicas[0], &first).expect_refusal(401);
    assert_eq!(reused.field("message"), "Invalid refresh token");
    for replica in &replicas {
        refuses_within_a_second(replica, &second);
    }
    let third = replicas[1].alice(&["messages:list", "tokens:manage"]);
    let own = replicas[0].get(SESSIONS).bearer(&third.field("access_token")).send().expect(200);
    assert_eq!(own.json().as_array().unwrap().len(), 1);
    let id = third.field("id");
    replicas[0].call("DELETE", &format!("{TOKEN}/{id}")).basic("alice", "wonderland").send().expect(204);
    list(&primary, &third).expect_refusal(401);
    for replica in &replicas {
        refuses_within_a_second(replica, &third);
    }
}

#[test]
fn the_primary_counts_and_records_the_client_and_not_the_replica() {
    let primary = primary().set("limits.signin.address_burst", "3").start();
    let replica = behind_a_proxy(&primary).start();
    sign_in_from(&replica, CLIENT);
    assert_eq!(addresses(&primary), [CLIENT]);
    let wrong = |address: &str| {
        let call = replica.post(TOKEN).basic("alice", "wrong").header("X-Forwarded-For", address);
        call.json(&json!({"scopes": ["messages:list"]})).send().status
    };
    let guesses: Vec<_> = (0..5).map(|_| wrong("203.0.113.9")).collect();
    assert_eq!((guesses[0], guesses[4]), (401, 429), "{guesses:?}");
    assert_eq!(wrong(CLIENT), 401, "others behind the same replica go on");
}

#[test]
fn nobody_else_can_say_who_is_asking() {
    let primary = primary().start();
    let replica = replica_of(&primary).start();
    for gate in [&primary, &replica] {
        let call = gate.post(TOKEN).basic("alice", "wonderland").header("X-Forwarded-For", CLIENT);
        let call = call.header("X-Portcullis-Visitor", &format!("{CLIENT} {} abc-1 AAAA", u64::MAX));
        call.json(&json!({"scopes": ["messages:list"]})).send().expect(201);
    }
    assert_eq!(addresses(&primary), ["127.0.0.1", "127.0.0.1"]);
}

#[test]
fn one_request_has_one_id_at_both() {
    let primary = primary().start();
    let replica = replica_of(&primary).start();
    let id = replica.alice(&["messages:list"]).header("x-request-id").unwrap().to_owned();
    for gate in [&primary, &replica] {
        until("the request's line", || {
            gate.log().iter().any(|line| line.contains(&id) && line.contains(TOKEN)).then_some(())
        });
    }
}

#[test]
fn while_the_primary_is_gone_requests_pass_and_tokens_wait() {
    let mut primary = primary().start();
    let settings = [("admin.listen", "127.0.0.1:0"), ("store.max_stale", "2s")];
    let replica = settings.iter().fold(replica_of(&primary), |start, (key, value)| start.set(key, value)).start();
    let pair = replica.alice(&["messages:list"]);
    ask(&replica, "GET", "/readyz").expect(200);
    primary.kill();
    for _ in 0..2 {
        let refused = refresh(&replica, &pair).expect_refusal(503);
        assert!(refused.header("retry-after").is_some());
        list(&replica, &pair).expect(200);
    }
    let unready = until("the replica to be stale", || {
        Some(ask(&replica, "GET", "/readyz")).filter(|answer| answer.status == 503)
    });
    assert!(unready.text().contains("[-]primary failed: nothing new from the primary for "), "{}", unready.text());
    ask(&replica, "GET", "/livez").expect(200);
    list(&replica, &pair).expect(200);
    // On the port that the replica knows.
    let address = primary.address.to_string();
    let primary = primary.set("server.listen", &address).start_again();
    until("the replica to be fresh", || (ask(&replica, "GET", "/readyz").status == 200).then_some(()));
    refresh(&replica, &pair).expect(200);
    drop(primary);
}

#[test]
fn a_replica_of_a_replica_is_told_to_look_elsewhere() {
    let primary = primary().start();
    let replica = replica_of(&primary).start();
    let lost = replica_on(&super::data(&primary), &format!("http://{}", replica.address)).start();
    let call = lost.post(TOKEN).basic("alice", "wonderland").json(&json!({"scopes": ["messages:list"]}));
    call.send().expect_refusal(503);
    replica.wait_for_log("primary_is_replica");
}
