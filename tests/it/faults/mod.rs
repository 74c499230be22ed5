//! What an upstream can do wrong, by name: for each fault, with every method and from clients of either protocol, the
//! client hears what is true, its connection is as good as before or closed in order, nothing reaches the upstream twice
//! that may not, no damaged connection is used again, and nothing is left behind: no connection, no descriptor, no task.
//! docs/operations.md tells operators the same in words.

mod begun;
mod client;
mod heads;
mod stage;
mod uplink;

use uplink::{End, Played};

/// One thing that an upstream does.
struct Fault {
    name: &'static str,
    when: When,
    /// What it sends; the request's head has been read, and its body too unless it is `early`.
    play: fn(&mut Played),
    then: End,
    /// What becomes of GET, POST and HEAD.
    becomes: [Outcome; 3],
    /// Answers before it has read the request.
    early: bool,
    /// The gate has little patience.
    hasty: bool,
    /// The connection may serve another request.
    sound: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum When {
    /// Before a byte is read.
    Accepted,
    /// To the first request on a connection.
    Asked,
    /// To the second request on a connection, whose first one was answered.
    Kept,
    /// After an answer, while no request is there.
    Idle,
    /// Nobody listens.
    Never,
}

/// What a client hears.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// A refusal of the gate's, once.
    Refused(u16),
    /// An answer with this status and this body.
    Whole(u16, &'static str),
    /// The same, but it took a second attempt.
    Again,
    /// An answer with this status that never comes to its end.
    Cut(u16),
}

use Outcome::{Again, Cut, Refused, Whole};

const fn all(outcome: Outcome) -> [Outcome; 3] {
    [outcome; 3]
}

/// The body of GET and POST; HEAD is answered whole with the head.
const fn body(outcome: Outcome, head: u16) -> [Outcome; 3] {
    [outcome, outcome, Whole(head, "")]
}

impl Fault {
    fn new(name: &'static str, play: fn(&mut Played), then: End, becomes: [Outcome; 3]) -> Self {
        Self { name, when: When::Asked, play, then, becomes, early: false, hasty: false, sound: false }
    }

    fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    fn early(self) -> Self {
        Self { early: true, ..self }
    }

    fn hasty(self) -> Self {
        Self { hasty: true, ..self }
    }

    fn sound(self) -> Self {
        Self { sound: true, ..self }
    }
}

/// Every fault of the table.
fn table() -> Vec<Fault> {
    [heads::faults(), begun::faults()].into_iter().flatten().collect()
}

/// Says nothing.
fn nothing(_: &mut Played) {}

#[test]
fn whatever_the_upstream_does_the_client_hears_the_truth_and_nothing_is_left_behind() {
    stage::play(table());
}
