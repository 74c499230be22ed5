//! The listeners and their connections.
//!
//! Guarantees: a client has five seconds for a request, and few at a time are served on each listener; more wait in the
//! system's queue.
//! Does not know: what is answered.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_local;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::answer::answer;
use super::desk::{Desk, Ids};
use super::door::{Asker, Door, Token};
use super::socket::Bound;

const MOST_CONNECTIONS: usize = 32;
/// For a request's head, and for its body.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long to leave the listener alone when descriptors have run out.
const BREATHER: Duration = Duration::from_millis(50);

/// Where the operator's endpoints are.
#[derive(Default)]
pub struct Doors {
    /// With the token for what is more than looking.
    pub network: Option<(TcpListener, Option<Token>)>,
    pub socket: Option<(UnixListener, Bound)>,
}

/// Listeners at work. They end when this is dropped.
pub struct Admin {
    address: Option<SocketAddr>,
    socket: Option<Bound>,
    _stop: DropGuard,
}

/// What serves the connections of one listener.
struct Counter {
    desk: Arc<Desk>,
    ids: Rc<Ids>,
    door: Door,
    places: Arc<Semaphore>,
}

impl Admin {
    /// Begins to answer on bound sockets that do not block.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub fn start(doors: Doors, desk: Arc<Desk>) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let address = doors.network.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?;
        let (unix, socket) = doors.socket.unzip();
        let network = doors.network;
        let work = move || {
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
            runtime.block_on(async {
                let ids = Rc::new(Ids::begun());
                if let Some((listener, token)) = network {
                    let counter = Counter::new(&desk, &ids, Door::Network(token));
                    spawn_local(counter.serve_network(tokio::net::TcpListener::from_std(listener)?));
                }
                if let Some(listener) = unix {
                    let counter = Counter::new(&desk, &ids, Door::Socket);
                    spawn_local(counter.serve_socket(tokio::net::UnixListener::from_std(listener)?));
                }
                stopped.cancelled().await;
                Ok::<_, io::Error>(())
            })
        };
        thread::Builder::new().name("admin".into()).spawn(work)?;
        Ok(Self { address, socket, _stop: stop.drop_guard() })
    }

    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_ref().map(Bound::path)
    }
}

impl Counter {
    fn new(desk: &Arc<Desk>, ids: &Rc<Ids>, door: Door) -> Self {
        Self { desk: Arc::clone(desk), ids: Rc::clone(ids), door, places: Arc::new(Semaphore::new(MOST_CONNECTIONS)) }
    }

    async fn serve_network(self, listener: tokio::net::TcpListener) {
        while let Some(place) = self.place().await {
            match listener.accept().await {
                Ok((stream, peer)) => self.serve(stream, Asker::Network(peer), place),
                Err(_) => sleep(BREATHER).await,
            }
        }
    }

    async fn serve_socket(self, listener: tokio::net::UnixListener) {
        while let Some(place) = self.place().await {
            match listener.accept().await {
                Ok((stream, _)) => self.serve(stream, Asker::Socket, place),
                Err(_) => sleep(BREATHER).await,
            }
        }
    }

    /// Nobody closes it, so there always is one, sooner or later.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static, asker: Asker, place: OwnedSemaphorePermit) {
        let (desk, ids, door) = (Arc::clone(&self.desk), Rc::clone(&self.ids), self.door.clone());
        let service = service_fn(move |request| {
            let (desk, id, door) = (Arc::clone(&desk), ids.next(), door.clone());
            async move { Ok::<_, Infallible>(answer(&desk, &door, asker, &id, request).await) }
        });
        spawn_local(async move {
            let mut connection = http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(8 * 1024);
            // Who has asked for something and gone away has asked for it.
            connection.half_close(true);
            // What goes wrong is the client's affair.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}
