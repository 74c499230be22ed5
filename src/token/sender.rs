//! Where a request came from.
//!
//! Guarantees: what the client says of itself is short and plain, so that it can be shown and kept.
//! Does not know: which header an address was taken from, how much of it the operator wants kept.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Where a request came from, as far as that is recorded: personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    pub address: Option<IpAddr>,
    /// What the client's software calls itself (RFC 9110 section 10.1.5). Anybody can say anything.
    pub agent: Option<Box<str>>,
}
