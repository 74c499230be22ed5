//! Equal credentials that arrive together: one is checked, the others wait and then ask the memory again.
//!
//! Guarantees: of equal credentials at most one is being checked; whoever goes away, the next in line takes over; the
//! lines are bounded, and gone when nobody stands in them.
//! Does not know: what is checked, or with what outcome. It hands out turns, not answers, so that a caller that goes
//! away cannot take the answer of the others with it.
//!
//! A daemon with 64 connections would otherwise cost 64 password checks each time its minute in memory is over.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Mutex, MutexGuard};

use super::basic_cache::CredentialKey;
use super::password::Busy;

/// More connections than a client keeps with one set of credentials; few enough that a line soon ends.
const LONGEST_LINE: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Flights {
    lines: DashMap<CredentialKey, Arc<Mutex<()>>>,
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
        Ok(Flight { flights: self, key, line: Some(Arc::clone(&line)) })
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
    /// There until dropped.
    line: Option<Arc<Mutex<()>>>,
}

impl Flight<'_> {
    /// Waits until nobody with the same credentials is being checked. The turn ends when the guard is dropped.
    pub(super) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match &self.line {
            Some(line) => Some(line.lock().await),
            None => None,
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        // Let go first, so that the last to leave sees the map as the only holder.
        self.line = None;
        self.flights.lines.remove_if(&self.key, |_, line| Arc::strong_count(line) == 1);
    }
}
