//! Answers of every shape that HTTP/1 has, on their way to the client.

use std::thread;

use super::{OPEN, Stage};
use crate::support::{Answer, Call, Leg};

/// What the upstream sends, and whether it closes the connection then.
fn relayed(stage: &Stage, call: Call, play: impl FnOnce(Leg)) -> (Answer, Vec<u8>) {
    let mut client = stage.client();
    client.write(&call.header("Connection", "close").raw());
    let mut leg = stage.upstream.accept();
    leg.request();
    play(leg);
    (client.read_any().expect("an answer"), client.rest())
}

#[test]
fn a_body_arrives_however_it_is_framed() {
    let stage = Stage::keeping_nothing();
    for (name, raw, body) in [
        ("a length", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "hello"),
        ("a length of none", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
        ("a length told twice", "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        ("chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhell\r\n1\r\no\r\n0\r\n\r\n", "hello"),
        ("no chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", ""),
        (
            "chunks with extensions",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=\"b;c\";d\r\nhello\r\n000;last\r\n\r\n",
            "hello",
        ),
        (
            "chunks with trailers",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
            "hello",
        ),
        (
            "both",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
        ("the end of the connection", "HTTP/1.1 200 OK\r\n\r\nhello", "hello"),
        ("an end at once", "HTTP/1.1 200 OK\r\n\r\n", ""),
        ("HTTP/1.0 and a length", "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", "hello"),
        ("HTTP/1.0 without", "HTTP/1.0 200 OK\r\nserver: old\r\n\r\nhello", "hello"),
        ("an empty line before it", "\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "hello"),
    ] {
        for bytewise in [false, true] {
            let (answer, behind) = relayed(&stage, stage.gate.get(OPEN), |mut leg| match bytewise {
                true => leg.send_bytewise(raw),
                false => leg.send(raw),
            });
            let answer = answer.expect(200);
            assert_eq!(answer.text(), body, "{name}, bytewise: {bytewise}");
            assert_eq!(answer.header("x-portcullis"), None, "{name}");
            let framed = ["content-length", "transfer-encoding"].map(|field| answer.header(field).is_some());
            assert_eq!(framed.iter().filter(|there| **there).count(), 1, "{name}: {:?}", answer.headers);
            assert!(behind.is_empty(), "{name}: {behind:?}");
        }
    }
}

#[test]
fn answers_without_a_body_have_none_and_keep_the_length_they_name() {
    let stage = Stage::keeping_nothing();
    for (method, head, length) in [
        ("GET", "HTTP/1.1 204 No Content\r\n", None),
        ("DELETE", "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n", None),
        // It may be left out (RFC 9110 section 15.4.5), and hyper does.
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n", None),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", Some("5")),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", Some("0")),
        ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n", None),
        ("HEAD", "HTTP/1.1 200 OK\r\n", None),
        ("HEAD", "HTTP/1.1 404 Not Found\r\ncontent-length: 18446744073709551615\r\n", Some("18446744073709551615")),
    ] {
        let mut client = stage.client();
        client.write(&stage.gate.call(method, OPEN).header("Connection", "close").raw());
        let mut leg = stage.upstream.accept();
        leg.request();
        leg.send(format!("{head}\r\n"));
        let raw = String::from_utf8(client.rest()).unwrap();
        assert!(raw.starts_with(head.lines().next().unwrap()) && raw.ends_with("\r\n\r\n"), "{method} {head}: {raw}");
        assert_eq!(raw.find("\r\n\r\n"), Some(raw.len() - 4), "{method} {head}: {raw}");
        let told = raw.lines().find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(told, length, "{method} {head}: {raw}");
        // The gate did not have to wait for the upstream to close.
        leg.closed();
    }
}

#[test]
fn interim_answers_are_passed_over() {
    let stage = Stage::keeping_nothing();
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n";
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        hints,
        "HTTP/1.1 102 Processing\r\n\r\n",
        "HTTP/1.1 199 Whatever\r\ncontent-length: 7\r\n\r\n",
        &format!("HTTP/1.1 100 Continue\r\n\r\n{}", hints.repeat(50)),
    ] {
        for bytewise in [false, true] {
            let call = stage.gate.post(OPEN).body("some");
            let (answer, _) = relayed(&stage, call, |mut leg| {
                let raw = format!("{interim}HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhello");
                if bytewise { leg.send_bytewise(raw) } else { leg.send(raw) }
            });
            let answer = answer.expect(201);
            assert_eq!((answer.text().as_str(), answer.header("link")), ("hello", None), "{interim}");
        }
    }
}

#[test]
fn what_a_status_line_says_in_words_is_kept() {
    let stage = Stage::keeping_nothing();
    for (sent, received) in [
        ("200 OK", "200 OK"),
        ("200 Everything Is Fine", "200 Everything Is Fine"),
        ("404 Nobody\tHere", "404 Nobody\tHere"),
        ("299 Mostly", "299 Mostly"),
        ("599 Network Connect Timeout Error", "599 Network Connect Timeout Error"),
        ("200 ", "200 OK"),
        ("299 ", "299 "),
        ("299", "299 "),
    ] {
        let mut client = stage.client();
        client.write(&stage.gate.get(OPEN).header("Connection", "close").raw());
        let mut leg = stage.upstream.accept();
        leg.request();
        leg.send(format!("HTTP/1.1 {sent}\r\ncontent-length: 0\r\n\r\n"));
        let raw = String::from_utf8(client.rest()).unwrap();
        assert_eq!(raw.lines().next(), Some(&*format!("HTTP/1.1 {received}")));
    }
}

#[test]
fn fields_of_one_name_stay_apart_and_in_order() {
    let stage = Stage::keeping_nothing();
    let cookies: Vec<String> = (0..100).map(|n| format!("c{n}=\"{n}, {n}\"; Path=/; HttpOnly")).collect();
    let (answer, _) = relayed(&stage, stage.gate.get(OPEN), |mut leg| {
        let fields: String = cookies.iter().map(|cookie| format!("Set-Cookie: {cookie}\r\n")).collect();
        leg.send(format!("HTTP/1.1 200 OK\r\n{fields}Vary: a\r\nContent-Length: 0\r\nVary: b\r\n\r\n"));
    });
    let all = |wanted: &str| -> Vec<String> {
        answer.headers.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone()).collect()
    };
    assert_eq!(all("set-cookie"), cookies);
    assert_eq!(all("vary"), ["a", "b"]);
}

#[test]
fn a_head_just_within_its_limits_passes() {
    let stage = Stage::keeping_nothing();
    let (many, long) = ("x-n: 1\r\n".repeat(127), format!("x-long: {}\r\n", "y".repeat(60 * 1024)));
    for fields in [many, long] {
        let (answer, _) = relayed(&stage, stage.gate.get(OPEN), |mut leg| {
            leg.send(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n"));
        });
        let answer = answer.expect(200);
        let received: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        assert!(received > fields.len(), "{received}");
    }
}

#[test]
fn a_large_chunk_is_not_waited_for() {
    let stage = Stage::keeping_nothing();
    let body = vec![b'z'; 20 << 20];
    let (answer, _) = relayed(&stage, stage.gate.get(OPEN), |mut leg| {
        let body = body.clone();
        // The gate takes no more than the client does.
        thread::spawn(move || {
            leg.send(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len()));
            leg.send(body);
            leg.send("\r\n0\r\n\r\n");
        });
    });
    assert!(answer.expect(200).body == body);
}

#[test]
fn trailers_reach_a_client_that_asks_for_them() {
    let stage = Stage::keeping_nothing();
    let mut client = stage.client();
    client.write(&stage.gate.get(OPEN).header("TE", "trailers").header("Connection", "TE, close").raw());
    let mut leg = stage.upstream.accept();
    leg.request();
    leg.send(
        "HTTP/1.1 200 OK\r\ntrailer: x-sum, x-portcullis, connection\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n\
         0\r\nX-Sum: 42\r\nX-Portcullis: denied\r\nConnection: close\r\n\r\n",
    );
    let raw = String::from_utf8(client.rest()).unwrap();
    assert!(raw.ends_with("\r\n0\r\nx-sum: 42\r\n\r\n"), "{raw}");
}
