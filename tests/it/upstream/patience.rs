//! Waits: whose fault a silence is, and when it ends. None bounds an exchange in which something moves.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{OPEN, Stage, stubborn};
use crate::support::{Answer, Connection, Start};

const PATIENCE: Duration = Duration::from_millis(300);

fn stage(setting: &str) -> Stage {
    Stage::with(|start| start.set(setting, "300ms"))
}

#[track_caller]
fn given_up(stage: &Stage, since: Instant, client: &mut Connection, status: u16, reason: &str) -> Answer {
    let answer = client.read().expect("an answer").expect_refusal(status);
    assert!(since.elapsed() >= PATIENCE, "after {:?}", since.elapsed());
    let told = stage.gate.wait_for_log(answer.header("x-request-id").unwrap());
    assert!(told.contains(reason), "{told}");
    answer
}

#[test]
fn an_upstream_that_does_not_answer_is_given_up() {
    let stage = stage("upstream.first_byte_timeout");
    for call in [stage.gate.get(OPEN), stage.gate.post(OPEN).body("hello")] {
        for said in ["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-len"] {
            let (mut client, since) = (stage.client(), Instant::now());
            client.write(&call.raw());
            let mut leg = stage.upstream.accept();
            leg.request();
            leg.send(said);
            given_up(&stage, since, &mut client, 504, "upstream_first_byte_timeout");
            // Only now: what came late must not be the answer to the next one.
            assert!(leg.closed().is_empty());
        }
    }
    stage.recovers();
}

#[test]
fn an_upstream_that_accepts_nobody_is_given_up() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    // Until its queue is full, the kernel accepts for it.
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
    let _queue: Vec<_> = std::iter::from_fn(connect).collect();
    let gate = Start::before(address).set("upstream.connect_timeout", "300ms").start();
    let since = Instant::now();
    let answer = gate.get(OPEN).send().expect_refusal(504);
    assert!(since.elapsed() >= PATIENCE, "after {:?}", since.elapsed());
    assert!(gate.wait_for_log(answer.header("x-request-id").unwrap()).contains("upstream_connect_timeout"));
}

#[test]
fn silence_on_a_kept_connection_is_no_reason_to_ask_again() {
    let stage = stage("upstream.first_byte_timeout");
    let (mut client, mut leg) = stage.kept();
    let since = Instant::now();
    client.write(&stage.gate.get(OPEN).raw());
    leg.request();
    given_up(&stage, since, &mut client, 504, "upstream_first_byte_timeout");
    assert!(leg.closed().is_empty());
    stage.upstream.expect_nobody();
}

#[test]
fn a_client_that_keeps_its_body_back_is_given_up() {
    let stage = stage("upstream.first_byte_timeout");
    for (fields, begun) in [
        ("Content-Length: 10", ""),
        ("Content-Length: 10", "hello"),
        ("Transfer-Encoding: chunked", ""),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
    ] {
        let (mut client, since) = (stage.client(), Instant::now());
        client.write(format!("POST {OPEN} HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{begun}").as_bytes());
        let mut leg = stage.upstream.accept();
        leg.head();
        assert_eq!(leg.take(begun.len()), begun.as_bytes());
        given_up(&stage, since, &mut client, 408, "upload_timeout");
        assert!(leg.closed().is_empty());
        // What comes now is no request of its own.
        assert!(client.rest().is_empty());
    }
    stage.recovers();
}

#[test]
fn an_upstream_that_neither_reads_nor_answers_is_given_up() {
    let stage = stage("upstream.first_byte_timeout");
    let since = Instant::now();
    let client = stubborn(stage.gate.address, &format!("Content-Length: {}", 256 << 20), vec![b'x'; 1 << 16]);
    let _leg = stage.upstream.accept();
    let answer = client.join().unwrap().expect("an answer").expect_refusal(504);
    assert!(since.elapsed() >= PATIENCE, "after {:?}", since.elapsed());
    assert!(stage.gate.wait_for_log(answer.header("x-request-id").unwrap()).contains("upstream_first_byte_timeout"));
}

#[test]
fn an_answer_that_falls_silent_is_cut() {
    let stage = stage("upstream.idle_timeout");
    for (fields, begun) in [
        ("content-length: 10", "hello"),
        ("transfer-encoding: chunked", "5\r\nhello\r\n"),
        ("transfer-encoding: chunked", "5\r\nhello\r\n0\r\n"),
        ("server: old", "hello"),
    ] {
        let (mut client, since) = (stage.client(), Instant::now());
        client.write(&stage.gate.get(OPEN).raw());
        let mut leg = stage.upstream.accept();
        leg.request();
        leg.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{begun}"));
        let raw = String::from_utf8(client.rest()).unwrap();
        assert!(since.elapsed() >= PATIENCE, "{fields}: after {:?}", since.elapsed());
        let (_, body) = raw.split_once("\r\n\r\n").expect("the head of an answer");
        assert!(body.contains("hello") && !body.contains("0\r\n"), "{fields}: {raw}");
        leg.closed();
    }
    stage.recovers();
}

#[test]
fn whatever_moves_may_last() {
    let stage = Stage::with(|start| start.set("upstream.first_byte_timeout", "1s").set("upstream.idle_timeout", "1s"));
    let mut client = stage.client();
    client.write(format!("POST {OPEN} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes());
    let mut leg = stage.upstream.accept();
    leg.head();
    let lasts = || {
        let begun = Instant::now();
        move || begun.elapsed() < Duration::from_millis(2500)
    };
    let uploading = lasts();
    while uploading() {
        client.write(b"1\r\nx\r\n");
        leg.take(6);
    }
    client.write(b"0\r\n\r\n");
    leg.take(5);
    leg.send("HTTP/1.1 200 OK\r\n\r\n");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(client.take(1));
    }
    let answering = lasts();
    while answering() {
        leg.send("x");
        assert_eq!(client.take(6), b"1\r\nx\r\n");
    }
    drop(leg);
    assert_eq!(client.take(5), b"0\r\n\r\n");
}

#[test]
fn a_client_in_no_hurry_to_read_does_not_make_the_upstream_silent() {
    let stage = stage("upstream.idle_timeout");
    let mut client = stage.client();
    client.write(&stage.gate.get(OPEN).header("Connection", "close").raw());
    let mut leg = stage.upstream.accept();
    leg.request();
    let length = 64 << 20;
    leg.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"));
    // Ends when nothing was taken for longer than that patience.
    let taken = leg.offer(length);
    assert!(taken < length);
    let rest = thread::spawn(move || leg.offer(length - taken));
    assert_eq!(client.read().expect("an answer").expect(200).body.len(), length);
    assert_eq!(rest.join().unwrap(), length - taken);
}
