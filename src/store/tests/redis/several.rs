//! Many gates at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn of_fifty_racers_at_each_of_twenty_gates_one_gets_a_successor() {
    let engine = Engine::start();
    let gates: Vec<Gate> = (0..20).map(|_| engine.gate()).collect();
    let id = sign_in(&gates[0], 1, "anna", 0).unwrap();
    for generation in 0..3 {
        let now = T0 + SECOND * (10 * (generation + 1));
        let (rotated, raced) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // Fifty at a gate wait together on one thread, as at a worker.
        at_once(20, |gate| {
            let store = &*gates[gate].store;
            let presented = Presented {
                session: id,
                generation,
                issued_at: T0,
                profile: Profile::Smsgate,
                arrived_at: now,
                sender: Sender::default(),
                by: None,
                certificate: None,
            };
            let kid: Arc<str> = "key".into();
            run(async {
                let racers = (0..50).map(|_| store.rotate(&presented, &known, &kid, now, async {}));
                for outcome in all(racers.collect()).await {
                    match outcome.unwrap() {
                        Rotation::Rotated(_) => rotated.fetch_add(1, Ordering::Relaxed),
                        Rotation::Raced => raced.fetch_add(1, Ordering::Relaxed),
                        other => panic!("{other:?}"),
                    };
                }
            });
        });
        assert_eq!((rotated.into_inner(), raced.into_inner()), (1, 999));
        until("all gates know", || {
            gates.iter().all(|gate| gate.find(id).is_some_and(|session| session.generation == generation + 1))
        });
    }
    // The gate that has renewed it waits until its answer is gone.
    gates.iter().for_each(|gate| gate.answered(id, 3, T0 + SECOND * 31));
    // Later the same token is a theft, which ends the session everywhere.
    assert!(matches!(refresh(&gates[7], id, 2, T0 + SECOND * 60), Rotation::Reused(_)));
    let took = until("the session has ended at all gates", || {
        gates.iter().all(|gate| gate.access_standing(access(id, 3), T0 + SECOND * 60) == AccessStanding::Ended)
    });
    assert!(took < SECOND, "{took:?}");
    println!("reuse at one gate ended the session at 20 gates within {took:?}");
}

