//! Requests on their way from a stream, and what answers them early or late.

use bytes::Bytes;
use http::{Method, Request};

use super::super::FINE;
use super::{Client, fields, rest, wait, whole};
use crate::support::{Start, Upstream, exchange_h2};
use crate::upstream::{Stage, named};

#[test]
fn trailers_arrive_but_for_those_of_the_hop() {
    let stage = Stage::new();
    let mut client = Client::of(&stage);
    let (answer, mut upload) = client.begin(Method::POST, "first", true);
    upload.send_data("hello".into(), false).unwrap();
    upload.send_trailers(fields(&[("x-sum", "1"), ("x-auth-subject", "root"), ("authorization", "Basic x")])).unwrap();
    let mut leg = stage.upstream.accept();
    let seen = leg.request();
    assert_eq!((&*seen.body, seen.trailers), (&b"hello"[..], vec![("x-sum".to_owned(), "1".to_owned())]));
    leg.send(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nGrpc-Status: 0\r\nX-Portcullis: denied\r\n\
         Connection: close\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n",
    );
    let answer = whole(answer).unwrap();
    assert_eq!((answer.status, &*answer.body), (200, &b"hello"[..]));
    assert_eq!(answer.trailers, Some(fields(&[("grpc-status", "0")])));
}

#[test]
fn a_length_that_is_not_kept_to_is_no_whole_request() {
    let stage = Stage::new();
    let mut client = Client::of(&stage);
    for (length, sent) in [("10", "hello"), ("10", ""), ("3", "hello")] {
        let headers = fields(&[("content-length", length)]);
        let (answer, mut upload) = client.begin_with(Method::POST, "first", headers, true);
        let mut leg = stage.upstream.accept();
        // It is on its way before the length turns out to be wrong.
        assert_eq!(leg.head().header("content-length"), Some(length));
        upload.send_data(sent.into(), true).unwrap();
        assert_eq!(whole(answer).map(|answer| answer.status).ok().filter(|status| *status < 400), None);
        assert!(leg.closed().len() < length.parse().unwrap(), "{length} for {sent:?}");
    }
    // Announced and ended at once.
    let (answer, _) = client.begin_with(Method::POST, "first", fields(&[("content-length", "10")]), false);
    assert!(whole(answer).is_err());
    stage.upstream.expect_nobody();
    client.goes_on(&stage);
}

#[test]
fn whoever_is_silent_is_told_apart() {
    let stage = Stage::with(|start| start.set("upstream.first_byte_timeout", "300ms"));
    let mut client = Client::of(&stage);
    let silent = client.begin(Method::GET, "a", false);
    let held_back = client.begin(Method::POST, "b", true);
    let legs = [stage.upstream.accept(), stage.upstream.accept()];
    assert_eq!(whole(silent.0).unwrap().status, 504);
    assert_eq!(whole(held_back.0).unwrap().status, 408);
    for leg in legs {
        // Where there was a head, there is no end of a body.
        assert!(leg.closed().ends_with(b"\r\n\r\n"));
    }
    client.goes_on(&stage);
}

#[test]
fn both_directions_go_on_side_by_side() {
    let stage = Stage::new();
    let mut client = Client::of(&stage);
    let (answer, mut upload) = client.begin(Method::POST, "first", true);
    let mut leg = stage.upstream.accept();
    leg.head();
    leg.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut download = wait(answer).unwrap().into_body();
    for n in 10..99 {
        let piece = format!("2\r\n{n}\r\n");
        upload.send_data(n.to_string().into(), false).unwrap();
        assert_eq!(leg.take(7), piece.as_bytes());
        leg.send(piece);
        let back = wait(download.data()).expect("a piece").unwrap();
        download.flow_control().release_capacity(back.len()).unwrap();
        assert_eq!(back, n.to_string());
    }
    upload.send_data(Bytes::new(), true).unwrap();
    assert_eq!(leg.take(5), b"0\r\n\r\n");
    leg.send("0\r\n\r\n");
    assert!(rest(download).unwrap().0.is_empty());
    // A refusal in the middle of an upload is heard, and whoever reads on gets the rest all the same.
    let (answer, mut upload) = client.begin(Method::POST, "next", true);
    upload.send_data("hello".into(), false).unwrap();
    leg.head();
    leg.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 9\r\n\r\ntoo large");
    let refused = whole(answer).unwrap();
    assert_eq!((refused.status, &*refused.body), (413, &b"too large"[..]));
    assert_eq!(leg.take(10), b"5\r\nhello\r\n");
    upload.send_data(Bytes::new(), true).unwrap();
    assert_eq!(leg.take(5), b"0\r\n\r\n");
    let (answer, _) = client.begin(Method::GET, "another", false);
    assert_eq!(leg.request().target, named("another"));
    leg.send(FINE);
    assert_eq!(whole(answer).unwrap().body, b"fine");
}

#[test]
fn ten_megabytes_go_up_unchanged() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let body: &[u8] = (0..10_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>().leak();
    for length in [true, false] {
        let mut request = Request::post(format!("http://{}{}", gate.address, named("first")));
        if length {
            request = request.header("content-length", body.len());
        }
        exchange_h2(gate.address, request.body(body).unwrap()).unwrap().expect(200);
        let seen = upstream.seen().pop().unwrap();
        assert!(seen.body == body, "{} bytes of {}", seen.body.len(), body.len());
        assert_eq!(seen.header("content-length").is_some(), length);
    }
}
