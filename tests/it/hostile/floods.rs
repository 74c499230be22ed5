//! HTTP/2: frames that cost more to take than to send. Each is bounded, ends with a word that says why, and holds nobody up.

use std::io::Write;
use std::thread;

use h2::Reason;

use super::stage::play;
use super::wire::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS, Heard, Line, PADDED, PING, PRIORITY, RESET,
    SETTINGS, WINDOW, block, frame, number, request, settings, upload,
};
use super::{Case, plays};
use crate::support::{Gate, Scripted, Start};

pub fn cases() -> Vec<Case> {
    vec![
        plays("a flood of pings", "CVE-2019-9512 (Ping Flood)", || idle(&frame(PING, 0, 0, &[0; 8]))),
        plays("a flood of answers to pings", "CVE-2019-9512 (Ping Flood)", || idle(&frame(PING, ACK, 0, &[0; 8]))),
        plays("a flood of settings", "CVE-2019-9515 (Settings Flood)", || idle(&frame(SETTINGS, 0, 0, &[]))),
        plays("a flood of settings that change the window", "CVE-2019-9515 (Settings Flood)", || {
            idle(
                &[frame(SETTINGS, 0, 0, &settings(&[(4, 0)])), frame(SETTINGS, 0, 0, &settings(&[(4, 65_535)]))]
                    .concat(),
            );
        }),
        plays("a flood of priorities", "CVE-2019-9513 (Resource Loop)", || {
            idle(&frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]))
        }),
        plays("a flood of unknown frames", "RFC 9113 section 10.5", || idle(&frame(0x42, 0, 0, &[]))),
        plays("a flood of windows", "RFC 9113 section 10.5: small increments", || {
            idle(&frame(WINDOW, 0, 0, &[0, 0, 0, 1]))
        }),
        plays("streams taken back at once", "CVE-2023-44487 (Rapid Reset)", || {
            flood(&nothing(), |n| [request(stream(n), &GET), frame(RESET, 0, stream(n), CANCEL)].concat(), CALM);
        }),
        plays("streams taken back one after the other", "CVE-2023-44487 (Rapid Reset)", taken_back_slowly),
        plays("resets provoked by windows of nothing", "CVE-2025-8671 (MadeYouReset)", || {
            flood(&nothing(), |n| [upload(stream(n), &[]), frame(WINDOW, 0, stream(n), &[0; 4])].concat(), ANY);
        }),
        plays("resets provoked by windows too large", "CVE-2025-8671 (MadeYouReset)", || {
            flood(
                &nothing(),
                |n| [upload(stream(n), &[]), frame(WINDOW, 0, stream(n), &[0x7f, 0xff, 0xff, 0xff])].concat(),
                CALM,
            );
        }),
        plays("resets provoked by bodies beyond their length", "CVE-2025-8671 (MadeYouReset)", || {
            let body = |n| {
                [upload(stream(n), &[("content-length", "1")]), frame(DATA, END_STREAM, stream(n), b"hello")].concat()
            };
            flood(&nothing(), body, CALM);
        }),
        plays(
            "resets provoked by bodies behind the end",
            "CVE-2025-8671 (MadeYouReset); RFC 9113 section 5.1: half-closed",
            || {
                flood(&nothing(), |n| [request(stream(n), &GET), frame(DATA, 0, stream(n), b"hello")].concat(), ANY);
            },
        ),
        plays("resets provoked by malformed heads", "CVE-2025-8671 (MadeYouReset)", || {
            flood(&nothing(), |n| request(stream(n), &[&GET[..], &[("connection", "close")]].concat()), CALM);
        }),
        plays("a head without end", "VU#421644 (CONTINUATION Flood); RUSTSEC-2024-0332", || {
            let field = block(&[("x", &"y".repeat(1000))]);
            flood(
                &nothing(),
                |n| {
                    if n == 0 { frame(HEADERS, END_STREAM, 1, &block(&GET)) } else { frame(CONTINUATION, 0, 1, &field) }
                },
                ANY,
            );
        }),
        plays("a head of nothing without end", "VU#421644 (CONTINUATION Flood)", || {
            flood(
                &nothing(),
                |n| if n == 0 { frame(HEADERS, END_STREAM, 1, &block(&GET)) } else { frame(CONTINUATION, 0, 1, &[]) },
                ANY,
            );
        }),
        plays("empty data without end", "CVE-2019-9518 (Empty Frames Flood); RUSTSEC-2026-0258", || {
            flood(&nothing(), |n| if n == 0 { upload(1, &[]) } else { frame(DATA, 0, 1, &[]) }, CALM);
        }),
        plays("padding without end", "CVE-2019-9518 (Empty Frames Flood); RFC 9113 section 10.7", || {
            let padding = [&[255][..], &[0; 255]].concat();
            flood(&nothing(), |n| if n == 0 { upload(1, &[]) } else { frame(DATA, PADDED, 1, &padding) }, ANY);
        }),
        plays("empty heads without end", "CVE-2019-9516 (0-Length Headers Leak)", || {
            flood(&nothing(), |n| frame(HEADERS, END_HEADERS | END_STREAM, stream(n), &block(&[("", "")])), ANY);
        }),
        plays("a bomb of compression", "CVE-2016-6581 (HPACK Bomb)", bomb),
        plays("a head of too many fields", "RFC 9113 section 10.5.1", || too_large(&many(200))),
        plays("a head of a megabyte", "RFC 9113 section 10.5.1; CWE-770", || {
            let line = "y".repeat(16_000);
            let field = [("x", &*line)];
            let more: Vec<_> = (0..64)
                .flat_map(|n| frame(CONTINUATION, if n == 63 { END_HEADERS } else { 0 }, 1, &block(&field)))
                .collect();
            bounded([frame(HEADERS, END_STREAM, 1, &block(&GET)), more].concat());
        }),
        plays("a table as large as it gets", "RFC 7541 section 4.2; CVE-2019-9516", greedy),
        plays("more streams than there may be", "RFC 9113 section 5.1.2", too_many_streams),
    ]
}

