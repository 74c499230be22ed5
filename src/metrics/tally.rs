//! What one worker counts.
//!
//! Guarantees: only the worker writes, so counting is a load and a store, on lines of memory that no other core writes;
//! what it takes is known from the start and does not grow with what clients or upstreams send.
//! Does not know: names.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;

use super::histogram::Histogram;
use super::rules::RuleNumber;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The upstream has answered.
    Forwarded,
    /// One of our endpoints has.
    Answered,
    Refused,
}

impl Decision {
    pub(super) const ALL: [Self; 3] = [Self::Forwarded, Self::Answered, Self::Refused];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Answered => "answered",
            Self::Refused => "refused",
        }
    }
}

/// Statuses with a number of their own. Any other counts as the first of its hundred that is not, for upstreams may say
/// what they like.
const STATUSES: [u16; 45] = [
    100, 101, 200, 201, 202, 203, 204, 206, 207, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406,
    408, 409, 410, 411, 412, 413, 414, 415, 416, 421, 422, 423, 425, 429, 431, 451, 500, 501, 502, 503, 504, 599,
];

/// The counts of one rule.
#[derive(Debug)]
struct OfRule {
    requests: [[Count; STATUSES.len()]; Decision::ALL.len()],
    /// From the request's leaving to the head of the answer.
    upstream: Histogram,
}

/// A number that one thread writes.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

#[derive(Debug, Default)]
pub struct Tally {
    rules: Box<[OfRule]>,
    /// Refusals are few, or dear enough for a lock that nobody else wants but a reader now and then.
    refusals: Mutex<BTreeMap<(usize, &'static str), u64>>,
    /// Access tokens that were known from the last time, and those that had to be verified.
    pub tokens_known: Count,
    pub tokens_verified: Count,
    pub connections_opened: Count,
    pub connections_closed: Count,
    /// For want of room.
    pub connections_turned_away: Count,
    /// Of TLS with clients.
    pub handshakes_begun: Count,
    pub handshakes_done: Count,
}

impl Count {
    pub fn add(&self, more: u64) {
        // No other thread writes.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tally {
    pub(super) fn new(rules: usize) -> Self {
        let of_rule = || OfRule {
            requests: std::array::from_fn(|_| std::array::from_fn(|_| Count::default())),
            upstream: Histogram::default(),
        };
        Self { rules: (0..rules).map(|_| of_rule()).collect(), ..Self::default() }
    }

    /// For how many rules there is room.
    pub(super) fn room(&self) -> usize {
        self.rules.len()
    }

    pub fn request(&self, rule: RuleNumber, decision: Decision, status: StatusCode) {
        if let Some(of_rule) = self.rules.get(rule.index()) {
            of_rule.requests[decision as usize][place_of(status.as_u16())].add(1);
        }
    }

    pub fn refusal(&self, rule: RuleNumber, reason: &'static str) {
        *self.refusals().entry((rule.index(), reason)).or_default() += 1;
    }

    pub fn upstream_answered(&self, rule: RuleNumber, after: Duration) {
        if let Some(of_rule) = self.rules.get(rule.index()) {
            of_rule.upstream.observe(after);
        }
    }

    /// All counts of requests that are not zero: the rule's index, what became of them, the status.
    pub(super) fn requests(&self) -> impl Iterator<Item = ((usize, Decision, u16), u64)> {
        self.rules
            .iter()
            .enumerate()
            .flat_map(|(rule, of_rule)| {
                Decision::ALL.into_iter().zip(&of_rule.requests).flat_map(move |(decision, counts)| {
                    let counts = STATUSES.into_iter().zip(counts);
                    counts.map(move |(status, count)| ((rule, decision, status), count.value()))
                })
            })
            .filter(|(_, count)| *count > 0)
    }

    pub(super) fn refusals(&self) -> MutexGuard<'_, BTreeMap<(usize, &'static str), u64>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In the order of the rules.
    pub(super) fn upstream(&self) -> impl Iterator<Item = &Histogram> {
        self.rules.iter().map(|of_rule| &of_rule.upstream)
    }
}

fn place_of(status: u16) -> usize {
    STATUSES.binary_search(&status).unwrap_or_else(|_| {
        let hundred = status / 100 * 100;
        STATUSES.binary_search(&hundred).unwrap_or(STATUSES.len() - 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_statuses_count_as_their_hundred() {
        for (status, counted) in [(200, 200), (299, 200), (418, 400), (599, 599), (777, 599), (103, 100), (505, 500)] {
            assert_eq!(STATUSES[place_of(status)], counted, "{status}");
        }
    }

    #[test]
    fn what_was_counted_is_there_and_nothing_else() {
        let tally = Tally::new(3);
        for _ in 0..2 {
            tally.request(RuleNumber::GATE, Decision::Answered, StatusCode::CREATED);
        }
        tally.request(RuleNumber::NONE, Decision::Refused, StatusCode::BAD_REQUEST);
        let counted: Vec<_> = tally.requests().collect();
        assert_eq!(counted, [((0, Decision::Refused, 400), 1), ((2, Decision::Answered, 201), 2)]);
    }
}
