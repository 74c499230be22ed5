//! A request's place in a trace (W3C Trace Context, `traceparent` and `tracestate`).
//!
//! Guarantees: what goes on is a valid `traceparent` with a parent of our own making; a `tracestate` goes on only beside
//! the trace it belongs to; making one costs no allocation and no system call.
//! Does not know: who records traces. The gate records none, and so decides of none that somebody else has begun whether it
//! is sampled.

use std::cell::Cell;

use http::HeaderMap;
use http::header::HeaderName;

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` trace `-` parent `-` flags, in hexadecimal digits.
const LENGTH: usize = 55;
const ID: std::ops::Range<usize> = 3..35;
const PARENT: std::ops::Range<usize> = 36..52;
const FLAGS: std::ops::Range<usize> = 53..55;
/// Of those that the specification defines: sampled, and that the id is random.
const KNOWN_FLAGS: u8 = 3;
/// As roots are sampled by what OpenTelemetry does unless it is told otherwise.
const SAMPLED: u8 = 1;

/// What is done about traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracing {
    /// Nothing: both fields are fields like any other.
    Off,
    /// What a client has begun goes on.
    Continue,
    /// And what nobody has begun begins here.
    Start,
}

/// One request's place in a trace: what the upstream gets as `traceparent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    text: [u8; LENGTH],
    /// Whatever `tracestate` there is belongs to another one.
    begun_here: bool,
}

/// Finds and makes the traces of one worker's requests.
#[derive(Debug)]
pub struct Traces {
    tracing: Tracing,
    /// Never the same twice in this process; the sequence is spread by [`spread`].
    next: Cell<u64>,
    /// The other half of the ids that begin here.
    own: u64,
}

impl Traces {
    pub fn new(tracing: Tracing) -> Self {
        let mut seed = [0; 16];
        // Without randomness ids are the same in each process: they are for finding things, nothing depends on them.
        let _ = aws_lc_rs::rand::fill(&mut seed);
        let (a, b) = seed.split_at(8);
        let number = |half: &[u8]| half.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Self { tracing, next: Cell::new(number(a)), own: number(b) }
    }

    /// The trace that a request with these headers is part of.
    pub fn of(&self, headers: &HeaderMap) -> Option<Trace> {
        if self.tracing == Tracing::Off {
            return None;
        }
        let mut fields = headers.get_all(TRACEPARENT).iter();
        let begun = match (fields.next(), fields.next()) {
            (Some(field), None) => Trace::read(field.as_bytes()),
            _ => None,
        };
        match (begun, self.tracing) {
            (Some(mut trace), _) => {
                trace.put(PARENT, self.id());
                Some(trace)
            }
            (None, Tracing::Start) => Some(self.begin()),
            (None, Tracing::Continue | Tracing::Off) => None,
        }
    }

    fn begin(&self) -> Trace {
        let mut trace = Trace { text: [b'-'; LENGTH], begun_here: true };
        trace.text[..2].copy_from_slice(b"00");
        let id = self.id();
        trace.put(ID.start..ID.start + 16, spread(self.own ^ id.rotate_left(32)));
        trace.put(ID.start + 16..ID.end, id);
        trace.put(PARENT, self.id());
        trace.put(FLAGS, u64::from(SAMPLED));
        trace
    }

    /// Never zero, which would be no id.
    fn id(&self) -> u64 {
        loop {
            let next = self.next.get();
            self.next.set(next.wrapping_add(1));
            match spread(next) {
                0 => {}
                id => return id,
            }
        }
    }
}

impl Trace {
    /// What a client says, if it is valid: of this version, or of a later one that begins like this.
    fn read(field: &[u8]) -> Option<Self> {
        let text: [u8; LENGTH] = *field.first_chunk()?;
        let (version, rest) = (hex(&text[..2])?, field.get(LENGTH..)?);
        let whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => matches!(rest.first(), None | Some(b'-')),
        };
        let dashes = [2, 35, 52].iter().all(|at| text[*at] == b'-');
        let digits = text[ID].iter().chain(&text[PARENT]).all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let zero = |range: std::ops::Range<usize>| text[range].iter().all(|byte| *byte == b'0');
        if !whole || !dashes || !digits || zero(ID) || zero(PARENT) {
            return None;
        }
        let flags = hex(&text[FLAGS])? & KNOWN_FLAGS;
        let mut trace = Self { text, begun_here: false };
        trace.text[..2].copy_from_slice(b"00");
        trace.put(FLAGS, u64::from(flags));
        Some(trace)
    }

    /// 32 hexadecimal digits.
    pub fn id(&self) -> &str {
        // All of it is ASCII.
        str::from_utf8(&self.text[ID]).unwrap_or_default()
    }

    /// What goes on.
    pub(super) fn parent(&self) -> &[u8] {
        &self.text
    }

    /// Whether a field of the client's ends here.
    pub(super) fn replaces(&self, name: &HeaderName) -> bool {
        *name == TRACEPARENT || (self.begun_here && *name == TRACESTATE)
    }

    /// Writes the last digits of a number.
    fn put(&mut self, place: std::ops::Range<usize>, mut number: u64) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        for digit in self.text[place].iter_mut().rev() {
            *digit = HEX[(number & 15) as usize];
            number >>= 4;
        }
    }
}

