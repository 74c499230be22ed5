//! Answers that come before the request has left: they count, and both directions go on side by side.

use super::{FINE, OPEN, Stage, stubborn};

const TOO_LARGE: &str = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large";
const A_LOT: usize = 256 << 20;

#[test]
fn a_refusal_is_heard_although_the_request_is_still_on_its_way() {
    let stage = Stage::new();
    let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    for (fields, piece) in
        [(format!("Content-Length: {A_LOT}"), vec![b'x'; 1 << 16]), ("Transfer-Encoding: chunked".to_owned(), chunk)]
    {
        // Reading no further, the upstream keeps the connection open, closes it over what it has not read, or resets it.
        for end in ["none", "over unread bytes", "a reset"] {
            let client = stubborn(stage.gate.address, &fields, piece.clone());
            let mut leg = stage.upstream.accept();
            leg.head();
            leg.send(TOO_LARGE);
            match end {
                "none" => {
                    let answer = client.join().unwrap().expect("an answer").expect(413);
                    assert_eq!(answer.text(), "too large");
                    leg.closed();
                    continue;
                }
                "a reset" => leg.reset(),
                _ => drop(leg),
            }
            let answer = client.join().unwrap().unwrap_or_else(|| panic!("{fields}, {end}: no answer"));
            // What a reset has overtaken is lost before the gate can read it.
            assert!(answer.status == 413 || (end == "a reset" && answer.status == 502), "{end}: {}", answer.text());
        }
    }
    stage.recovers();
}

#[test]
fn an_answer_may_begin_before_the_request_has_ended() {
    let stage = Stage::new();
    let mut client = stage.client();
    client.write(format!("POST {OPEN} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes());
    let mut leg = stage.upstream.accept();
    leg.head();
    leg.send("HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(client.take(1));
    }
    // Each piece goes all the way round before the next one is sent.
    for n in 0..100 {
        let piece = format!("<{n:02}>");
        client.write(format!("4\r\n{piece}\r\n").as_bytes());
        assert_eq!(leg.take(9), format!("4\r\n{piece}\r\n").as_bytes());
        leg.send(&piece);
        assert_eq!(client.take(4), piece.as_bytes());
        if n == 98 {
            client.write(b"0\r\n\r\n");
            assert_eq!(leg.take(5), b"0\r\n\r\n");
            leg.send("<99>");
            assert_eq!(client.take(4), b"<99>");
            break;
        }
    }
    // Both messages have ended where they should, so both connections are as good as new.
    client.write(&stage.get("next").raw());
    super::answers(&mut leg, &mut client, "next");
}

#[test]
fn an_upstream_that_answers_first_and_reads_on_gets_the_whole_request() {
    let stage = Stage::new();
    let mut client = stage.client();
    client.write(&stage.gate.post(OPEN).header("Content-Length", "10").raw());
    let mut leg = stage.upstream.accept();
    leg.head();
    leg.send("HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let mut begun = Vec::new();
    while !begun.ends_with(b"\r\n5\r\nhello\r\n") {
        begun.extend(client.take(1));
    }
    client.write(b"0123456789");
    assert_eq!(leg.take(10), b"0123456789");
    leg.send("0\r\n\r\n");
    assert_eq!(client.take(5), b"0\r\n\r\n");
    client.write(&stage.get("next").raw());
    super::answers(&mut leg, &mut client, "next");
}

#[test]
fn a_request_that_was_answered_before_it_had_left_is_completed_by_its_own_rest_alone() {
    let stage = Stage::new();
    let mut client = stage.client();
    client.write(&[stage.gate.post(OPEN).header("Content-Length", "10").raw(), b"01234".to_vec()].concat());
    let mut leg = stage.upstream.accept();
    leg.head();
    assert_eq!(leg.take(5), b"01234");
    leg.send(FINE);
    assert_eq!(client.read().expect("an answer").expect(200).text(), "fine");
    // Until it has left as a whole nobody else gets its connection: to the upstream anything would be its rest.
    stage.recovers();
    client.write(b"56789");
    assert_eq!(leg.take(5), b"56789");
    client.write(&stage.get("next").raw());
}
