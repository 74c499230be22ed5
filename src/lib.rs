//! portcullis: a gate in front of an HTTP API.
//!
//! It validates the access JWT of every request without asking anybody, issues, rotates and revokes those tokens
//! itself from an in-memory store, and forwards what may pass.
//!
//! # The house
//!
//! Read in this order. Arrows point down: a room knows those below it, never those above.
//!
//! - [`command`]: the verbs of the binary
//! - [`run`]: the assembly: every room built from the configuration, started, and ended in order
//! - [`admin`]: the operator's own listener: alive, ready, and if not, why
//! - [`edge`]: where the network touches us: listener, workers, connections, deadlines, drain
//! - [`gateway`]: one request from arrival to answer: canonical path, route rule, judge, our endpoint or forward; the
//!   one table of refusals; the leash on long streams
//! - [`profile`]: the dialects of the token endpoints, over one engine
//! - [`upstream`]: the other side: connections, header hygiene, streaming, tunnels
//! - [`tls`]: the certificates that clients are shown, whom of them to believe, and how both are renewed
//! - [`issuer`]: other issuers whose access tokens are accepted, and the thread that fetches their keys
//! - [`account`]: who may sign in: users file, htpasswd, the upstream's word, OAuth clients, password work, guess limits
//! - [`store`]: where sessions are remembered: memory, and the snapshot and journal that survive us
//! - [`token`]: the rules, pure: claims, verification, the session state machine
//! - [`keys`]: signing keys, their files, and how they follow one another
//!
//! Beside them: [`config`] (what was written, then what is trusted), [`observe`] (the log), [`metrics`] (the numbers), [`clock`] (where time
//! enters), [`muster`] (asking all workers to look at their sockets),
//! [`wire`] (a TCP stream as hyper sees it, in the clear or under TLS).
//!
//! # Words
//!
//! *Access token*: short-lived signed JWT, checked without session state. *Refresh token*: long-lived, single-use,
//! presented only to a refresh endpoint. *Session*: one sign-in on one device, all refresh tokens that descend from
//! one issuance; it lives and dies as one. *Generation*: a session's counter; each rotation adds one. *Rotation*:
//! exchanging the current refresh token for the next. *Reuse*: presenting one that was already rotated. *Revocation*:
//! ending a session or all of a subject's; revoking any one token ends its session. *Route rule*: what a method and
//! path demand. *Permit*: the value that proves that a request met its rule; forwarding demands one. *Profile*: a
//! client-facing dialect of the token endpoints. *Upstream*: the API behind the gate. *Charter*: the rules in force
//! and the rooms they rest on, shared by all workers. *Order*: the charter, and how connections are served: all that a reload
//! replaces, as one value.
//!
//! # State
//!
//! All shared mutable state: the order in force ([`edge::InForce`]), which a reload replaces and each worker takes up at its next
//! round; the sessions and tombstones ([`store::Store`]; with [`store::redis`] also what the engine does not know yet, and the
//! connection to it), the users in force
//! ([`account::Directory`]), the keys in force ([`keys::Keys`]), those that seal passwords
//! ([`keys::SealingKeys`]), requests that may not come twice ([`gateway::Once`]), who still uses passwords
//! ([`gateway::Sunset`]), those of other issuers ([`issuer::Issuers`]), what TLS handshakes rest on ([`tls::InForce`]), the guess
//! limits, the cache of Basic successes and the client secrets that were found right ([`account::Accounts`]), the clock's
//! floor ([`clock::Clock`]), the number of open tunnels ([`upstream::Tunnels`]), the lines of the log that are not yet written
//! ([`observe::Log`]), and the numbers ([`metrics::Metrics`]), of which each worker writes its own. Everything else belongs to one worker thread (its upstream connections, its cache of verified
//! tokens) or never changes. There are no statics.
//!
//! # Invariants
//!
//! - Nothing is forwarded without a [`upstream::Permit`], and only the gateway's judge makes one.
//! - What lasts ends with what let it in ([`upstream::Bond`]).
//! - A refresh token has at most one distinct successor, ever ([`token::Session::rotate`]).
//! - Validation asks no disk and no network; the store's answer about a session comes from memory, also where several gates
//!   share an engine.
//! - Nothing that can be presented is stored or logged. A user's own password for the upstream is in tokens alone, sealed
//!   ([`token::Sealing`]).

pub mod account;
pub mod admin;
pub mod clock;
pub mod command;
pub mod config;
pub mod edge;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod gateway;
pub mod issuer;
pub mod keys;
pub mod metrics;
pub mod muster;
pub mod observe;
pub mod profile;
pub mod run;
pub mod store;
pub mod tls;
pub mod token;
pub mod upstream;
pub mod wire;
