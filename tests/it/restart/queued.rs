//! Connections that the kernel had taken in before the gate was told to end: none is reset.

use std::io::{BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{LIST, gate};
use crate::support::{Answer, until};

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

#[test]
fn what_was_queued_when_the_gate_was_told_to_end_is_answered() {
    let mut gate = gate();
    let raw = gate.get(LIST).bearer(&gate.alice(&["messages:list"]).field("access_token")).raw();
    // It stands still, so all of these are the kernel's when the signal comes.
    gate.signal("STOP");
    let queued: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = patient(TcpStream::connect(gate.address).unwrap());
            stream.write_all(&raw).unwrap();
            stream
        })
        .collect();
    gate.signal("TERM");
    gate.signal("CONT");
    for (number, stream) in queued.into_iter().enumerate() {
        let answer = Answer::read(&mut BufReader::new(stream));
        answer.unwrap_or_else(|| panic!("connection {number} was reset")).expect(200);
    }
    assert_eq!(gate.wait().code(), Some(0));
}

/// One request on a connection of its own, and what became of it.
fn ask(address: std::net::SocketAddr, raw: &[u8], told: &AtomicBool) -> Asked {
    let mut stream = match TcpStream::connect(address) {
        Ok(stream) => patient(stream),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Asked::Refused,
        Err(error) => {
            assert!(told.load(Ordering::SeqCst), "{error}");
            return Asked::TooLate;
        }
    };
    let sent = stream.write_all(raw).is_ok();
    let in_time = sent && !told.load(Ordering::SeqCst);
    match Answer::read(&mut BufReader::new(stream)) {
        Some(answer) => Asked::Answered(answer.status),
        None if in_time => Asked::Reset,
        // Between the last look at the queue and the closing of the port nobody can do anything about it.
        None => Asked::TooLate,
    }
}

#[derive(Debug, PartialEq)]
enum Asked {
    Answered(u16),
    Refused,
    Reset,
    TooLate,
}

#[test]
fn a_flood_of_connections_during_the_end_is_answered_or_refused() {
    for _ in 0..5 {
        let mut gate = gate();
        let raw = gate.get(LIST).bearer(&gate.alice(&["messages:list"]).field("access_token")).raw();
        let (address, answered, told) = (gate.address, AtomicUsize::new(0), AtomicBool::new(false));
        let flood = || {
            loop {
                match ask(address, &raw, &told) {
                    Asked::Answered(status) => assert_eq!(status, 200),
                    Asked::Refused => break,
                    Asked::Reset => panic!("reset, although it was sent before the signal"),
                    Asked::TooLate => continue,
                }
                answered.fetch_add(1, Ordering::SeqCst);
            }
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..8).map(|_| scope.spawn(flood)).collect();
            until("all to be at work", || (answered.load(Ordering::SeqCst) > 50).then_some(()));
            told.store(true, Ordering::SeqCst);
            gate.signal("TERM");
            clients.into_iter().for_each(|client| client.join().unwrap());
        });
        assert_eq!(gate.wait().code(), Some(0));
    }
}
