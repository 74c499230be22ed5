//! `retry_window` and what it is for: tabs that race, answers that are lost, thieves, and restarts in between; in every
//! dialect, with keys that sign the same twice and such that do not.

use std::net::TcpStream;
use std::time::{Duration, Instant};
use std::{io::Write, thread};

use crate::support::{Dialect, Gate, Start, Tokens, Upstream, forge, until};

const WINDOW: (&str, &str) = ("token.retry_window", "5m");
const ONCE: (&str, &str) = ("token.retry_window", "0s");

/// A dialect, and a gate of its own that signs by one algorithm.
struct Scene {
    gate: Gate,
    dialect: Dialect,
    algorithm: &'static str,
}

/// Plays a scene with every dialect, and with every kind of signature.
fn everywhere(settings: &[(&str, &str)], play: impl Fn(Scene) + Sync) {
    thread::scope(|scope| {
        for algorithm in ["HS256", "ES256", "EdDSA"] {
            scope.spawn({
                let play = &play;
                move || {
                    for dialect in [Dialect::Smsgate, Dialect::Form, Dialect::Cookie, Dialect::Web, Dialect::Phone] {
                        let start = Start::before(Upstream::start().address).set("token.algorithm", algorithm);
                        let start = settings.iter().fold(start, |start, (name, value)| start.set(name, value));
                        let start = if dialect == Dialect::Cookie { Dialect::in_cookies(start) } else { start };
                        println!("{dialect:?} with {algorithm}");
                        play(Scene { gate: Dialect::all(start, "").start(), dialect, algorithm });
                    }
                }
            });
        }
    });
}

impl Scene {
    #[track_caller]
    fn alice(&self) -> Tokens {
        self.dialect.alice(&self.gate)
    }

    #[track_caller]
    fn refreshed(&self, pair: &Tokens) -> Tokens {
        self.dialect.refreshed(&self.gate, &pair.refresh)
    }

    fn calls(&self, pair: &Tokens) -> u16 {
        self.gate.get("/3rdparty/v1/messages").bearer(&pair.access).send().status
    }

    /// Calls the API until `span` has passed since `start`.
    #[track_caller]
    fn call_until(&self, pair: &Tokens, start: Instant, span: Duration) {
        until("the time to pass", || {
            assert_eq!(self.calls(pair), 200);
            (start.elapsed() > span).then_some(())
        });
    }

    /// Holds two pairs to be one: to the byte, but for the signature of an algorithm that rolls dice.
    #[track_caller]
    fn same(&self, one: &Tokens, other: &Tokens) {
        assert_eq!(one.refresh, other.refresh);
        let signed = |pair: &Tokens| pair.access.rsplit_once('.').unwrap().0.to_owned();
        assert_eq!(signed(one), signed(other), "generation, jti, exp and all else");
        if self.algorithm != "ES256" {
            assert_eq!(one.access, other.access);
        }
        for pair in [one, other] {
            assert_eq!(self.calls(pair), 200);
        }
    }

    /// A reuse: refused as any refresh token is, and nothing of the session is good any more.
    #[track_caller]
    fn is_theft(&self, presented: &Tokens, newest: &Tokens) {
        self.dialect.refused(&self.gate, &presented.refresh);
        self.has_ended(presented, newest);
        self.gate.wait_for_log("\"reuse\"");
    }

    #[track_caller]
    fn has_ended(&self, presented: &Tokens, newest: &Tokens) {
        for pair in [presented, newest] {
            assert_eq!(self.calls(pair), 401);
            self.dialect.refused(&self.gate, &pair.refresh);
        }
    }

    /// Presents a token and goes away without reading the answer, when the gate has decided.
    #[track_caller]
    fn loses_the_answer(&self, pair: &Tokens) {
        let mut stream = TcpStream::connect(self.gate.address).unwrap();
        stream.write_all(&self.dialect.refreshing(&self.gate, &pair.refresh).raw()).unwrap();
        let session = format!("\"session\":\"{}\"", pair.session());
        until("the refresh", || {
            let decided = |line: &String| line.contains("\"refresh\"") && line.contains(&session);
            self.gate.log().iter().any(decided).then_some(())
        });
    }

    /// All that several tabs get that present one token at once.
    fn tabs(&self, pair: &Tokens) -> Vec<crate::support::Answer> {
        thread::scope(|scope| {
            let present = || self.dialect.refreshing(&self.gate, &pair.refresh).send();
            let tabs: Vec<_> = (0..6).map(|_| scope.spawn(present)).collect();
            tabs.into_iter().map(|tab| tab.join().unwrap()).collect()
        })
    }
}

fn generation(pair: &Tokens) -> String {
    let (_, claims) = forge::parts(&pair.access);
    claims["jti"].as_str().unwrap().rsplit_once('.').unwrap().1.into()
}

#[test]
fn tabs_that_race_get_the_same_pair_and_it_goes_on() {
    everywhere(&[WINDOW], |scene| {
        let first = scene.alice();
        let pairs: Vec<_> = scene.tabs(&first).iter().map(|answer| scene.dialect.tokens(answer)).collect();
        for pair in &pairs {
            assert_eq!(generation(pair), "1");
            scene.same(pair, &pairs[0]);
        }
        let next = scene.refreshed(&pairs[3]);
        // What all of them hold was used by one of them: for the others it is an answer that was lost.
        scene.same(&scene.refreshed(&pairs[1]), &next);
        scene.is_theft(&first, &next);
    });
}

