//! Where the network touches us: listeners, workers, connections, deadlines, the end.
//!
//! Guarantees: one bound socket, shared by all workers, so a busy worker's share is taken by an idle one and no
//! connection that the kernel has queued is lost with a worker; each connection belongs to one worker thread for life;
//! every wait on a client has a deadline; connections are bounded.
//! Does not know: tokens, routes, sessions.

mod connection;
mod listener;
mod place;
mod pulse;
mod rounds;
mod worker;

pub use connection::{Deadlines, Reserves};
pub use listener::{BindError, bind};
pub use worker::{Crew, Shift};
