//! An upstream of HTTP/2 that a test plays by hand, frame by frame.

use crate::support::Leg;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
/// `:status: 200`, from the static table.
const OK: &[u8] = &[0x88];

pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn ends(&self) -> bool {
        self.flags & END_STREAM != 0
    }

    /// The code that a stream was reset with.
    pub fn code(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads the gate's preface and says how many streams there may be at once.
#[track_caller]
pub fn greet(leg: &mut Leg, streams: u32) {
    greet_with(leg, &[(3, streams)]);
}

/// The same with any settings.
#[track_caller]
pub fn greet_with(leg: &mut Leg, settings: &[(u16, u32)]) {
    assert_eq!(leg.take(24), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let setting = |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    leg.send(frame(SETTINGS, 0, 0, &settings.iter().flat_map(setting).collect::<Vec<_>>()));
}

#[track_caller]
pub fn any(leg: &mut Leg) -> Frame {
    let head = leg.take(9);
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    let payload = leg.take(number(&head[..3]) as usize);
    Frame { kind: head[3], flags: head[4], stream: number(&head[5..9]), payload }
}

/// The next frame of a kind; others before it do not matter.
#[track_caller]
pub fn next(leg: &mut Leg, kind: u8) -> Frame {
    loop {
        let frame = any(leg);
        if frame.kind == kind {
            return frame;
        }
    }
}

/// The next request, to its end; its stream.
#[track_caller]
pub fn request(leg: &mut Leg) -> u32 {
    let head = next(leg, HEADERS);
    let mut ended = head.ends();
    while !ended {
        let frame = any(leg);
        ended = frame.stream == head.stream && matches!(frame.kind, DATA | HEADERS) && frame.ends();
    }
    head.stream
}

pub fn answer(leg: &mut Leg, stream: u32, body: &str) {
    leg.send(frame(HEADERS, END_HEADERS, stream, OK));
    leg.send(frame(DATA, END_STREAM, stream, body.as_bytes()));
}

pub fn begin(leg: &mut Leg, stream: u32, body: &str) {
    leg.send(frame(HEADERS, END_HEADERS, stream, OK));
    leg.send(frame(DATA, 0, stream, body.as_bytes()));
}

pub fn reset(leg: &mut Leg, stream: u32, code: u32) {
    leg.send(frame(RST_STREAM, 0, stream, &code.to_be_bytes()));
}

/// Says that nothing behind `last` was looked at.
pub fn goaway(leg: &mut Leg, last: u32) {
    goaway_with(leg, last, 0);
}

pub fn goaway_with(leg: &mut Leg, last: u32, code: u32) {
    leg.send(frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat()));
}
