//! Listening sockets that were open before us: systemd's socket activation (sd_listen_fds(3)).
//!
//! Guarantees: a socket is taken in the place of binding its very address; one that nothing here listens on stops the start,
//! or its clients would wait for ever.
//! Does not know: what is served there.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

use super::listener::{BindError, bind};

/// The sockets that nobody has taken yet; by default there are none.
#[derive(Debug, Default)]
pub struct Handed(Vec<(SocketAddr, TcpListener)>);

impl Handed {
    /// What the environment speaks of. Takes it out of there, so this belongs before the first thread.
    ///
    /// # Errors
    /// [`BindError::Handed`] for anything but a listening TCP socket.
    pub fn from_environment() -> Result<Self, BindError> {
        let mut handed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for number in 0..handed.len() {
            let found = handed.take_tcp_listener(number).and_then(|found| {
                let Some(socket) = found else { return Ok(None) };
                socket.set_nonblocking(true)?;
                Ok(Some((socket.local_addr()?, socket)))
            });
            sockets.extend(found.map_err(|source| BindError::Handed { number, source })?);
        }
        Ok(Self(sockets))
    }

    /// Says whether each has its use, as one of `addresses`.
    ///
    /// # Errors
    /// [`BindError::Unused`] for the first that has none.
    pub fn are_among(&self, addresses: &[SocketAddr]) -> Result<(), BindError> {
        match self.0.iter().find(|(address, _)| !addresses.contains(address)) {
            Some((address, _)) => Err(BindError::Unused { address: *address }),
            None => Ok(()),
        }
    }

    /// The socket of this address, or a new one.
    ///
    /// # Errors
    /// As [`bind`].
    pub fn bind(&mut self, address: SocketAddr) -> Result<TcpListener, BindError> {
        match self.0.iter().position(|(of, _)| *of == address) {
            Some(found) => Ok(self.0.swap_remove(found).1),
            None => bind(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_taken_once_and_one_without_use_is_found() {
        let open = || {
            let socket = bind(([127, 0, 0, 1], 0).into()).unwrap();
            (socket.local_addr().unwrap(), socket)
        };
        let (one, other) = (open(), open());
        let (first, second) = (one.0, other.0);
        let mut handed = Handed(vec![one, other]);
        assert!(handed.are_among(&[second, first]).is_ok());
        assert!(matches!(handed.are_among(&[second]), Err(BindError::Unused { address }) if address == first));
        let taken = handed.bind(first).unwrap();
        assert_eq!(taken.local_addr().unwrap(), first);
        assert!(matches!(handed.bind(first), Err(BindError::InUse { .. })));
    }
}
