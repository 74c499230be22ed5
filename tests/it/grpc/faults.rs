//! Upstreams of HTTP/2 that refuse, leave, fall silent or speak nonsense. What is counted: no request reaches one twice that
//! may have done something with it.

use std::thread;
use std::time::{Duration, Instant};

use super::before;
use super::wire::{self, CANCEL, REFUSED_STREAM};
use crate::support::{Answer, Call, Connection, Gate, Leg, Scripted, Start, exchange_h2};

struct Stage {
    upstream: Scripted,
    gate: Gate,
}

impl Stage {
    fn new() -> Self {
        Self::with(|start| start)
    }

    fn with(settings: impl FnOnce(Start) -> Start) -> Self {
        let upstream = Scripted::start();
        let gate = settings(before(upstream.address)).start();
        Self { upstream, gate }
    }

    fn post(&self) -> Call {
        self.gate.post("/open/it").body("hello")
    }

    fn greeted(&self, streams: u32) -> Leg {
        let mut leg = self.upstream.accept();
        wire::greet(&mut leg, streams);
        leg
    }
}

/// Sends a call while `play` plays the upstream.
#[track_caller]
fn ask(call: Call, play: impl FnOnce()) -> Answer {
    let asking = thread::spawn(move || call.send());
    play();
    asking.join().unwrap()
}

#[test]
fn a_refused_stream_is_sent_again_and_processed_once() {
    let stage = Stage::new();
    let mut leg = None;
    let answer = ask(stage.post(), || {
        let mut it = stage.greeted(100);
        let first = wire::request(&mut it);
        wire::reset(&mut it, first, REFUSED_STREAM);
        let second = wire::next(&mut it, wire::HEADERS);
        let body = wire::next(&mut it, wire::DATA);
        assert_eq!((second.stream, &*body.payload), (first + 2, &b"hello"[..]));
        wire::answer(&mut it, second.stream, "done");
        leg = Some(it);
    });
    assert_eq!(answer.expect(200).text(), "done");
    stage.upstream.expect_nobody();
}

#[test]
fn an_upstream_that_only_refuses_is_not_asked_for_ever() {
    let stage = Stage::new();
    let answer = ask(stage.post(), || {
        let mut leg = stage.greeted(100);
        for _ in 0..3 {
            let stream = wire::request(&mut leg);
            wire::reset(&mut leg, stream, REFUSED_STREAM);
        }
        leg.expect_silence();
    });
    answer.expect(502);
}

#[test]
fn what_goaway_leaves_out_is_sent_over_another_connection() {
    let stage = Stage::new();
    let answer = ask(stage.post(), || {
        let mut leg = stage.greeted(100);
        wire::request(&mut leg);
        wire::goaway(&mut leg, 0);
        let mut other = stage.greeted(100);
        let stream = wire::request(&mut other);
        wire::answer(&mut other, stream, "done");
    });
    assert_eq!(answer.expect(200).text(), "done");
}

#[test]
fn what_goaway_covers_goes_on_and_what_follows_takes_another_connection() {
    let stage = Stage::new();
    let mut leg = None;
    let answer = ask(stage.post(), || {
        let mut it = stage.greeted(100);
        let stream = wire::request(&mut it);
        wire::begin(&mut it, stream, "first ");
        wire::goaway(&mut it, stream);
        let next = ask(stage.post(), || {
            let mut other = stage.greeted(100);
            let stream = wire::request(&mut other);
            wire::answer(&mut other, stream, "other");
        });
        assert_eq!(next.expect(200).text(), "other");
        it.send(wire::frame(wire::DATA, wire::END_STREAM, stream, b"second"));
        leg = Some(it);
    });
    assert_eq!(answer.expect(200).text(), "first second");
}

#[test]
fn a_post_on_a_connection_that_dies_is_never_sent_again() {
    let stage = Stage::new();
    // One that had served before.
    let mut leg = None;
    ask(stage.post(), || {
        let mut it = stage.greeted(100);
        let stream = wire::request(&mut it);
        wire::answer(&mut it, stream, "done");
        leg = Some(it);
    })
    .expect(200);
    let mut leg = leg.unwrap();
    let answer = ask(stage.post(), || {
        wire::request(&mut leg);
        drop(leg);
    });
    answer.expect(502);
    stage.upstream.expect_nobody();
}

