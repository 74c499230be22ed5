//! Keeping up: with what a primary does, with its deaths, and after having been stopped.

use std::fs;

use super::{data, primary, refuses_within_a_second, replica_of, revoke};
use crate::support::{Gate, list, refresh, until};

fn newest_segment(gate: &Gate) -> String {
    let names = fs::read_dir(data(gate)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("sessions.journal.0")).max().unwrap()
}

#[test]
fn a_token_of_the_primary_passes_at_the_replicas_until_it_is_revoked_there() {
    let primary = primary().start();
    let replicas = [replica_of(&primary).start(), replica_of(&primary).start()];
    for _ in 0..3 {
        let (revoked, kept) = (primary.alice(&["messages:list"]), primary.alice(&["messages:list"]));
        for replica in &replicas {
            list(replica, &revoked).expect(200);
        }
        revoke(&primary, &revoked);
        for replica in &replicas {
            refuses_within_a_second(replica, &revoked);
            list(replica, &kept).expect(200);
        }
    }
}

#[test]
fn a_replaced_access_token_is_replaced_at_the_replicas() {
    let primary = primary().set("token.access_overlap", "0s").start();
    let replica = replica_of(&primary).set("token.access_overlap", "0s").start();
    let first = primary.alice(&["messages:list"]);
    list(&replica, &first).expect(200);
    let second = refresh(&primary, &first).expect(200);
    refuses_within_a_second(&replica, &first);
    list(&replica, &second).expect(200);
}

#[test]
fn what_was_revoked_before_the_replica_began_is_refused() {
    let primary = primary().start();
    let pairs: Vec<_> = (0..3).map(|_| primary.alice(&["messages:list"])).collect();
    revoke(&primary, &pairs[0]);
    // Its end writes a snapshot: one revocation is in there, the other one in the journal behind it.
    let primary = primary.restart();
    revoke(&primary, &pairs[1]);
    let replica = replica_of(&primary).start();
    for pair in &pairs[..2] {
        list(&replica, pair).expect_refusal(401);
    }
    list(&replica, &pairs[2]).expect(200);
}

#[test]
fn a_primary_that_is_killed_and_starts_again_is_followed() {
    let mut primary = primary().start();
    let replicas = [replica_of(&primary).start(), replica_of(&primary).start()];
    for _ in 0..3 {
        let before = primary.alice(&["messages:list"]);
        primary.kill();
        for replica in &replicas {
            list(replica, &before).expect(200);
        }
        primary = primary.start_again();
        let after = primary.alice(&["messages:list"]);
        revoke(&primary, &before);
        revoke(&primary, &after);
        for replica in &replicas {
            refuses_within_a_second(replica, &before);
            refuses_within_a_second(replica, &after);
        }
    }
}

#[test]
fn a_replica_that_was_stopped_over_many_rounds_catches_up() {
    let primary = primary().set("store.snapshot_interval", "100ms").start();
    let replica = replica_of(&primary).start();
    let kept = primary.alice(&["messages:list"]);
    let ended: Vec<_> = (0..4).map(|_| primary.alice(&["messages:list"])).collect();
    list(&replica, &ended[0]).expect(200);
    replica.signal("STOP");
    for pair in &ended {
        let segment = newest_segment(&primary);
        revoke(&primary, pair);
        until("a snapshot", || (newest_segment(&primary) != segment).then_some(()));
    }
    replica.signal("CONT");
    for pair in &ended {
        refuses_within_a_second(&replica, pair);
    }
    list(&replica, &kept).expect(200);
}

#[test]
fn a_replica_says_when_its_primary_falls_silent_and_when_it_is_back() {
    let primary = primary().start();
    let replica = replica_of(&primary).set("store.max_stale", "2s").start();
    let pair = primary.alice(&["messages:list"]);
    primary.signal("STOP");
    let said = replica.wait_for_log("stale: nothing new");
    assert!(said.contains("the primary has written nothing since"), "{said}");
    list(&replica, &pair).expect(200);
    primary.signal("CONT");
    replica.wait_for_log("fresh again");
    revoke(&primary, &pair);
    refuses_within_a_second(&replica, &pair);
    let stale = replica.log().into_iter().filter(|line| line.contains("stale: nothing new")).count();
    assert_eq!(stale, 1);
}
