//! The end of a gate and its next beginning: what is kept, what the snapshot holds, how requests in flight end.

mod drain;
mod keeping;
mod queued;
mod snapshot;

use crate::support::{Answer, Gate, Start, Upstream, list, refresh};

const TOKEN: &str = "/3rdparty/v1/auth/token";
const REFRESH: &str = "/3rdparty/v1/auth/token/refresh";
const LIST: &str = "/3rdparty/v1/messages";

#[track_caller]
fn gate() -> Gate {
    Start::before(Upstream::start().address).start()
}

#[track_caller]
fn revoke(gate: &Gate, pair: &Answer) {
    gate.call("DELETE", &format!("{TOKEN}/{}", pair.field("id"))).basic("alice", "wonderland").send().expect(204);
}
