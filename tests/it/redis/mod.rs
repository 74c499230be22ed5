//! Gates whose sessions are on one Redis: what one of them begins, renews and ends holds at all.

mod faults;
mod moving;
mod secured;
mod sharing;

use std::time::{Duration, Instant};

use crate::support::{Answer, Engine, Gate, Start, Upstream, list, refresh, until};

const TOKEN: &str = "/3rdparty/v1/auth/token";
const MANY: &[&str] = &["messages:list", "messages:send"];

/// The first of several.
fn first(engine: &Engine) -> Start {
    Start::before(Upstream::start().address)
        .set("store.kind", "redis")
        .set("store.urls", &engine.url())
        // Many tests share few CPUs and one disk.
        .set("store.timeout", "5s")
}

/// Another one, with the keys and the users of `gate`.
fn beside(gate: &Gate, engine: &Engine) -> Start {
    let folder = gate.folder();
    first(engine)
        .set("data_dir", folder.join("data").to_str().unwrap())
        .set("users.file", folder.join("users.toml").to_str().unwrap())
}

#[track_caller]
fn revoke(gate: &Gate, pair: &Answer) {
    gate.call("DELETE", &format!("{TOKEN}/{}", pair.field("id"))).basic("alice", "wonderland").send().expect(204);
}

/// Presents `consumed` until that ends the session of `live`: a theft it is after two seconds.
#[track_caller]
fn until_it_is_no_race(gate: &Gate, consumed: &Answer, live: &Answer) {
    until("the end", || {
        refresh(gate, consumed).expect_refusal(401);
        (list(gate, live).status == 401).then_some(())
    });
}

#[track_caller]
fn refuses_within_a_second(gate: &Gate, pair: &Answer) {
    let start = Instant::now();
    while list(gate, pair).status != 401 {
        assert!(start.elapsed() < Duration::from_secs(1), "it still passes");
    }
}