/// Polls all of them again and again, as the connections of a worker are.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outcomes = Vec::new();
    std::future::poll_fn(move |context| {
        futures.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(outcome) => {
                outcomes.push(outcome);
                false
            }
            std::task::Poll::Pending => true,
        });
        if futures.is_empty() {
            std::task::Poll::Ready(std::mem::take(&mut outcomes))
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn what_one_gate_begins_renews_and_ends_holds_at_all() {
    let engine = Engine::start();
    let gates: Vec<Gate> = (0..5).map(|_| engine.gate()).collect();
    let id = sign_in(&gates[0], 1, "anna", 0).unwrap();
    // Perhaps before it has heard of the session.
    for generation in 0..20 {
        let gate = &gates[generation as usize % 5];
        assert!(is_rotated(&try_refresh(gate, id, generation, T0 + SECOND * (10 * (generation + 1)))));
    }
    until("all gates know", || gates.iter().all(|gate| gate.find(id).is_some_and(|it| it.generation == 20)));
    let over = T0 + SECOND * 240;
    assert!(gates.iter().all(|gate| gate.access_standing(access(id, 19), over) == AccessStanding::Superseded));
    assert!(run(gates[3].end(id)).unwrap());
    let took = until("the end is known", || {
        gates.iter().all(|gate| gate.access_standing(access(id, 20), over) == AccessStanding::Ended)
    });
    assert!(took < SECOND, "{took:?}");
    for gate in &gates {
        assert_eq!(refresh(gate, id, 20, over), Rotation::Refused(RotationRefusal::Ended));
    }
    // One that starts now has to know of it before it is ready.
    assert_eq!(engine.gate().access_standing(access(id, 20), over), AccessStanding::Ended);
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn nobody_slips_in_at_one_gate_while_the_parent_ends_at_another() {
    let engine = Engine::start();
    let gates = [engine.gate(), engine.gate(), engine.gate()];
    for round in 0..20 {
        let parent = sign_in(&gates[0], 1000 * (round + 1), "anna", 0).unwrap();
        at_once(3, |gate| {
            if gate == 0 {
                assert!(run(gates[0].end(parent)).unwrap());
                return;
            }
            for n in 0..10 {
                let _ = mint(&gates[gate], 1000 * (round + 1) + 100 * gate as u64 + n, parent, 1);
            }
        });
        until("all have ended everywhere", || gates.iter().all(|gate| gate.live() == 0));
    }
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn gates_that_come_and_go_agree_on_every_session() {
    let engine = Engine::start();
    let steady = [engine.gate(), engine.gate()];
    let ids: Vec<_> = (0..40).map(|n| sign_in(&steady[0], n, "anna", 0).unwrap()).collect();
    let generations = at_once(4, |worker| {
        let mut generations = Vec::new();
        for id in ids.iter().skip(worker * 10).take(10) {
            let mut generation = 0;
            for round in 0..5 {
                let passing = engine.gate();
                let gate = if round % 2 == 0 { &passing } else { &steady[worker % 2] };
                let now = T0 + SECOND * (10 * (generation + 1));
                assert!(is_rotated(&try_refresh(gate, *id, generation, now)), "{worker} {round}");
                generation += 1;
            }
            generations.push(generation);
        }
        generations
    });
    let expected: Vec<u32> = generations.into_iter().flatten().collect();
    let known = |gate: &Gate| ids.iter().map(|id| gate.find(*id).unwrap().generation).collect::<Vec<_>>();
    until("all agree", || steady.iter().all(|gate| known(gate) == expected));
    assert_eq!(known(&engine.gate()), expected);
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn what_a_session_and_a_refresh_cost_the_engine() {
    let engine = Engine::start();
    let gate = engine.gate();
    let used = || -> u64 {
        let told = engine.ask("INFO memory");
        told.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse().unwrap()
    };
    let before = used();
    const SESSIONS: u64 = 5000;
    let ids: Vec<_> = (0..SESSIONS).map(|n| sign_in(&gate, n, &format!("user-{n}"), 0).unwrap()).collect();
    let with_log = (used() - before) / SESSIONS;
    engine.ask("XTRIM {portcullis}:log MAXLEN 0");
    let each = (used() - before) / SESSIONS;
    let began = Instant::now();
    ids.iter().for_each(|id| assert!(is_rotated(&try_refresh(&gate, *id, 0, T0 + SECOND * 10))));
    let took = began.elapsed() / u32::try_from(SESSIONS).unwrap();
    let told = engine.ask("INFO commandstats");
    let script = told.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap();
    println!("{each} bytes a session, {} a log entry; {took:?} a refresh, one by one; {script}", with_log - each);
    assert!(each < 500 && with_log - each < 500, "{each} {with_log}");
}

/// `PORTCULLIS_REDIS_SESSIONS` says how many.
#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn what_many_sessions_cost_the_engine_and_the_start_of_a_gate() {
    let count = std::env::var("PORTCULLIS_REDIS_SESSIONS").ok().and_then(|it| it.parse().ok()).unwrap_or(20_000);
    let engine = Engine::start();
    let used = || -> u64 {
        let told = engine.ask("INFO memory");
        told.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse().unwrap()
    };
    let before = used();
    let one = |n: u64| {
        // Spread over the shards, as random ids are.
        let id = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        session(id, &format!("user-of-the-sms-gateway-{:08}", n / 2), T0, &policy())
    };
    let sessions: Vec<_> = (0..count).map(one).collect();
    super::super::super::redis::keep(&engine.terms(), &policy(), &sessions, &[], T0).unwrap();
    let (each, began) = ((used() - before) / count, Instant::now());
    let (gate, ready) = Gate::begin(engine.terms(), Caps { sessions: 100_000_000, ..CAPS }, &policy());
    ready.recv_timeout(Duration::from_mins(10)).unwrap();
    println!("{count} sessions: {each} bytes each in the engine; a gate has read them after {:?}", began.elapsed());
    assert_eq!(gate.live() as u64, count);
    assert!(each < 500);
}
