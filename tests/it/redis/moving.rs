//! From the files to the engine and back, with everybody signed in.

use crate::support::Run;

use super::*;

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn sessions_move_to_the_engine_and_back_and_nobody_is_signed_out() {
    let engine = Engine::start();
    let mut gate = Start::before(Upstream::start().address).start();
    let pairs: Vec<_> = (0..10).map(|_| gate.alice(MANY).expect(201)).collect();
    let used = gate.alice(MANY).expect(201);
    let renewed = refresh(&gate, &used).expect(200);
    let ended = gate.alice(MANY).expect(201);
    revoke(&gate, &ended);
    let url = format!("--set=store.urls={}", engine.url());
    let data = format!("--data-dir={}", gate.folder().join("data").display());
    let go = |to: &str| {
        let arguments = ["store", "move", "--to", to, "--set=store.kind=redis", &url, &data];
        Run::new(gate.folder().as_path(), &arguments).end()
    };
    let running = go("redis").expect(1).stderr;
    assert!(running.contains("a gate is running here"), "{running}");
    gate.stop();
    let folder = gate.folder();
    let go = |to: &str| {
        let arguments = ["store", "move", "--to", to, "--set=store.kind=redis", &url, &data];
        Run::new(&folder, &arguments).end()
    };
    let told = go("redis").expect(0).stdout;
    assert!(told.contains("moved to Redis: 11 sessions, 1 ended ones"), "{told}");
    let gate = gate.set("store.kind", "redis").set("store.urls", &engine.url()).start_again();
    let pairs: Vec<_> = pairs.iter().map(|pair| refresh(&gate, pair).expect(200)).collect();
    list(&gate, &ended).expect_refusal(401);
    list(&gate, &renewed).expect(200);
    // What was consumed on the files is so on the engine; for two seconds that may be a race.
    until_it_is_no_race(&gate, &used, &renewed);
    refuses_within_a_second(&gate, &renewed);
    let busy = go("files").expect(1).stderr;
    assert!(busy.contains("gates are connected"), "{busy}");
    let mut gate = gate;
    gate.stop();
    let told = go("files").expect(0).stdout;
    assert!(told.contains("10 sessions, 2 ended ones"), "{told}");
    assert_eq!(engine.ask("EXISTS {portcullis}:log").lines().next(), Some(":0"));
    let gate = gate.set("store.kind", "memory").without_setting("store.urls").start_again();
    for pair in &pairs {
        list(&gate, pair).expect(200);
        refresh(&gate, pair).expect(200);
    }
    list(&gate, &renewed).expect_refusal(401);
}