const CANCEL: &[u8] = &[0, 0, 0, 8];
const CALM: &[Reason] = &[Reason::ENHANCE_YOUR_CALM];
/// h2 has its own opinion of which error comes first.
const ANY: &[Reason] =
    &[Reason::ENHANCE_YOUR_CALM, Reason::PROTOCOL_ERROR, Reason::COMPRESSION_ERROR, Reason::STREAM_CLOSED];
/// Rounds of a flood after which it must have ended; a thousand are enough for each.
const MOST: u32 = 20_000;

fn stream(n: u32) -> u32 {
    2 * n + 1
}

fn many(number: usize) -> Vec<(String, String)> {
    (0..number).map(|n| (format!("x-{n}"), "1".to_owned())).collect()
}

/// A gate before an upstream that takes what it gets and says nothing.
#[track_caller]
fn nothing() -> (Gate, Scripted) {
    let upstream = Scripted::start();
    // Rounds are a second apart, as with the defaults: that is how long a flood may go on at its rate.
    (Start::before(upstream.address).set("workers", "1").start(), upstream)
}

/// Frames that ask for nothing.
#[track_caller]
fn idle(frames: &[u8]) {
    flood(&nothing(), |_| frames.to_vec(), CALM);
}

/// Says one after the other until the connection is closed, for one of these reasons.
#[track_caller]
fn flood((gate, _upstream): &(Gate, Scripted), frames: impl Fn(u32) -> Vec<u8>, reasons: &[Reason]) {
    let before = gate.memory();
    let mut line = Line::open(gate.address, &[]);
    let mut mouth = line.mouth();
    let all: Vec<Vec<u8>> = (0..MOST).map(&frames).collect();
    let talking = thread::spawn(move || all.chunks(50).all(|some| mouth.write_all(&some.concat()).is_ok()));
    let away = loop {
        match line.hear() {
            Some(Heard::Away(reason)) => break Some(reason),
            Some(_) => {}
            None => break None,
        }
    };
    assert!(away.is_some_and(|reason| reasons.contains(&reason)), "{away:?}");
    drop(line);
    talking.join().unwrap();
    unharmed(gate, before);
}

