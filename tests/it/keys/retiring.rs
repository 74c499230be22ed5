//! The end of a key: when it is safe, and by force.

use super::{before, key, keys, kid, listed, noticed, rotate};
use crate::support::{Connection, Run, Start, Upstream, list, refresh, until};

#[test]
fn what_lasts_ends_with_the_key_of_its_token_unless_the_session_has_moved_on() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n";
    let gate = Start::before(Upstream::answering(|_| head.to_vec()).address).start();
    let [lost, moved] = [(); 2].map(|()| gate.alice(&["messages:list"]));
    let [mut ended, mut kept] = [&lost, &moved].map(|pair| {
        let mut client = Connection::open(gate.address);
        client.write(&gate.get("/3rdparty/v1/messages").bearer(&pair.field("access_token")).raw());
        client.until(b"data: 1\n\n\r\n");
        client
    });
    let [old, _] = rotate(&gate, &[]);
    refresh(&gate, &moved).expect(200);
    keys(&gate, &["retire", &old, "--force"]).expect(0);
    assert_eq!(ended.rest(), b"");
    kept.expect_silence();
}

#[test]
fn a_key_that_is_needed_goes_by_force_alone_and_then_its_tokens_are_refused_at_once() {
    let gate = before().start();
    let lost = [gate.alice(&["messages:list"]), gate.alice(&["messages:list"])];
    let moved = gate.alice(&["messages:list"]);
    let [old, new] = rotate(&gate, &[]);
    let moved = refresh(&gate, &moved).expect(200);

    let refused = keys(&gate, &["retire", &old]).expect(1);
    let until = listed(&gate, &[])[0]["safe_at"].as_str().unwrap().to_owned();
    assert!(refused.stderr.contains(&format!("the key {old} is still needed until {until}: ")), "{refused:#?}");
    assert!(refused.stderr.contains("sessions that depend on it: 2, and its access tokens"), "{refused:#?}");
    // Each worker has verified them, and would know them again.
    let mut connections: Vec<_> = (0..6).map(|_| Connection::open(gate.address)).collect();
    let calls = lost.each_ref().map(|pair| gate.get("/3rdparty/v1/messages").bearer(&pair.field("access_token")));
    for connection in &mut connections {
        for call in &calls {
            connection.ask(call).expect(200);
        }
    }

    let gone = keys(&gate, &["retire", &old, "--force"]).expect(0);
    assert!(gone.stdout.contains("have to sign in again: 2"), "{gone:#?}");
    noticed(&gate, &old, "gone");
    for connection in &mut connections {
        for call in &calls {
            connection.ask(call).expect_refusal(401);
        }
    }
    for pair in &lost {
        refresh(&gate, pair).expect_refusal(401);
    }
    list(&gate, &moved).expect(200);
    assert_eq!(kid(&refresh(&gate, &moved).expect(200)), new);
    let listed = listed(&gate, &[]);
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(
        (&listed[1]["kind"], &listed[1]["kid"], &listed[1]["sessions"]),
        (&"gone".into(), &old.into(), &2.into())
    );
    assert!(keys(&gate, &["list"]).expect(0).stdout.contains("  gone "));
    let gate = gate.restart();
    list(&gate, &lost[0]).expect_refusal(401);
}

#[test]
fn a_key_that_nothing_depends_on_goes_without_force() {
    let short = ["--set=token.access_ttl_max=1s", "--set=token.access_ttl=1s", "--set=token.leeway=0s"];
    let mut start = before();
    for setting in short {
        let (name, value) = setting.trim_start_matches("--set=").split_once('=').unwrap();
        start = start.set(name, value);
    }
    let gate = start.start();
    let pair = gate.alice(&["messages:list"]);
    let [old, _] = rotate(&gate, &[]);
    let pair = refresh(&gate, &pair).expect(200);
    let arguments = [&["keys", "retire", &old], &short[..]].concat();
    let first = Run::new(&gate.folder(), &arguments).end().expect(1);
    assert!(first.stderr.contains("sessions that depend on it: 0, and its access tokens"), "{first:#?}");
    let gone = until("the last access token to expire", || {
        let ended = Run::new(&gate.folder(), &arguments).end();
        (ended.code == Some(0)).then_some(ended)
    });
    assert!(gone.stdout.contains("have to sign in again: 0"), "{gone:#?}");
    noticed(&gate, &old, "gone");
    refresh(&gate, &pair).expect(200);
}

#[test]
fn the_current_key_never_goes_and_a_next_one_always() {
    let gate = before().start();
    let current = key(&gate, "current");
    let refused = keys(&gate, &["retire", &current, "--force"]).expect(1);
    assert!(refused.stderr.contains("is the current one"), "{refused:#?}");
    keys(&gate, &["add"]).expect(0);
    let next = key(&gate, "next");
    keys(&gate, &["retire", &next]).expect(0);
    assert_eq!(listed(&gate, &[]).len(), 1);
}
