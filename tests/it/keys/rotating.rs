//! Rotation: nobody notices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use super::{before, header, key, keys, kid, listed, noticed, rotate};
use crate::support::{Connection, Dialect, Gate, forge, list, refresh, until};

/// Ends the load also where a test fails.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn clients_that_call_and_refresh_all_along_notice_no_rotation_and_no_retirement() {
    let gate = Dialect::all(before().set("server.drain_timeout", "1s").set("log.access", "off"), "").start();
    let first = key(&gate, "current");
    let idle = Dialect::Smsgate.alice(&gate);
    let (stop, stop_all) = (AtomicBool::new(false), AtomicBool::new(false));
    let requests: usize = thread::scope(|scope| {
        let _stop_whatever_happens = (Stopping(&stop), Stopping(&stop_all));
        let client = |dialect: Dialect, refreshes: bool, stop| {
            let (gate, stop): (&Gate, &AtomicBool) = (&gate, stop);
            move || {
                let mut connection = Connection::open(gate.address);
                let (mut pair, mut requests) = (dialect.alice(gate), 0);
                while !stop.load(Ordering::Relaxed) {
                    connection.ask(&gate.get("/3rdparty/v1/messages").bearer(&pair.access)).expect(200);
                    if refreshes {
                        let refreshed = connection.ask(&dialect.refreshing(gate, &pair.refresh)).expect(200);
                        pair = dialect.tokens(&refreshed);
                    }
                    requests += 1;
                }
                assert!(requests > 10, "{requests}");
                (dialect.refreshed(gate, &pair.refresh), requests)
            }
        };
        // Some keep what they have over both rotations, for as long as it is good.
        let keeping = [Dialect::Smsgate, Dialect::Form].map(|dialect| scope.spawn(client(dialect, false, &stop)));
        let all = [Dialect::Smsgate, Dialect::Form, Dialect::Web, Dialect::Phone];
        let refreshing = all.map(|dialect| scope.spawn(client(dialect, true, &stop_all)));
        let [_, second] = rotate(&gate, &[]);
        keys(&gate, &["add", "--algorithm", "ES256"]).expect(0);
        let next = key(&gate, "next");
        noticed(&gate, &next, "next");
        let [old, third] = rotate(&gate, &[]);
        assert_eq!((&old, &third), (&second, &next));
        stop.store(true, Ordering::Relaxed);
        let kept = keeping.map(|client| client.join().unwrap());
        until("all but one to move", || {
            let sessions =
                |kid: &str| listed(&gate, &[]).iter().find(|key| key["kid"] == *kid).unwrap()["sessions"].clone();
            (sessions(&first) == 1 && sessions(&second) == 0).then_some(())
        });
        // An old token passes for as long as its key is there, and not a moment longer.
        let call = gate.get("/3rdparty/v1/messages").bearer(&idle.access);
        call.send().expect(200);
        for old in [&second, &first] {
            keys(&gate, &["retire", old, "--force"]).expect(0);
            noticed(&gate, old, "gone");
        }
        call.send().expect_refusal(401);
        Dialect::Smsgate.refused(&gate, &idle.refresh);
        stop_all.store(true, Ordering::Relaxed);
        let moved = refreshing.map(|client| client.join().unwrap());
        for (pair, _) in kept.iter().chain(&moved) {
            let (header, _) = forge::parts(&pair.access);
            assert_eq!((&header["kid"], &header["alg"]), (&json!(third), &json!("ES256")));
            gate.get("/3rdparty/v1/messages").bearer(&pair.access).send().expect(200);
        }
        kept.iter().chain(&moved).map(|(_, requests)| requests).sum()
    });
    assert!(requests > 100, "{requests}");
    let current = listed(&gate, &[]).into_iter().find(|key| key["state"] == "current").unwrap();
    assert_eq!(current["sessions"], 6);
}

#[test]
fn an_old_token_passes_until_it_expires_and_what_is_left_of_it_goes_with_its_key() {
    let start = before().set("token.access_ttl", "3s").set("token.leeway", "0s").set("log.access", "off");
    let gate = start.start();
    let (pair, renewed) = (gate.alice(&["messages:list"]), gate.alice(&["messages:list"]));
    let expires = pair.claims("access_token")["exp"].as_i64().unwrap();
    let [old, new] = rotate(&gate, &[]);
    let passes = until("the token to expire", || {
        let asked = jiff::Timestamp::now().as_second();
        match list(&gate, &pair).status {
            200 => {
                assert!(asked < expires, "passed at {asked}, expired at {expires}");
                None
            }
            _ => Some((jiff::Timestamp::now().as_second(), list(&gate, &pair))),
        }
    });
    assert!(passes.0 >= expires, "refused before its time");
    assert_eq!(passes.1.expect_refusal(401).field("message"), "Token expired");
    // The session outlives its access token, on the new key; without the old one it could not.
    assert_eq!(kid(&refresh(&gate, &renewed).expect(200)), new);
    keys(&gate, &["retire", &old, "--force"]).expect(0);
    noticed(&gate, &old, "gone");
    assert_eq!(list(&gate, &pair).expect_refusal(401).field("message"), "Invalid token");
    refresh(&gate, &pair).expect_refusal(401);
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
