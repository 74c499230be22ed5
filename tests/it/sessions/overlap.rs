//! How long the access token that a refresh replaced goes on working.

use std::time::{Duration, Instant};

use super::{gate, list, lives, refresh, refused};
use crate::support::until;

#[test]
fn by_default_calls_under_way_may_end_with_the_replaced_token() {
    let gate = gate(&[]);
    let first = gate.alice(&["messages:list"]);
    lives(&gate, &first);
    let second = refresh(&gate, &first).expect(200);
    lives(&gate, &first);
    lives(&gate, &second);
    // One that this gate has never seen before.
    let unused = gate.alice(&["messages:list"]);
    refresh(&gate, &unused).expect(200);
    lives(&gate, &unused);
}

#[test]
fn without_an_overlap_the_replaced_token_is_cut_at_once() {
    let gate = gate(&[("token.access_overlap", "0s")]);
    let first = gate.alice(&["messages:list"]);
    lives(&gate, &first);
    let second = refresh(&gate, &first).expect(200);
    for _ in 0..10 {
        assert_eq!(refused(&list(&gate, &first)), "Token revoked");
        lives(&gate, &second);
    }
}

#[test]
fn the_overlap_ends_when_its_time_is_up() {
    let gate = gate(&[("token.access_overlap", "2s")]);
    let first = gate.alice(&["messages:list"]);
    let start = Instant::now();
    let second = refresh(&gate, &first).expect(200);
    lives(&gate, &first);
    let refusal = until("the replaced token to be cut", || Some(list(&gate, &first)).filter(|it| it.status != 200));
    assert!(start.elapsed() >= Duration::from_secs(2), "after {:?}", start.elapsed());
    assert_eq!(refused(&refusal), "Token revoked");
    lives(&gate, &second);
}

#[test]
fn only_the_immediate_parent_enjoys_the_overlap() {
    for overlap in ["30s", "10m", "until-expiry"] {
        let gate = gate(&[("token.access_overlap", overlap)]);
        let first = gate.alice(&["messages:list"]);
        let second = refresh(&gate, &first).expect(200);
        lives(&gate, &first);
        let third = refresh(&gate, &second).expect(200);
        assert_eq!(refused(&list(&gate, &first)), "Token revoked", "{overlap}");
        lives(&gate, &second);
        lives(&gate, &third);
    }
}

#[test]
fn the_end_of_a_session_ends_the_overlap_too() {
    let gate = gate(&[("token.access_overlap", "until-expiry")]);
    let first = gate.alice(&["messages:list"]);
    let second = refresh(&gate, &first).expect(200);
    lives(&gate, &first);
    let revoke = format!("{}/{}", super::TOKEN, second.field("id"));
    gate.call("DELETE", &revoke).basic("alice", "wonderland").send().expect(204);
    for pair in [&first, &second] {
        assert_eq!(refused(&list(&gate, pair)), "Token revoked");
    }
}
