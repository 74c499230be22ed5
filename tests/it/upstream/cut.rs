//! Answers that break off: whoever waits for one hears that there is none, and whoever has half of one sees that it is
//! cut.

use super::{OPEN, Stage};
use crate::support::{Connection, Leg};

/// How an upstream ends a connection.
const ENDS: [fn(Leg); 2] = [drop, Leg::reset];

#[track_caller]
fn asked(stage: &Stage) -> (Connection, Leg) {
    let mut client = stage.client();
    client.write(&stage.gate.get(OPEN).raw());
    let mut leg = stage.upstream.accept();
    leg.request();
    (client, leg)
}

#[test]
fn an_answer_that_breaks_off_before_its_body_is_none() {
    let stage = Stage::new();
    for said in [
        "",
        "H",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 ",
    ] {
        for end in ENDS {
            let (mut client, mut leg) = asked(&stage);
            leg.send(said);
            end(leg);
            let answer = client.read().expect("an answer");
            assert_eq!(answer.status, 502, "{said:?}: {}", answer.text());
            let told = stage.gate.wait_for_log(answer.expect_refusal(502).header("x-request-id").unwrap());
            assert!(told.contains("upstream_broke_off"), "{said:?}: {told}");
        }
    }
    stage.upstream.expect_nobody();
}

#[test]
fn a_body_that_breaks_off_is_never_taken_for_a_whole_one() {
    let stage = Stage::new();
    let (length, chunks) = ("content-length: 10", "transfer-encoding: chunked");
    for (fields, said) in [
        (length, "hello"),
        (chunks, "5\r\nhello"),
        (chunks, "5\r\nhello\r\n"),
        (chunks, "9\r\nhello"),
        (chunks, "5\r\nhello\r\n5"),
        (chunks, "5\r\nhello\r\n0"),
        (chunks, "5\r\nhello\r\n0\r\n"),
        (chunks, "5\r\nhello\r\n0\r\nx-sum: 1\r\n"),
    ] {
        for end in ENDS {
            for begun in [true, false] {
                let (mut client, mut leg) = asked(&stage);
                leg.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{said}"));
                let mut raw = Vec::new();
                while begun && !raw.ends_with(b"hello") {
                    raw.extend(client.take(1));
                }
                end(leg);
                raw.extend(client.rest());
                let raw = String::from_utf8(raw).unwrap();
                let (head, body) = raw.split_once("\r\n\r\n").unwrap_or_default();
                assert!(head.is_empty() || head.contains(fields), "{said:?}: {raw}");
                let whole = if fields == length { body.len() == 10 } else { body.contains("0\r\n") };
                assert!(!whole, "{said:?}: {raw}");
            }
        }
    }
    stage.recovers();
}

#[test]
fn a_body_that_turns_into_nonsense_is_cut() {
    let stage = Stage::new();
    for nonsense in [
        "hello",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "-5\r\nhello\r\n",
        "ffffffffffffffffff\r\n",
        "\r\n",
        "0\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ] {
        let (mut client, mut leg) = asked(&stage);
        leg.send(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n{nonsense}"));
        let raw = String::from_utf8(client.rest()).unwrap();
        assert!(!raw.contains("\r\n0\r\n"), "{nonsense:?}: {raw}");
        leg.closed();
    }
    for endless in [format!("5;{}", "x".repeat(5000)), format!("0\r\n{}", "x-sum: 1\r\n".repeat(2000))] {
        let (mut client, mut leg) = asked(&stage);
        leg.send(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{endless}"));
        assert!(!String::from_utf8(client.rest()).unwrap().contains("\r\n0\r\n"));
        leg.closed();
    }
    stage.recovers();
}

#[test]
fn where_only_the_end_tells_a_reset_is_none() {
    let stage = Stage::new();
    let (mut client, mut leg) = asked(&stage);
    leg.send("HTTP/1.1 200 OK\r\n\r\nhello");
    let mut raw = Vec::new();
    while !raw.ends_with(b"hello") {
        raw.extend(client.take(1));
    }
    leg.reset();
    raw.extend(client.rest());
    assert!(!String::from_utf8(raw).unwrap().contains("\r\n0\r\n"));
    stage.recovers();
}
