//! Workers: one thread each, with a runtime, upstream connections and token cache of its own.
//!
//! Guarantees: a request is served from head to tail on one thread, without a hand-over; running out of file
//! descriptors backs off and never spins; draining first takes in what the kernel has queued, then stops accepting.
//! Does not know: what a request is about.

use std::cell::RefCell;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use http::header::HeaderValue;
use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::gateway::Retired;
use crate::muster::Roll;
use crate::observe::chain;
use crate::tls::InForce;

use super::Deadlines;
use super::connection::{self, Reserves, Service};
use super::crowd::Crowd;
use super::door::Door;
use super::frames;
use super::handshake::{HURRY, Tls};
use super::order::{Duty, InForce as Orders};
use super::place::{Place, Places};
use super::rounds::Rounds;

/// How long to leave the listener alone when descriptors have run out.
const BREATHER: Duration = Duration::from_millis(50);

/// The terms all workers serve under.
#[derive(Clone, Debug)]
pub struct Shift {
    pub deadlines: Deadlines,
    /// How often deadlines are looked at, and so how late they may be.
    pub round: Duration,
    pub reserves: Reserves,
    /// Over all workers.
    pub max_connections: usize,
    /// Of one client address, over all workers; zero is no limit.
    pub max_connections_per_address: usize,
    /// Of one connection; zero is no limit.
    pub max_requests: u32,
    pub trusted_proxies: Vec<IpNet>,
    /// Whether these begin with a preamble that names the client.
    pub proxy_protocol: bool,
    /// For how long clients are sent away before nobody is let in any more.
    pub drain_delay: Duration,
    pub drain_timeout: Duration,
    /// `None`: in the clear.
    pub tls: Option<Arc<InForce>>,
    /// Handshakes of one worker at once.
    pub max_handshakes: usize,
    /// `Strict-Transport-Security` for every answer.
    pub hsts: Option<HeaderValue>,
}

/// The workers of this process.
pub struct Crew {
    threads: Vec<JoinHandle<()>>,
    leave: CancellationToken,
    drain: CancellationToken,
}

impl Crew {
    /// Starts a worker for each of `rolls` on the bound `listener`. Each makes its own gateway, on its own thread. Whether it
    /// is TLS that they speak, and how many handshakes at once, is settled by the order of now.
    ///
    /// # Errors
    /// When the system gives no thread, no runtime or no copy of the socket.
    pub fn start(listener: &TcpListener, rolls: Vec<Roll>, in_force: &Arc<Orders>) -> io::Result<Self> {
        let (leave, drain, places) = (CancellationToken::new(), CancellationToken::new(), Arc::new(Places::default()));
        let crowd = Arc::new(Crowd::default());
        let workers = rolls.len();
        let mut threads = Vec::with_capacity(workers);
        for (number, roll) in rolls.into_iter().enumerate() {
            let listener = listener.try_clone()?;
            let (outcome, started) = channel();
            let (leave, drain) = (leave.clone(), drain.clone());
            let (places, in_force) = (Arc::clone(&places), Arc::clone(in_force));
            let crowd = Arc::clone(&crowd);
            let work = move || {
                // Made here, as such a runtime cannot leave its thread. Whoever starts us waits for the outcome.
                let made = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
                let made = made.and_then(|runtime| Ok((runtime.block_on(async { Door::new(listener) })?, runtime)));
                let (door, runtime) = match made {
                    Ok(made) => made,
                    Err(error) => return drop(outcome.send(Err(error))),
                };
                drop(outcome.send(Ok(())));
                runtime.block_on(async {
                    let duty = Duty::first(in_force.order());
                    let shift = duty.shift();
                    let tls = shift.tls.clone().map(|in_force| Tls::new(in_force, shift.max_handshakes));
                    let duty = RefCell::new(Rc::new(duty));
                    let service = Service { duty, rounds: Rounds::default(), crowd, scratch: frames::scratch(), tls };
                    let (service, connections) = (Rc::new(service), TaskTracker::new());
                    let retired = RefCell::default();
                    let worker = Worker { service, in_force, workers, places, connections, retired };
                    Rc::new(worker).work(door, roll, leave, drain).await;
                });
            };
            threads.push(thread::Builder::new().name(format!("worker-{number}")).spawn(work)?);
            started.recv().map_err(io::Error::other)??;
        }
        Ok(Self { threads, leave, drain })
    }

    /// Sends clients away: whoever asks is answered, and told not to come back on that connection.
    pub fn leave(&self) {
        self.leave.cancel();
    }

