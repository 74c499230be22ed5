//! `[server]`: where clients reach the gate.
//!
//! Guarantees: the address can be bound as far as its form tells, and a trusted network is exactly what was written.
//! Does not know: listeners, sockets and who is on the other end.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::kind::{Choice, TEN_YEARS};
use super::mistake::quoted;
use super::reader::Reader;

#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Peers whose `Forwarded` and `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether these name the client in a preamble to each connection.
    pub proxy_protocol: bool,
    pub trace: Tracing,
    /// For how long clients are sent away at shutdown, while all that they ask is still answered.
    pub drain_delay: Duration,
    /// How long requests in flight may take to end at shutdown.
    pub drain_timeout: Duration,
}

/// What is done about traces (W3C Trace Context).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracing {
    Off,
    /// Those that clients begin go on.
    Continue,
    /// And what nobody has begun begins here.
    Start,
}

impl Choice for Tracing {
    const NAMES: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("continue", Self::Continue), ("start", Self::Start)];
}

impl Server {
    pub(super) fn read(r: &mut Reader) -> Self {
        let server = Self {
            listen: r.parsed("server.listen", SocketAddr::from(([127, 0, 0, 1], 8080)), address),
            trusted_proxies: r.list("server.trusted_proxies", network),
            proxy_protocol: r.flag("server.proxy_protocol", false),
            trace: r.choice("server.trace", Tracing::Continue),
            drain_delay: r.duration("server.drain_delay", Duration::ZERO, Duration::ZERO..=Duration::from_hours(1)),
            drain_timeout: r.duration("server.drain_timeout", Duration::from_secs(30), Duration::ZERO..=TEN_YEARS),
        };
        r.contradiction_if(
            server.proxy_protocol && server.trusted_proxies.is_empty(),
            &["server.proxy_protocol", "server.trusted_proxies"],
            "server.proxy_protocol is accepted from server.trusted_proxies only, and there are none",
        );
        server
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if text.is_empty() {
        return Err("must not be empty: write an address and a port, such as `127.0.0.1:8080`".into());
    }
    let wrong = || format!("{} is not an IP address and a port, such as `127.0.0.1:8080` or `[::]:8080`", quoted(text));
    text.parse().map_err(|_| wrong())
}

fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let wrong = || format!("{} is not an IP address or a network, such as `10.0.0.0/8`", quoted(text));
    let network: IpNet = text.parse().map_err(|_| wrong())?;
    // `10.0.0.7/8` may mean the one host or the whole network; trust must not hang on a guess.
    if network.trunc() != network {
        let (host, whole) = (network.addr(), network.trunc());
        return Err(format!("{} is unclear: write `{host}` for the host or `{whole}` for the network", quoted(text)));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numeric() {
        for right in ["127.0.0.1:0", "[::]:8080", "0.0.0.0:80"] {
            assert_eq!(address(right).unwrap().to_string(), right);
        }
        for wrong in ["", "8080", ":8080", "localhost:8080", "127.0.0.1", "127.0.0.1:99999"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_are_exact() {
        for (text, read) in [("10.0.0.0/8", "10.0.0.0/8"), ("10.0.0.7", "10.0.0.7/32"), ("::1", "::1/128")] {
            assert_eq!(network(text).unwrap().to_string(), read);
        }
        assert!(network("10.0.0.7/8").unwrap_err().contains("`10.0.0.7` for the host or `10.0.0.0/8`"));
        for wrong in ["", "10.0.0.0/33", "proxy.local", "10.0.0"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }
}
