//! Actors and verbs: an upstream, a gate before it, requests through it.

pub mod forge;
mod gate;
mod h2;
mod request;
mod run;
mod upstream;

pub use self::h2::exchange_h2;
pub use gate::{Gate, Start, user};
pub use request::{Answer, Call, Connection, exchange};
pub use run::{Ended, Run};
pub use upstream::{Seen, Upstream, ok};

/// The secret of every gate whose tokens a test forges.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Asks until `found` finds something; panics with `what` after ten seconds. For what happens on another thread.
#[track_caller]
pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "waited in vain for {what}");
        std::thread::yield_now();
    }
}
