//! An upstream over HTTP/2, and gRPC through the gate: pairs of protocols, calls of a real library, faults.

mod calls;
mod faults;
pub mod pairs;
mod refused;
mod volume;
pub mod wire;

use std::net::SocketAddr;

use crate::support::{Gate, Start};

/// Demands `chat`.
const METHOD: &str = "/chat.Chat/Say";
const ROUTES: &str =
    "[[route]]\npath = \"/chat.Chat/*\"\nscope = \"chat\"\n\n[[route]]\npath = \"/open/*\"\naccess = \"public\"\n";

fn before(upstream: SocketAddr) -> Start {
    Start::before(upstream)
        .config_file(ROUTES)
        .set("routes.preset", "none")
        .set("upstream.protocol", "http2")
        .set("upstream.keepalive", "1h")
        .set("workers", "1")
}

fn token(gate: &Gate, scopes: &[&str]) -> String {
    gate.alice(scopes).field("access_token")
}
