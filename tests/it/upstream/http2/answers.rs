//! Answers on their way to a stream, whole or cut.

use h2::Reason;
use h2::client::ResponseFuture;
use http::Method;

use super::{Client, rest, wait, whole};
use crate::support::Leg;
use crate::upstream::{FINE, Stage, named};

#[test]
fn answers_of_every_shape_arrive() {
    let stage = Stage::keeping_nothing();
    let mut client = Client::of(&stage);
    for (method, raw, status, body, length) in [
        (Method::GET, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200, "hello", Some("5")),
        (Method::GET, "HTTP/1.1 404 Nobody\r\ncontent-length: 0\r\n\r\n", 404, "", None),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            200,
            "hello",
            None,
        ),
        (Method::GET, "HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nhello", 200, "hello", None),
        (Method::GET, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, "", None),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, "", Some("5")),
        (Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", 200, "", Some("5")),
        (Method::HEAD, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200, "", None),
    ] {
        let (answer, _) = client.begin(method, "first", false);
        let mut leg = stage.upstream.accept();
        leg.request();
        leg.send(raw);
        drop(leg);
        let answer = whole(answer).unwrap_or_else(|error| panic!("{raw}: {error}"));
        assert_eq!((answer.status, &*answer.body), (status, body.as_bytes()), "{raw}");
        assert_eq!(answer.headers.get("content-length").map(|value| value.to_str().unwrap()), length, "{raw}");
        assert!(answer.trailers.is_none(), "{raw}");
    }
}

#[test]
fn what_breaks_off_is_told_on_its_stream() {
    let stage = Stage::keeping_nothing();
    let mut client = Client::of(&stage);
    for (raw, status) in [
        ("", Some(502)),
        ("HTTP/1.1 200 OK\r\ncontent-le", Some(502)),
        ("\x15\x03\x01\0\x02\x02\x28", Some(502)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", None),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", None),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nx", None),
    ] {
        for end in [drop as fn(Leg), Leg::reset] {
            let (answer, _) = client.begin(Method::GET, "first", false);
            let mut leg = stage.upstream.accept();
            leg.request();
            leg.send(raw);
            end(leg);
            match (whole(answer), status) {
                (Ok(answer), Some(status)) => assert_eq!(answer.status, status, "{raw:?}"),
                (Err(error), None) => assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{raw:?}: {error}"),
                (Ok(answer), None) => panic!("{raw:?}: {} {:?}", answer.status, answer.body),
                (Err(error), Some(_)) => panic!("{raw:?}: {error}"),
            }
        }
    }
    client.goes_on(&stage);
}

#[test]
fn a_stream_that_is_reset_takes_only_its_own_connection_with_it() {
    let stage = Stage::new();
    let mut client = Client::of(&stage);
    let (mut first, mut second) = (client.begin(Method::GET, "a", false), client.begin(Method::GET, "b", false));
    let (mut one, mut other) = (stage.upstream.accept(), stage.upstream.accept());
    if one.request().target == named("b") {
        std::mem::swap(&mut first, &mut second);
    }
    other.request();
    for leg in [&mut one, &mut other] {
        leg.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
    }
    let (begun, going_on) = (wait(first.0).unwrap(), wait(second.0).unwrap());
    first.1.send_reset(Reason::CANCEL);
    drop(begun);
    assert!(one.closed().is_empty());
    other.send("world");
    assert_eq!(rest(going_on.into_body()).unwrap().0, b"helloworld");
    // An upload that is broken off is no whole request.
    let (_answer, mut upload) = client.begin(Method::POST, "c", true);
    upload.send_data("hello".into(), false).unwrap();
    other.head();
    assert_eq!(other.take(10), b"5\r\nhello\r\n");
    upload.send_reset(Reason::CANCEL);
    assert!(other.closed().is_empty());
    client.goes_on(&stage);
}

#[test]
fn what_may_be_repeated_is_sent_once_more() {
    let stage = Stage::new();
    let (_client, mut leg) = stage.kept();
    let mut client = Client::of(&stage);
    let (answer, _) = client.begin(Method::GET, "first", false);
    leg.request();
    drop(leg);
    client_gets_it(&stage, answer);
    let (answer, _) = client.begin(Method::POST, "first", false);
    let mut leg = stage.upstream.accept();
    leg.request();
    drop(leg);
    assert_eq!(whole(answer).unwrap().status, 502);
    stage.upstream.expect_nobody();
}

#[track_caller]
fn client_gets_it(stage: &Stage, answer: ResponseFuture) {
    let mut another = stage.upstream.accept();
    assert_eq!(another.request().target, named("first"));
    another.send(FINE);
    assert_eq!(whole(answer).unwrap().body, b"fine");
}
