//! A primary and its replicas on one directory: what one issues and revokes, the others know; none of them writes but one.

mod following;
mod handover;
mod reading;
mod succession;
mod tls;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{Answer, Gate, Start, Upstream, list};

const TOKEN: &str = "/3rdparty/v1/auth/token";

fn primary() -> Start {
    Start::before(Upstream::start().address)
}

fn data(gate: &Gate) -> PathBuf {
    gate.folder().join("data")
}

/// A replica that reads `data`, in a folder of its own.
fn replica_on(data: &Path, primary: &str) -> Start {
    Start::before(Upstream::start().address)
        .set("data_dir", data.to_str().unwrap())
        .set("store.kind", "replica")
        .set("store.primary_url", primary)
}

fn replica_of(gate: &Gate) -> Start {
    replica_on(&data(gate), &format!("http://{}", gate.address))
}

#[track_caller]
fn revoke(gate: &Gate, pair: &Answer) {
    gate.call("DELETE", &format!("{TOKEN}/{}", pair.field("id"))).basic("alice", "wonderland").send().expect(204);
}

/// Asks until an access token is refused as one of an ended session, which has to be within a second.
#[track_caller]
fn refuses_within_a_second(gate: &Gate, pair: &Answer) {
    let start = Instant::now();
    loop {
        let answer = list(gate, pair);
        if answer.status == 401 {
            assert_eq!(answer.expect_refusal(401).field("message"), "Token revoked");
            break;
        }
        assert_eq!(answer.status, 200);
        assert!(start.elapsed() < Duration::from_secs(1), "it still passes");
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}
