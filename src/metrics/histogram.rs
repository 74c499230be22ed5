//! How long things took.
//!
//! Guarantees: observing is an addition to one of a few numbers; those who read while others observe may miss the last
//! observations, and never see a bucket that is fuller than all together.
//! Does not know: what took so long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Microseconds up to which a bucket goes. A sidecar's answers come within a millisecond, an upstream's deadline is a
/// minute.
const BOUNDS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
    60_000_000,
];

#[derive(Debug, Default)]
pub struct Histogram {
    /// Of each bucket alone; the last is for all above.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// What was observed by several.
#[derive(Debug, Default, PartialEq)]
pub struct Observed {
    /// Of each bucket alone.
    counts: [u64; BOUNDS.len() + 1],
    micros: u64,
}

impl Histogram {
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Observed {
    pub fn add(&mut self, histogram: &Histogram) {
        for (count, bucket) in self.counts.iter_mut().zip(&histogram.buckets) {
            *count += bucket.load(Ordering::Relaxed);
        }
        self.micros = self.micros.wrapping_add(histogram.micros.load(Ordering::Relaxed));
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn seconds(&self) -> f64 {
        Duration::from_micros(self.micros).as_secs_f64()
    }

    /// Upper bounds in seconds, the last infinite, each with the count of its own bucket alone.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(|bound| Duration::from_micros(*bound).as_secs_f64());
        bounds.chain([f64::INFINITY]).zip(self.counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 60_000_000, 60_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut observed = Observed::default();
        observed.add(&histogram);
        let filled: Vec<_> = observed.buckets().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.0005, 2), (0.001, 1), (60.0, 1), (f64::INFINITY, 1)]);
        assert_eq!((observed.count(), observed.seconds()), (5, 120.001_002));
    }

    #[test]
    fn several_are_one_to_whoever_reads() {
        let (one, other) = (Histogram::default(), Histogram::default());
        one.observe(Duration::from_millis(3));
        other.observe(Duration::from_millis(4));
        let mut observed = Observed::default();
        observed.add(&one);
        observed.add(&other);
        assert_eq!((observed.count(), observed.seconds()), (2, 0.007));
    }
}
