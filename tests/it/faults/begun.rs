//! Faults of answers whose head is in order.

use super::{Cut, End, Fault, Outcome, Played, Refused, Whole, all, body, nothing};

const LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
const CHUNKS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
const STOLEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen";

/// An answer that is there and nothing else is.
const fn heard(text: &'static str) -> [Outcome; 3] {
    body(Whole(200, text), 200)
}

pub(super) fn faults() -> Vec<Fault> {
    let cut = || body(Cut(200), 200);
    vec![
        Fault::new("a body cut short", |it| it.say_and_wait(LENGTH), End::Closes, cut()),
        Fault::new("a body reset", |it| it.say_and_wait(LENGTH), End::Resets, cut()),
        Fault::new("a body half-closed", |it| it.say_and_wait(LENGTH), End::HalfCloses, cut()),
        Fault::new("a body that falls silent", |it| it.say(LENGTH), End::Waits, cut()).hasty(),
        Fault::new("chunks cut short", |it| it.say_and_wait(CHUNKS), End::Closes, cut()),
        Fault::new("chunks reset", |it| it.say_and_wait(CHUNKS), End::Resets, cut()),
        Fault::new("chunks that fall silent", |it| it.say(CHUNKS), End::Waits, cut()).hasty(),
        Fault::new("chunks without the last line", |it| it.say(format!("{CHUNKS}0\r\n")), End::Closes, cut()),
        Fault::new("a chunk without a size", |it| it.say(format!("{CHUNKS}\r\nhello")), End::Waits, cut()),
        Fault::new("a chunk longer than its size", |it| it.say(format!("{CHUNKS}2\r\nhello\r\n")), End::Waits, cut()),
        Fault::new("a size beyond 64 bits", |it| it.say(format!("{CHUNKS}10000000000000000\r\n")), End::Waits, cut()),
        Fault::new("extensions without end", |it| it.say(format!("{CHUNKS}5;{}", "x".repeat(9000))), End::Waits, cut()),
        Fault::new("trailers without end", endless_trailers, End::Waits, cut()),
        Fault::new(
            "a reset where only the end tells",
            |it| it.say_and_wait("HTTP/1.1 200 OK\r\n\r\nhello"),
            End::Resets,
            cut(),
        ),
        Fault::new(
            "the end where only the end tells",
            |it| it.say("HTTP/1.1 200 OK\r\n\r\nhello"),
            End::Closes,
            heard("hello"),
        ),
        Fault::new(
            "a body longer than its length",
            |it| it.say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello, world"),
            End::Waits,
            heard("hello"),
        ),
        Fault::new(
            "bytes behind the last chunk",
            |it| it.say(format!("{CHUNKS}0\r\n\r\nworld")),
            End::Waits,
            heard("hello"),
        ),
        Fault::new(
            "two answers in one packet",
            |it| it.say(format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello{STOLEN}")),
            End::Waits,
            heard("hello"),
        ),
        Fault::new(
            "a 204 with a body",
            |it| it.say("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello"),
            End::Waits,
            all(Whole(204, "")),
        ),
        Fault::new(
            "a 204 and an answer to nobody",
            |it| it.say(format!("HTTP/1.1 204 No Content\r\n\r\n{STOLEN}")),
            End::Waits,
            all(Whole(204, "")),
        ),
        Fault::new(
            "a 304 with a body",
            |it| it.say("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello"),
            End::Waits,
            all(Whole(304, "")),
        ),
        Fault::new("a 204", |it| it.say("HTTP/1.1 204 No Content\r\n\r\n"), End::GoesOn, all(Whole(204, ""))).sound(),
        Fault::new(
            "a 304",
            |it| it.say("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
            End::GoesOn,
            all(Whole(304, "")),
        )
        .sound(),
        Fault::new("a body to HEAD", head_with_body, End::Waits, heard("hello")),
        Fault::new(
            "the same length twice",
            |it| it.say_for_method("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n", "hello"),
            End::GoesOn,
            heard("hello"),
        )
        .sound(),
        Fault::new(
            "a length beside chunks",
            |it| {
                it.say_for_method(
                    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
                    "5\r\nhello\r\n0\r\n\r\n",
                )
            },
            End::Waits,
            heard("hello"),
        ),
        Fault::new(
            "closing without having said so",
            |it| it.say_for_method("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "hello"),
            End::Closes,
            heard("hello"),
        ),
        Fault::new(
            "half-closing behind an answer",
            |it| it.say_for_method("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "hello"),
            End::HalfCloses,
            heard("hello"),
        ),
        Fault::new(
            "a refusal before the body",
            |it| it.say_for_method("HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 5\r\n\r\n", "large"),
            End::Waits,
            body(Whole(413, "large"), 413),
        )
        .early(),
        Fault::new(
            "a refusal before the body, and closed over it",
            |it| it.say_for_method("HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 5\r\n\r\n", "large"),
            End::HalfCloses,
            body(Whole(413, "large"), 413),
        )
        .early(),
        Fault::new(
            "an answer before the body",
            |it| it.say_for_method("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "early"),
            End::Reads,
            heard("early"),
        )
        .early(),
        Fault::new("neither an answer nor a reader of the body", nothing, End::Waits, all(Refused(504)))
            .early()
            .hasty(),
    ]
}

fn head_with_body(it: &mut Played) {
    // At once: what comes behind an answer later is only found when it comes.
    let behind = if it.is_head() { STOLEN } else { "x" };
    it.say(format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello{behind}"));
}

fn endless_trailers(it: &mut Played) {
    it.say(format!("{CHUNKS}0\r\n"));
    it.go_on(|n| format!("x-{n}: {n}\r\n"));
}
