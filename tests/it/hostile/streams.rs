//! Clients that take their time: those that say nothing, half of something, or do not read.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use h2::Reason;

use super::stage::play;
use super::wire::{
    DATA, GET, HEADERS, Heard, Line, PREFACE, SETTINGS, WINDOW, block, frame, request, settings, upload,
};
use super::{Case, plays};
use crate::support::{Connection, Gate, Leg, Scripted, Start, Upstream};

const SLOW: &str = "slowhttptest: slowloris";

pub fn cases() -> Vec<Case> {
    vec![
        plays("silence", "slowhttptest; RFC 9112 section 9.5", || dropped(&[b""])),
        plays("half a preface and silence", "RFC 9113 section 3.4; slowhttptest", || dropped(&[&PREFACE[..10]])),
        plays("a preface byte by byte", SLOW, || {
            dropped(&PREFACE.iter().map(std::slice::from_ref).collect::<Vec<_>>())
        }),
        plays("a preface and silence", "RFC 9113 section 3.4; slowhttptest", || dropped(&[PREFACE])),
        plays("a preface, settings and silence", "RFC 9113 section 5.1.2; slowhttptest", || {
            dropped(&[PREFACE, &frame(SETTINGS, 0, 0, &[])])
        }),
        plays("half a frame", "RFC 9113 section 4.1; slowhttptest", || {
            dropped(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &[0, 0]])
        }),
        plays("half a head of HTTP/2", "VU#421644; slowhttptest", || {
            dropped(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, 0, 1, &block(&GET))])
        }),
        plays("a head that never ends", SLOW, slow_head),
        plays("a head byte by byte", SLOW, slow_head_in_bytes),
        plays("a body that never comes", "slowhttptest: slow body (R-U-Dead-Yet)", slow_body),
        plays("an answer that nobody reads", "slowhttptest: slow read", slow_read),
        plays(
            "an answer of HTTP/2 that nobody reads",
            "slowhttptest: slow read; CVE-2019-9517 (Internal Data Buffering)",
            slow_read_h2,
        ),
        plays("no window from the first", "CVE-2019-9517 (Internal Data Buffering); CVE-2016-1546 (Apache)", || {
            stalled(0, 0)
        }),
        plays("a window used up", "CVE-2019-9511 (Data Dribble)", || stalled(65_535, 0)),
        plays("a window for the connection only", "CVE-2019-9511 (Data Dribble)", || stalled(0, 1 << 20)),
        plays("no window among others that have one", "CVE-2019-9517 (Internal Data Buffering)", stalled_beside_others),
        plays("a window byte by byte", "CVE-2019-9511 (Data Dribble)", dribbled),
        plays("an upload that nobody takes", "CWE-770; RFC 9113 section 10.5", piled_up),
    ]
}

/// A gate of little patience before an upstream that a test plays.
#[track_caller]
fn impatient() -> (Gate, Scripted) {
    let upstream = Scripted::start();
    let start = ["first_byte_timeout", "header_timeout", "idle_timeout", "stall_timeout"]
        .iter()
        .fold(Start::before(upstream.address).set("workers", "1"), |start, key| {
            start.set(&format!("limits.{key}"), "400ms")
        });
    (start.start(), upstream)
}

/// Says these and then nothing, and is dropped for it.
#[track_caller]
fn dropped(said: &[&[u8]]) {
    let (gate, upstream) = impatient();
    let mut stream = TcpStream::connect(gate.address).unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in said {
        stream.write_all(piece).unwrap();
    }
    Connection::over(stream).rest();
    upstream.expect_nobody();
}

#[track_caller]
fn slow_head() {
    let (gate, upstream) = impatient();
    let mut slow = Connection::open(gate.address);
    slow.write(b"POST /mobile/v1/x HTTP/1.1\r\nHost: x\r\nX-");
    let answer = slow.read().expect("an answer").expect(408);
    assert_eq!((answer.header("x-portcullis"), &*answer.field("error")), (Some("denied"), "invalid_request"));
    assert!(slow.rest().is_empty());
    upstream.expect_nobody();
}

