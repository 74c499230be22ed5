//! Who is at the gate: the connection's peer, and the client behind it.
//!
//! Guarantees: what a peer says of other addresses counts only if the operator trusts that peer, and is read from the
//! right, so that a client cannot put words into a trusted proxy's mouth.
//! Does not know: credentials.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

use crate::account::RealmId;
use crate::tls::ClientCertificate;
use crate::token::Timestamp;
use crate::upstream::headers::{Forwarded, Origin};

/// The other end of a connection. Made once per connection.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: IpAddr,
    pub origin: Origin,
    /// What it has shown of itself under TLS.
    pub certificate: Option<ClientCertificate>,
    trusted: bool,
    secure: bool,
}

impl Peer {
    pub fn new(socket: SocketAddr, scheme: &'static str, trusted_proxies: &[IpNet]) -> Self {
        let address = socket.ip().to_canonical();
        Self {
            address,
            origin: Origin::new(address, scheme),
            certificate: None,
            secure: scheme == "https",
            trusted: trusted_proxies.iter().any(|net| net.contains(&address)),
        }
    }

    /// Notes what it has shown of itself.
    pub fn shows(&mut self, certificate: Option<ClientCertificate>) {
        if let Some(identity) = certificate.as_ref().and_then(|certificate| certificate.identity.as_ref()) {
            self.origin.certify(identity);
        }
        self.certificate = certificate;
    }

    /// Whether it is a proxy of the operator's.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Whether the connection is under TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// What this peer may tell of the way so far; nothing unless it is trusted.
    pub fn forwarded(&self, headers: &HeaderMap) -> Option<Forwarded> {
        self.trusted.then(|| Forwarded::read(headers))
    }
}

/// One request's sender and times.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// The client's address: what guess limits count and sessions record.
    pub address: IpAddr,
    /// Whose users may sign in.
    pub realm: RealmId,
    /// Whether its connection is under TLS.
    pub secure: bool,
    /// What the client has shown on its connection.
    pub certificate: Option<&'a ClientCertificate>,
    /// When the request had reached us.
    pub arrived_at: Timestamp,
    pub now: Timestamp,
}

/// The right-most address that no trusted proxy vouches for; the peer's own if the list is absent or unreadable.
pub fn client_address(peer: &Peer, forwarded: Option<&Forwarded>, trusted_proxies: &[IpNet]) -> IpAddr {
    let Some(list) = forwarded.and_then(|forwarded| forwarded.addresses.as_ref()) else {
        return peer.address;
    };
    let mut client = peer.address;
    for item in list.as_bytes().rsplit(|byte| *byte == b',') {
        let Some(address) = str::from_utf8(item).ok().and_then(parse_address) else { break };
        client = address;
        if !trusted_proxies.iter().any(|net| net.contains(&address)) {
            break;
        }
    }
    client
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    bare.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn client(peer: &str, forwarded: &str, expected: &str) {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let peer = Peer::new(format!("{peer}:1").parse().unwrap(), "http", &trusted);
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        let said = peer.forwarded(&headers);
        assert_eq!(client_address(&peer, said.as_ref(), &trusted).to_string(), expected);
    }

    #[test]
    fn a_stranger_cannot_claim_an_address() {
        client("203.0.113.9", "198.51.100.1", "203.0.113.9");
    }

    #[test]
    fn trusted_proxies_are_read_from_the_right() {
        client("10.0.0.1", "198.51.100.1", "198.51.100.1");
        client("10.0.0.1", "192.0.2.66, 198.51.100.1, 10.0.0.2", "198.51.100.1");
        client("10.0.0.1", "192.0.2.66, 198.51.100.1:4711", "198.51.100.1");
        client("10.0.0.1", "[2001:db8::1]", "2001:db8::1");
        client("[fd00::1]", "::ffff:198.51.100.1", "198.51.100.1");
    }

    #[test]
    fn garbage_ends_the_list() {
        client("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1");
        client("10.0.0.1", "unknown, 10.0.0.3", "10.0.0.3");
    }
}
