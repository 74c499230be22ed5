//! Much at once over HTTP/2 to the upstream: all of it arrives once, in little memory, whatever the windows are.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::net::TcpListener;

use super::{before, wire};
use crate::support::{Connection, Scripted, until};

const TOTAL: usize = 64 << 20;
const MOST_GROWTH: usize = 8 << 20;
const PIECE: Bytes = Bytes::from_static(&[b'd'; 100_000]);

/// What an upstream has seen.
#[derive(Default)]
struct Seen {
    bodies: Mutex<HashMap<Vec<u8>, usize>>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

/// Echoes bodies, and takes leave of each connection after `most` requests.
fn leaving(most: usize) -> (SocketAddr, Arc<Seen>) {
    let (listener, seen) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), Arc::<Seen>::default());
    listener.set_nonblocking(true).unwrap();
    let (address, shared) = (listener.local_addr().unwrap(), Arc::clone(&seen));
    serve(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&shared);
            tokio::spawn(async move {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                seen.open.fetch_add(1, Ordering::SeqCst);
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut served = 0;
                while let Some(Ok((request, respond))) = connection.accept().await {
                    served += 1;
                    if served == most {
                        connection.graceful_shutdown();
                    }
                    tokio::spawn(echo(request, respond, Arc::clone(&seen)));
                }
                seen.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (address, seen)
}

fn serve(server: impl Future<Output = ()> + Send + 'static) {
    thread::spawn(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(server));
}

async fn echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, seen: Arc<Seen>) {
    let (mut upload, mut body) = (request.into_body(), Vec::new());
    while let Some(piece) = upload.data().await {
        let Ok(piece) = piece else { return };
        let _ = upload.flow_control().release_capacity(piece.len());
        body.extend_from_slice(&piece);
    }
    *seen.bodies.lock().unwrap().entry(body.clone()).or_default() += 1;
    if let Ok(mut stream) = respond.send_response(Response::new(()), false) {
        let _ = stream.send_data(body.into(), true);
    }
}

#[test]
fn an_upstream_that_keeps_taking_leave_gets_each_request_once() {
    let (address, seen) = leaving(5);
    let gate = before(address).set("upstream.keepalive", "300ms").set("workers", "2").start();
    thread::scope(|scope| {
        for client in 0..8 {
            let gate = &gate;
            scope.spawn(move || {
                for number in 0..40 {
                    let body = format!("{client}/{number}");
                    assert_eq!(gate.post("/open/it").body(body.clone()).send().expect(200).text(), body);
                }
            });
        }
    });
    let bodies = seen.bodies.lock().unwrap();
    assert!(bodies.len() == 320 && bodies.values().all(|times| *times == 1), "{bodies:?}");
    // Between its first word of leaving and its last, more may come.
    assert!(seen.connections.load(Ordering::SeqCst) > 8);
    until("the gate to let go of all connections", || (seen.open.load(Ordering::SeqCst) == 0).then_some(()));
}

/// Reads the request to its end while the answer is on its way.
async fn flood(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let mut upload = request.into_body();
    let stream = respond.send_response(Response::new(()), false).unwrap();
    let reading = async {
        let mut read = 0;
        while let Some(piece) = upload.data().await {
            let piece = piece.unwrap();
            upload.flow_control().release_capacity(piece.len()).unwrap();
            assert!(piece.iter().all(|byte| *byte == b'u'));
            read += piece.len();
        }
        assert_eq!(read, TOTAL);
    };
    tokio::join!(reading, pour(stream));
}

async fn pour(mut stream: SendStream<Bytes>) {
    let mut left = TOTAL;
    while left > 0 {
        stream.reserve_capacity(PIECE.len().min(left));
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await.unwrap().unwrap();
        let piece = PIECE.slice(..room.min(PIECE.len()).min(left));
        left -= piece.len();
        stream.send_data(piece, left == 0).unwrap();
    }
}

