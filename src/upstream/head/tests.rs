//! Heads as they go over the wire, both ways.
//!
//! Guarantees: each answer is read as a whole and byte by byte.
//! Does not know: header hygiene; that has its own tables.

use http::header::HeaderValue;

use super::*;
use crate::upstream::headers::{Authorization, Origin};

fn sent(method: Method, target: &'static str, content: Content, fields: &[(&'static str, &'static str)]) -> String {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let (origin, request_id) = (Origin::new([192, 0, 2, 1].into(), "http"), HeaderValue::from_static("rid"));
    let vouched = Vouched {
        host: None,
        identity: None,
        authorization: &Authorization::Remove,
        origin: &origin,
        forwarded: None,
        request_id: &request_id,
        trace: None,
        own_cookie: None,
    };
    String::from_utf8(write(&method, &PathAndQuery::from_static(target), content, &headers, &vouched)).unwrap()
}

#[test]
fn a_request_has_one_target_and_one_length() {
    let head = sent(Method::POST, "/a?b=c%20d", Content::Length(5), &[("host", "api"), ("content-length", "7")]);
    assert!(head.starts_with("POST /a?b=c%20d HTTP/1.1\r\nhost: api\r\n"), "{head}");
    assert!(head.ends_with("\r\ncontent-length: 5\r\n\r\n"), "{head}");
    assert_eq!(head.matches("content-length").count(), 1);

    let fields = &[("content-length", "7"), ("transfer-encoding", "gzip")];
    let head = sent(Method::GET, "/", Content::Chunked, fields);
    assert!(head.ends_with("\r\ntransfer-encoding: chunked\r\n\r\n"), "{head}");
    assert!(!head.contains("content-length") && !head.contains("gzip"), "{head}");
}

#[test]
fn an_absent_body_is_told_where_one_is_expected() {
    for (method, told) in [
        (Method::POST, true),
        (Method::PUT, true),
        (Method::PATCH, true),
        (Method::GET, false),
        (Method::HEAD, false),
        (Method::DELETE, false),
        (Method::OPTIONS, false),
    ] {
        let head = sent(method.clone(), "/", Content::None, &[]);
        assert_eq!(head.contains("\r\ncontent-length: 0\r\n"), told, "{method}");
    }
}

/// Reads an answer that arrives in steps; the head, and what is behind it.
fn read_in_steps(wire: &[u8], step: usize, to_head: bool) -> Result<Option<(Head, Sequel, Vec<u8>)>, Garbled> {
    let mut arrived = Bytes::new();
    for more in wire.chunks(step) {
        arrived = [&arrived[..], more].concat().into();
        if let Some((head, sequel)) = read(&mut arrived, to_head, None, &mut HeaderMap::new())? {
            return Ok(Some((head, sequel, arrived.to_vec())));
        }
    }
    Ok(None)
}

fn answered(wire: &str) -> (Head, Sequel, Vec<u8>) {
    let byte_by_byte = read_in_steps(wire.as_bytes(), 1, false).unwrap().unwrap();
    let whole = read_in_steps(wire.as_bytes(), wire.len(), false).unwrap().unwrap();
    assert_eq!(format!("{:?}", (&whole.0, &whole.1)), format!("{:?}", (&byte_by_byte.0, &byte_by_byte.1)));
    whole
}

#[track_caller]
fn garbled(wire: &str) {
    // Byte by byte, unless it is so long that this takes minutes.
    for step in [wire.len().div_ceil(1000), wire.len()] {
        assert!(read_in_steps(wire.as_bytes(), step, false).is_err(), "{:?}", &wire[..wire.len().min(80)]);
    }
}

#[test]
fn an_answer_is_read_without_what_is_for_this_hop() {
    let (head, sequel, behind) = answered(
        "HTTP/1.1 404 Nothing Here\r\nServer: api\r\nconnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         X-Portcullis: denied\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 2\r\n\r\nhi",
    );
    assert_eq!(head.status, StatusCode::NOT_FOUND);
    assert_eq!(head.reason.as_ref().map(ReasonPhrase::as_bytes), Some(&b"Nothing Here"[..]));
    assert_eq!(head.headers["server"], "api");
    assert_eq!(head.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(head.headers.len(), 3, "{:?}", head.headers);
    assert_eq!(sequel, Sequel { framing: Framing::Length(2), persistent: true });
    assert_eq!(behind, b"hi");
}

#[test]
fn the_usual_reason_is_not_worth_keeping() {
    for reason in ["OK", "", " "] {
        let (head, ..) = answered(&format!("HTTP/1.1 200 {reason}\r\n\r\n"));
        assert!(head.reason.is_none(), "{reason:?}");
    }
    assert!(answered("HTTP/1.1 200\r\n\r\n").0.reason.is_none());
    for status in ["299", "299 "] {
        let (head, ..) = answered(&format!("HTTP/1.1 {status}\r\n\r\n"));
        assert_eq!(head.reason.as_ref().map(ReasonPhrase::as_bytes), Some(&b""[..]), "nothing is made up");
    }
}

#[test]
fn informational_answers_are_passed_over() {
    let (head, ..) = answered(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nx: y\r\n\r\n",
    );
    assert_eq!((head.status, head.headers.len()), (StatusCode::OK, 1));
    assert!(read_in_steps(b"HTTP/1.1 100 Continue\r\n\r\n", 1, false).unwrap().is_none());
}

#[test]
fn another_request_follows_only_where_both_sides_agree() {
    for (wire, persistent) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", false),
        ("HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: Close\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: x-a\r\nconnection: x-b, close\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n", false),
    ] {
        assert_eq!(answered(wire).1.persistent, persistent, "{wire}");
    }
}

#[test]
fn the_length_of_an_absent_body_is_told() {
    let length = |wire: &[u8], to_head| {
        let (head, sequel, _) = read_in_steps(wire, wire.len(), to_head).unwrap().unwrap();
        assert_eq!(sequel.framing, Framing::Length(0));
        head.headers.get("content-length").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(length(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true).as_deref(), Some("5"));
    assert_eq!(length(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", false).as_deref(), Some("5"));
    assert_eq!(length(b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", false), None);
    assert_eq!(length(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", true), None);
}

#[test]
fn what_is_no_answer_is_an_error() {
    garbled("SSH-2.0-OpenSSH_9.2\r\n");
    garbled("\0\0\0\u{12}\u{4}\0\0\0\0\0");
    garbled("HTTP/0.9 200 OK\r\n\r\n");
    garbled("HTTP/2.0 200 OK\r\n\r\n");
    garbled("HTTP/1.1 20 OK\r\n\r\n");
    garbled("HTTP/1.1 099 OK\r\n\r\n");
    garbled("HTTP/1.1 200 OK\r\nx : y\r\n\r\n");
    garbled("HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n");
    garbled("HTTP/1.1 200 OK\r\nx: \u{1}\r\n\r\n");
    garbled("HTTP/1.1 200 OK\r\nno colon\r\n\r\n");
    garbled("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n");
    garbled("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n");
    garbled("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    garbled("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n");
    garbled(&format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(LONGEST)));
    garbled(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(MOST_FIELDS + 1)));
    let nominated = (0..=MOST_FIELDS).map(|number| format!("x-{number}")).collect::<Vec<_>>().join(",");
    garbled(&format!("HTTP/1.1 200 OK\r\nconnection: {nominated}\r\n\r\n"));
}
