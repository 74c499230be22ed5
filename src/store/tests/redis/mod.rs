//! Several gates on one engine, which is a real one: each test starts its own.
//!
//! Guarantees: a free port and a folder for each engine, which ends with its test.
//! Does not know: HTTP.

mod cluster;
mod contracts;
mod failover;
mod faults;
mod load;
mod proxy;
mod several;
mod wire;
mod yards;

use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::super::redis::{Attendant, Server, Terms};
use super::*;

pub(super) use yards::{Yard, Yards};

/// An engine of its own.
struct Engine {
    child: Option<Child>,
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
}

impl Engine {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let mut engine = Self { child: None, port: free_port(), folder: tempfile::tempdir().unwrap(), arguments };
        engine.run();
        engine
    }

    fn run(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new(server());
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(self.folder.path());
        command.args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        until("the engine answers", || {
            let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) else { return false };
            use std::io::{Read, Write};
            let mut answer = [0; 5];
            stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && &answer == b"+PONG"
        });
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops it from doing anything, or lets it go on.
    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Asks it something, and tells its answer as it is on the wire.
    fn ask(&self, line: &str) -> String {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[track_caller]
    fn ok(&self, line: &str) {
        let answer = self.ask(line);
        assert!(answer.starts_with("+OK"), "{line}: {answer}");
    }

    fn terms(&self) -> Terms {
        Terms {
            servers: vec![Server { host: "127.0.0.1".into(), port: self.port }],
            sentinel: None,
            database: 0,
            username: None,
            password: None,
            tls: None,
            prefix: "{portcullis}:".into(),
            timeout: Duration::from_secs(2),
            wait_replicas: 0,
            max_stale: Duration::from_secs(10),
        }
    }

    fn gate(&self) -> Gate {
        Gate::start(self.terms(), CAPS, &policy())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

const CAPS: Caps = Caps { sessions: 1_000_000, sessions_per_user: 1000, tombstones: 1_000_000 };

/// A store and its attendant. Dropping it ends both.
pub(super) struct Gate {
    store: Arc<Store>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Gate {
    /// Returns when it has caught up.
    fn start(terms: Terms, caps: Caps, policy: &Policy) -> Self {
        let (gate, ready) = Self::begin(terms, caps, policy);
        ready.recv_timeout(Duration::from_secs(30)).expect("the gate catches up");
        gate
    }

    fn begin(terms: Terms, caps: Caps, policy: &Policy) -> (Self, mpsc::Receiver<()>) {
        let store = Arc::new(Store::shared(terms, caps, Arc::new(policy.clone()), Instant::now()));
        let (stop, attendant) = (CancellationToken::new(), Attendant::new(Arc::clone(&store)));
        let (tell, ready) = mpsc::channel();
        let stopped = stop.clone();
        let work = move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let tell = move || {
                let _ = tell.send(());
            };
            runtime.block_on(attendant.run(tell, stopped));
        };
        (Self { store, stop, thread: Some(thread::spawn(work)) }, ready)
    }

    fn is_up(&self) -> bool {
        self.store.health().is_healthy()
    }
}

impl Deref for Gate {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop.cancel();
        let _ = self.thread.take().unwrap().join();
    }
}

/// Redis, or what else is named by the environment.
fn server() -> String {
    std::env::var("PORTCULLIS_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
    began.elapsed()
}

/// As [`refresh`], with whatever comes of it.
fn try_refresh(store: &Store, id: SessionId, generation: u32, now: Timestamp) -> Result<Rotation, StoreError> {
    let presented = Presented {
        session: id,
        generation,
        issued_at: T0,
        profile: Profile::Smsgate,
        arrived_at: now,
        sender: Sender::default(),
        by: None,
        certificate: None,
    };
    run(store.rotate(&presented, &known, &"key".into(), now, async {}))
}

fn is_rotated(rotation: &Result<Rotation, StoreError>) -> bool {
    matches!(rotation, Ok(Rotation::Rotated(_)))
}
