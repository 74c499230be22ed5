//! Equal credentials that arrive together: one is checked, the others wait and then ask the memory again.
//!
//! Guarantees: of equal credentials at most one is being checked; whoever goes away, the next in line takes over; what was
//! found wrong is wrong for all who stood in line before that check began; the lines are bounded, and gone when nobody
//! stands in them.
//! Does not know: what is checked. It hands out turns, not right answers, so that a caller that goes away cannot take the
//! answer of the others with it.
//!
//! A daemon with 64 connections would otherwise cost 64 password checks each time its minute in memory is over, and a
//! thousand connections with one wrong password would wait for each other's checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use tokio::sync::{Mutex, MutexGuard};

use super::basic_cache::CredentialKey;
use super::password::Busy;

/// More connections than a client keeps with one set of credentials; few enough that a line soon ends.
const LONGEST_LINE: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Flights {
    lines: DashMap<CredentialKey, Arc<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    /// How many have ever stood in it.
    joined: AtomicU64,
    /// Whose turn it is; with it, how many had joined before the last check began that found them wrong.
    wrong_for: Mutex<u64>,
}

impl Flights {
    /// Stands in line with all who hold the same credentials.
    ///
    /// # Errors
    /// [`Busy`] if the line is full.
    pub(super) fn join(&self, key: CredentialKey) -> Result<Flight<'_>, Busy> {
        let line = self.lines.entry(key).or_default();
        // Counted under the entry's lock, where alone the count can grow: one for the map and one for each in line.
        if Arc::strong_count(&line) > LONGEST_LINE {
            return Err(Busy);
        }
        let number = line.joined.fetch_add(1, Ordering::Relaxed);
        Ok(Flight { flights: self, key, number, line: Some(Arc::clone(&line)) })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// A place in a line.
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    key: CredentialKey,
    number: u64,
    /// There until dropped.
    line: Option<Arc<Line>>,
}

/// The turn of one in line. It ends when this is dropped.
pub(super) struct Turn<'a> {
    number: u64,
    /// How many had joined when it began.
    joined: u64,
    wrong_for: MutexGuard<'a, u64>,
}

impl Flight<'_> {
    /// Waits until nobody with the same credentials is being checked.
    pub(super) async fn turn(&self) -> Option<Turn<'_>> {
        let line = self.line.as_ref()?;
        let wrong_for = line.wrong_for.lock().await;
        Some(Turn { number: self.number, joined: line.joined.load(Ordering::Relaxed), wrong_for })
    }
}

impl Turn<'_> {
    /// Whether a check that began since then has found these credentials wrong.
    pub(super) fn is_known_wrong(&self) -> bool {
        self.number < *self.wrong_for
    }

    /// They were found wrong in this turn.
    pub(super) fn found_wrong(&mut self) {
        *self.wrong_for = self.joined;
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        // Let go first, so that the last to leave sees the map as the only holder.
        self.line = None;
        self.flights.lines.remove_if(&self.key, |_, line| Arc::strong_count(line) == 1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::basic_cache::{BasicCache, BasicPolicy};
    use super::*;

    #[tokio::test]
    async fn what_was_found_wrong_is_wrong_for_those_who_had_joined_before_and_no_other() {
        let flights = Flights::default();
        let key = BasicCache::new(BasicPolicy::default()).key_of(&[b"anna", b"wrong"]);
        let [first, second] = [(); 2].map(|()| flights.join(key).unwrap());
        let mut turn = first.turn().await.unwrap();
        let late = flights.join(key).unwrap();
        assert!(!turn.is_known_wrong());
        turn.found_wrong();
        drop(turn);
        assert!(second.turn().await.unwrap().is_known_wrong());
        // The right password may have changed to this one after the check had begun.
        let mut turn = late.turn().await.unwrap();
        assert!(!turn.is_known_wrong());
        turn.found_wrong();
        drop(turn);
        drop((first, second, late));
        assert!(flights.is_empty());
        assert!(!flights.join(key).unwrap().turn().await.unwrap().is_known_wrong());
    }
}
