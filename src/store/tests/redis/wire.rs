//! Every word that an engine could say to a change, and every place where a connection could end in it.

use super::proxy::{Fault, Proxy};
use super::*;

/// What a client hears when a change meets a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hears {
    /// 503: it was not made, and may be tried again.
    Refusal,
    /// 503, or that it was made after all; in whichever way the connection came back.
    Either,
}

const TIMEOUT: Duration = Duration::from_millis(600);

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn whatever_an_engine_refuses_with_a_change_is_a_503_that_may_be_repeated() {
    let errors = [
        "-OOM command not allowed when used memory > 'maxmemory'.",
        "-READONLY You can't write against a read only replica.",
        "-NOSCRIPT No matching script. Please use EVAL.",
        "-NOAUTH Authentication required.",
        "-WRONGPASS invalid username-password pair or user is disabled.",
        "-NOPERM this user has no permissions to run the 'evalsha' command",
        "-LOADING Redis is loading the dataset in memory",
        "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "-CLUSTERDOWN The cluster is down",
        "-CROSSSLOT Keys in request don't hash to the same slot",
        "-MOVED 5798 127.0.0.1:1",
        "-MOVED 5798 :1",
        "-ASK 5798 127.0.0.1:1",
        "-TRYAGAIN Multiple keys request during rehashing of slot",
        "-MISCONF Errors writing to the AOF file: No space left on device",
        "-NOREPLICAS Not enough good replicas to write.",
        "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "-UNKILLABLE Sorry the script already executed write commands",
        "-ERR max number of clients reached",
        "-",
        "-SOMETHING that nobody has thought of",
    ];
    check(errors.into_iter().map(says), Hears::Refusal);
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn whatever_comes_in_the_place_of_an_answer_one_token_has_one_successor() {
    // None of this is an answer to what was asked.
    let nonsense = ["+OK", ":2", ":0", "$-1", "*0", "*-1", "$3\r\nabc", "$-7", "*99999999999", "hello", "", "%1"];
    let cut = [Fault::HalfAsked(0), Fault::HalfAsked(1), Fault::HalfAsked(100), Fault::HalfAsked(usize::MAX)];
    check(nonsense.into_iter().map(says).chain(cut).chain([0, 1, 2, 3].map(Fault::HalfTold)), Hears::Either);
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn an_answer_that_does_not_come_in_time_is_a_503_that_may_be_repeated() {
    check([0, 1, 3].map(Fault::Hangs).into_iter(), Hears::Refusal);
}

fn says(text: &str) -> Fault {
    Fault::Says(format!("{text}\r\n"))
}

/// Presents a token of a session of its own to each fault, and again at another gate.
#[track_caller]
fn check(faults: impl Iterator<Item = Fault>, hears: Hears) {
    let engine = Engine::start();
    let proxy = Proxy::start(&engine);
    let servers = vec![Server { host: "127.0.0.1".into(), port: proxy.port }];
    let meddled = Gate::start(Terms { servers, timeout: TIMEOUT, ..engine.terms() }, CAPS, &policy());
    let observer = engine.gate();
    for (n, fault) in faults.enumerate() {
        let case = format!("{fault:?}");
        let id = sign_in(&meddled, n as u64, &format!("user-{n}"), 0).unwrap();
        proxy.meddle(fault);
        let (asked, at) = (Instant::now(), T0 + SECOND * 10);
        let outcome = try_refresh(&meddled, id, 0, at);
        assert!(asked.elapsed() < TIMEOUT * 2, "{case}: {:?}", asked.elapsed());
        assert!(proxy.has_meddled(), "{case}");
        match (&outcome, hears) {
            (Err(StoreError::Unwritten), _) | (Ok(Rotation::Rotated(_)), Hears::Either) => {}
            _ => panic!("{case}: {outcome:?}"),
        }
        let standing = meddled.access_standing(access(id, 0), at);
        assert!(matches!(standing, AccessStanding::Good { .. }), "{case}: {standing:?}");
        until(&format!("it takes changes again after {case}"), || meddled.is_up());
        until(&format!("the doubt is told after {case}"), || meddled.engine().unwrap().pending == 0);
        // Long after, at another gate.
        until("it is known", || observer.find(id).is_some());
        let again = try_refresh(&observer, id, 0, T0 + SECOND * 60);
        match (&outcome, &again) {
            (Ok(_), Ok(Rotation::Reused(_))) => continue,
            (Err(_), Ok(Rotation::Rotated(next) | Rotation::Retried(next))) if next.generation == 1 => {}
            _ => panic!("{case}: {outcome:?}, then {again:?}"),
        }
        let next = try_refresh(&meddled, id, 1, T0 + SECOND * 120);
        assert!(is_rotated(&next), "{case}: {next:?}");
    }
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn an_end_that_meets_a_fault_holds_here_at_once_and_everywhere_as_soon_as_it_can() {
    let engine = Engine::start();
    let proxy = Proxy::start(&engine);
    let servers = vec![Server { host: "127.0.0.1".into(), port: proxy.port }];
    let meddled = Gate::start(Terms { servers, timeout: TIMEOUT, ..engine.terms() }, CAPS, &policy());
    let observer = engine.gate();
    let faults = [
        Fault::Says("-OOM command not allowed\r\n".into()),
        Fault::Says("-READONLY You can't\r\n".into()),
        Fault::Says("hello\r\n".into()),
        Fault::HalfAsked(100),
        Fault::HalfTold(0),
        Fault::Hangs(1),
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        let case = format!("{fault:?}");
        let id = sign_in(&meddled, n as u64, "anna", 0).unwrap();
        until("it is known", || observer.find(id).is_some());
        proxy.meddle(fault);
        let ended = run(meddled.end(id));
        assert!(matches!(ended, Ok(true) | Err(StoreError::Unwritten)), "{case}: {ended:?}");
        assert_eq!(meddled.access_standing(access(id, 0), T0), AccessStanding::Ended, "{case}");
        until(&format!("all know after {case}"), || {
            observer.access_standing(access(id, 0), T0) == AccessStanding::Ended
        });
        until(&format!("it takes changes again after {case}"), || meddled.is_up());
        assert_eq!(refresh(&observer, id, 0, T0 + SECOND), Rotation::Refused(RotationRefusal::Ended), "{case}");
    }
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn a_sign_in_that_meets_a_fault_leaves_no_session_behind() {
    let engine = Engine::start();
    let proxy = Proxy::start(&engine);
    let servers = vec![Server { host: "127.0.0.1".into(), port: proxy.port }];
    let meddled = Gate::start(Terms { servers, timeout: TIMEOUT, ..engine.terms() }, CAPS, &policy());
    let observer = engine.gate();
    for (n, fault) in [Fault::HalfTold(2), Fault::Hangs(0), Fault::Says("-OOM no\r\n".into())].into_iter().enumerate() {
        let case = format!("{fault:?}");
        proxy.meddle(fault);
        let outcome = sign_in(&meddled, n as u64, "anna", 0);
        assert!(matches!(outcome, Ok(_) | Err(StoreError::Unwritten)), "{case}: {outcome:?}");
        until(&format!("it takes changes again after {case}"), || meddled.is_up());
        let live = usize::from(outcome.is_ok());
        until(&format!("all agree after {case}"), || observer.live() == live && meddled.live() == live);
        if let Ok(id) = outcome {
            assert!(run(meddled.end(id)).unwrap());
            until("it has ended", || observer.live() == 0);
        }
    }
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn a_password_that_is_changed_there_keeps_a_gate_out_until_it_is_the_right_one_again() {
    let engine = Engine::start();
    let gate = engine.gate();
    let id = sign_in(&gate, 1, "anna", 0).unwrap();
    engine.ok("CONFIG SET requirepass other");
    engine.ask("AUTH other\r\nCLIENT KILL TYPE normal SKIPME yes");
    until("it is out", || !gate.is_up());
    for second in 10..13 {
        assert!(matches!(try_refresh(&gate, id, 0, T0 + SECOND * second), Err(StoreError::Unwritten)));
    }
    engine.ask("AUTH other\r\nCONFIG SET requirepass \"\"");
    until("it is in again", || gate.is_up());
    assert!(is_rotated(&try_refresh(&gate, id, 0, T0 + SECOND * 20)));
}
