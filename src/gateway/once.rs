//! The guard against sending twice: requests that say which one they are, remembered for a while.
//!
//! Guarantees: of equal requests of one subject within the window one is forwarded, unless it is certain that the earlier
//! one has done nothing; bounded, the oldest goes first; names and keys are kept only as a keyed hash.
//! Does not know: bodies, other processes, what was before a restart.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};

use crate::token::Timestamp;

/// What of a request says which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnceBy {
    Header(HeaderName),
    /// A parameter of the query.
    Query(String),
    /// The path as a whole, for those with the id of a message in them.
    Path,
}

/// How many are remembered, for how long.
#[derive(Clone, Copy, Debug)]
pub struct OncePolicy {
    pub window: Duration,
    pub capacity: usize,
}

/// The memory. Shared by all workers.
#[derive(Debug)]
pub struct Once {
    policy: OncePolicy,
    /// Two, so that no two requests are taken for one by chance.
    hashes: [RandomState; 2],
    known: Mutex<Known>,
}

type Key = [u64; 2];

#[derive(Debug, Default)]
struct Known {
    outcomes: HashMap<Key, (u64, Outcome)>,
    /// In the order of arrival; each with the number of its entry, as a key may have been forgotten and come anew.
    order: VecDeque<(Timestamp, Key, u64)>,
    count: u64,
}

/// What has become of the first of equal requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    UnderWay,
    Answered(StatusCode),
    /// It may have done what it was for.
    Unknown,
}

/// The first one, under way. Dropped without a word, nobody knows what it has done.
#[derive(Debug)]
pub(super) struct Turn {
    once: Arc<Once>,
    key: Key,
    number: u64,
    outcome: Option<Outcome>,
}

impl Once {
    pub fn new(policy: OncePolicy) -> Self {
        Self { policy, hashes: [RandomState::new(), RandomState::new()], known: Mutex::default() }
    }

