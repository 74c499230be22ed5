//! An upstream that keeps every byte that reaches it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::ok;

/// Stands where a connection was closed in the middle of a request.
pub const CUT: &str = "<cut>";

pub struct Recorder {
    pub address: SocketAddr,
    arrived: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    /// Answers everything with 200.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&arrived);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let record = Arc::clone(&record);
                thread::spawn(move || serve(stream, &record));
            }
        });
        Self { address, arrived }
    }

    pub fn length(&self) -> usize {
        self.arrived.lock().unwrap().len()
    }

    pub fn ends_with(&self, end: &str) -> bool {
        self.arrived.lock().unwrap().ends_with(end.as_bytes())
    }

    /// What has arrived since this was last asked.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.arrived.lock().unwrap())
    }
}

fn serve(mut stream: TcpStream, record: &Mutex<Vec<u8>>) {
    let (mut begun, mut buffer) = (Vec::new(), [0; 1 << 16]);
    loop {
        while let Some(length) = whole(&begun) {
            begun.drain(..length);
            if stream.write_all(&ok(b"{\"ok\":true}")).is_err() {
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => {
                record.lock().unwrap().extend_from_slice(&buffer[..length]);
                begun.extend_from_slice(&buffer[..length]);
            }
            _ => {
                if !begun.is_empty() {
                    record.lock().unwrap().extend_from_slice(CUT.as_bytes());
                }
                return;
            }
        }
    }
}

/// How long the first request is, if it is whole. The gate sends heads in one form only, so no more than that is read.
fn whole(begun: &[u8]) -> Option<usize> {
    let end = |from: usize, mark: &[u8]| {
        Some(from + begun.get(from..)?.windows(mark.len()).position(|window| window == mark)? + mark.len())
    };
    let mut at = end(0, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&begun[..at]);
    if head.contains("\r\ntransfer-encoding: chunked\r\n") {
        loop {
            let line = end(at, b"\r\n")?;
            let size = usize::from_str_radix(str::from_utf8(&begun[at..line - 2]).unwrap(), 16).unwrap();
            if size == 0 {
                return end(line - 2, b"\r\n\r\n");
            }
            at = line + size + 2;
        }
    }
    let length = head.split_once("\r\ncontent-length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    let whole = at + length.unwrap_or(0);
    (begun.len() >= whole).then_some(whole)
}