    /// Stops accepting, lets requests in flight finish within the drain timeout, and returns when all workers ended.
    pub fn drain(self) {
        self.drain.cancel();
        for thread in self.threads {
            // A worker that panicked has nothing left to drain.
            let _ = thread.join();
        }
    }
}

/// One worker, on its thread.
struct Worker {
    service: Rc<Service>,
    in_force: Arc<Orders>,
    /// How many of us there are.
    workers: usize,
    /// For the connections of all workers.
    places: Arc<Places>,
    /// Those of this one.
    connections: TaskTracker,
    /// What former orders have left.
    retired: RefCell<Vec<Retired>>,
}

impl Worker {
    async fn work(self: Rc<Self>, door: Door, roll: Roll, leave: CancellationToken, drain: CancellationToken) {
        let door = Rc::new(door);
        let (worker, while_open) = (Rc::clone(&self), Rc::downgrade(&door));
        spawn_local(roll.answer(move || {
            worker.take_up();
            if let Some(door) = while_open.upgrade() {
                worker.admit_queued(&door);
            }
        }));
        let mut round = self.round();
        let leaving = async {
            leave.cancelled().await;
            self.service.duty().leave();
            self.service.rounds.leave();
            pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = drain.cancelled() => {}
            () = leaving => {}
            () = self.go_rounds(&mut round) => {}
            () = self.accept(&door) => {}
        }
        // What the kernel has already queued was promised a connection: closing the socket over it would reset it.
        self.admit_queued(&door);
        drop(door);
        self.service.rounds.drain();
        self.connections.close();
        let drained = async {
            tokio::select! {
                () = self.connections.wait() => {}
                // Deadlines hold to the end: a client that has stopped reading must not use up the whole drain.
                () = self.go_rounds(&mut round) => {}
            }
        };
        let patience = self.service.duty().shift().drain_timeout;
        if timeout(patience, drained).await.is_err() {
            warn!(open = self.connections.len(), "drain timeout: connections are cut");
        }
    }

    /// Waits for the next round and goes it, for ever.
    async fn go_rounds(&self, round: &mut Interval) {
        loop {
            round.tick().await;
            self.take_up();
            let (now, duty) = (Instant::now(), self.service.duty());
            // First: what it cuts is told at once.
            duty.gateway.tidy(now);
            if !self.retired.borrow().is_empty() {
                let time = duty.gateway.arrival();
                self.retired.borrow_mut().retain_mut(|retired| retired.tidy(now, time));
            }
            let hurry = self.service.tls.as_ref().filter(|tls| tls.is_pressed()).map(|_| HURRY);
            self.service.rounds.go(now, &duty.shift().deadlines, hurry);
            if round.period() != duty.shift().round {
                *round = self.round();
                // The first one is due at once, and has just been gone.
                round.tick().await;
            }
        }
    }

    fn round(&self) -> Interval {
        let mut round = interval(self.service.duty().shift().round);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        round
    }

    /// Goes by the order of now, if it is another one: whatever begins from here on does, and what is under way ends as it
    /// began.
    fn take_up(&self) {
        let former = self.service.duty();
        let Some(order) = self.in_force.other_than(&former.order) else { return };
        let duty = former.succeeded_by(order);
        self.retired.borrow_mut().push(former.gateway.retire(&duty.gateway));
        *self.service.duty.borrow_mut() = Rc::new(duty);
    }

    /// Accepts connections, for ever.
    async fn accept(&self, door: &Door) {
        let others_turn = async || self.places.others_turn(self.workers, || self.connections.len()).await;
        loop {
            match door.next(others_turn).await {
                Ok((stream, from)) => self.admit(stream, from),
                Err(error) => {
                    warn!(error = chain(&error), "cannot accept");
                    sleep(BREATHER).await;
                }
            }
        }
    }

    /// Takes in all that the kernel has queued, more than its share or not.
    fn admit_queued(&self, door: &Door) {
        while let Some((stream, from)) = door.queued() {
            self.admit(stream, from);
        }
    }

    fn admit(&self, stream: TcpStream, from: SocketAddr) {
        let (place, duty) = (Place::take(&self.places), self.service.duty());
        if self.places.taken() > duty.shift().max_connections {
            duty.gateway.tally().connections_turned_away.add(1);
            return connection::turn_away(&stream, from, self.service.tls.is_some());
        }
        let service = Rc::clone(&self.service);
        self.connections.spawn_local(async move {
            service.duty().gateway.tally().connections_opened.add(1);
            connection::serve(stream, from, Rc::clone(&service), place).await;
            service.duty().gateway.tally().connections_closed.add(1);
        });
    }
}
