//! Two gates and one engine.

use crate::support::Run;

use super::*;

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn what_one_gate_begins_the_other_renews_and_ends() {
    let engine = Engine::start();
    let a = first(&engine).start();
    let b = beside(&a, &engine).start();
    let pair = a.alice(MANY).expect(201);
    list(&b, &pair).expect(200);
    let next = refresh(&b, &pair).expect(200);
    list(&a, &next).expect(200);
    let last = refresh(&a, &next).expect(200);
    revoke(&b, &last);
    refuses_within_a_second(&a, &last);
    refuses_within_a_second(&b, &last);
    refresh(&a, &last).expect_refusal(401);
    // A password that changes ends sessions at both.
    let pair = b.alice(MANY).expect(201);
    list(&a, &pair).expect(200);
    a.write_users(&crate::support::user("alice", "another", &["all:any"], ""));
    let start = Instant::now();
    while list(&b, &pair).status != 401 || list(&a, &pair).status != 401 {
        assert!(start.elapsed() < Duration::from_secs(10), "it still passes");
    }
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn a_token_that_is_used_twice_ends_its_session_at_all_gates() {
    let engine = Engine::start();
    let a = first(&engine).start();
    let gates = [beside(&a, &engine).start(), beside(&a, &engine).start(), a];
    let pair = gates[0].alice(MANY).expect(201);
    let next = refresh(&gates[1], &pair);
    assert_eq!(next.status, 200, "{:?}", gates[1].log());
    // Within two seconds at another gate it may be the loser of a race.
    refresh(&gates[2], &pair).expect_refusal(401);
    list(&gates[0], &next).expect(200);
    until_it_is_no_race(&gates[2], &pair, &next);
    for gate in &gates {
        refuses_within_a_second(gate, &next);
        refresh(gate, &next).expect_refusal(401);
    }
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn a_gate_that_was_killed_knows_what_it_missed_before_it_listens() {
    let engine = Engine::start();
    let mut a = first(&engine).start();
    let b = beside(&a, &engine).start();
    let pairs: Vec<_> = (0..20).map(|_| a.alice(MANY).expect(201)).collect();
    a.kill();
    pairs.iter().for_each(|pair| revoke(&b, pair));
    let a = a.start_again();
    for pair in &pairs {
        assert_eq!(list(&a, pair).expect_refusal(401).field("message"), "Token revoked");
    }
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn a_gate_with_other_keys_does_not_start() {
    let engine = Engine::start();
    let a = first(&engine).start();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("--set=store.urls={}", engine.url());
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--set=store.kind=redis", &url];
    let said = Run::new(folder.path(), &arguments).end().expect(78).stderr;
    assert!(said.contains("no keys; gates that share"), "{said}");
    // With keys of its own that it had before.
    let other = Start::before(Upstream::start().address).start();
    let data = other.folder().join("data");
    drop(a.alice(MANY).expect(201));
    let data = format!("--set=data_dir={}", data.display());
    let said = Run::new(folder.path(), &[&arguments[..], &[&data]].concat()).end().expect(78).stderr;
    assert!(said.contains("not the keys of the gates"), "{said}");
}
