//! `[admin]`: where the operator reaches the gate.
//!
//! Guarantees: it is not where clients reach it.
//! Does not know: what is answered there.

use std::fmt;
use std::net::SocketAddr;

use super::reader::Reader;
use super::server::{self, Server};

#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// `None`: nowhere.
    pub listen: Option<SocketAddr>,
}

/// An address, or an empty text.
struct Listen(Option<SocketAddr>);

impl Admin {
    pub(super) fn read(r: &mut Reader, server: &Server) -> Self {
        let default = Listen(Some(([127, 0, 0, 1], 9090).into()));
        let Listen(listen) = r.parsed("admin.listen", default, |text| match text {
            "" => Ok(Listen(None)),
            text => server::address(text).map(|address| Listen(Some(address))),
        });
        let same = listen.is_some_and(|listen| listen == server.listen && listen.port() != 0);
        let keys = ["admin.listen", "server.listen"];
        r.contradiction_if(same, &keys, "must be another address than that of server.listen");
        Self { listen }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |address| address.fmt(f))
    }
}