#[test]
fn much_goes_both_ways_at_once_in_little_memory() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let gate = before(listener.local_addr().unwrap()).start();
    serve(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(flood(request, respond));
            }
        }
    });
    let start = gate.memory();
    let mut client = Connection::open(gate.address);
    client.write(format!("POST /open/it HTTP/1.1\r\nhost: gate\r\ncontent-length: {TOTAL}\r\n\r\n").as_bytes());
    let mut writer = client.writer();
    let sending = thread::spawn(move || {
        for _ in 0..TOTAL >> 16 {
            writer.write_all(&[b'u'; 1 << 16]).unwrap();
        }
    });
    client.until(b"\r\n\r\n");
    // Chunked: the marks of the chunks come on top.
    let (mut read, mut piece) = (0, vec![0; 1 << 16]);
    while read < TOTAL {
        let length = client.reader().read(&mut piece).unwrap();
        assert!(length > 0, "{read}");
        read += piece[..length].iter().filter(|byte| **byte == b'd').count();
    }
    sending.join().unwrap();
    let grown = gate.memory().saturating_sub(start);
    assert!(grown < MOST_GROWTH, "{grown} bytes");
}

#[test]
fn whoever_sends_beyond_its_windows_is_cut_off_and_costs_no_memory() {
    let upstream = Scripted::start();
    let gate = before(upstream.address).start();
    let mut client = Connection::open(gate.address);
    client.write(&gate.post("/open/it").body("hello").raw());
    let mut leg = upstream.accept();
    wire::greet(&mut leg, 100);
    let stream = wire::request(&mut leg);
    wire::begin(&mut leg, stream, "some");
    client.until(b"some\r\n");
    let start = gate.memory();
    // What the gate says to it is not read, and it ends when the gate has had enough.
    let (mut writer, piece) = (leg.writer(), wire::frame(wire::DATA, 0, stream, &[b'd'; 16_384]));
    for _ in 0..(256 << 20) / piece.len() {
        if writer.write_all(&piece).is_err() {
            break;
        }
    }
    let grown = gate.memory().saturating_sub(start);
    assert!(grown < MOST_GROWTH, "{grown} bytes");
    // Nor does it look like a whole answer.
    assert!(!client.rest().ends_with(b"0\r\n\r\n"));
    drop(leg);
    let asking = thread::spawn({
        let call = gate.post("/open/it").body("hello");
        move || call.send()
    });
    let mut leg = upstream.accept();
    wire::greet(&mut leg, 100);
    let stream = wire::request(&mut leg);
    wire::answer(&mut leg, stream, "done");
    assert_eq!(asking.join().unwrap().expect(200).text(), "done");
}

#[test]
fn a_window_of_one_byte_is_kept_to() {
    let upstream = Scripted::start();
    let gate = before(upstream.address).start();
    let call = gate.post("/open/it").body("hello");
    let asking = thread::spawn(move || call.send());
    let mut leg = upstream.accept();
    wire::greet_with(&mut leg, &[(3, 100), (4, 1)]);
    let stream = wire::next(&mut leg, wire::HEADERS).stream;
    let mut body = Vec::new();
    loop {
        let data = wire::next(&mut leg, wire::DATA);
        assert!(data.payload.len() <= 1);
        body.extend_from_slice(&data.payload);
        if data.ends() {
            break;
        }
        leg.send(wire::frame(wire::WINDOW_UPDATE, 0, stream, &1_u32.to_be_bytes()));
    }
    assert_eq!(body, b"hello");
    wire::answer(&mut leg, stream, "done");
    assert_eq!(asking.join().unwrap().expect(200).text(), "done");
}

#[test]
fn a_window_that_never_opens_is_given_up() {
    let upstream = Scripted::start();
    let gate = before(upstream.address).set("upstream.first_byte_timeout", "300ms").start();
    let call = gate.post("/open/it").body("hello");
    let asking = thread::spawn(move || call.send());
    let mut leg = upstream.accept();
    wire::greet_with(&mut leg, &[(3, 100), (4, 0)]);
    let stream = wire::next(&mut leg, wire::HEADERS).stream;
    assert_eq!(wire::next(&mut leg, wire::RST_STREAM).stream, stream);
    asking.join().unwrap().expect(504);
}
