//! Connections: how many there may be, how long each is of use, and who is behind a proxy.

mod crowd;
mod preamble;
mod requests;

use crate::support::{Gate, Start, Upstream};

/// A gate with these settings, before an upstream that answers everything.
#[track_caller]
fn gate(settings: &[(&str, &str)]) -> Gate {
    let start = Start::before(Upstream::start().address);
    settings.iter().fold(start, |start, (key, value)| start.set(key, value)).start()
}