/// Two digits. Capital ones are not valid.
fn hex(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | digit)
    })
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014): one to one, so that what goes in once comes out once.
fn spread(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(fields: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(TRACEPARENT, field.parse().unwrap());
        }
        headers
    }

    fn text(trace: &Trace) -> &str {
        str::from_utf8(trace.parent()).unwrap()
    }

    #[test]
    fn what_was_begun_goes_on_with_a_parent_of_ours() {
        for tracing in [Tracing::Continue, Tracing::Start] {
            let trace = Traces::new(tracing).of(&headers(&[GIVEN])).unwrap();
            assert_eq!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_eq!((&text(&trace)[..36], &text(&trace)[52..]), (&GIVEN[..36], "-01"));
            assert_ne!(text(&trace), GIVEN);
            assert_eq!(Trace::read(trace.parent()), Some(trace.clone()));
            assert!(trace.replaces(&TRACEPARENT) && !trace.replaces(&TRACESTATE));
        }
        assert_eq!(Traces::new(Tracing::Off).of(&headers(&[GIVEN])), None);
    }

    #[test]
    fn of_other_versions_and_flags_what_is_known_goes_on() {
        for (given, flags) in [
            (GIVEN.replace("-01", "-00"), "-00"),
            (GIVEN.replace("-01", "-ff"), "-03"),
            (GIVEN.replacen("00-", "01-", 1), "-01"),
            (GIVEN.replacen("00-", "fe-", 1) + "-what-comes-later", "-01"),
        ] {
            let trace = Traces::new(Tracing::Continue).of(&headers(&[&given])).unwrap();
            assert!(text(&trace).starts_with("00-4bf9") && text(&trace).ends_with(flags), "{given}");
        }
    }

    #[test]
    fn what_is_not_valid_does_not_go_on() {
        let wrong = [
            String::new(),
            GIVEN.to_uppercase(),
            GIVEN[1..].into(),
            format!("{GIVEN}0"),
            format!("{GIVEN}-x"),
            format!("{} ", &GIVEN[..54]),
            GIVEN.replacen("00-", "ff-", 1),
            GIVEN.replacen("00-", "0x-", 1),
            GIVEN.replacen("00-", "01-", 1) + "x",
            GIVEN.replace('-', "_"),
            GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GIVEN.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GIVEN.replace("4bf", "4Bf"),
            GIVEN.replace("-01", "-0g"),
        ];
        for wrong in &wrong {
            assert_eq!(Traces::new(Tracing::Continue).of(&headers(&[wrong])), None, "{wrong}");
            let begun = Traces::new(Tracing::Start).of(&headers(&[wrong])).unwrap();
            assert!(begun.replaces(&TRACESTATE) && Trace::read(begun.parent()).is_some(), "{wrong}");
            assert!(!text(&begun).contains("4bf92f3577b34da6a3ce929d0e0e4736"));
        }
        assert_eq!(Traces::new(Tracing::Continue).of(&headers(&[GIVEN, GIVEN])), None);
        assert_eq!(Traces::new(Tracing::Continue).of(&headers(&[])), None);
    }

    #[test]
    fn no_id_comes_twice() {
        let traces = Traces::new(Tracing::Start);
        let (mut ids, mut parents) = (HashSet::new(), HashSet::new());
        for _ in 0..10_000 {
            let trace = traces.of(&headers(&[])).unwrap();
            assert!(ids.insert(trace.id().to_owned()));
            assert!(parents.insert(text(&trace)[PARENT].to_owned()));
            assert!(text(&trace).ends_with("-01"));
        }
    }
}
