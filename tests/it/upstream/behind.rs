//! Bytes behind an answer, and between answers: nobody asked for them, so nobody gets them.

use super::{OPEN, Stage, answers, named};
use crate::support::Leg;

/// What an upstream would like to pass off as the answer to somebody else's request.
const STOLEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen";

#[test]
fn what_comes_with_an_answer_and_is_no_part_of_it_is_nobodys() {
    let stage = Stage::new();
    for (name, method, head) in [
        ("a length", "GET", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
        ("a length of none", "GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("chunks", "GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ("trailers", "GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n\r\n"),
        ("no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("not modified", "GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 44\r\n\r\n"),
        ("HEAD", "HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 44\r\n\r\n"),
        ("HEAD and chunks", "HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
    ] {
        for behind in [STOLEN, "\r\n", "x", "0\r\n\r\n"] {
            // The next request is there already when the answer comes.
            let mut client = stage.client();
            let pipelined =
                [stage.gate.call(method, OPEN).raw(), stage.get("next").header("Connection", "close").raw()];
            client.write(&pipelined.concat());
            let mut leg = stage.upstream.accept();
            leg.request();
            leg.send(format!("{head}{behind}"));

            let mut another = stage.upstream.accept();
            assert_eq!(another.request().target, named("next"), "{name}");
            another.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nfine");
            leg.closed();
            let raw = String::from_utf8(client.rest()).unwrap();
            assert!(!raw.contains("stolen"), "{name}, {behind:?}: {raw}");
            assert!(raw.ends_with("\r\n\r\nfine"), "{name}, {behind:?}: {raw}");
            assert_eq!(raw.matches("HTTP/1.1 ").count(), 2, "{name}, {behind:?}: {raw}");
        }
    }
}

#[test]
fn what_happens_on_an_idle_connection_ends_it() {
    const TIMEOUT: &str = "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let stage = Stage::new();
    for said in ["", "x", "\r\n", STOLEN, TIMEOUT] {
        for then in [None, Some(drop as fn(Leg)), Some(Leg::reset)] {
            if said.is_empty() && then.is_none() {
                continue;
            }
            // What may not be repeated is not lost to such a connection either.
            for method in ["GET", "POST"] {
                let (mut client, mut leg) = stage.kept();
                leg.send(said);
                let open = match then {
                    Some(end) => {
                        end(leg);
                        None
                    }
                    None => Some(leg),
                };
                client.write(&stage.gate.call(method, &named("next")).body("x").raw());
                answers(&mut stage.upstream.accept(), &mut client, "next");
                if let Some(leg) = open {
                    assert!(leg.closed().is_empty(), "{method} after {said:?}");
                }
            }
        }
    }
    stage.upstream.expect_nobody();
}

#[test]
fn a_connection_with_two_lengths_in_its_answer_is_not_used_again() {
    let stage = Stage::new();
    let mut client = stage.client();
    client.write(&stage.get("first").raw());
    let mut leg = stage.upstream.accept();
    leg.request();
    leg.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(client.read().expect("an answer").text(), "hello");
    leg.closed();
    stage.recovers();
}
