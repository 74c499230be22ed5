//! The connections of one worker to the upstream.
//!
//! Guarantees: a connection belongs to one worker thread, so taking and returning one costs no lock; one that was
//! damaged, or whose answer was not read to its end, is never used again; the number kept is bounded.
//! Does not know: what is sent over them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::UpstreamError;
use super::upload::Upload;

/// Where the upstream is. The name is resolved again on each connect.
#[derive(Clone, Debug)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

pub(super) struct Connections {
    address: Address,
    connect_timeout: Duration,
    keepalive: Duration,
    most_idle: usize,
    idle: RefCell<Vec<Idle>>,
}

struct Idle {
    sender: SendRequest<Upload>,
    since: Instant,
}

/// A connection in use. Give it back once its answer has been read to the end; dropping it closes the connection.
pub(super) struct Lease {
    pub(super) sender: SendRequest<Upload>,
    /// It has served before: the upstream may have closed it in the meantime.
    pub(super) reused: bool,
    home: Rc<Connections>,
}

impl Connections {
    pub(super) fn new(address: Address, connect_timeout: Duration, keepalive: Duration, most_idle: usize) -> Self {
        Self { address, connect_timeout, keepalive, most_idle, idle: RefCell::new(Vec::new()) }
    }

    /// An idle connection if one is ready, else a new one.
    pub(super) async fn lease(self: &Rc<Self>) -> Result<Lease, UpstreamError> {
        match self.take_ready() {
            Some(sender) => Ok(Lease { sender, reused: true, home: Rc::clone(self) }),
            None => self.connect().await,
        }
    }

    pub(super) async fn connect(self: &Rc<Self>) -> Result<Lease, UpstreamError> {
        let connecting = TcpStream::connect((self.address.host.as_str(), self.address.port));
        let stream = match timeout(self.connect_timeout, connecting).await {
            Ok(connected) => connected.map_err(UpstreamError::Connect)?,
            Err(_) => return Err(UpstreamError::ConnectTimeout),
        };
        stream.set_nodelay(true).map_err(UpstreamError::Connect)?;
        let (sender, connection) = http1::Builder::new()
            .handshake::<_, Upload>(TokioIo::new(stream))
            .await
            .map_err(UpstreamError::Exchange)?;
        // The driver ends when the sender is dropped or the upstream closes; its error reaches the request itself.
        tokio::task::spawn_local(connection);
        Ok(Lease { sender, reused: false, home: Rc::clone(self) })
    }

    /// Newest first: the warm end of the stack stays busy and the cold end ages out.
    fn take_ready(&self) -> Option<SendRequest<Upload>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(at) = idle.iter().rposition(|kept| kept.sender.is_ready()) {
            let kept = idle.swap_remove(at);
            if kept.since.elapsed() < self.keepalive {
                return Some(kept.sender);
            }
        }
        idle.retain(|kept| !kept.sender.is_closed());
        None
    }

    /// Drops what has been idle for too long. Called now and then, so that a quiet worker holds nothing open.
    pub(super) fn prune(&self) {
        self.idle.borrow_mut().retain(|kept| !kept.sender.is_closed() && kept.since.elapsed() < self.keepalive);
    }
}

impl Lease {
    pub(super) fn give_back(self) {
        let mut idle = self.home.idle.borrow_mut();
        if !self.sender.is_closed() && idle.len() < self.home.most_idle {
            idle.push(Idle { sender: self.sender, since: Instant::now() });
        }
    }
}
