//! The operator's own listeners: whether the gate lives, whether it can do its work, and what an operator does to it.
//!
//! Guarantees: they answer from the first moment on, also while the gate still waits for its data directory, and to the
//! last; on a thread of their own, so that busy workers do not make them late, and few connections, so that nobody who
//! reaches them can burden the gate; no secret is told; nothing is changed, nor anybody's session shown, but to who comes
//! over the socket or shows the token.
//! Does not know: what is looked at: rooms hand in their checks.
//!
//! | path | answer |
//! |---|---|
//! | `/livez`, `/healthz` | 200: the process runs |
//! | `/readyz` | 200 if every check is well, else 503 with a line for each |
//! | `/metrics` | what has happened, in numbers, as Prometheus reads them |
//! | `/version` | 200: which portcullis this is, as JSON |
//! | `/status` | 200: all of it at a glance, as JSON |
//!
//! By the conventions of the Kubernetes API server `?verbose` lists the checks also when all is well, and `?exclude=NAME`
//! leaves one out.
//!
//! For operators, in JSON: `GET /sessions`, `POST /revoke`, `GET` and `PUT /log-level`, `POST` and `DELETE /drain`, `POST
//! /reload`, `POST /explain`.

mod answer;
mod desk;
mod door;
mod listing;
mod operations;
mod overview;
mod question;
mod server;
mod socket;
mod status;

pub use desk::{Desk, Reload, Reloaded, Rooms};
pub use door::Token;
pub use server::{Admin, Doors};
pub use socket::{Bound, SocketError, bind};
pub use status::{Check, Stage, Status};
