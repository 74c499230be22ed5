//! What a storm leaves to chance.

use std::time::{Duration, Instant};

/// Random enough for a storm, and the same again from the same seed.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    /// Lets up to `longest` go by. Without sleeping: what matters is shorter than the system's patience with sleepers.
    pub fn dawdle(&mut self, longest: Duration) {
        let span = Duration::from_micros(self.below(longest.as_micros().max(1) as usize) as u64);
        let start = Instant::now();
        while start.elapsed() < span {
            std::thread::yield_now();
        }
    }
}
