//! The connections of one worker to the upstream.
//!
//! Guarantees: a connection belongs to one worker thread, so taking and returning one costs no lock; one that was
//! damaged, or whose answer was not read to its end, is never used again; the number kept is bounded.
//! Does not know: what is sent over them.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, Connection, SendRequest};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::Wire;

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
    keepalive: Duration,
    most_idle: usize,
    idle: RefCell<Vec<Idle>>,
    /// All that are open, for as long as they are.
    open: RefCell<Vec<Waiting>>,
    /// When [`Connections::tidy`] was last called: a clock that costs nothing to read.
    now: Cell<Instant>,
}

struct Idle {
    sender: SendRequest<Upload>,
    waiting: Waiting,
    since: Instant,
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
            keepalive: terms.keepalive,
            most_idle: if terms.keepalive.is_zero() { 0 } else { terms.most_idle },
            idle: RefCell::new(Vec::new()),
            open: RefCell::new(Vec::new()),
            now: Cell::new(Instant::now()),
        }
    }

    /// An idle connection if one is ready, else a new one.
    pub(super) async fn lease(self: &Rc<Self>) -> Result<Lease, UpstreamError> {
        match self.take_ready() {
            Some(Idle { sender, waiting, .. }) => Ok(Lease { sender, waiting, reused: true, home: Rc::clone(self) }),
            // Boxed, as most requests find a connection and need not carry the making of one.
            None => Box::pin(self.connect()).await,
        }
    }

    pub(super) async fn connect(self: &Rc<Self>) -> Result<Lease, UpstreamError> {
        let connecting = TcpStream::connect((self.address.host.as_str(), self.address.port));
        let stream = match timeout(self.connect_timeout, connecting).await {
            Ok(connected) => connected.map_err(UpstreamError::Connect)?,
            Err(_) => return Err(UpstreamError::ConnectTimeout),
        };
        stream.set_nodelay(true).map_err(UpstreamError::Connect)?;
        let (sender, connection) =
            http1::Builder::new().handshake::<_, Upload>(Wire::new(stream)).await.map_err(UpstreamError::Exchange)?;
        let waiting = Waiting::default();
        self.open.borrow_mut().push(waiting.clone());
        tokio::task::spawn_local(drive(connection, waiting.clone()));
        Ok(Lease { sender, waiting, reused: false, home: Rc::clone(self) })
    }

    /// Newest first: the warm end of the stack stays busy and the cold end ages out.
    fn take_ready(&self) -> Option<Idle> {
        let mut idle = self.idle.borrow_mut();
        let at = idle.iter().rposition(|kept| kept.sender.is_ready())?;
        Some(idle.remove(at))
    }

    /// Drops what has been idle for too long and gives up what keeps a request waiting for too long. To be called now and
    /// then: how often is how late either may be.
    pub(super) fn tidy(&self, now: Instant) {
        self.now.set(now);
        self.idle.borrow_mut().retain(|kept| !kept.sender.is_closed() && now < kept.since + self.keepalive);
        self.open.borrow_mut().retain(|waiting| {
            waiting.give_up(now, self.first_byte_timeout);
            !waiting.is_over()
        });
    }
}

impl Lease {
    pub(super) fn give_back(self) {
        let mut idle = self.home.idle.borrow_mut();
        if !self.sender.is_closed() && idle.len() < self.home.most_idle {
            idle.push(Idle { sender: self.sender, waiting: self.waiting, since: self.home.now.get() });
        }
    }
}

/// Drives a connection until the sender is dropped, the upstream closes, or it is given up. Errors reach the request
/// itself.
async fn drive(connection: Connection<Wire, Upload>, waiting: Waiting) {
    let mut connection = pin!(connection);
    poll_fn(|context| {
        let ended = connection.as_mut().poll(context).is_ready();
        if ended || waiting.in_vain(context) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.over();
}