#[test]
fn without_a_window_one_of_the_tabs_gets_a_pair_and_nobody_two() {
    everywhere(&[ONCE], |scene| {
        let first = scene.alice();
        let answers = scene.tabs(&first);
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(won.len(), 1);
        lost.iter().for_each(|answer| scene.dialect.refusal(answer));
        // Those that came too late for a race have ended it: a machine may be slow.
        let pair = scene.dialect.tokens(won[0]);
        if scene.calls(&pair) == 200 {
            scene.is_theft(&first, &scene.refreshed(&pair));
        }
    });
}

#[test]
fn a_lost_answer_comes_again_as_often_as_it_is_asked_for() {
    everywhere(&[WINDOW], |scene| {
        let first = scene.alice();
        scene.loses_the_answer(&first);
        let start = Instant::now();
        let second = scene.refreshed(&first);
        assert_eq!(generation(&second), "1");
        // By then a pair made anew would have other times.
        scene.call_until(&second, start, Duration::from_millis(1100));
        for _ in 0..2 {
            scene.same(&scene.refreshed(&first), &second);
        }
        assert_eq!(generation(&scene.refreshed(&second)), "2");
    });
}

#[test]
fn a_client_may_go_away_at_any_moment() {
    everywhere(&[WINDOW], |scene| {
        let mut pair = scene.alice();
        for millis in 0..8 {
            let mut stream = TcpStream::connect(scene.gate.address).unwrap();
            stream.write_all(&scene.dialect.refreshing(&scene.gate, &pair.refresh).raw()).unwrap();
            let sent = Instant::now();
            until("a moment to pass", || (sent.elapsed() >= Duration::from_millis(millis)).then_some(()));
            drop(stream);
            pair = scene.refreshed(&pair);
            assert_eq!(generation(&pair), (millis + 1).to_string());
        }
    });
}

#[test]
fn without_a_window_who_lost_an_answer_has_to_sign_in_again() {
    everywhere(&[ONCE], |scene| {
        let first = scene.alice();
        scene.loses_the_answer(&first);
        scene.is_theft(&first, &first);
    });
}

#[test]
fn a_thief_within_the_window_gets_no_successor_of_its_own() {
    everywhere(&[WINDOW], |scene| {
        let stolen = scene.alice();
        let owners = scene.refreshed(&stolen);
        let thiefs = scene.refreshed(&stolen);
        scene.same(&owners, &thiefs);
        // The owner goes on, and the thief still has the first token: two back is no retry, whatever the window.
        let next = scene.refreshed(&owners);
        scene.is_theft(&stolen, &next);
    });
}

#[test]
fn a_thief_that_goes_on_is_found_out_when_the_owner_retries() {
    everywhere(&[WINDOW], |scene| {
        let stolen = scene.alice();
        scene.loses_the_answer(&stolen);
        let thiefs = scene.refreshed(&scene.refreshed(&stolen));
        assert_eq!(scene.calls(&thiefs), 200);
        scene.is_theft(&stolen, &thiefs);
    });
}

#[test]
fn after_the_window_a_retry_is_a_theft() {
    everywhere(&[("token.retry_window", "2s")], |scene| {
        let first = scene.alice();
        let second = scene.refreshed(&first);
        let rotated = Instant::now();
        scene.same(&scene.refreshed(&first), &second);
        // No retry has moved the window's end.
        scene.call_until(&second, rotated, Duration::from_secs(2));
        scene.is_theft(&first, &second);
    });
}

#[test]
fn a_restart_in_between_changes_nothing_of_it() {
    everywhere(&[WINDOW], |mut scene| {
        let first = scene.alice();
        scene.loses_the_answer(&first);
        scene.gate.stop();
        scene.gate = scene.gate.start_again();
        let start = Instant::now();
        let second = scene.refreshed(&first);
        assert_eq!(generation(&second), "1");
        scene.call_until(&second, start, Duration::from_millis(1100));
        scene.gate.kill();
        scene.gate = scene.gate.start_again();
        scene.same(&scene.refreshed(&first), &second);
        let third = scene.refreshed(&second);
        scene.gate.kill();
        scene.gate = scene.gate.start_again();
        scene.same(&scene.refreshed(&second), &third);
        scene.is_theft(&first, &third);
        scene.gate.kill();
        scene.gate = scene.gate.start_again();
        scene.has_ended(&first, &third);
        scene.has_ended(&second, &third);
    });
}

#[test]
fn a_restart_does_not_open_the_window_again() {
    everywhere(&[("token.retry_window", "1s")], |mut scene| {
        let first = scene.alice();
        let second = scene.refreshed(&first);
        let rotated = Instant::now();
        scene.gate.kill();
        scene.gate = scene.gate.start_again();
        scene.call_until(&second, rotated, Duration::from_secs(1));
        scene.is_theft(&first, &second);
    });
}
