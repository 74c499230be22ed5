//! A lot of bytes in one exchange: all of them arrive, and the gate never holds more than a few.
//!
//! 64 MiB here; as many as `PORTCULLIS_VOLUME_MIB` says, with `make volume-test`.

use std::fs;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::http2::{Client, fields, wait, wait_as_long_as_it_takes};
use super::{FINE, OPEN, Stage};
use crate::support::{Gate, Leg};

const PIECE: usize = 1 << 16;
const MOST_GROWTH: usize = 8 << 20;
/// How long whoever receives stops in the middle.
const PAUSE: Duration = Duration::from_millis(1500);

/// How many pieces go each way.
fn pieces() -> usize {
    std::env::var("PORTCULLIS_VOLUME_MIB").map_or(64, |mib| mib.parse().unwrap()) * 16
}

fn piece(number: usize) -> Vec<u8> {
    vec![(number % 251) as u8; PIECE]
}

/// Takes all pieces, and none for a while in the middle.
fn take(mut from: impl FnMut(&mut [u8])) {
    let mut taken = vec![0; PIECE];
    for number in 0..pieces() {
        if number == pieces() / 2 {
            thread::sleep(PAUSE);
        }
        from(&mut taken);
        assert!(taken == piece(number), "piece {number}");
    }
}

/// By how much the gate's resident memory was larger at most, while `work` was going on.
#[track_caller]
fn growth(gate: &Gate, what: &str, work: impl FnOnce()) {
    let process = format!("/proc/{}", gate.process());
    let before = gate.memory();
    // From now on the kernel's high-water mark is this exchange's.
    fs::write(format!("{process}/clear_refs"), "5").unwrap();
    work();
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells");
    let peak = peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10;
    let grown = peak.saturating_sub(before);
    println!(
        "volume: {what}, {} MiB: {} KiB resident before, {} KiB more at most",
        pieces() / 16,
        before >> 10,
        grown >> 10
    );
    assert!(grown < MOST_GROWTH, "{what}: {grown} bytes more");
}

fn stage() -> Stage {
    let stage = Stage::new();
    stage.recovers();
    stage
}

fn receives(mut leg: Leg) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        leg.head();
        take(|taken| taken.copy_from_slice(&leg.take(PIECE)));
        leg.send(FINE);
    })
}

fn sends(mut leg: Leg) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        leg.request();
        leg.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", pieces() * PIECE));
        let mut writer = leg.writer();
        (0..pieces()).for_each(|number| writer.write_all(&piece(number)).unwrap());
        leg.closed();
    })
}

#[test]
fn whatever_goes_up_or_down_over_http1_is_never_held() {
    let stage = stage();
    growth(&stage.gate, "up over HTTP/1.1", || {
        let mut client = stage.client();
        client.write(&stage.gate.post(OPEN).header("Content-Length", &(pieces() * PIECE).to_string()).raw());
        let upstream = receives(stage.upstream.accept());
        (0..pieces()).for_each(|number| client.write(&piece(number)));
        client.read().expect("an answer").expect(200);
        upstream.join().unwrap();
    });
    growth(&stage.gate, "down over HTTP/1.1", || {
        let mut client = stage.client();
        client.write(&stage.gate.get(OPEN).header("Connection", "close").raw());
        let upstream = sends(stage.upstream.accept());
        client.until(b"\r\n\r\n");
        take(|taken| client.reader().read_exact(taken).unwrap());
        drop(client);
        drop(upstream);
    });
}

#[test]
fn whatever_goes_up_or_down_over_http2_is_never_held() {
    let stage = stage();
    let mut client = Client::to(stage.gate.address);
    growth(&stage.gate, "up over HTTP/2", || {
        let length = (pieces() * PIECE).to_string();
        let (answer, mut upload) = client.begin_with(Method::POST, "up", fields(&[("content-length", &length)]), true);
        let upstream = receives(stage.upstream.accept());
        wait_as_long_as_it_takes(async {
            for number in 0..pieces() {
                let mut left = Bytes::from(piece(number));
                while !left.is_empty() {
                    upload.reserve_capacity(left.len());
                    let room = poll_fn(|context| upload.poll_capacity(context)).await.unwrap().unwrap();
                    upload.send_data(left.split_to(room.min(left.len())), false).unwrap();
                }
            }
            upload.send_data(Bytes::new(), true).unwrap();
        });
        assert_eq!(wait(answer).unwrap().status(), 200);
        upstream.join().unwrap();
    });
    growth(&stage.gate, "down over HTTP/2", || {
        let (answer, _) = client.begin(Method::GET, "down", false);
        let upstream = sends(stage.upstream.accept());
        let mut download = wait(answer).unwrap().into_body();
        let mut arrived = Bytes::new();
        wait_as_long_as_it_takes(async {
            for number in 0..pieces() {
                if number == pieces() / 2 {
                    tokio::time::sleep(PAUSE).await;
                }
                let (expected, mut at) = (piece(number), 0);
                while at < PIECE {
                    if arrived.is_empty() {
                        arrived = download.data().await.expect("more").unwrap();
                        download.flow_control().release_capacity(arrived.len()).unwrap();
                    }
                    let next = arrived.split_to(arrived.len().min(PIECE - at));
                    assert!(next == expected[at..at + next.len()], "piece {number}");
                    at += next.len();
                }
            }
        });
        drop(download);
        drop(upstream);
    });
}
