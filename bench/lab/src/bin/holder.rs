//! Holds idle connections: opens them one after the other, sends one authorised request on each, then keeps silent.
//!
//! Guarantees: says on standard output how many were answered with 200 and, once standard input has ended, how many
//! were still open then.
//! Does not know: what becomes of the proxy's memory meanwhile.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use lab::argument;

const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> io::Result<()> {
    const USAGE: &str = "TOKEN=... holder PORT COUNT";
    let (port, count): (u16, usize) = (argument(1, USAGE)?, argument(2, USAGE)?);
    let token = std::env::var("TOKEN").unwrap_or_default();
    let request = format!(
        "GET /api/items?page=1 HTTP/1.1\r\nHost: bench.local\r\nAccept: application/json\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    let held: Vec<TcpStream> = (0..count).filter_map(|_| answered(port, request.as_bytes()).ok()).collect();
    println!("{}", held.len());
    io::stdin().read_to_end(&mut Vec::new())?;
    let open = held.iter().filter(|stream| is_silent_and_open(stream)).count();
    println!("{open}");
    Ok(())
}

fn answered(port: u16, request: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&answer) {
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    if answer.starts_with(b"HTTP/1.1 200 ") { Ok(stream) } else { Err(io::Error::other("not answered with 200")) }
}

/// Whether head and body are there; the body's length stands in the head, as every peer of the bench writes it.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

fn is_silent_and_open(mut stream: &TcpStream) -> bool {
    let asked = stream.set_nonblocking(true).and_then(|()| stream.read(&mut [0; 1]));
    asked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}
