//! Where the network touches us: listeners, workers, connections, deadlines, the end.
//!
//! Guarantees: one bound socket, shared by all workers, so no connection that the kernel has queued is lost with one of
//! them; each takes an equal share of the connections, however fast they come, and a busy one's share is taken by the
//! others; each connection belongs to one worker thread for life; every wait on a client has a deadline; connections are
//! bounded, in all and of each address; what is in force can be replaced while it runs, and no connection ends for it.
//! Does not know: tokens, routes, sessions.

mod connection;
mod crowd;
mod door;
mod frames;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod handed;
mod handshake;
mod listener;
mod order;
mod place;
mod preamble;
mod pulse;
mod redirect;
mod rounds;
mod switched;
mod worker;

pub use connection::{Deadlines, Reserves};
pub use handed::Handed;
pub use listener::{BindError, bind};
pub use order::{InForce, Order};
pub use redirect::Redirect;
pub use worker::{Crew, Shift};
