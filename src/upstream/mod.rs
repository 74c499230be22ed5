//! The other side: connections to the API behind the gate, header hygiene, streaming, tunnels.
//!
//! Guarantees: nothing is forwarded without a [`Permit`]; bodies are streamed in both directions; what lasts ends with its
//! [`Bond`]; everything in this
//! room belongs to one worker thread, so nothing in it is locked.
//! Does not know: tokens, sessions, routes.

mod answer;
mod arrivals;
mod bond;
mod connections;
mod dial;
mod download;
mod exchange;
mod forward;
mod framing;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod head;
pub mod headers;
mod http2;
mod stream;
mod trace;
mod tunnel;
mod upgrade;
mod upload;
mod waiting;

pub use answer::Answer;
pub use bond::Bond;
pub use dial::{Address, Dial, Papers, Protocol, Renewing, Tls, TlsError, Trust};
pub use forward::{Marks, Permit, Terms, Upstream, UpstreamError};
pub use framing::Garbled;
pub use http2::Http2Bounds;
pub use trace::{Trace, Traces, Tracing};
pub use tunnel::{Tunnel, TunnelEnd, Tunnels};
pub use upgrade::WEBSOCKET;
pub use waiting::Tether;