/// Others are served, and nothing was hoarded.
#[track_caller]
fn unharmed(gate: &Gate, before: usize) {
    assert_eq!(gate.get("/3rdparty/v1/messages").send().status, 401);
    let grown = gate.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
}

/// Each is judged and on its way before it is taken back, so that h2 has nothing to count.
#[track_caller]
fn taken_back_slowly() {
    let (gate, _upstream) = nothing();
    let mut line = Line::open(gate.address, &[]);
    for n in 0..2000 {
        let path = [GET[0], GET[1], GET[2], (":path", "/mobile/v1/x")];
        line.say(&[request(stream(n), &path), frame(PING, 0, 0, &[1; 8])].concat());
        // The answer to the ping says that the request was read.
        let away = loop {
            match line.frame() {
                Some(word) if word.kind == PING => break None,
                Some(word) if word.kind == super::wire::GO_AWAY => break Some(word.payload[7]),
                Some(_) => {}
                None => panic!("closed without a word"),
            }
        };
        if let Some(reason) = away {
            assert_eq!(u32::from(reason), u32::from(Reason::ENHANCE_YOUR_CALM));
            assert!(n > 100, "a client that changes its mind {n} times is cut off");
            return assert_eq!(gate.get("/3rdparty/v1/messages").send().status, 401);
        }
        line.say(&frame(RESET, 0, stream(n), CANCEL));
    }
    panic!("nobody minds");
}

/// Refused with 431, or not read to its end.
#[track_caller]
fn too_large(fields: &[(String, String)]) {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    bounded(request(1, &[&GET, &*fields].concat()));
}

#[track_caller]
fn bounded(frames: Vec<u8>) {
    let (gate, upstream) = nothing();
    let before = gate.memory();
    let mut line = Line::open(gate.address, &[]);
    line.say(&frames);
    let heard = line.hear();
    assert!(matches!(heard, Some(Heard::Status(1, 431) | Heard::Reset(1, _) | Heard::Away(_))), "{heard:?}");
    unharmed(&gate, before);
    upstream.expect_nobody();
}

/// One large field goes into the table, and is then said in a byte, thousands of times.
#[track_caller]
fn bomb() {
    let mut head = block(&GET);
    head.push(0x40);
    for text in ["x", &"y".repeat(3900)] {
        number(&mut head, 0, 7, text.len());
        head.extend_from_slice(text.as_bytes());
    }
    head.extend([0xbe; 10_000]);
    bounded(frame(HEADERS, END_HEADERS | END_STREAM, 1, &head));
}

/// The client would remember every answer's fields. So would the gate, if it believed that.
#[track_caller]
fn greedy() {
    let (gate, _upstream) = nothing();
    let mut line = Line::open(gate.address, &[(1, u32::MAX)]);
    line.say(&frame(WINDOW, 0, 0, &[0x7f, 0, 0, 0]));
    let refused = |n| request(stream(n), &[GET[0], GET[1], GET[2], (":path", "/3rdparty/v1/messages")]);
    let ask = |line: &mut Line, n| {
        line.say(&refused(n));
        line.hear().expect("an answer");
    };
    (0..100).for_each(|n| ask(&mut line, n));
    let before = gate.memory();
    (100..3000).for_each(|n| ask(&mut line, n));
    let grown = gate.memory().saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes more");
}

#[track_caller]
fn too_many_streams() {
    let (gate, _upstream) = nothing();
    let mut line = Line::open(gate.address, &[]);
    line.say(&(0..129).flat_map(|n| upload(stream(n), &[])).collect::<Vec<_>>());
    assert_eq!(line.hear(), Some(Heard::Reset(stream(128), Reason::REFUSED_STREAM)));
}

#[test]
fn floods_are_dammed() {
    play(cases());
}
