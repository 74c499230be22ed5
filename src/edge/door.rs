//! The door: where a worker takes connections from the socket that it shares with the others.
//!
//! Guarantees: a connection that is left to the others is taken after all if none of them comes for it; it is noticed
//! for as long as it is there.
//! Does not know: whose turn it is, what becomes of a connection.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

/// How long a connection is left to the others. Enough for a worker that sleeps to wake up; one that is busy may not
/// come at all.
const COURTESY: Duration = Duration::from_millis(1);

/// One worker's end of the socket.
pub(super) struct Door(AsyncFd<TcpListener>);

impl Door {
    /// A door to a socket that does not block.
    ///
    /// # Errors
    /// When the runtime cannot watch it.
    pub(super) fn new(listener: TcpListener) -> io::Result<Self> {
        // tokio's own listener tells that a connection is there only by taking it.
        #[expect(
            deprecated,
            reason = "it asks for a descriptor that stays open and the same, as one owned by std does"
        )]
        AsyncFd::new(listener).map(Self)
    }

    /// The next connection, once it is there and `others_turn` has ended, or has lasted too long.
    ///
    /// # Errors
    /// When the system gives none, for want of descriptors for example.
    pub(super) async fn next(&self, others_turn: impl AsyncFn()) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let mut ready = self.0.readable().await?;
            let _ = timeout(COURTESY, others_turn()).await;
            // A flood of connections must not keep those that are served waiting.
            consume_budget().await;
            // If another worker was faster, this forgets that one was there, but not those that have come meanwhile.
            if let Ok(taken) = ready.try_io(|door| accept(door.get_ref()))
                && !taken.as_ref().is_err_and(is_clients_fault)
            {
                return taken;
            }
        }
    }

    /// A connection that the kernel has queued, no matter whose turn it is. The kernel itself is asked: the runtime
    /// knows only what there was when it last looked.
    pub(super) fn queued(&self) -> Option<(TcpStream, SocketAddr)> {
        loop {
            match accept(self.0.get_ref()) {
                Ok(taken) => return Some(taken),
                Err(error) if is_clients_fault(&error) => {}
                Err(_) => return None,
            }
        }
    }
}

fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, from) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok((TcpStream::from_std(stream)?, from))
}

/// The client went away between the kernel's accept and ours.
fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;
    use std::net;

    use tokio::join;
    use tokio::runtime::Builder;
    use tokio::task::yield_now;

    use super::super::bind;
    use super::*;

    /// Runs `act` with a door, and with another one to the same socket.
    fn with_two_doors(act: impl AsyncFnOnce(Door, Door, SocketAddr)) {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let other = Door::new(listener.try_clone().unwrap()).unwrap();
            act(Door::new(listener).unwrap(), other, address).await;
        });
    }

    #[test]
    fn what_nobody_else_comes_for_is_taken_whosever_turn_it_is() {
        with_two_doors(async |door, _other, address| {
            let clients: Vec<_> = (0..3).map(|_| net::TcpStream::connect(address).unwrap()).collect();
            for client in &clients {
                let (_, from) = door.next(async || pending().await).await.unwrap();
                assert_eq!(from, client.local_addr().unwrap());
            }
        });
    }

    #[test]
    fn the_one_after_a_connection_that_another_took_is_noticed() {
        with_two_doors(async |door, other, address| {
            let _first = net::TcpStream::connect(address).unwrap();
            let left_to_the_other = Cell::new(false);
            let next = door.next(async || {
                if !left_to_the_other.replace(true) {
                    assert!(other.queued().is_some());
                }
            });
            let second = async {
                while !left_to_the_other.get() {
                    yield_now().await;
                }
                yield_now().await;
                net::TcpStream::connect(address).unwrap()
            };
            let (next, second) = timeout(Duration::from_secs(10), async { join!(next, second) }).await.unwrap();
            assert_eq!(next.unwrap().1, second.local_addr().unwrap());
        });
    }
}
