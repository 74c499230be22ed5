//! Stands for the API behind a gate in a pod: answers every request with what it was told of the caller.
//!
//! Guarantees: it listens on 127.0.0.1:3000 alone; an answer takes the time that its target asks for (`/…?ms=50`).
//! Does not know: tokens, and signals (an init in front of it passes TERM on, which ends it).

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, io, thread};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [verb, seconds] = arguments.as_slice()
        && verb == "sleep"
    {
        thread::sleep(Duration::from_secs(seconds.parse().map_err(io::Error::other)?));
        return Ok(());
    }
    for stream in TcpListener::bind("127.0.0.1:3000")?.incoming() {
        let stream = stream?;
        thread::spawn(move || serve(stream));
    }
    Ok(())
}

fn serve(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let (mut subject, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "x-auth-subject" => subject = value.trim().to_owned(),
                "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
                _ => {}
            }
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        let target = first.split(' ').nth(1).unwrap_or_default();
        if let Some((_, milliseconds)) = target.split_once("?ms=") {
            thread::sleep(Duration::from_millis(milliseconds.parse().map_err(io::Error::other)?));
        }
        let body = format!("{{\"target\":\"{target}\",\"subject\":\"{subject}\"}}\n");
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        writer.write_all((head + &body).as_bytes())?;
    }
}
