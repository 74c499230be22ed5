//! Binding.
//!
//! Guarantees: a port in use is an error that says which; without `SO_REUSEPORT`, two gates cannot share a port unseen.
//! Does not know: who serves the connections.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel may queue while all workers are busy; it cuts this to its own limit.
const BACKLOG: i32 = 4096;

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {address}: another process uses this port")]
    InUse { address: SocketAddr },
    #[error("cannot listen on {address}: not allowed; ports below 1024 need the capability NET_BIND_SERVICE")]
    Forbidden { address: SocketAddr },
    #[error("what systemd hands over as its socket number {number} is no TCP socket")]
    Handed {
        number: usize,
        #[source]
        source: io::Error,
    },
    #[error("systemd hands over a socket on {address}, but neither server.listen nor another listener is there")]
    Unused { address: SocketAddr },
    #[error("cannot listen on {address}")]
    Other {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// A listening socket; port 0 lets the system choose.
///
/// # Errors
/// [`BindError`], with the address in its text.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    listen(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address },
        io::ErrorKind::PermissionDenied => BindError::Forbidden { address },
        _ => BindError::Other { address, source },
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a restarted gate bind while old connections linger in TIME_WAIT; it does not admit a second listener.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