#[test]
fn a_post_that_goaway_covers_is_never_sent_again() {
    const INTERNAL_ERROR: u32 = 2;
    const ENHANCE_YOUR_CALM: u32 = 11;
    for code in [0, INTERNAL_ERROR, ENHANCE_YOUR_CALM] {
        let stage = Stage::new();
        let answer = ask(stage.post(), || {
            let mut leg = stage.greeted(100);
            let stream = wire::request(&mut leg);
            wire::goaway_with(&mut leg, stream, code);
        });
        answer.expect(502);
        stage.upstream.expect_nobody();
    }
}

#[test]
fn what_dies_with_streams_in_flight_fails_each_of_them_once() {
    let stage = Stage::new();
    let asking: Vec<_> = (0..8).map(|_| stage.post()).map(|call| thread::spawn(move || call.send())).collect();
    let mut leg = stage.greeted(100);
    let mut ended = 0;
    while ended < 8 {
        let frame = wire::any(&mut leg);
        ended += usize::from(frame.kind == wire::DATA && frame.ends());
    }
    drop(leg);
    for asking in asking {
        asking.join().unwrap().expect(502);
    }
    stage.upstream.expect_nobody();
}

#[test]
fn a_get_on_a_connection_that_had_served_and_dies_is_sent_once_more() {
    let stage = Stage::new();
    let get = || stage.gate.get("/open/it");
    let mut leg = None;
    ask(get(), || {
        let mut it = stage.greeted(100);
        let stream = wire::request(&mut it);
        wire::answer(&mut it, stream, "done");
        leg = Some(it);
    })
    .expect(200);
    let mut leg = leg.unwrap();
    let answer = ask(get(), || {
        wire::request(&mut leg);
        drop(leg);
        let mut other = stage.greeted(100);
        let stream = wire::request(&mut other);
        wire::answer(&mut other, stream, "again");
    });
    assert_eq!(answer.expect(200).text(), "again");
}

#[test]
fn a_reset_before_the_answer_is_a_502_and_no_second_request() {
    let stage = Stage::new();
    let mut leg = None;
    let answer = ask(stage.post(), || {
        let mut it = stage.greeted(100);
        let stream = wire::request(&mut it);
        wire::reset(&mut it, stream, CANCEL);
        it.expect_silence();
        leg = Some(it);
    });
    answer.expect(502);
}

#[test]
fn a_reset_within_an_answer_cuts_it() {
    let stage = Stage::new();
    let mut client = Connection::open(stage.gate.address);
    client.write(&stage.post().raw());
    let mut leg = stage.greeted(100);
    let stream = wire::request(&mut leg);
    wire::begin(&mut leg, stream, "some");
    client.until(b"some\r\n");
    wire::reset(&mut leg, stream, CANCEL);
    assert_eq!(client.rest(), b"");
    // The connection is as good as before.
    let answer = ask(stage.post(), || {
        let stream = wire::request(&mut leg);
        wire::answer(&mut leg, stream, "done");
    });
    assert_eq!(answer.expect(200).text(), "done");
}

#[test]
fn a_reset_within_an_answer_reaches_a_client_of_http2_as_one() {
    let stage = Stage::new();
    let address = stage.gate.address;
    let asking = thread::spawn(move || {
        let request = http::Request::get(format!("http://{address}/open/it")).body(&b""[..]).unwrap();
        exchange_h2(address, request)
    });
    let mut leg = stage.greeted(100);
    let stream = wire::request(&mut leg);
    wire::begin(&mut leg, stream, "some");
    wire::reset(&mut leg, stream, CANCEL);
    assert!(asking.join().unwrap().is_err_and(|error| error.is_reset()));
}

#[test]
fn a_length_that_is_not_kept_to_is_no_whole_answer() {
    // `:status: 200` and `content-length: 9`, a literal with a name of the static table.
    let head = [0x88, 0x0f, 0x0d, 1, b'9'];
    for body in ["shorter", "longer than that"] {
        let stage = Stage::new();
        let mut client = Connection::open(stage.gate.address);
        client.write(&stage.post().raw());
        let mut leg = stage.greeted(100);
        let stream = wire::request(&mut leg);
        leg.send(wire::frame(wire::HEADERS, wire::END_HEADERS, stream, &head));
        leg.send(wire::frame(wire::DATA, wire::END_STREAM, stream, body.as_bytes()));
        let heard = String::from_utf8(client.rest()).unwrap();
        let body = heard.split("\r\n\r\n").nth(1).unwrap_or_default();
        assert!(heard.starts_with("HTTP/1.1 502") || body.len() < 9, "{heard}");
        drop(leg);
    }
}

