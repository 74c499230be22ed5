//! An upstream that does one thing wrong, when it is told to, and counts what reaches it.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::{Fault, When};
use crate::support::{Leg, until};

pub(super) const FINE: &str = "fine";
/// The request that a fault is for, and the one whose answer is the last of its connection.
pub(super) const FAULT: &str = "fault";
pub(super) const LAST: &str = "last";

/// What becomes of a connection after the fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    Closes,
    Resets,
    HalfCloses,
    /// It stays open until the gate closes it.
    Waits,
    /// The rest of the request is read, and the next one served.
    Reads,
    /// The next request is served.
    GoesOn,
}

/// The part of a fault that is played once.
#[derive(Clone, Copy)]
struct Part {
    when: When,
    play: fn(&mut Played),
    then: End,
    early: bool,
    damages: bool,
}

/// A request as it reached the upstream.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) name: String,
    pub(super) connection: usize,
}

#[derive(Default)]
struct Shared {
    part: Mutex<Option<Part>>,
    arrivals: Mutex<Vec<Arrival>>,
    newest: Mutex<Option<TcpStream>>,
    accepted: AtomicUsize,
    open: AtomicUsize,
    /// Bytes that came over a connection after it was damaged.
    reused: AtomicUsize,
    /// The client has the head of an answer, or will have none.
    heard: AtomicBool,
}

#[derive(Clone)]
pub(super) struct Uplink {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

/// A connection on which a fault is played.
pub(super) struct Played {
    leg: Leg,
    method: String,
    shared: Arc<Shared>,
}

impl Uplink {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uplink = Self { address: listener.local_addr().unwrap(), shared: Arc::default() };
        let shared = Arc::clone(&uplink.shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, number) = (Arc::clone(&shared), shared.accepted.fetch_add(1, Ordering::SeqCst));
                shared.open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    // What goes wrong here shows in what the client hears.
                    serve(stream, number, &shared);
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        uplink
    }

    /// An address at which nobody listens.
    pub(super) fn nowhere() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { address: listener.local_addr().unwrap(), shared: Arc::default() }
    }

    /// Plays the fault to the next request that it is for.
    pub(super) fn arm(&self, fault: &Fault) {
        self.shared.arrivals.lock().unwrap().clear();
        self.shared.heard.store(false, Ordering::SeqCst);
        let &Fault { when, play, then, early, sound, .. } = fault;
        let damages = !sound && then != End::Reads;
        *self.shared.part.lock().unwrap() = Some(Part { when, play, then, early, damages });
    }

    /// Plays the fault on the connection that was opened last, which is idle.
    pub(super) fn strike(&self) {
        let part = self.shared.part.lock().unwrap().take().expect("armed");
        let stream = self.shared.newest.lock().unwrap().take().expect("a connection");
        let leg = Leg::over(stream.try_clone().unwrap());
        let mut played = Played { leg, method: String::new(), shared: Arc::clone(&self.shared) };
        (part.play)(&mut played);
        match part.then {
            End::Closes => stream.shutdown(Shutdown::Both).unwrap(),
            End::Resets => {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                // Has whoever serves it let go of it: the last hand on it resets it.
                stream.shutdown(Shutdown::Read).unwrap();
            }
            _ => return,
        }
        until("its end", || (self.open() == 0).then_some(()));
    }

    pub(super) fn client_has_heard(&self) {
        self.shared.heard.store(true, Ordering::SeqCst);
    }

    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().unwrap().clone()
    }

    pub(super) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How often something came over a connection that was damaged.
    pub(super) fn reused(&self) -> usize {
        self.shared.reused.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, number: usize, shared: &Arc<Shared>) {
    stream.set_nodelay(true).unwrap();
    let part = shared.part.lock().unwrap().take_if(|part| part.when == When::Accepted);
    if let Some(part) = part {
        return end(Leg::over(stream), part, shared);
    }
    *shared.newest.lock().unwrap() = stream.try_clone().ok();
    let mut leg = Leg::over(stream);
    while let Some(seen) = leg.next_head() {
        let name = seen.target.rsplit('?').next().unwrap_or_default().to_owned();
        shared.arrivals.lock().unwrap().push(Arrival { name: name.clone(), connection: number });
        let mut fault = shared.part.lock().unwrap();
        let part = if name == FAULT { fault.take_if(|part| part.when != When::Idle) } else { None };
        drop(fault);
        // A second hand on it would keep it open.
        *shared.newest.lock().unwrap() = None;
        let Some(part) = part else {
            if leg.next_body(&seen).is_none() {
                return;
            }
            let body = if seen.method == "HEAD" { "" } else { FINE };
            let close = if name == LAST { "connection: close\r\n" } else { "" };
            if name != LAST {
                *shared.newest.lock().unwrap() = Some(leg.writer());
            }
            leg.send(format!("HTTP/1.1 200 OK\r\n{close}content-length: 4\r\n\r\n{body}"));
            if name == LAST {
                leg.closed();
                return;
            }
            continue;
        };
        if !part.early && leg.next_body(&seen).is_none() {
            return;
        }
        let mut played = Played { leg, method: seen.method.clone(), shared: Arc::clone(shared) };
        (part.play)(&mut played);
        leg = played.leg;
        match part.then {
            End::Reads if leg.next_body(&seen).is_none() => return,
            End::Reads | End::GoesOn => {}
            _ => return end(leg, part, shared),
        }
    }
}

fn end(mut leg: Leg, part: Part, shared: &Shared) {
    match part.then {
        End::Closes => return,
        End::Resets => return leg.reset(),
        End::HalfCloses => leg.end(),
        _ => {}
    }
    if part.early {
        // Until then nothing of the body is read.
        until("the client to hear", || shared.heard.load(Ordering::SeqCst).then_some(()));
    }
    let behind = leg.closed();
    if part.damages && !part.early && !behind.is_empty() {
        shared.reused.fetch_add(1, Ordering::SeqCst);
    }
}

impl Played {
    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    pub(super) fn say(&mut self, raw: impl AsRef<[u8]>) {
        self.leg.send(raw);
    }

    /// Says it, and waits until the client has the head of it: a reset could overtake it.
    pub(super) fn say_and_wait(&mut self, raw: &str) {
        self.say(raw);
        until("the client to hear", || self.shared.heard.load(Ordering::SeqCst).then_some(()));
    }

    /// The body is left out where there must be none.
    pub(super) fn say_for_method(&mut self, head: impl AsRef<str>, body: &str) {
        self.say([head.as_ref(), if self.is_head() { "" } else { body }].concat());
    }

    /// Says one after the other until the gate closes the connection.
    pub(super) fn go_on(&mut self, piece: impl Fn(usize) -> String) {
        let (mut writer, start) = (self.leg.writer(), Instant::now());
        writer.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut number = 0..;
        while start.elapsed() < Duration::from_secs(10) {
            let said = number.next().map(&piece).unwrap_or_default();
            if writer.write_all(said.as_bytes()).is_err() {
                return;
            }
        }
    }
}
