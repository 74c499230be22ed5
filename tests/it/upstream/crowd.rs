//! Many clients at once before an upstream that does something else each time: whoever gets an answer gets their own,
//! whole, and nothing reaches the upstream once too often or in part.

use std::collections::HashMap;
use std::thread;

use super::OPEN;
use crate::support::{Connection, Gate, Start, Upstream};

const CLIENTS: usize = 8;
const REQUESTS: usize = 240;

fn target(client: usize, number: usize) -> String {
    format!("{OPEN}?{client}-{number}")
}

/// The raw bytes that a request is answered with, by its number, and whether they are an answer.
fn played(target: &str) -> (String, bool) {
    let number: usize = target.rsplit('-').next().unwrap().parse().unwrap();
    let body = target.repeat(40);
    let length = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", body.len());
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n";
    let chunks: String = body.chars().map(|character| format!("1\r\n{character}\r\n")).collect();
    match number % 12 {
        0 => (String::new(), false),
        1 => (format!("{chunked}\r\n{chunks}0\r\n\r\n"), true),
        2 => (format!("{length}connection: close\r\n\r\n{body}"), true),
        3 => (format!("{length}connection: close\r\n\r\n{target}"), false),
        4 => (format!("{chunked}connection: close\r\n\r\n{chunks}"), false),
        5 => (format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}"), true),
        6 => (format!("HTTP/1.1 103 Early Hints\r\n\r\n{length}\r\n{body}"), true),
        7 => (format!("{length}\r\n{body}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen"), true),
        8 => (format!("nonsense {body}"), false),
        9 => (format!("{length}connection: close\r\n"), false),
        _ => (format!("{length}\r\n{body}"), true),
    }
}

/// Sends one request after the other, over one connection for as long as that lasts.
fn one_of_the_crowd(gate: &Gate, client: usize) {
    let mut connection = Connection::open(gate.address);
    for number in 0..REQUESTS {
        let target = target(client, number);
        connection.write(&match number % 5 {
            0 => gate.post(&target).body(target.repeat(number)).raw(),
            1 => gate.post(&target).raw(),
            _ => gate.get(&target).raw(),
        });
        let answer = connection.read();
        match (answer, played(&target).1) {
            (Some(answer), true) => assert_eq!((answer.status, answer.text()), (200, target.repeat(40)), "{target}"),
            (Some(answer), false) if answer.status == 502 => {}
            // Cut: the body of such an answer is not shown.
            (answer, false) if answer.as_ref().is_none_or(|answer| answer.body.is_empty()) => {
                connection = Connection::open(gate.address);
            }
            (answer, _) => panic!("{target}: {answer:?}"),
        }
    }
}

#[test]
fn whatever_the_upstream_does_nobody_gets_what_is_not_theirs() {
    let upstream = Upstream::answering(|seen| played(&seen.target).0.into_bytes());
    let gate = Start::before(upstream.address).start();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let gate = &gate;
            scope.spawn(move || one_of_the_crowd(gate, client));
        }
    });
    let mut times = HashMap::new();
    for seen in upstream.seen() {
        assert_eq!(seen.body.len() % seen.target.len(), 0, "a part of {}", seen.target);
        *times.entry((seen.method, seen.target)).or_insert(0) += 1;
    }
    assert_eq!(times.len(), CLIENTS * REQUESTS);
    for ((method, target), times) in times {
        // An upstream that closes without a word may have done so before it had read.
        let most = if method == "GET" && played(&target).0.is_empty() { 2 } else { 1 };
        assert!(times <= most, "{method} {target} arrived {times} times");
    }
}
