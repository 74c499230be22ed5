//! The operator's own listener: whether the gate lives, and whether it can do its work.
//!
//! Guarantees: it answers from the first moment on, also while the gate still waits for its data directory, and to the
//! last; on a thread of its own, so that busy workers do not make it late, and few connections, so that nobody who reaches
//! it can burden the gate; it tells no secret and changes nothing.
//! Does not know: what is looked at: rooms hand in their checks.
//!
//! | path | answer |
//! |---|---|
//! | `/livez`, `/healthz` | 200: the process runs |
//! | `/readyz` | 200 if every check is well, else 503 with a line for each |
//! | `/metrics` | what has happened, in numbers, as Prometheus reads them |
//! | `/version` | 200: which portcullis this is, as JSON |
//!
//! By the conventions of the Kubernetes API server `?verbose` lists the checks also when all is well, and `?exclude=NAME`
//! leaves one out.

mod server;
mod status;

pub use server::Admin;
pub use status::{Check, Stage, Status};
