//! When and from where a request came, and how much of that a session remembers.
//!
//! Guarantees: what the operator does not want remembered never reaches a session.
//! Does not know: which header an address was taken from.

use std::net::{IpAddr, Ipv6Addr};

use crate::tls::ClientCertificate;
use crate::token::{Sender, Thumbprint, Timestamp};

/// How much of a client's address a session remembers: personal data, so the operator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordAddresses {
    Full,
    /// /24 of IPv4, /48 of IPv6, and how a user agent begins.
    Prefix,
    Off,
}

/// Bytes of what a client's software calls itself: what browsers say of themselves fits.
const FULL_AGENT: usize = 200;
/// Tells a browser's family and system, and not its version.
const AGENT_PREFIX: usize = 48;

/// When and from where a request came.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    pub address: IpAddr,
    /// What the client's software calls itself, as it was sent.
    pub agent: Option<&'a [u8]>,
    /// What the client has shown on its connection.
    pub certificate: Option<&'a ClientCertificate>,
    pub request_id: &'a str,
    /// When it had reached us: what tells a race from a reuse.
    pub arrived_at: Timestamp,
    pub now: Timestamp,
}

impl Visit<'_> {
    /// Whom the certificate names.
    pub(super) fn holder(&self) -> Option<Box<str>> {
        self.certificate.map(ClientCertificate::holder)
    }

    /// What access tokens that it is handed are bound to.
    pub(super) fn thumbprint(&self) -> Option<Thumbprint> {
        self.certificate.map(|certificate| certificate.thumbprint)
    }
}

impl RecordAddresses {
    /// What of a visit may be remembered.
    pub(super) fn of(self, visit: &Visit<'_>) -> Sender {
        let most = match self {
            Self::Full => FULL_AGENT,
            Self::Prefix => AGENT_PREFIX,
            Self::Off => 0,
        };
        let agent = visit.agent.map(|agent| plain(agent, most)).filter(|agent| !agent.is_empty());
        Sender { address: self.address(visit.address), agent }
    }

    fn address(self, address: IpAddr) -> Option<IpAddr> {
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

/// Printable ASCII, at most so many bytes of it.
fn plain(agent: &[u8], most: usize) -> Box<str> {
    let shown = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' };
    agent.iter().take(most).map(shown).collect::<String>().trim().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(record: RecordAddresses, agent: &[u8], address: Option<&str>, expected: Option<&str>) {
        let now = Timestamp::default();
        let (from, agent) = ("192.0.2.77".parse().unwrap(), Some(agent));
        let visit = Visit { address: from, agent, certificate: None, request_id: "", arrived_at: now, now };
        let Sender { address: told, agent } = record.of(&visit);
        assert_eq!((told, agent.as_deref()), (address.map(|text| text.parse().unwrap()), expected));
    }

    #[test]
    fn as_much_is_remembered_as_the_operator_wants() {
        check(RecordAddresses::Full, b"a/1 (b)", Some("192.0.2.77"), Some("a/1 (b)"));
        check(RecordAddresses::Prefix, &[b'x'; 500], Some("192.0.2.0"), Some(&"x".repeat(48)));
        check(RecordAddresses::Full, &[b'x'; 500], Some("192.0.2.77"), Some(&"x".repeat(200)));
        check(RecordAddresses::Off, b"a/1", None, None);
    }

    #[test]
    fn what_a_client_calls_itself_is_plain_text() {
        check(RecordAddresses::Full, b" \tb\xc3\xbc\x1b ", Some("192.0.2.77"), Some("?b???"));
        check(RecordAddresses::Full, b"  ", Some("192.0.2.77"), None);
    }
}
