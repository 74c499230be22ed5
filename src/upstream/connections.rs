//! The connections of one worker to the upstream.
//!
//! Guarantees: a connection belongs to one worker thread, so taking and returning one costs no lock; one that was
//! damaged, or whose answer was not read to its end, is never used again; the number kept is bounded.
//! Does not know: what is sent over them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::upload::Upload;
use super::waiting::Waiting;
use super::{Terms, UpstreamError};

/// Where the upstream is. The name is resolved again on each connect.
#[derive(Clone, Debug)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

pub(super) struct Connections {
    address: Address,
    connect_timeout: Duration,
    first_byte_timeout: Duration,
    /// In ticks of [`Connections::tidy`].
    keepalive: u64,
    most_idle: usize,
    idle: RefCell<Vec<Idle>>,
    /// Counts the calls of [`Connections::tidy`]: a clock that costs nothing to read.
    ticks: Cell<u64>,
}

struct Idle {
    sender: SendRequest<Upload>,
    waiting: Waiting,
    since: u64,
}

/// A connection in use. Give it back once its answer has been read to the end; dropping it closes the connection.
pub(super) struct Lease {
    pub(super) sender: SendRequest<Upload>,
    pub(super) waiting: Waiting,
    /// It has served before: the upstream may have closed it in the meantime.
    pub(super) reused: bool,
    home: Rc<Connections>,
}

impl Connections {
    pub(super) fn new(terms: &Terms) -> Self {
        Self {
            address: terms.address.clone(),
            connect_timeout: terms.connect_timeout,
            first_byte_timeout: terms.first_byte_timeout,
            keepalive: terms.keepalive.as_secs(),
            most_idle: if terms.keepalive.is_zero() { 0 } else { terms.most_idle },
            idle: RefCell::new(Vec::new()),
            ticks: Cell::new(0),
        }
    }

    /// An idle connection if one is ready, else a new one.
    pub(super) async fn lease(self: &Rc<Self>) -> Result<Lease, UpstreamError> {
        match self.take_ready() {
            Some(Idle { sender, waiting, .. }) => Ok(Lease { sender, waiting, reused: true, home: Rc::clone(self) }),
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
        let waiting = Waiting::default();
        tokio::task::spawn_local(drive(connection, waiting.clone(), self.first_byte_timeout));
        Ok(Lease { sender, waiting, reused: false, home: Rc::clone(self) })
    }

    /// Newest first: the warm end of the stack stays busy and the cold end ages out.
    fn take_ready(&self) -> Option<Idle> {
        let mut idle = self.idle.borrow_mut();
        let at = idle.iter().rposition(|kept| kept.sender.is_ready())?;
        Some(idle.remove(at))
    }

    /// Drops what has been idle for too long. To be called about every second, which is what its ticks count.
    pub(super) fn tidy(&self) {
        let now = self.ticks.get() + 1;
        self.ticks.set(now);
        self.idle.borrow_mut().retain(|kept| !kept.sender.is_closed() && now - kept.since < self.keepalive.max(1));
    }
}

impl Lease {
    pub(super) fn give_back(self) {
        let mut idle = self.home.idle.borrow_mut();
        if !self.sender.is_closed() && idle.len() < self.home.most_idle {
            idle.push(Idle { sender: self.sender, waiting: self.waiting, since: self.home.ticks.get() });
        }
    }
}

/// Drives a connection until the sender is dropped, the upstream closes, or it keeps a request waiting for too long.
/// Errors reach the request itself.
async fn drive(connection: Connection<TokioIo<TcpStream>, Upload>, waiting: Waiting, patience: Duration) {
    let mut connection = std::pin::pin!(connection);
    let mut look = interval(patience / 4);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            _ = look.tick() => if waiting.give_up(Instant::now(), patience) { return },
        }
    }
}
