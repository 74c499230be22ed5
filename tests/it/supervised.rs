//! A gate under systemd: what it tells (sd_notify), and sockets that were open before it.

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{ChildStderr, Command, Stdio};
use std::time::Duration;

use crate::support::{Call, Gate, Start, command, until};

struct Systemd {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Systemd {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { socket, folder }
    }

    fn starts(&self) -> Start {
        let path = self.folder.path().join("notify");
        Start::alone().user("alice", "wonderland", &["all:any"]).env("NOTIFY_SOCKET", path.to_str().unwrap())
    }

    /// The next message.
    fn hears(&self) -> String {
        let mut message = [0; 512];
        let length = self.socket.recv(&mut message).expect("a message");
        String::from_utf8(message[..length].to_vec()).unwrap()
    }
}

fn tell(gate: &Gate, signal: &str) {
    assert!(Command::new("kill").args([signal, &gate.id().to_string()]).status().unwrap().success());
}

#[test]
fn it_says_when_it_is_ready_reloads_and_stops() {
    let systemd = Systemd::new();
    let gate = systemd.starts().start();
    assert_eq!(systemd.hears(), "READY=1");
    gate.get("/health").send();
    tell(&gate, "-HUP");
    let reloading = systemd.hears();
    let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
    assert!(since.parse::<u64>().unwrap() > 0);
    assert_eq!(systemd.hears(), "READY=1");
    tell(&gate, "-TERM");
    assert_eq!(systemd.hears(), "STOPPING=1");
}

#[test]
fn it_says_that_it_is_alive_if_it_is_asked_to() {
    let systemd = Systemd::new();
    let _gate = systemd.starts().env("WATCHDOG_USEC", "2000").start();
    assert_eq!(systemd.hears(), "READY=1");
    for _ in 0..3 {
        assert_eq!(systemd.hears(), "WATCHDOG=1");
    }
    // Meant for somebody else.
    let systemd = Systemd::new();
    let gate = systemd.starts().env("WATCHDOG_USEC", "2000").env("WATCHDOG_PID", "1").start();
    assert_eq!(systemd.hears(), "READY=1");
    tell(&gate, "-TERM");
    assert_eq!(systemd.hears(), "STOPPING=1");
}

#[test]
fn nobody_who_listens_and_nonsense_hold_nothing_up() {
    for socket in ["/nowhere/at/all", "@", "", "vsock:2:1", "@portcullis-nobody"] {
        let gate = Start::alone().env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "18446744073709551615").start();
        gate.get("/nowhere").send().expect_refusal(403);
    }
    // A socket whose queue nobody empties.
    let systemd = Systemd::new();
    let gate = systemd.starts().env("WATCHDOG_USEC", "1").start();
    for _ in 0..20 {
        gate.get("/nowhere").send().expect_refusal(403);
    }
}

/// Starts a gate that listens on `address` and is handed `socket` as systemd does it. The lines of its log.
fn handed(socket: OwnedFd, address: &str) -> (Killing, Lines<BufReader<ChildStderr>>) {
    let folder = tempfile::tempdir().unwrap();
    let binary = command(folder.path()).get_program().to_owned();
    let mut shell = Command::new("sh");
    shell.current_dir(folder.path()).args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3<&0 </dev/null", "sh"]);
    shell.arg(binary).args(["serve", "--set=admin.listen=", "--set=log.format=json", "--set=workers=2"]);
    shell.arg(format!("--listen={address}")).stdin(Stdio::from(socket)).stderr(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    (Killing(child, folder), lines)
}

struct Killing(std::process::Child, #[expect(dead_code, reason = "goes with it")] tempfile::TempDir);

impl Drop for Killing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_socket_that_was_open_before_it_is_served() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let ours = socket.try_clone().unwrap();
    let (gate, mut lines) = handed(socket.into(), &address.to_string());
    assert!(lines.any(|line| {
        line.as_ref().is_ok_and(|line| line.contains("\"listening\"") && line.contains(&address.to_string()))
    }));
    Call::new(address, "GET", "/nowhere").send().expect_refusal(403);
    drop(gate);
    // Whoever comes meanwhile waits for the next one.
    let waiting = std::thread::spawn(move || Call::new(address, "GET", "/nowhere").send());
    let (_gate, _lines) = handed(ours.into(), &address.to_string());
    waiting.join().unwrap().expect_refusal(403);
}

#[test]
fn a_socket_that_nobody_asked_for_stops_the_start() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (mut gate, mut lines) = handed(socket.into(), "127.0.0.1:0");
    assert!(lines.any(|line| {
        line.as_ref()
            .is_ok_and(|line| line.contains("systemd hands over a socket on") && line.contains(&address.to_string()))
    }));
    assert_eq!(until("the end", || gate.0.try_wait().unwrap()).code(), Some(1));

    let (mut gate, mut lines) = handed(std::fs::File::open("/dev/null").unwrap().into(), "127.0.0.1:0");
    assert!(lines.any(|line| line.as_ref().is_ok_and(|line| line.contains("no TCP socket"))));
    assert_eq!(until("the end", || gate.0.try_wait().unwrap()).code(), Some(1));
}
