//! Actors and verbs: an upstream, a gate before it, requests through it.

pub mod dialect;
mod engine;
pub mod forge;
mod gate;
mod h2;
mod request;
mod run;
mod script;
mod upstream;
mod workers;

pub use self::h2::{exchange_h2, exchange_h2_over};
pub use dialect::{Dialect, Tokens};
pub use engine::Engine;
pub use gate::{Gate, Start, user};
pub use request::{Answer, Call, Connection, exchange};
pub use run::{Ended, Run, command};
pub use script::{Leg, Scripted, offer};
pub use upstream::{Seen, Upstream, ok, read_head};
pub use workers::connections_of_workers;

/// The secret of every gate whose tokens a test forges.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Every scope that the SMS API documents, and the two that stand above its routes.
pub const SCOPES: [&str; 18] = [
    "messages:list",
    "messages:send",
    "messages:read",
    "messages:cancel",
    "messages:export",
    "inbox:list",
    "inbox:read",
    "inbox:refresh",
    "devices:list",
    "devices:delete",
    "webhooks:list",
    "webhooks:write",
    "webhooks:delete",
    "settings:read",
    "settings:write",
    "logs:read",
    "tokens:manage",
    "all:any",
];

/// Calls the API with a pair's access token.
#[track_caller]
pub fn list(gate: &Gate, pair: &Answer) -> Answer {
    gate.get("/3rdparty/v1/messages").bearer(&pair.field("access_token")).send()
}

/// Refreshes with a pair's refresh token.
#[track_caller]
pub fn refresh(gate: &Gate, pair: &Answer) -> Answer {
    gate.refresh(&pair.field("refresh_token"))
}

/// Asks until `found` finds something; panics with `what` after ten seconds. For what happens on another thread.
#[track_caller]
pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "waited in vain for {what}");
        std::thread::yield_now();
    }
}
