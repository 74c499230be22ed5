//! When and from where a request came, and how much of that a session remembers.
//!
//! Guarantees: what the operator does not want remembered never reaches a session.
//! Does not know: which header an address was taken from.

use std::net::{IpAddr, Ipv6Addr};

use crate::token::Timestamp;

/// How much of a client's address a session remembers: personal data, so the operator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordAddresses {
    Full,
    /// /24 of IPv4, /48 of IPv6.
    Prefix,
    Off,
}

/// When and from where a request came.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    pub address: IpAddr,
    /// When it had reached us: what tells a race from a reuse.
    pub arrived_at: Timestamp,
    pub now: Timestamp,
}

impl RecordAddresses {
    pub(super) fn of(self, address: IpAddr) -> Option<IpAddr> {
        match (self, address) {
            (Self::Full, address) => Some(address),
            (Self::Off, _) => None,
            (Self::Prefix, IpAddr::V4(v4)) => {
                let [a, b, c, _] = v4.octets();
                Some(IpAddr::from([a, b, c, 0]))
            }
            (Self::Prefix, IpAddr::V6(v6)) => {
                let [a, b, c, ..] = v6.segments();
                Some(IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)))
            }
        }
    }
}
