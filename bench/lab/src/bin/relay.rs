//! The floor: a relay of bytes, one upstream connection for each client, nothing looked at.
//!
//! Guarantees: one thread; a wait, a read and a write for each direction of a short exchange; where one side does not
//! take what the other sends, reading stops until it does.
//! Does not know: HTTP.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use lab::{Interest, Sockets, argument, if_ready};

struct Side {
    stream: TcpStream,
    /// The key of the other side.
    other: usize,
    /// Read from the other side and not yet taken by this one.
    pending: Vec<u8>,
}

fn main() -> io::Result<()> {
    const USAGE: &str = "relay PORT UPSTREAM_PORT";
    let mut sockets = Sockets::listen(argument(1, USAGE)?)?;
    let upstream: u16 = argument(2, USAGE)?;
    let mut sides: Vec<Option<Side>> = Vec::new();
    let mut buffer = vec![0; 65536];
    loop {
        let ready = sockets.wait(|sockets, client| {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)) else { return Ok(()) };
            let (near, far) = (sockets.watch(&client)?, sockets.watch(&server)?);
            sides.resize_with(sides.len().max(near.max(far) + 1), || None);
            sides[near] = Some(Side { stream: client, other: far, pending: Vec::new() });
            sides[far] = Some(Side { stream: server, other: near, pending: Vec::new() });
            Ok(())
        })?;
        for (key, interest) in ready {
            let Some(other) = sides[key].as_ref().map(|side| side.other) else { continue };
            let Ok([Some(side), Some(other_side)]) = sides.get_disjoint_mut([key, other]) else { continue };
            let goes_on = if interest.contains(Interest::OUT) {
                flush(&sockets, side, other_side)
            } else {
                pass(&sockets, side, other_side, &mut buffer)
            };
            if !matches!(goes_on, Ok(true)) {
                (sides[key], sides[other]) = (None, None);
            }
        }
    }
}

/// Whether the connection lives on.
fn pass(sockets: &Sockets, from: &mut Side, to: &mut Side, buffer: &mut [u8]) -> io::Result<bool> {
    let read = match if_ready(from.stream.read(buffer))? {
        None => return Ok(true),
        Some(0) => return Ok(false),
        Some(read) => &buffer[..read],
    };
    let written = if_ready(to.stream.write(read))?.unwrap_or(0);
    if written < read.len() {
        to.pending.extend_from_slice(&read[written..]);
        sockets.watch_for(&to.stream, Interest::OUT)?;
        sockets.watch_for(&from.stream, Interest::empty())?;
    }
    Ok(true)
}

fn flush(sockets: &Sockets, to: &mut Side, from: &mut Side) -> io::Result<bool> {
    let written = if_ready(to.stream.write(&to.pending))?.unwrap_or(0);
    to.pending.drain(..written);
    if to.pending.is_empty() {
        sockets.watch_for(&to.stream, Interest::IN)?;
        sockets.watch_for(&from.stream, Interest::IN)?;
    }
    Ok(true)
}
