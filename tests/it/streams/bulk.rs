//! What a tunnel carries: all of it, in order, each way by itself, in little memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use aws_lc_rs::digest::{Context, SHA256};

use super::{Stage, alive};

const TOTAL: usize = 64 << 20;
const MOST_GROWTH: usize = 8 << 20;

/// Bytes without a period that a buffer's size could hide, from a seed.
struct Noise(u32);

impl Noise {
    fn fill(&mut self, piece: &mut [u8]) {
        for byte in piece {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 17;
            self.0 ^= self.0 << 5;
            *byte = self.0 as u8;
        }
    }
}

/// Sends `TOTAL` bytes in pieces of very different sizes; their hash.
fn pour(mut to: TcpStream, seed: u32) -> Vec<u8> {
    let (mut noise, mut hash, mut left) = (Noise(seed), Context::new(&SHA256), TOTAL);
    let mut piece = vec![0; 200_000];
    for size in [1, 7, 4096, 16_384, 16_385, 65_535, 200_000].into_iter().cycle() {
        let piece = &mut piece[..size.min(left)];
        noise.fill(piece);
        hash.update(piece);
        to.write_all(piece).unwrap();
        left -= piece.len();
        if left == 0 {
            break;
        }
    }
    hash.finish().as_ref().to_vec()
}

fn drink(mut from: impl Read) -> Vec<u8> {
    let (mut hash, mut left, mut piece) = (Context::new(&SHA256), TOTAL, vec![0; 1 << 16]);
    while left > 0 {
        let most = piece.len().min(left);
        let read = from.read(&mut piece[..most]).unwrap();
        assert_ne!(read, 0, "{left} bytes are missing");
        hash.update(&piece[..read]);
        left -= read;
    }
    hash.finish().as_ref().to_vec()
}

#[test]
fn sixty_four_mebibytes_go_both_ways_at_once_in_little_memory() {
    let stage = Stage::new();
    let pair = stage.pair();
    let (mut client, mut leg) = stage.tunnel(&pair);
    alive(&mut client, &mut leg);
    let before = stage.gate.memory();
    let (up, down) = (client.writer(), leg.writer());
    let (from_client, from_leg) = (client.writer(), leg.writer());
    let ends = [
        thread::spawn(move || pour(up, 1)),
        thread::spawn(move || drink(from_leg)),
        thread::spawn(move || pour(down, 2)),
        thread::spawn(move || drink(from_client)),
    ];
    let [up, upstream, down, downstream] = ends.map(|end| end.join().unwrap());
    assert_eq!(up, upstream);
    assert_eq!(down, downstream);
    let grown = stage.gate.memory().saturating_sub(before);
    assert!(grown < MOST_GROWTH, "{grown} bytes");
    alive(&mut client, &mut leg);
}

#[test]
fn a_side_that_does_not_read_costs_no_memory_and_does_not_stop_the_other_way() {
    let stage = Stage::new();
    let (mut client, mut leg) = stage.tunnel(&stage.pair());
    let before = stage.gate.memory();
    assert!(leg.offer(256 << 20) < 32 << 20);
    let grown = stage.gate.memory().saturating_sub(before);
    assert!(grown < MOST_GROWTH, "{grown} bytes");
    client.write(b"still heard");
    assert_eq!(leg.take(11), b"still heard");
}

#[test]
fn when_one_side_has_said_all_the_other_can_go_on() {
    let stage = Stage::new();
    let pair = stage.pair();
    let (mut client, mut leg) = stage.tunnel(&pair);
    client.write(b"the last");
    client.end();
    assert_eq!(leg.rest(), b"the last");
    leg.send("not the last");
    assert_eq!(client.take(12), b"not the last");
    leg.send("but now");
    leg.end();
    assert_eq!(client.rest(), b"but now");

    let (mut client, mut leg) = stage.tunnel(&pair);
    leg.send("the last");
    leg.end();
    assert_eq!(client.rest(), b"the last");
    client.write(b"not the last");
    assert_eq!(leg.take(12), b"not the last");
    client.end();
    assert_eq!(leg.closed(), b"");
}

#[test]
fn a_side_that_breaks_off_ends_the_tunnel_for_the_other() {
    let stage = Stage::new();
    let pair = stage.pair();
    let (mut client, leg) = stage.tunnel(&pair);
    leg.reset();
    client.rest();
    let (client, mut leg) = stage.tunnel(&pair);
    drop(client);
    leg.rest();
}
