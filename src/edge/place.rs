//! A place among the connections that may be open, and a worker's share of them.
//!
//! Guarantees: every place taken is given back, however the connection ends; at any moment at least one worker has no
//! more than its share, and one that waits for that hears of it.
//! Does not know: how many there may be, who has which.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The places of all workers.
#[derive(Default)]
pub(super) struct Places {
    taken: AtomicUsize,
    changed: Notify,
}

impl Places {
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Lasts as long as a worker that holds `own()` of the places has more than its share, with so many workers.
    pub(super) async fn others_turn(&self, workers: usize, own: impl Fn() -> usize) {
        loop {
            // From here on, so that no change is missed between looking and waiting.
            let change = self.changed.notified();
            if !exceeds_share(own(), self.taken(), workers) {
                return;
            }
            change.await;
        }
    }
}

/// An eighth above the mean is still a fair share: evener, a burst of connections would wake the workers by turns for
/// each one. Where they are few it is exact, as each of them may have much to do.
fn exceeds_share(own: usize, all: usize, workers: usize) -> bool {
    let mean = all / workers;
    own > mean + mean / 8
}

/// One of the connections that may be open.
pub(super) struct Place(Arc<Places>);

impl Place {
    pub(super) fn take(places: &Arc<Places>) -> Self {
        places.taken.fetch_add(1, Ordering::Relaxed);
        places.changed.notify_waiters();
        Self(Arc::clone(places))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_share_is_the_mean_and_an_eighth_of_it() {
        for (own, all, workers, exceeds) in [
            (0, 0, 2, false),
            (1, 1, 2, true),
            (1, 2, 2, false),
            (2, 3, 2, true),
            (1, 3, 4, true),
            (1, 4, 4, false),
            (36, 64, 2, false),
            (37, 64, 2, true),
            (18, 64, 4, false),
            (19, 64, 4, true),
            (5000, 5000, 1, false),
        ] {
            assert_eq!(exceeds_share(own, all, workers), exceeds, "{own} of {all} over {workers}");
        }
    }

    #[test]
    fn whoever_waits_hears_of_places_taken_and_given_back() {
        let places = Arc::new(Places::default());
        let mut own = vec![Place::take(&places), Place::take(&places)];
        let held = std::cell::Cell::new(own.len());
        let mut context = Context::from_waker(Waker::noop());
        let mut turn = pin!(places.others_turn(2, || held.get()));
        assert_eq!(turn.as_mut().poll(&mut context), Poll::Pending);
        let _another = Place::take(&places);
        assert_eq!(turn.as_mut().poll(&mut context), Poll::Pending, "2 of 3");
        held.set(1);
        drop(own.pop());
        assert_eq!(turn.as_mut().poll(&mut context), Poll::Ready(()), "1 of 2");
    }
}
