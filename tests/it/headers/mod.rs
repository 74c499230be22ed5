//! What crosses the gate in a header, in either direction, as the upstream and the client read it from the wire.

mod authorization;
mod hops;
mod identity;
mod origin;

use crate::support::{Call, Gate};

/// A route that a token is demanded on, one that is public, and one that the upstream judges itself.
const JUDGED: &str = "/3rdparty/v1/messages";
const PUBLIC: &str = "/health";
const PASSTHROUGH: &str = "/mobile/v1/device";

/// A call to each of the three kinds of route, which passes.
fn calls(gate: &Gate, token: &str) -> [(&'static str, Call); 3] {
    [("judged", gate.get(JUDGED).bearer(token)), ("public", gate.get(PUBLIC)), ("passthrough", gate.get(PASSTHROUGH))]
}

/// A header name as the most forgiving of servers reads it.
fn read_loosely(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}
