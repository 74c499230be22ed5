//! Another configuration beneath a running gate: what takes effect, what stays, and that nobody notices.

mod drain;
mod rules;
mod takes;
mod traffic;
mod wrong;

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::admin::ask;
use crate::support::{Gate, Start, ok, read_head, until};

const LIST: &str = "/3rdparty/v1/messages";
const IN_FORCE: &str = "the configuration was read anew and is in force";
const KEPT: &str = "the former one stays in force";

/// A gate whose configuration is `text`, but for what its command line says.
fn gate(upstream: SocketAddr, text: &str) -> Gate {
    start(upstream).config_file(text).start()
}

fn start(upstream: SocketAddr) -> Start {
    Start::before(upstream).set("admin.listen", "127.0.0.1:0").set("log.access", "off")
}

/// Replaces the configuration file whole, as careful editors do.
fn write(gate: &Gate, text: &str) {
    let scratch = gate.folder().join("config.next");
    fs::write(&scratch, text).unwrap();
    fs::rename(scratch, gate.folder().join("config.toml")).unwrap();
}

fn count(gate: &Gate, part: &str) -> usize {
    gate.log().iter().filter(|line| line.contains(part)).count()
}

/// Puts `text` in force.
#[track_caller]
fn reload(gate: &Gate, text: &str) {
    let before = count(gate, IN_FORCE);
    write(gate, text);
    gate.signal("HUP");
    until("the configuration to be in force", || (count(gate, IN_FORCE) > before).then_some(()));
}

/// Has the gate refuse `text`, and gives the lines that say why.
#[track_caller]
fn refused(gate: &Gate, text: &str) -> Vec<String> {
    let before = (count(gate, KEPT), gate.log().len());
    write(gate, text);
    gate.signal("HUP");
    until("the configuration to be refused", || (count(gate, KEPT) > before.0).then_some(()));
    gate.log().split_off(before.1)
}

/// The value of a number that the gate tells.
#[track_caller]
fn number(gate: &Gate, name: &str) -> f64 {
    let text = ask(gate, "GET", "/metrics").expect(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
    line.trim().parse().unwrap()
}

/// An upstream that answers everything: with a tunnel that gives back what it gets, with events that are numbered from 0
/// on and come without end, or at once.
fn lively_upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(seen) = read_head(&mut reader) {
        if seen.header("upgrade").is_some() {
            let accepted = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                            sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
            let mut piece = [0; 64];
            let mut told = writer.write_all(accepted.as_bytes());
            while let (Ok(()), Ok(read @ 1..)) = (told, reader.read(&mut piece)) {
                told = writer.write_all(&piece[..read]);
            }
            return;
        }
        if seen.target.ends_with("?events") {
            let mut told = writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
            for number in 0.. {
                if told.is_err() {
                    return;
                }
                told = writer.write_all(format!("data: {number}\n\n").as_bytes());
                thread::park_timeout(Duration::from_millis(10));
            }
        }
        if writer.write_all(&ok(b"{\"ok\":true}")).is_err() {
            return;
        }
    }
}
