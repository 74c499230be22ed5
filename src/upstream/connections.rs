//! The connections of one worker to the upstream.
//!
//! Guarantees: a connection belongs to one worker thread, so taking and returning one costs no lock; one that was
//! damaged, or whose answer was not read to its end, is never used again; the number kept is bounded.
//! Does not know: what is sent over them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::token::Timestamp;

use super::arrivals::Source;
use super::dial::{Dial, Protocol};
use super::stream::{Stream, Writer};
use super::waiting::{Lookouts, Waiting};
use super::{Terms, UpstreamError};

pub(super) struct Connections {
    dial: Dial,
    connect_timeout: Duration,
    keepalive: Duration,
    most_idle: Cell<usize>,
    idle: RefCell<Vec<Idle>>,
    /// The waits of all that are open.
    open: Lookouts,
    /// When [`Connections::tidy`] was last called: a clock that costs nothing to read.
    now: Cell<Instant>,
}

struct Idle {
    stream: Stream,
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
            dial: terms.dial.clone(),
            connect_timeout: terms.connect_timeout,
            keepalive: terms.keepalive,
            most_idle: Cell::new(if terms.keepalive.is_zero() { 0 } else { terms.most_idle }),
            idle: RefCell::new(Vec::new()),
            open: Lookouts::default(),
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
        let stream = match timeout(self.connect_timeout, self.dial.connect(Protocol::Http1)).await {
            Ok(connected) => connected.map_err(UpstreamError::Connect)?,
            Err(_) => return Err(UpstreamError::ConnectTimeout),
        };
        Ok(self.over(stream))
    }

    /// A connection that was made elsewhere and has not been used.
    pub(super) fn over(self: &Rc<Self>, stream: Stream) -> Lease {
        Lease { source: Source::Whole(stream), waiting: self.open.watched(), reused: false, home: Rc::clone(self) }
    }

    /// Newest first: the warm end of the stack stays busy and the cold end ages out.
    fn take_ready(&self, surely: bool) -> Option<Idle> {
        let mut idle = self.idle.borrow_mut();
        while let Some(mut kept) = idle.pop() {
            if kept.stream.is_quiet() && (!surely || kept.stream.is_surely_quiet()) {
                return Some(kept);
            }
        }
        None
    }

    /// From now on none is kept that is not in use.
    pub(super) fn retire(&self) {
        self.most_idle.set(0);
        self.idle.borrow_mut().clear();
    }

    /// Whether none is in use, as a tunnel or otherwise.
    pub(super) fn is_spent(&self) -> bool {
        self.open.is_empty()
    }

    /// Drops what has been idle for too long, gives up what keeps a request waiting for too long, and cuts what may not go
    /// on at `time`. To be called now and then: how often is how late each may be.
    pub(super) fn tidy(&self, now: Instant, time: Timestamp) {
        self.now.set(now);
        self.idle.borrow_mut().retain_mut(|kept| now < kept.since + self.keepalive && kept.stream.is_quiet());
        self.open.look(now, time);
    }
}

impl Lease {
    /// Parts reading from writing; `None` if that was done before.
    pub(super) fn split(self) -> Result<(Self, Writer), Self> {
        match self.source {
            Source::Whole(stream) => {
                let (source, sink) = stream.split();
                Ok((Self { source: Source::Half(source), ..self }, sink))
            }
            Source::Half(_) => Err(self),
        }
    }

    /// A further wait of this exchange.
    pub(super) fn watched(&self) -> Waiting {
        self.home.open.watched().bound_like(&self.waiting)
    }

    pub(super) fn give_back(self) {
        let Source::Whole(stream) = self.source else { return };
        // Cut in its last moment: whoever came next would be cut for it.
        if self.waiting.is_cut() {
            return;
        }
        self.waiting.release();
        let mut idle = self.home.idle.borrow_mut();
        if idle.len() < self.home.most_idle.get() {
            idle.push(Idle { stream, waiting: self.waiting, since: self.home.now.get() });
        }
    }

    /// Gives back what was parted.
    pub(super) fn rejoin(self, sink: Writer) {
        let Source::Half(source) = self.source else { return };
        if let Some(stream) = source.reunite(sink) {
            Self { source: Source::Whole(stream), ..self }.give_back();
        }
    }
}
