//! What stands between a gate and its engine, and does to one change whatever a network or an engine could.
//!
//! Guarantees: all else passes; the next change alone is meddled with.
//! Does not know: what a change is for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Mutex;

use super::*;

/// What becomes of a change.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The engine is not asked; this is the answer.
    Says(String),
    /// So many bytes of it come to the engine, and nobody hears any more of each other.
    HalfAsked(usize),
    /// It is made, so many bytes of the answer come, and then the end.
    HalfTold(usize),
    /// It is made, so many bytes of the answer come, and nothing else.
    Hangs(usize),
}

pub(super) struct Proxy {
    pub(super) port: u16,
    next: Arc<Mutex<Option<Fault>>>,
}

impl Proxy {
    /// Its threads end with the connections that they serve.
    pub(super) fn start(engine: &Engine) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), next: Arc::default() };
        let (next, engine) = (Arc::clone(&proxy.next), engine.port);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(engine)) = (client, TcpStream::connect(("127.0.0.1", engine))) else { continue };
                let next = Arc::clone(&next);
                thread::spawn(move || drop(relay(&client, &engine, &next)));
            }
        });
        proxy
    }

    /// The next change meets it.
    pub(super) fn meddle(&self, fault: Fault) {
        *self.next.lock().unwrap() = Some(fault);
    }

    pub(super) fn has_meddled(&self) -> bool {
        self.next.lock().unwrap().is_none()
    }
}

fn relay(client: &TcpStream, engine: &TcpStream, next: &Mutex<Option<Fault>>) -> io::Result<()> {
    // How many more bytes of answers pass, and whether the end follows.
    let limit: Arc<Mutex<Option<(usize, bool)>>> = Arc::default();
    let back = {
        let (limit, mut from, mut to) = (Arc::clone(&limit), engine.try_clone()?, client.try_clone()?);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                let mut limit = limit.lock().unwrap();
                let passes = limit.map_or(count, |(left, _)| left.min(count));
                if to.write_all(&bytes[..passes]).is_err() {
                    break;
                }
                if let Some((left, ends)) = &mut *limit {
                    *left -= passes;
                    if *ends && *left == 0 {
                        break;
                    }
                }
            }
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        })
    };
    let mut commands = BufReader::new(client);
    while let Some(command) = command(&mut commands)? {
        let fault = is_change(&command).then(|| next.lock().unwrap().take()).flatten();
        let (mut to_engine, mut to_client) = (engine, client);
        match fault {
            None => to_engine.write_all(&command)?,
            Some(Fault::Says(answer)) => to_client.write_all(answer.as_bytes())?,
            Some(Fault::HalfAsked(bytes)) => {
                to_engine.write_all(&command[..bytes.min(command.len() - 1)])?;
                break;
            }
            Some(Fault::HalfTold(bytes)) => {
                *limit.lock().unwrap() = Some((bytes, true));
                to_engine.write_all(&command)?;
                if bytes == 0 {
                    // It is made before the connection ends: the engine reads what it was sent.
                    engine.shutdown(Shutdown::Write)?;
                    break;
                }
            }
            Some(Fault::Hangs(bytes)) => {
                *limit.lock().unwrap() = Some((bytes, false));
                to_engine.write_all(&command)?;
            }
        }
    }
    let _ = engine.shutdown(Shutdown::Write);
    let _ = back.join();
    Ok(())
}

fn is_change(command: &[u8]) -> bool {
    command.windows(7).any(|part| part.eq_ignore_ascii_case(b"EVALSHA"))
}

/// One command as it is on the wire: an array of strings.
fn command(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut all = Vec::new();
    if from.read_until(b'\n', &mut all)? == 0 {
        return Ok(None);
    }
    let number = |line: &[u8]| String::from_utf8_lossy(line).trim().parse().unwrap_or(0);
    let count: usize = number(&all[1..]);
    for _ in 0..count {
        let start = all.len();
        from.read_until(b'\n', &mut all)?;
        let length: usize = number(&all[start + 1..]);
        let start = all.len();
        all.resize(start + length + 2, 0);
        from.read_exact(&mut all[start..])?;
    }
    Ok(Some(all))
}
