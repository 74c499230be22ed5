//! Rotation: nobody notices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{before, header, key, keys, kid, listed, noticed, rotate};
use crate::support::{list, refresh};

const CLIENTS: usize = 4;

#[test]
fn clients_that_call_and_refresh_all_along_notice_no_rotation() {
    let gate = before().set("server.drain_timeout", "1s").start();
    let first = key(&gate, "current");
    let stop = AtomicBool::new(false);
    let moved = thread::scope(|scope| {
        let client = |refreshes: bool| {
            let (gate, stop) = (&gate, &stop);
            move || {
                let mut pair = gate.alice(&["messages:list"]);
                let mut calls = 0;
                while !stop.load(Ordering::Relaxed) {
                    list(gate, &pair).expect(200);
                    if refreshes {
                        pair = refresh(gate, &pair).expect(200);
                    }
                    calls += 1;
                }
                assert!(calls > 10, "{calls}");
                refresh(gate, &pair).expect(200)
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|n| scope.spawn(client(n % 2 == 0))).collect();
        let [_, second] = rotate(&gate, &[]);
        keys(&gate, &["add", "--algorithm", "ES256"]).expect(0);
        let next = key(&gate, "next");
        noticed(&gate, &next, "next");
        let [old, third] = rotate(&gate, &[]);
        assert_eq!((&old, &third), (&second, &next));
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    let current = key(&gate, "current");
    for pair in &moved {
        assert_eq!(kid(pair), current);
        assert_eq!(header(pair, "access_token")["alg"], "ES256");
        list(&gate, pair).expect(200);
    }
    let listed = listed(&gate, &[]);
    assert_eq!(listed.len(), 3, "{listed:?}");
    for key in &listed {
        let sessions = if key["kid"] == current { CLIENTS } else { 0 };
        assert_eq!(key["sessions"], sessions, "{key}");
    }
    assert_eq!(listed[0]["kid"], first);
}

#[test]
fn a_refresh_moves_a_session_onto_the_new_key_and_its_old_tokens_stay_valid() {
    let gate = before().set("token.access_overlap", "until-expiry").start();
    let pairs = [gate.alice(&["messages:list"]), gate.alice(&["messages:list"])];
    let [old, new] = rotate(&gate, &[]);
    assert_ne!(old, new);
    for pair in &pairs {
        assert_eq!(kid(pair), old);
        list(&gate, pair).expect(200);
    }
    assert_eq!(kid(&gate.alice(&["messages:list"])), new);
    let moved = refresh(&gate, &pairs[0]).expect(200);
    assert_eq!(kid(&moved), new);
    list(&gate, &moved).expect(200);
    list(&gate, &pairs[0]).expect(200);
    // Also after a restart.
    let gate = gate.restart();
    list(&gate, &pairs[1]).expect(200);
    assert_eq!(kid(&refresh(&gate, &pairs[1]).expect(200)), new);
    assert_eq!(kid(&refresh(&gate, &moved).expect(200)), new);
}

#[test]
fn a_retry_over_a_rotation_of_keys_gets_the_same_pair() {
    let gate = before().set("token.retry_window", "60s").start();
    let first = gate.alice(&["messages:list"]);
    let second = refresh(&gate, &first).expect(200);
    let [old, _] = rotate(&gate, &[]);
    let again = refresh(&gate, &first).expect(200);
    for field in ["id", "access_token", "refresh_token", "expires_at"] {
        assert_eq!(again.field(field), second.field(field));
    }
    assert_eq!(kid(&again), old);
}

#[test]
fn the_form_dialect_follows_too() {
    let gate = before().set("profiles.form.enabled", "true").start();
    let form = |path: &str, body: String| {
        gate.post(path).header("Content-Type", "application/x-www-form-urlencoded").body(body).send()
    };
    let again = |token: String| form("/refresh", format!("refreshToken={token}"));
    let pairs: Vec<_> =
        (0..2).map(|_| form("/login", "username=alice&password=wonderland".into()).expect(200)).collect();
    let [old, new] = rotate(&gate, &[]);
    let moved = again(pairs[0].field("refreshToken")).expect(200);
    assert_eq!(header(&moved, "accessToken")["kid"], new);
    keys(&gate, &["retire", &old, "--force"]).expect(0);
    noticed(&gate, &old, "gone");
    again(pairs[1].field("refreshToken")).expect(401);
    again(moved.field("refreshToken")).expect(200);
}

#[test]
fn keys_that_cannot_be_read_keep_the_old_ones_in_force_and_are_told_once() {
    let gate = before().start();
    let pair = gate.alice(&["messages:list"]);
    let path = gate.folder().join(format!("data/keys/{}.key", key(&gate, "current")));
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();
    let trouble = "the keys cannot be read; those known so far stay in force";
    assert!(gate.wait_for_log(trouble).contains("ERROR"));
    list(&gate, &pair).expect(200);
    let pair = refresh(&gate, &pair).expect(200);
    keys(&gate, &["rotate"]).expect(1);
    std::fs::rename(&aside, &path).unwrap();
    gate.wait_for_log("the keys can be read again");
    assert_eq!(gate.log().iter().filter(|line| line.contains(trouble)).count(), 1);
    rotate(&gate, &[]);
    list(&gate, &pair).expect(200);
}
