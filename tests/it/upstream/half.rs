//! Clients that close their side, single bytes that wait for no others, and trailers both ways.

use http::Method;

use super::http2::{Client, wait};
use super::{FINE, OPEN, Stage};

/// A FIN does not tell whether somebody still listens behind it. Waiting would keep the connections of all who have gone, and
/// a rotation whose answer nobody hears.
#[test]
fn whoever_says_that_it_has_said_all_before_it_has_the_answer_is_taken_for_gone() {
    let stage = Stage::new();
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"] {
        for call in [stage.gate.get(OPEN), stage.gate.post(OPEN).body("hello")] {
            let mut client = stage.client();
            client.write(&call.raw());
            let mut leg = stage.upstream.accept();
            leg.request();
            leg.send(begun);
            if !begun.is_empty() {
                client.until(b"hello");
            }
            client.end();
            assert!(leg.closed().is_empty());
            // In order, and without a word that could be taken for an answer.
            assert!(client.rest().is_empty());
        }
    }
    stage.recovers();
}

#[test]
fn every_byte_of_an_answer_leaves_as_it_comes() {
    let stage = Stage::keeping_nothing();
    for fields in ["content-length: 50\r\n", "transfer-encoding: chunked\r\n", ""] {
        let piece = if fields.starts_with('t') { "1\r\nx\r\n" } else { "x" };
        let mut client = stage.client();
        client.write(&stage.gate.get(OPEN).raw());
        let mut leg = stage.upstream.accept();
        leg.request();
        leg.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
        // The head waits for no body.
        client.until(b"\r\n\r\n");
        for _ in 0..50 {
            leg.send(piece);
            client.until(if fields.starts_with('c') { b"x" } else { b"1\r\nx\r\n" });
        }
        let mut client = Client::to(stage.gate.address);
        let (answer, _) = client.begin(Method::GET, "first", false);
        let mut leg = stage.upstream.accept();
        leg.request();
        leg.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
        let mut download = wait(answer).unwrap().into_body();
        for _ in 0..50 {
            leg.send(piece);
            let came = wait(download.data()).expect("a piece").unwrap();
            download.flow_control().release_capacity(came.len()).unwrap();
            assert_eq!(came, "x", "{fields}");
        }
    }
}

#[test]
fn trailers_go_both_ways_in_one_exchange_and_only_to_whoever_asks_for_them() {
    let stage = Stage::keeping_nothing();
    for (te, ends) in [("TE: trailers\r\nConnection: TE\r\n", "\r\n0\r\nx-sum: 2\r\n\r\n"), ("", "\r\n0\r\n\r\n")] {
        let mut client = stage.client();
        let head = format!("POST {OPEN} HTTP/1.1\r\nHost: x\r\n{te}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n");
        client.write(format!("{head}\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Auth-Subject: root\r\n\r\n").as_bytes());
        let mut leg = stage.upstream.accept();
        let seen = leg.request();
        assert_eq!((&*seen.body, seen.trailers), (&b"hello"[..], vec![("x-sum".to_owned(), "1".to_owned())]));
        leg.send("HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 2\r\n\r\n");
        let ended = client.until(ends.as_bytes());
        assert!(ended.ends_with(format!("5\r\nhello{ends}").as_bytes()), "{}", String::from_utf8_lossy(&ended));
        // The connection is as good as before.
        client.write(&stage.gate.get(OPEN).raw());
        let mut leg = stage.upstream.accept();
        leg.request();
        leg.send(FINE);
        client.read().expect("an answer").expect(200);
    }
}
