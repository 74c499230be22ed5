//! The one event loop of the lab: a listener and its connections under epoll.
//!
//! Guarantees: one thread and level-triggered readiness, so that a short exchange costs a wait, a read and a write, and
//! nothing that stands around the gate costs more than it must.
//! Does not know: what is read or written.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData};

pub use rustix::event::epoll::EventFlags as Interest;

/// A listening socket on loopback and the readiness of all that it accepted.
pub struct Sockets {
    epoll: OwnedFd,
    listener: TcpListener,
    listening: u64,
    events: Vec<epoll::Event>,
}

impl Sockets {
    /// # Errors
    /// When the port cannot be had.
    pub fn listen(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let listening = key(&listener) as u64;
        epoll::add(&epoll, &listener, EventData::new_u64(listening), Interest::IN)?;
        Ok(Self { epoll, listener, listening, events: Vec::with_capacity(256) })
    }

    /// Waits, and tells which connections became ready for what; `arrived` takes the new ones.
    ///
    /// # Errors
    /// When the kernel cannot wait, or `arrived` says so.
    pub fn wait(
        &mut self,
        mut arrived: impl FnMut(&Self, TcpStream) -> io::Result<()>,
    ) -> io::Result<Vec<(usize, Interest)>> {
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = Vec::with_capacity(events.len());
        for event in events.drain(..) {
            if event.data.u64() == self.listening {
                while let Ok((stream, _)) = self.listener.accept() {
                    arrived(self, stream)?;
                }
            } else {
                ready.push((event.data.u64() as usize, event.flags));
            }
        }
        self.events = events;
        Ok(ready)
    }

    /// Watches a connection for something to read, from now until it is dropped. Returns its key: a small number, which
    /// another connection may have once this one is dropped.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn watch(&self, stream: &TcpStream) -> io::Result<usize> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let key = key(stream);
        epoll::add(&self.epoll, stream, EventData::new_u64(key as u64), Interest::IN)?;
        Ok(key)
    }

    /// Watches it for something else.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn watch_for(&self, stream: &TcpStream, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, stream, EventData::new_u64(key(stream) as u64), interest)?)
    }
}

/// `None` where the socket is not ready, so that only what ends a connection stays an error.
///
/// # Errors
/// The connection is broken.
pub fn if_ready(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The program's `index`th argument.
///
/// # Errors
/// When it is not there or not what is asked for; `usage` is the text.
pub fn argument<T: std::str::FromStr>(index: usize, usage: &str) -> io::Result<T> {
    let text = std::env::args().nth(index);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| io::Error::other(format!("usage: {usage}")))
}

fn key(socket: &impl AsRawFd) -> usize {
    // A descriptor that is open is never negative.
    socket.as_raw_fd() as usize
}
