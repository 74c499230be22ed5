//! WebSockets spoken for real: frames, masks, a closing handshake; by a client of our own and by one that others wrote.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use super::{PATH, proof, wish};
use crate::support::{Connection, Gate, Start, read_head};

/// A server that echoes the messages of WebSockets and sends anybody else events.
pub(super) fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
                let mut writer = stream;
                let Some(seen) = read_head(&mut reader) else { return };
                match seen.header("sec-websocket-key") {
                    Some(key) => {
                        let accept = proof(key);
                        let head = format!(
                            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                             Sec-WebSocket-Accept: {accept}\r\n\r\n"
                        );
                        writer.write_all(head.as_bytes()).unwrap();
                        while let Some((kind, message)) = read_frame(&mut reader) {
                            let said = writer.write_all(&frame(kind, &message, None));
                            if said.is_err() || kind == CLOSE {
                                return;
                            }
                        }
                    }
                    None => {
                        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                        let mut said = writer.write_all(head.as_bytes());
                        for n in 0.. {
                            if said.is_err() {
                                return;
                            }
                            said = writer.write_all(format!("data: {n}\n\n").as_bytes());
                            thread::park_timeout(std::time::Duration::from_millis(100));
                        }
                    }
                }
            });
        }
    });
    address
}

pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;

/// A frame as RFC 6455 section 5.2 has it; a client's is masked.
pub(super) fn frame(kind: u8, message: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = vec![0x80 | kind];
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match message.len() {
        length @ 0..=125 => frame.push(masked | length as u8),
        length @ 126..=0xffff => {
            frame.push(masked | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(masked | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    match mask {
        Some(mask) => {
            frame.extend_from_slice(&mask);
            frame.extend(message.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        }
        None => frame.extend_from_slice(message),
    }
    frame
}

/// The kind of a frame and what it says, unmasked.
pub(super) fn read_frame(from: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut take = |length: usize| {
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes).ok().map(|()| bytes)
    };
    let head = take(2)?;
    let length = match head[1] & 0x7f {
        126 => u64::from(u16::from_be_bytes(take(2)?.try_into().unwrap())),
        127 => u64::from_be_bytes(take(8)?.try_into().unwrap()),
        length => u64::from(length),
    };
    let mask = if head[1] & 0x80 != 0 { take(4)? } else { vec![0; 4] };
    let message = take(usize::try_from(length).unwrap())?;
    Some((head[0] & 0x0f, message.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()))
}

/// A WebSocket through the gate.
pub(super) fn open(gate: &Gate, token: &str) -> Connection {
    let mut client = Connection::open(gate.address);
    client.write(&wish(gate.get(PATH)).bearer(token).raw());
    client.read_any().expect("an answer").expect(101);
    client
}

#[test]
fn messages_of_every_length_come_back_and_the_closing_handshake_ends_it() {
    let gate = Start::before(echo()).start();
    let mut client = open(&gate, &gate.alice(&["messages:list"]).field("access_token"));
    for length in [0, 1, 125, 126, 4096, 65_535, 65_536, 1 << 20] {
        let message: Vec<u8> = (0..length).map(|n: usize| (n % 251) as u8).collect();
        let mut writer = client.writer();
        let sent = frame(TEXT, &message, Some([7, 11, 13, 17]));
        let writing = thread::spawn(move || writer.write_all(&sent).unwrap());
        assert!(read_frame(client.reader()) == Some((TEXT, message)), "{length}");
        writing.join().unwrap();
    }
    client.write(&frame(CLOSE, &[3, 232], Some([1, 2, 3, 4])));
    assert_eq!(read_frame(client.reader()), Some((CLOSE, vec![3, 232])));
    assert_eq!(client.rest(), b"");
}

#[test]
#[cfg_attr(not(have_node_clients), ignore = "the Node clients are not prepared: make clients")]
fn a_websocket_library_is_served() {
    let gate = Start::before(echo()).start();
    let output = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/node/websocket_flow.js"))
        .envs([("GATE_URL", "unused"), ("GATE_USER", "unused"), ("GATE_PASSWORD", "unused")])
        .env("GATE_SOCKET", format!("ws://{}{PATH}", gate.address))
        .env("GATE_TOKEN", gate.alice(&["messages:list"]).field("access_token"))
        .output()
        .unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("ok"), "{said}\n{wrong}");
}
