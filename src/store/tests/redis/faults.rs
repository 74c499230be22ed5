//! An engine that is slow, full, gone, and back.

use super::*;

fn good(gate: &Gate, id: SessionId, generation: u32, now: Timestamp) -> bool {
    matches!(gate.access_standing(access(id, generation), now), AccessStanding::Good { .. })
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn with_the_engine_gone_tokens_are_judged_and_nothing_is_acknowledged_until_it_is_back() {
    let mut engine = Engine::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let gates = [engine.gate(), engine.gate()];
    let (id, other) = (sign_in(&gates[0], 1, "anna", 0).unwrap(), sign_in(&gates[0], 2, "ben", 0).unwrap());
    until("both are known", || gates[1].live() == 2);
    engine.kill();
    for _ in 0..20 {
        for gate in &gates {
            assert!(good(gate, id, 0, T0 + SECOND));
            let asked = Instant::now();
            assert!(matches!(try_refresh(gate, id, 0, T0 + SECOND * 10), Err(StoreError::Unwritten)));
            assert!(matches!(sign_in(gate, 9, "cleo", 1), Err(StoreError::Unwritten)));
            assert!(asked.elapsed() < SECOND * 3, "{:?}", asked.elapsed());
        }
    }
    // An end holds here at once, and is told to the engine when it is back.
    assert!(matches!(run(gates[0].end(other)), Err(StoreError::Unwritten)));
    assert_eq!(gates[0].access_standing(access(other, 0), T0), AccessStanding::Ended);
    engine.run();
    until("it is in use again", || gates.iter().all(Gate::is_up));
    until("the end is known", || gates[1].access_standing(access(other, 0), T0) == AccessStanding::Ended);
    assert!(is_rotated(&try_refresh(&gates[1], id, 0, T0 + SECOND * 20)));
    assert_eq!(engine.gate().live(), 1);
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn an_engine_that_hangs_is_answered_for_in_time_and_its_doubt_is_not_held_against_the_client() {
    let engine = Engine::start();
    let gates = [engine.gate(), engine.gate()];
    let id = sign_in(&gates[0], 1, "anna", 0).unwrap();
    until("it is known", || gates[1].live() == 1);
    engine.signal("-STOP");
    let asked = Instant::now();
    // It is in the engine's socket, and will be done.
    assert!(matches!(try_refresh(&gates[0], id, 0, T0 + SECOND * 10), Err(StoreError::Unwritten)));
    assert!(asked.elapsed() < Duration::from_millis(2500), "{:?}", asked.elapsed());
    assert!(gates.iter().all(|gate| good(gate, id, 0, T0 + SECOND * 11)));
    engine.signal("-CONT");
    until("it is in use again", || gates.iter().all(Gate::is_up));
    until("the doubt is known", || {
        gates.iter().all(|gate| gate.find(id).is_some_and(|session| session.generation == 0 || session.in_doubt))
    });
    // Long after: whatever has become of the first try, the client gets a successor, and one.
    let again = try_refresh(&gates[1], id, 0, T0 + SECOND * 60).unwrap();
    let (Rotation::Rotated(next) | Rotation::Retried(next)) = again else { panic!("{again:?}") };
    assert_eq!(next.generation, 1);
    assert!(is_rotated(&try_refresh(&gates[0], id, 1, T0 + SECOND * 70)));
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn an_engine_without_memory_or_rights_refuses_changes_and_takes_them_again() {
    let engine = Engine::start();
    let gate = engine.gate();
    let id = sign_in(&gate, 1, "anna", 0).unwrap();
    for (on, off) in [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("ACL SETUSER default -evalsha", "ACL SETUSER default +@all"),
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
        ("SCRIPT FLUSH", "PING"),
    ] {
        assert!(engine.ask(on).starts_with("+OK"), "{on}");
        assert!(matches!(try_refresh(&gate, id, 0, T0 + SECOND * 10), Err(StoreError::Unwritten)), "{on}");
        assert!(good(&gate, id, 0, T0 + SECOND * 10), "{on}");
        assert!(engine.ask(off).starts_with('+'), "{off}");
        until("it takes changes again", || gate.is_up());
    }
    assert!(is_rotated(&try_refresh(&gate, id, 0, T0 + SECOND * 20)));
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn what_an_engine_has_lost_is_put_there_again_before_any_gate_takes_changes() {
    let mut engine = Engine::start();
    let gates = [engine.gate(), engine.gate()];
    let ids: Vec<_> = (0..3).map(|n| sign_in(&gates[0], n, "anna", 0).unwrap()).collect();
    assert!(is_rotated(&try_refresh(&gates[0], ids[0], 0, T0 + SECOND * 10)));
    until("it is known", || gates[1].live() == 3);
    assert!(run(gates[1].end(ids[2])).unwrap());
    until("all is known", || gates.iter().all(|gate| gate.live() == 2 && gate.find(ids[0]).unwrap().generation == 1));
    // It keeps nothing on a disk: as after a failover that came too early, all is lost.
    engine.kill();
    engine.run();
    until("it is in use again", || gates.iter().all(Gate::is_up));
    let fresh = engine.gate();
    assert_eq!(fresh.live(), 2);
    assert_eq!(fresh.access_standing(access(ids[2], 0), T0), AccessStanding::Ended);
    // The consumed token has a successor, and is refused as such.
    assert!(matches!(refresh(&fresh, ids[0], 0, T0 + SECOND * 60), Rotation::Reused(_)));
    assert!(is_rotated(&try_refresh(&fresh, ids[1], 0, T0 + SECOND * 60)));
    assert!(gates.iter().map(|gate| gate.engine().unwrap().restored).sum::<u64>() >= 2);
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn a_gate_that_was_away_longer_than_the_log_goes_back_reads_everything() {
    let engine = Engine::start();
    let (steady, away) = (engine.gate(), engine.gate());
    let ids: Vec<_> = (0..20).map(|n| sign_in(&steady, n, "anna", 0).unwrap()).collect();
    until("all are known", || away.live() == 20);
    // Its connections are cut in the same breath in which an end is made and the log forgets of it.
    let dead = super::super::super::redis::spelling::tombstone(ids[0], T0 + SECOND * 3600);
    let dead: String = dead.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let readings = away.engine().unwrap().readings;
    engine.ask(&format!(
        "MULTI\r\nSET \"{{portcullis}}:s:{}\" \"{dead}\"\r\nXTRIM {{portcullis}}:log MAXLEN 0\r\nCLIENT KILL TYPE normal \
         SKIPME yes\r\nEXEC",
        ids[0]
    ));
    until("the end is known", || away.access_standing(access(ids[0], 0), T0) == AccessStanding::Ended);
    until("both are up", || steady.is_up() && away.is_up());
    assert_eq!((away.live(), away.engine().unwrap().readings), (19, readings + 1));
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn a_gate_is_not_ready_without_an_engine_nor_on_a_replica_of_one() {
    let (mut engine, primary) = (Engine::start(), Engine::start());
    engine.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    let (gate, ready) = Gate::begin(engine.terms(), CAPS, &policy());
    assert!(ready.recv_timeout(SECOND).is_err() && !gate.is_up());
    engine.kill();
    assert!(ready.recv_timeout(SECOND).is_err());
    engine.run();
    ready.recv_timeout(SECOND * 20).unwrap();
    assert!(gate.is_up());
}