    /// Takes note of a request of `who`, if it says which one it is.
    ///
    /// # Errors
    /// What has become of the earlier one.
    pub(super) fn begin(
        self: &Arc<Self>,
        by: &[OnceBy],
        who: &str,
        request: (&http::Method, &str, Option<&str>, &HeaderMap),
        now: Timestamp,
    ) -> Result<Option<Turn>, Outcome> {
        let (method, path, query, headers) = request;
        let Some(said) = by.iter().find_map(|by| by.read(path, query, headers)) else { return Ok(None) };
        let key = self.hashes.each_ref().map(|hash| hash.hash_one((who, method, path, &said)));
        let mut known = self.known();
        while let Some((at, old, number)) = known.order.front().copied() {
            if now < at + self.policy.window && known.order.len() < self.policy.capacity.max(1) {
                break;
            }
            known.order.pop_front();
            known.forget(old, number);
        }
        if let Some((_, outcome)) = known.outcomes.get(&key) {
            return Err(*outcome);
        }
        known.count += 1;
        let number = known.count;
        known.outcomes.insert(key, (number, Outcome::UnderWay));
        known.order.push_back((now, key, number));
        Ok(Some(Turn { once: Arc::clone(self), key, number, outcome: Some(Outcome::Unknown) }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // What a panic could leave is at worst an entry that goes with its time.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget(&mut self, key: Key, number: u64) {
        if self.outcomes.get(&key).is_some_and(|(own, _)| *own == number) {
            self.outcomes.remove(&key);
        }
    }
}

impl Turn {
    /// The upstream has answered. What it has refused it has not done.
    pub(super) fn answered(mut self, status: StatusCode) {
        self.outcome = (!status.is_client_error()).then_some(Outcome::Answered(status));
    }

    /// Nothing of it has reached the upstream.
    pub(super) fn never_left(mut self) {
        self.outcome = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut known = self.once.known();
        match self.outcome {
            None => known.forget(self.key, self.number),
            Some(outcome) => {
                if let Some(entry) = known.outcomes.get_mut(&self.key).filter(|(number, _)| *number == self.number) {
                    entry.1 = outcome;
                }
            }
        }
    }
}

impl OnceBy {
    fn read(&self, path: &str, query: Option<&str>, headers: &HeaderMap) -> Option<Vec<u8>> {
        match self {
            Self::Header(name) => headers.get(name).map(|value| value.as_bytes().to_vec()),
            Self::Query(name) => {
                let mut pairs = form_urlencoded::parse(query?.as_bytes());
                pairs.find(|(own, _)| own == name).map(|(_, value)| value.into_owned().into_bytes())
            }
            Self::Path => Some(path.as_bytes().to_vec()),
        }
        .filter(|said| !said.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn once(capacity: usize) -> Arc<Once> {
        Arc::new(Once::new(OncePolicy { window: Duration::from_secs(60), capacity }))
    }

    fn begin(once: &Arc<Once>, who: &str, key: &str, now: Timestamp) -> Result<Turn, Outcome> {
        let headers = HeaderMap::from_iter([(HeaderName::from_static("idempotency-key"), key.parse().unwrap())]);
        let by = [OnceBy::Header(HeaderName::from_static("idempotency-key"))];
        once.begin(&by, who, (&Method::POST, "/m", None, &headers), now).map(Option::unwrap)
    }

    #[test]
    fn a_repetition_hears_of_the_first_within_the_window() {
        let once = once(10);
        let turn = begin(&once, "anna", "1", NOW).unwrap();
        assert_eq!(begin(&once, "anna", "1", NOW).unwrap_err(), Outcome::UnderWay);
        turn.answered(StatusCode::ACCEPTED);
        let late = NOW + Duration::from_secs(59);
        assert_eq!(begin(&once, "anna", "1", late).unwrap_err(), Outcome::Answered(StatusCode::ACCEPTED));
        drop(begin(&once, "bob", "1", NOW).unwrap());
        drop(begin(&once, "anna", "2", NOW).unwrap());
        assert_eq!(begin(&once, "anna", "2", NOW).unwrap_err(), Outcome::Unknown);
        assert!(begin(&once, "anna", "1", NOW + Duration::from_secs(60)).is_ok());
    }

    #[test]
    fn what_has_certainly_done_nothing_may_come_again() {
        let once = once(10);
        begin(&once, "anna", "1", NOW).unwrap().answered(StatusCode::UNAUTHORIZED);
        begin(&once, "anna", "1", NOW).unwrap().never_left();
        begin(&once, "anna", "1", NOW).unwrap().answered(StatusCode::BAD_GATEWAY);
        assert!(begin(&once, "anna", "1", NOW).is_err());
    }

    #[test]
    fn the_memory_is_bounded_and_the_oldest_goes_first() {
        let once = once(3);
        for key in 0..1000 {
            begin(&once, "anna", &key.to_string(), NOW).unwrap().answered(StatusCode::OK);
        }
        let known = once.known();
        assert!(known.order.len() <= 3 && known.outcomes.len() <= 3, "{known:?}");
        drop(known);
        assert!(begin(&once, "anna", "999", NOW).is_err());
        assert!(begin(&once, "anna", "0", NOW).is_ok());
    }

    #[test]
    fn the_first_thing_that_says_which_request_it_is_counts() {
        let (once, headers) = (once(10), HeaderMap::new());
        let by = [OnceBy::Header(HeaderName::from_static("x-id")), OnceBy::Query("id".into())];
        let begin = |query| once.begin(&by, "anna", (&Method::POST, "/m", query, &headers), NOW);
        assert!(begin(None).unwrap().is_none());
        assert!(begin(Some("id=")).unwrap().is_none());
        drop(begin(Some("a=b&id=7%20")).unwrap().unwrap());
        assert!(begin(Some("id=7+&c")).is_err());
        let of_path = || once.begin(&[OnceBy::Path], "anna", (&Method::PUT, "/m/7", None, &headers), NOW);
        drop(of_path().unwrap().unwrap());
        assert!(of_path().is_err());
    }
}
