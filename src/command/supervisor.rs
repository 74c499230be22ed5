//! What systemd is told, if it has started us: ready, reloading, stopping, still alive (sd_notify(3)).
//!
//! Guarantees: without `NOTIFY_SOCKET` nothing is told and nothing waits; a message that cannot be sent is dropped; "still
//! alive" is said only after all workers have turned to their sockets.
//! Does not know: what any of it means to the unit.

use std::env;
use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};

/// Whoever started us and wants to hear of us; by default nobody.
#[derive(Default)]
pub(super) struct Supervisor {
    socket: Option<UnixDatagram>,
    /// Longer silence is taken for a hang.
    watchdog: Option<Duration>,
}

impl Supervisor {
    pub(super) fn from_environment() -> Self {
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        Self { socket: env::var_os("NOTIFY_SOCKET").and_then(|name| connect(&name).ok()), watchdog }
    }

    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// [`Supervisor::ready`] is to follow.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}{:06}", now.tv_sec, now.tv_nsec / 1000));
    }

    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Says for ever that we are alive, as often as `alive` says so.
    pub(super) async fn watch(&self, alive: impl AsyncFn() -> bool) {
        let Some(patience) = self.watchdog else { return std::future::pending().await };
        // Often enough that one that was missed is not the end.
        let mut turn = interval(patience / 4);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            if alive().await {
                self.tell("WATCHDOG=1");
            }
        }
    }

    fn tell(&self, state: &str) {
        if let Some(socket) = &self.socket {
            // A supervisor that does not read must not hold us up, nor one that has gone.
            let _ = socket.send(state.as_bytes());
        }
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