#[track_caller]
fn slow_head_in_bytes() {
    let (gate, upstream) = impatient();
    let mut stream = TcpStream::connect(gate.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nX: ").unwrap();
    // Each byte is a sign of life, and none of them buys time.
    let mut answer = [0; 12];
    while std::io::Read::read(&mut stream, &mut answer).is_err() {
        stream.write_all(b"x").unwrap();
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
    upstream.expect_nobody();
}

#[track_caller]
fn slow_body() {
    let upstream = Scripted::start();
    let gate = Start::before(upstream.address).set("upstream.first_byte_timeout", "400ms").start();
    let mut slow = Connection::open(gate.address);
    slow.write(b"POST /mobile/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhell");
    let leg = upstream.accept();
    slow.read().expect("an answer").expect(408);
    assert!(leg.closed().ends_with(b"hell"));
}

/// An answer of many megabytes has begun.
#[track_caller]
fn endless(upstream: &Scripted) -> Leg {
    let mut leg = upstream.accept();
    leg.request();
    leg.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
    leg
}

#[track_caller]
fn slow_read() {
    let (gate, upstream) = impatient();
    let mut slow = Connection::open(gate.address);
    slow.write(&gate.get("/health").raw());
    let leg = endless(&upstream);
    given_up(leg);
    drop(slow);
}

#[track_caller]
fn slow_read_h2() {
    let (gate, upstream) = impatient();
    let mut line = Line::open(gate.address, &[(4, 0x7fff_ffff)]);
    line.say(&[frame(WINDOW, 0, 0, &[0x7f, 0, 0, 0]), request(1, &GET)].concat());
    given_up(endless(&upstream));
    drop(line);
}

/// The gate takes no more of the answer and then lets go of it.
#[track_caller]
fn given_up(mut leg: Leg) {
    leg.send_until_closed();
}

/// Gives a stream and the connection these windows and no more.
#[track_caller]
fn stalled(stream: u32, connection: u32) {
    let (gate, upstream) = impatient();
    let mut line = Line::open(gate.address, &[(4, stream)]);
    if connection > 0 {
        line.say(&frame(WINDOW, 0, 0, &connection.to_be_bytes()));
    }
    line.say(&request(1, &GET));
    let leg = endless(&upstream);
    assert_eq!(line.hear(), Some(Heard::Status(1, 200)));
    given_up(leg);
    assert_eq!(line.hear(), Some(Heard::Reset(1, Reason::CANCEL)));
    // Whoever takes what it asked for is served over the same connection.
    line.say(&frame(SETTINGS, 0, 0, &settings(&[(4, 65_535)])));
    line.say(&frame(WINDOW, 0, 0, &65_535_u32.to_be_bytes()));
    line.say(&request(3, &GET));
    let mut leg = upstream.accept();
    leg.request();
    leg.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine");
    assert_eq!(line.hear(), Some(Heard::Status(3, 200)));
}

#[track_caller]
fn stalled_beside_others() {
    let (gate, upstream) = impatient();
    let mut line = Line::open(gate.address, &[(4, 0)]);
    line.say(&request(1, &GET));
    let leg = endless(&upstream);
    assert_eq!(line.hear(), Some(Heard::Status(1, 200)));
    // A stream whose answer comes bit by bit, and is read.
    line.say(&request(3, &GET));
    let mut other = upstream.accept();
    other.request();
    other.send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
    assert_eq!(line.hear(), Some(Heard::Status(3, 200)));
    line.say(&frame(WINDOW, 0, 3, &1000_u32.to_be_bytes()));
    let reset = std::thread::spawn(move || given_up(leg));
    let mut ended = false;
    for n in 0..1000 {
        other.send("x");
        // Its pieces go on coming, before and after the other one is given up.
        loop {
            let word = line.frame().expect("a frame");
            ended |= word.kind == super::wire::RESET && word.stream == 1;
            assert!(!(word.kind == super::wire::RESET && word.stream == 3), "{n}");
            if word.kind == DATA && word.stream == 3 {
                break;
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    reset.join().unwrap();
    assert!(ended || line.hear() == Some(Heard::Reset(1, Reason::CANCEL)));
}

/// A byte of window for a frame of a byte, for ever.
#[track_caller]
fn dribbled() {
    let upstream = Upstream::answering(|_| crate::support::ok(&vec![b'x'; 1 << 20]));
    let gate = Start::before(upstream.address).set("workers", "1").start();
    let mut line = Line::open(gate.address, &[(4, 1)]);
    line.say(&request(1, &GET));
    assert_eq!(line.hear(), Some(Heard::Status(1, 200)));
    let mut mouth = line.mouth();
    std::thread::spawn(move || {
        let bytes = frame(WINDOW, 0, 1, &[0, 0, 0, 1]).repeat(20);
        while mouth.write_all(&bytes).is_ok() {}
    });
    let heard = line.hear();
    assert_eq!(heard, Some(Heard::Away(Reason::ENHANCE_YOUR_CALM)));
}

/// What is held of uploads that the upstream does not take is bounded over all streams of a connection.
#[track_caller]
fn piled_up() {
    let upstream = Scripted::start();
    let gate = Start::before(upstream.address).set("limits.max_buffered_bytes", "128KiB").start();
    let mut line = Line::open(gate.address, &[]);
    let (mut stream, mut connection) = (0, 65_535);
    while stream == 0 || connection == 65_535 {
        let word = line.frame().expect("settings and a window");
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
        match word.kind {
            SETTINGS if word.flags == 0 => {
                stream = word.payload.chunks(6).find(|setting| setting[1] == 4).map_or(65_535, |it| number(&it[2..]));
            }
            WINDOW => connection += number(&word.payload),
            _ => {}
        }
    }
    assert_eq!((stream, connection), (128 << 10, 128 << 10));
    // More than that is an error of the client's, whether or not the upstream takes it.
    line.say(&[upload(1, &[]), frame(DATA, 0, 1, &[b'x'; 16 << 10]).repeat(40)].concat());
    // Of the stream or of the connection: both windows are as large.
    let heard = line.hear();
    let reason = Reason::FLOW_CONTROL_ERROR;
    assert!([Some(Heard::Away(reason)), Some(Heard::Reset(1, reason))].contains(&heard), "{heard:?}");
}

#[test]
fn whoever_takes_too_long_is_not_waited_for() {
    play(cases());
}
