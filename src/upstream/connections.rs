//! The connections of one worker to the upstream.
//!
//! Guarantees: a connection belongs to one worker thread, so taking and returning one costs no lock; one that was
//! damaged, or whose answer was not read to its end, is never used again; the number kept is bounded.
//! Does not know: what is sent over them.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::timeout;

use crate::token::Timestamp;

use super::arrivals::Source;
use super::waiting::{Lookout, Waiting};
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
    keepalive: Duration,
    most_idle: usize,
    idle: RefCell<Vec<Idle>>,
    /// The waits of all that are open.
    open: RefCell<Vec<Lookout>>,
    /// When [`Connections::tidy`] was last called: a clock that costs nothing to read.
    now: Cell<Instant>,
}

struct Idle {
    stream: TcpStream,
    waiting: Waiting,
    since: Instant,
}

/// A connection in use. Give it back once its answer has been read to the end; dropping it closes the connection.
pub(super) struct Lease {
    pub(super) source: Source,
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
            keepalive: terms.keepalive,
            most_idle: if terms.keepalive.is_zero() { 0 } else { terms.most_idle },
            idle: RefCell::new(Vec::new()),
            open: RefCell::new(Vec::new()),
            now: Cell::new(Instant::now()),
        }
    }

    /// An idle connection if one is ready, else a new one. `surely` asks the kernel whether it is: for a request that
    /// cannot be sent twice that is worth a system call.
    pub(super) async fn lease(self: &Rc<Self>, surely: bool) -> Result<Lease, UpstreamError> {
        match self.take_ready(surely) {
            Some(Idle { stream, waiting, .. }) => {
                Ok(Lease { source: Source::Whole(stream), waiting, reused: true, home: Rc::clone(self) })
            }
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
        Ok(Lease { source: Source::Whole(stream), waiting: self.watched(), reused: false, home: Rc::clone(self) })
    }

    /// A wait that is looked after.
    fn watched(&self) -> Waiting {
        let waiting = Waiting::default();
        self.open.borrow_mut().push(waiting.lookout());
        waiting
    }

    /// Newest first: the warm end of the stack stays busy and the cold end ages out.
    fn take_ready(&self, surely: bool) -> Option<Idle> {
        let mut idle = self.idle.borrow_mut();
        while let Some(kept) = idle.pop() {
            if is_quiet(&kept.stream) && (!surely || is_surely_quiet(&kept.stream)) {
                return Some(kept);
            }
        }
        None
    }

    /// Drops what has been idle for too long, gives up what keeps a request waiting for too long, and cuts what may not go
    /// on at `time`. To be called now and then: how often is how late each may be.
    pub(super) fn tidy(&self, now: Instant, time: Timestamp) {
        self.now.set(now);
        self.idle.borrow_mut().retain(|kept| now < kept.since + self.keepalive && is_quiet(&kept.stream));
        self.open.borrow_mut().retain(|lookout| lookout.look(now, time));
    }
}

/// Whether nothing has come in on an idle connection. Its end makes it useless, and bytes that nobody asked for would be
/// taken for the answer to the next request. Costs no system call unless the runtime has heard of something.
fn is_quiet(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// The same as the kernel knows it: the runtime hears of things only when it looks.
fn is_surely_quiet(stream: &TcpStream) -> bool {
    let peeked = SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]);
    matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

impl Lease {
    /// Parts reading from writing; `None` if that was done before.
    pub(super) fn split(self) -> Result<(Self, OwnedWriteHalf), Self> {
        match self.source {
            Source::Whole(stream) => {
                let (source, sink) = stream.into_split();
                Ok((Self { source: Source::Half(source), ..self }, sink))
            }
            Source::Half(_) => Err(self),
        }
    }

    /// A further wait of this exchange.
    pub(super) fn watched(&self) -> Waiting {
        self.home.watched().bound_like(&self.waiting)
    }

    pub(super) fn give_back(self) {
        let Source::Whole(stream) = self.source else { return };
        // Cut in its last moment: whoever came next would be cut for it.
        if self.waiting.is_cut() {
            return;
        }
        self.waiting.release();
        let mut idle = self.home.idle.borrow_mut();
        if idle.len() < self.home.most_idle {
            idle.push(Idle { stream, waiting: self.waiting, since: self.home.now.get() });
        }
    }

    /// Gives back what was parted.
    pub(super) fn rejoin(self, sink: OwnedWriteHalf) {
        let Source::Half(source) = self.source else { return };
        if let Ok(stream) = source.reunite(sink) {
            Self { source: Source::Whole(stream), ..self }.give_back();
        }
    }
}
