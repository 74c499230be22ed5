//! A WebSocket and a stream of events that go on for long, and end within a second of being revoked.
//!
//! For some seconds here; for as many as `PORTCULLIS_SOAK_SECONDS` says, with `make soak`.

use std::time::{Duration, Instant};

use super::real::{TEXT, echo, frame, open, read_frame};
use super::{PATH, revoke, soon};
use crate::support::{Connection, Start, refresh};

#[test]
fn a_websocket_and_a_stream_of_events_last_and_end_when_revoked() {
    let lasts = std::env::var("PORTCULLIS_SOAK_SECONDS").map_or(5, |secs| secs.parse().unwrap());
    // Tokens that run out many times meanwhile.
    let gate = Start::before(echo()).set("token.leeway", "0s").set("token.access_ttl", "3s").start();
    let mut pair = gate.alice(&["messages:list"]);
    let token = pair.field("access_token");
    let mut socket = open(&gate, &token);
    let mut events = Connection::open(gate.address);
    events.write(&gate.get(PATH).bearer(&token).raw());
    events.until(b"\r\n\r\n");
    let (start, mut refreshed, mut echoed) = (Instant::now(), Instant::now(), 0_u64);
    let before = gate.memory();
    while start.elapsed() < Duration::from_secs(lasts) {
        let message = format!("message {echoed}").into_bytes();
        socket.write(&frame(TEXT, &message, Some([9, 8, 7, 6])));
        assert_eq!(read_frame(socket.reader()), Some((TEXT, message)));
        // One comes every tenth of a second, and paces all of this. Several that came at once may be one chunk.
        events.until(format!("data: {echoed}\n\n").as_bytes());
        echoed += 1;
        if refreshed.elapsed() > Duration::from_secs(1) {
            pair = refresh(&gate, &pair).expect(200);
            refreshed = Instant::now();
        }
    }
    let grown = gate.memory().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes");
    revoke(&gate, &pair);
    soon("the end", || {
        socket.rest();
        events.rest();
    });
    println!("{echoed} messages and events over {lasts} s, {grown} bytes of growth");
}
