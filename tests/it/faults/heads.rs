//! Faults before the client has anything of an answer.

use super::{Again, End, Fault, Played, Refused, When, Whole, all, nothing};

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

pub(super) fn faults() -> Vec<Fault> {
    let garbled = || all(Refused(502));
    let repeated = || [Again, Refused(502), Again];
    vec![
        Fault::new("nobody listens", nothing, End::Closes, all(Refused(502))).when(When::Never),
        Fault::new("accepted and closed at once", nothing, End::Closes, all(Refused(502))).when(When::Accepted),
        Fault::new("accepted and reset at once", nothing, End::Resets, all(Refused(502))).when(When::Accepted),
        Fault::new("closed without a byte", nothing, End::Closes, all(Refused(502))),
        Fault::new("reset without a byte", nothing, End::Resets, all(Refused(502))),
        Fault::new("half-closed without a byte", nothing, End::HalfCloses, all(Refused(502))),
        Fault::new("closed without a byte, on a kept connection", nothing, End::Closes, repeated()).when(When::Kept),
        Fault::new("reset without a byte, on a kept connection", nothing, End::Resets, repeated()).when(When::Kept),
        Fault::new("a kept connection closed between requests", nothing, End::Closes, all(Whole(200, "fine")))
            .when(When::Idle),
        Fault::new("a kept connection reset between requests", nothing, End::Resets, all(Whole(200, "fine")))
            .when(When::Idle),
        Fault::new("an answer to nobody on a kept connection", |it| it.say(FINE), End::Waits, all(Whole(200, "fine")))
            .when(When::Idle),
        Fault::new("half a status line and the end", |it| it.say("HTTP/1.1 20"), End::Closes, all(Refused(502))),
        Fault::new(
            "half a head and the end",
            |it| it.say("HTTP/1.1 200 OK\r\nx: 1\r\n"),
            End::Closes,
            all(Refused(502)),
        ),
        Fault::new(
            "half a head and a reset",
            |it| it.say("HTTP/1.1 200 OK\r\nx: 1\r\n"),
            End::Resets,
            all(Refused(502)),
        ),
        Fault::new(
            "half a head and a reset, on a kept connection",
            |it| it.say("HTTP/1.1 2"),
            End::Resets,
            all(Refused(502)),
        )
        .when(When::Kept),
        Fault::new("garbage", |it| it.say("\x15\x03\x01\0\x02\x02\x28 and more of it"), End::Waits, garbled()),
        Fault::new("garbage on a kept connection", |it| it.say("\0\0\0\0\0\0\0\0"), End::Waits, garbled())
            .when(When::Kept),
        Fault::new("fields without end", endless_fields, End::Waits, garbled()),
        Fault::new("one field without end", endless_field, End::Waits, garbled()),
        Fault::new("interim answers without end", interim, End::Waits, garbled()),
        Fault::new("interim answers without end, one by one", interim_one_by_one, End::Waits, garbled()),
        Fault::new("a few interim answers", few_interim, End::GoesOn, all(Whole(200, "fine"))).sound(),
        Fault::new("silence", nothing, End::Waits, all(Refused(504))).hasty(),
        Fault::new("silence on a kept connection", nothing, End::Waits, all(Refused(504))).when(When::Kept).hasty(),
        Fault::new("silence after half a head", |it| it.say("HTTP/1.1 200 OK\r\nx: "), End::Waits, all(Refused(504)))
            .hasty(),
        Fault::new("silence after an interim answer", |it| it.say(INTERIM), End::Waits, all(Refused(504))).hasty(),
        Fault::new("a head byte by byte, without end", slow_head, End::Waits, all(Refused(504))).hasty(),
        Fault::new("a 101 that nobody asked for", |it| it.say(SWITCHED), End::Waits, garbled()),
        Fault::new("differing lengths", |it| it.say(lengths("5", "6")), End::Waits, garbled()),
        Fault::new("a length that is none", |it| it.say(lengths("-5", "-5")), End::Waits, garbled()),
        Fault::new("another coding than chunks", |it| it.say(coded("gzip, chunked")), End::Waits, garbled()),
        Fault::new("chunks twice", |it| it.say(coded("chunked, chunked")), End::Waits, garbled()),
    ]
}

const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nsmuggled";

fn lengths(one: &str, other: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {one}\r\ncontent-length: {other}\r\n\r\nhello!")
}

fn coded(coding: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {coding}\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
}

fn endless_fields(it: &mut Played) {
    it.say("HTTP/1.1 200 OK\r\n");
    it.go_on(|n| format!("x-{n}: {n}\r\n"));
}

fn endless_field(it: &mut Played) {
    it.say("HTTP/1.1 200 OK\r\nx: ");
    it.go_on(|_| "y".repeat(4096));
}

fn few_interim(it: &mut Played) {
    it.say_for_method(INTERIM.repeat(20) + "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", "fine");
}

fn interim(it: &mut Played) {
    it.go_on(|_| INTERIM.repeat(100));
}

fn interim_one_by_one(it: &mut Played) {
    it.go_on(|_| INTERIM.into());
}

/// Each byte is a sign of life, and none of them is an answer.
fn slow_head(it: &mut Played) {
    it.say("HTTP/1.1 200 OK\r\nx: ");
    it.go_on(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        "y".into()
    });
}
