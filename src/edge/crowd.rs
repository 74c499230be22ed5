//! How many connections each client address has open.
//!
//! Guarantees: none has more than its share, and what it has is counted down however a connection ends; an address that
//! has none takes no room.
//! Does not know: how an address is found out, who is exempt.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections of all workers, by address. Asked once per connection.
#[derive(Default)]
pub(super) struct Crowd {
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that is counted.
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    network: IpAddr,
}

impl Crowd {
    /// Counts a connection of `address` for as long as the seat lasts. Each may have `most`; zero is as many as anybody likes,
    /// which nobody counts.
    ///
    /// # Errors
    /// When that address has as many as it may.
    pub(super) fn seat(self: &Arc<Self>, address: IpAddr, most: usize) -> Result<Option<Seat>, Crowded> {
        if most == 0 {
            return Ok(None);
        }
        let network = network(address);
        let mut open = self.open();
        let own = open.entry(network).or_default();
        if *own >= most {
            return Err(Crowded);
        }
        *own += 1;
        drop(open);
        Ok(Some(Seat { crowd: Arc::clone(self), network }))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Too many connections of one address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crowded;

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.crowd.open();
        if let Some(own) = open.get_mut(&self.network) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.network);
            }
        }
    }
}

/// Whoever has an IPv6 address has at least a /64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let crowd = Arc::new(Crowd::default());
        let seat = |address: &str| crowd.seat(address.parse().unwrap(), 2);
        let (first, _second) = (seat("192.0.2.1").unwrap(), seat("192.0.2.1").unwrap());
        assert_eq!(seat("192.0.2.1").err(), Some(Crowded));
        assert!(seat("192.0.2.2").is_ok());
        drop(first);
        assert!(seat("192.0.2.1").is_ok());
        assert_eq!(crowd.open().len(), 1, "who has none takes no room");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let crowd = Arc::new(Crowd::default());
        let seat = |address: &str| crowd.seat(address.parse().unwrap(), 1);
        let _first = seat("2001:db8:1:2::1").unwrap();
        assert!(seat("2001:db8:1:2:ffff::1").is_err());
        assert!(seat("2001:db8:1:3::1").is_ok());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let crowd = Arc::new(Crowd::default());
        let _seats: Vec<_> = (0..100).map(|_| crowd.seat("192.0.2.1".parse().unwrap(), 0).unwrap()).collect();
        assert!(crowd.open().is_empty());
    }
}