#[test]
fn answers_without_a_body_have_none_and_keep_the_length_they_name() {
    // The statuses 200, 204 and 304 of the static table. With 304 it may be left out (RFC 9110 section 15.4.5), and hyper
    // does.
    for (method, status, expected) in [("HEAD", 0x88, Some("9")), ("GET", 0x89, None), ("GET", 0x8b, None)] {
        let stage = Stage::new();
        let mut client = Connection::open(stage.gate.address);
        client.write(&stage.gate.call(method, "/open/it").header("Connection", "close").raw());
        let mut leg = stage.greeted(100);
        let stream = wire::request(&mut leg);
        let length: &[u8] = if status == 0x89 { &[] } else { &[0x0f, 0x0d, 1, b'9'] };
        leg.send(wire::frame(
            wire::HEADERS,
            wire::END_HEADERS | wire::END_STREAM,
            stream,
            &[&[status], length].concat(),
        ));
        let heard = String::from_utf8(client.rest()).unwrap();
        assert!(heard.find("\r\n\r\n") == Some(heard.len() - 4), "{heard}");
        assert_eq!(heard.lines().find_map(|line| line.strip_prefix("content-length: ")), expected, "{heard}");
    }
}

#[test]
fn a_client_that_leaves_resets_its_stream_upstream() {
    let stage = Stage::new();
    let mut client = Connection::open(stage.gate.address);
    client.write(&stage.post().raw());
    let mut leg = stage.greeted(100);
    let stream = wire::request(&mut leg);
    wire::begin(&mut leg, stream, "some");
    client.until(b"some\r\n");
    drop(client);
    let reset = wire::next(&mut leg, wire::RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
}

#[test]
fn requests_that_are_taken_back_leave_their_places_free() {
    let stage = Stage::with(|start| start.set("limits.upstream_h2_connections", "1"));
    let mut leg = None;
    for _ in 0..20 {
        let mut client = Connection::open(stage.gate.address);
        client.write(&stage.post().raw());
        let leg = leg.get_or_insert_with(|| stage.greeted(1));
        let stream = wire::request(leg);
        drop(client);
        assert_eq!(wire::next(leg, wire::RST_STREAM).stream, stream);
    }
    let answer = ask(stage.post(), || {
        let leg = leg.as_mut().unwrap();
        let stream = wire::request(leg);
        wire::answer(leg, stream, "done");
    });
    assert_eq!(answer.expect(200).text(), "done");
}

#[test]
fn a_silent_upstream_is_a_504_and_its_stream_is_reset() {
    let stage = Stage::with(|start| start.set("upstream.first_byte_timeout", "300ms"));
    let answer = ask(stage.post(), || {
        let mut leg = stage.greeted(100);
        let stream = wire::request(&mut leg);
        let reset = wire::next(&mut leg, wire::RST_STREAM);
        assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
    });
    answer.expect(504);
}

#[test]
fn silence_within_an_answer_cuts_it() {
    let stage = Stage::with(|start| start.set("upstream.idle_timeout", "300ms"));
    let mut client = Connection::open(stage.gate.address);
    client.write(&stage.post().raw());
    let mut leg = stage.greeted(100);
    let stream = wire::request(&mut leg);
    wire::begin(&mut leg, stream, "some");
    client.until(b"some\r\n");
    assert_eq!(client.rest(), b"");
    assert_eq!(wire::next(&mut leg, wire::RST_STREAM).stream, stream);
}

#[test]
fn an_upstream_that_never_greets_gets_no_request() {
    let stage = Stage::with(|start| start.set("upstream.connect_timeout", "300ms"));
    let answer = ask(stage.post(), || {
        let sent = stage.upstream.accept().closed();
        assert!(!sent.windows(5).any(|window| window == b"hello"));
    });
    answer.expect(504);
}

#[test]
fn an_upstream_of_http1_gets_no_request() {
    let stage = Stage::new();
    let answer = ask(stage.post(), || {
        let mut leg = stage.upstream.accept();
        leg.take(24);
        leg.send("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        assert!(!leg.closed().windows(5).any(|window| window == b"hello"));
    });
    answer.expect(502);
    let line = stage.gate.wait_for_log("upstream failed");
    assert!(line.contains("it does not speak HTTP/2"), "{line}");
}

#[test]
fn a_head_beyond_its_limits_is_a_502() {
    let stage = Stage::new();
    // Literal fields without indexing: `x: <1000 bytes>`.
    let field = [&[0, 1, b'x', 0x7f, 0xe9, 0x06][..], &[b'y'; 1000]].concat();
    for fields in [100, 100_000] {
        let mut leg = None;
        let answer = ask(stage.post(), || {
            let mut it = stage.greeted(100);
            let stream = wire::request(&mut it);
            it.send(wire::frame(wire::HEADERS, 0, stream, &[0x88]));
            for pieces in (0..fields).collect::<Vec<_>>().chunks(10) {
                let last = pieces.last() == Some(&(fields - 1));
                let flags = if last { wire::END_HEADERS } else { 0 };
                it.send(wire::frame(wire::CONTINUATION, flags, stream, &field.repeat(pieces.len())));
            }
            leg = Some(it);
        });
        answer.expect(502);
        // Whether or not this connection is worth anything yet, the gate is.
        drop(leg);
    }
}

#[test]
fn many_requests_take_turns_where_one_stream_is_allowed() {
    let stage = Stage::with(|start| start.set("limits.upstream_h2_connections", "1"));
    let answers: Vec<_> = {
        let asking: Vec<_> = (0..20).map(|_| stage.post()).map(|call| thread::spawn(move || call.send())).collect();
        let mut leg = stage.greeted(1);
        for number in 0..20 {
            let stream = wire::request(&mut leg);
            wire::answer(&mut leg, stream, &number.to_string());
        }
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    };
    let mut texts: Vec<usize> = answers.into_iter().map(|answer| answer.expect(200).text().parse().unwrap()).collect();
    texts.sort_unstable();
    assert_eq!(texts, (0..20).collect::<Vec<_>>());
    stage.upstream.expect_nobody();
}

#[test]
fn where_streams_are_used_up_a_further_connection_is_opened() {
    let stage = Stage::new();
    let mut leg = None;
    let answer = ask(stage.post(), || {
        let mut it = stage.greeted(1);
        let stream = wire::request(&mut it);
        let other = ask(stage.post(), || {
            let mut second = stage.greeted(1);
            let stream = wire::request(&mut second);
            wire::answer(&mut second, stream, "second");
        });
        assert_eq!(other.expect(200).text(), "second");
        wire::answer(&mut it, stream, "first");
        leg = Some(it);
    });
    assert_eq!(answer.expect(200).text(), "first");
}

#[test]
fn where_all_is_full_a_request_waits_and_not_for_ever() {
    let stage =
        Stage::with(|start| start.set("limits.upstream_h2_connections", "1").set("upstream.connect_timeout", "500ms"));
    let mut client = Connection::open(stage.gate.address);
    client.write(&stage.post().raw());
    let mut leg = stage.greeted(1);
    wire::request(&mut leg);
    let start = Instant::now();
    stage.post().send().expect(504);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_idle_connection_is_closed() {
    let stage = Stage::with(|start| start.set("upstream.keepalive", "200ms"));
    let mut leg = None;
    ask(stage.post(), || {
        let mut it = stage.greeted(100);
        let stream = wire::request(&mut it);
        wire::answer(&mut it, stream, "done");
        leg = Some(it);
    })
    .expect(200);
    leg.unwrap().closed();
}

#[test]
fn an_early_answer_survives_the_word_that_no_more_is_wanted() {
    let stage = Stage::new();
    let mut client = Connection::open(stage.gate.address);
    client.write(b"POST /open/it HTTP/1.1\r\nhost: gate\r\ncontent-length: 100000\r\n\r\nsome");
    let mut leg = stage.greeted(100);
    let head = wire::next(&mut leg, wire::HEADERS);
    wire::next(&mut leg, wire::DATA);
    wire::answer(&mut leg, head.stream, "enough");
    wire::reset(&mut leg, head.stream, 0);
    let answer = client.read_any().expect("an answer").expect(200);
    assert_eq!(answer.text(), "enough");
}

#[test]
fn a_websocket_to_an_upstream_of_http2_is_refused() {
    let stage = Stage::new();
    let call = stage.gate.get("/open/it").header("Connection", "upgrade").header("Upgrade", "websocket");
    call.send().expect(501);
    stage.upstream.expect_nobody();
}
