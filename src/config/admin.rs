//! `[admin]`: where the operator reaches the gate.
//!
//! Guarantees: it is not where clients reach it.
//! Does not know: what is answered there.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::effective::quote;
use super::kind::read_path;
use super::reader::Reader;
use super::secret::Secret;
use super::server::{self, Server};

const TOKEN_FILE: &str = "admin.token_file";
const SOCKET: &str = "admin.socket";
/// As many hexadecimal digits as there are in 128 bits.
const SHORTEST_TOKEN: usize = 32;
/// What the system has room for (unix(7)).
const LONGEST_SOCKET: usize = 107;

#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// With it, more than looking is allowed there.
    pub token: Option<Secret>,
    /// A socket in the file system, where everything is allowed.
    pub socket: Option<PathBuf>,
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
        let socket = r.optional(SOCKET, |path: &PathBuf| quote(&path.to_string_lossy()), read_path);
        let long = socket.as_ref().is_some_and(|path| path.as_os_str().len() > LONGEST_SOCKET);
        r.contradiction_if(long, &[SOCKET], format!("must not be longer than {LONGEST_SOCKET} bytes"));
        let token = r.secret_file(TOKEN_FILE);
        if let Some(token) = &token {
            let token = token.expose();
            let text = format!("the token in it must have at least {SHORTEST_TOKEN} characters");
            r.contradiction_if(token.len() < SHORTEST_TOKEN, &[TOKEN_FILE], text);
            // It has to be presented in a header.
            let plain = token.iter().all(u8::is_ascii_graphic);
            r.contradiction_if(!plain, &[TOKEN_FILE], "the token in it must be visible ASCII characters in one line");
        }
        Self { listen, token, socket }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |address| address.fmt(f))
    }
}
