//! What comes on a TLS port from those who want no TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{Client, ask, authority, connect, serves, start};
use crate::support::{Upstream, until};

fn ended(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => bytes,
        Err(error) => panic!("the connection is held: {error}"),
    }
}

/// The first flight of an honest client.
fn hello() -> Vec<u8> {
    let config = Client::new(&authority("any")).config();
    let name = "localhost".try_into().unwrap();
    let mut connection = tokio_rustls::rustls::ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn plain_http_is_told_so_and_garbage_is_closed() {
    let (upstream, authority) = (Upstream::start(), authority("hostile"));
    let gate = start(&upstream, &authority).start();
    let mut plain = TcpStream::connect(gate.address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let told = String::from_utf8(ended(&mut plain)).unwrap();
    assert!(told.starts_with("HTTP/1.1 400 ") && told.ends_with("\"this port speaks HTTPS\"}"), "{told}");
    let mut shuffled = hello();
    shuffled.iter_mut().skip(9).for_each(|byte| *byte ^= 0x55);
    let huge = [&[22, 3, 1, 0xff, 0xff][..], &[1; 1 << 17]].concat();
    let endless = [&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 0x3ffc]].concat().repeat(8);
    for bytes in [
        b"\0\0\0\0".to_vec(),
        vec![0x80, 0x2e, 1, 0, 2],
        vec![22, 3, 1, 0, 0],
        shuffled,
        huge,
        endless,
        vec![0x16; 4096],
    ] {
        let mut stream = TcpStream::connect(gate.address).unwrap();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        ended(&mut stream);
    }
    serves(&gate, &authority);
}

#[test]
fn a_handshake_may_come_byte_by_byte_and_has_to_end_in_time() {
    let (upstream, authority) = (Upstream::start(), authority("hostile"));
    let gate = start(&upstream, &authority).set("limits.handshake_timeout", "1s").start();
    let hello = hello();
    let begun = Instant::now();
    let mut halves: Vec<_> = [1, hello.len() / 2, hello.len()]
        .map(|length| {
            let mut stream = TcpStream::connect(gate.address).unwrap();
            stream.set_nodelay(true).unwrap();
            for byte in &hello[..length] {
                stream.write_all(&[*byte]).unwrap();
            }
            stream
        })
        .into();
    let whole = ended(&mut halves.pop().unwrap());
    assert_eq!(whole.first(), Some(&22), "it was answered with its part of the handshake");
    halves.iter_mut().for_each(|half| assert!(ended(half).is_empty()));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    serves(&gate, &authority);
}

#[test]
fn who_holds_every_turn_of_a_handshake_loses_it_within_seconds_and_others_get_theirs() {
    let (upstream, authority) = (Upstream::start(), authority("hostile"));
    let gate = start(&upstream, &authority).set("workers", "1").set("limits.max_handshakes", "4").start();
    let hello = hello();
    let holders: Vec<_> = (0..12)
        .map(|_| {
            let mut stream = TcpStream::connect(gate.address).unwrap();
            stream.write_all(&hello).unwrap();
            stream
        })
        .collect();
    let answered = |stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        stream.peek(&mut [0; 1]).is_ok()
    };
    let begun = Instant::now();
    until("four", || (holders.iter().filter(|it| answered(it)).count() == 4).then_some(()));
    serves(&gate, &authority);
    // Twelve in fours, a second and a round each.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[test]
fn what_a_client_does_not_read_ends_its_connection_also_under_tls() {
    let (upstream, authority) = (Upstream::start(), authority("hostile"));
    let gate = start(&upstream, &authority).set("limits.idle_timeout", "1s").start();
    // An idle one hears that it ends.
    let mut line = connect(&Client::new(&authority).config(), gate.address, "localhost").unwrap();
    assert_eq!(ask(&mut line), Ok(200));
    let mut rest = Vec::new();
    assert_eq!(line.read_to_end(&mut rest).map_err(|error| error.to_string()), Ok(0), "close_notify comes");
}
