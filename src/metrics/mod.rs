//! What happens, in numbers, as Prometheus reads them.
//!
//! Guarantees: counting costs a request a few additions in memory that only its worker writes, and no lock; every set of
//! labels is bounded by the configuration and by this code, whatever clients send; a name that was once published stays.
//! Does not know: HTTP, and what is done with the numbers.
//!
//! Each worker counts for itself ([`Tally`]); what is rare and everybody's is counted in one place ([`Events`]); what
//! simply stands somewhere is asked for when somebody reads ([`Reading`]).

mod events;
mod exposition;
mod histogram;
mod process;
mod rules;
mod tally;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;

pub use events::{Event, Events, Step};
pub use exposition::CONTENT_TYPE;
pub use histogram::{Histogram, Observed};
pub use rules::{RuleNames, RuleNumber};
pub use tally::{Decision, Tally};

/// All numbers of this process.
#[derive(Debug, Default)]
pub struct Metrics {
    pub events: Events,
    /// In the order of their numbers; there are ever more of them.
    rules: ArcSwap<RuleNames>,
    workers: Mutex<Vec<Arc<Tally>>>,
    readings: OnceLock<Vec<Reading>>,
}

/// What stands somewhere and can be asked for.
pub struct Reading {
    name: &'static str,
    help: &'static str,
    read: Read,
}

enum Read {
    One(Kind, Box<dyn Fn() -> Option<f64> + Send + Sync>),
    /// Values, and the name of the label that tells them apart.
    Several(Kind, &'static str, Box<dyn Fn() -> Vec<(Arc<str>, f64)> + Send + Sync>),
    Durations(Box<dyn Fn(&mut Observed) + Send + Sync>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Only grows while the process lives.
    Counter,
    Gauge,
}

impl Reading {
    /// What goes up and down, if it is known.
    pub fn gauge(
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) -> Self {
        Self { name, help, read: Read::One(Kind::Gauge, Box::new(read)) }
    }

    /// What only grows. The name ends without `_total`, which is added.
    pub fn counter(name: &'static str, help: &'static str, read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { name, help, read: Read::One(Kind::Counter, Box::new(move || Some(read() as f64))) }
    }

    pub fn durations(
        name: &'static str,
        help: &'static str,
        read: impl Fn(&mut Observed) + Send + Sync + 'static,
    ) -> Self {
        Self { name, help, read: Read::Durations(Box::new(read)) }
    }

    /// As many as there are words for: `label` tells them apart.
    pub fn gauges(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(Arc<str>, f64)> + Send + Sync + 'static,
    ) -> Self {
        Self { name, help, read: Read::Several(Kind::Gauge, label, Box::new(read)) }
    }

    /// The same of what only grows. There has to be a bound on how many there are.
    pub fn counters(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(Arc<str>, f64)> + Send + Sync + 'static,
    ) -> Self {
        Self { name, help, read: Read::Several(Kind::Counter, label, Box::new(read)) }
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Metrics {
    /// Names the rules that requests are counted by. What was named before keeps its number: see [`Metrics::rules`].
    pub fn name_rules(&self, names: RuleNames) {
        self.rules.store(Arc::new(names));
    }

    /// The names so far, for others to be added to.
    pub fn rules(&self) -> RuleNames {
        RuleNames::clone(&self.rules.load())
    }

    /// Hands in what is asked for from now on. Only the first call counts.
    pub fn read_from(&self, readings: Vec<Reading>) {
        let _ = self.readings.set(readings);
    }

    /// For a worker to count in, and for nobody else.
    pub fn tally(&self) -> Arc<Tally> {
        self.tally_for(self.rules.load().len())
    }

    /// The same for a worker that counts in `tally`: that one, or a further one if there are more rules by now than it has
    /// room for.
    pub fn tally_after(&self, tally: &Arc<Tally>) -> Arc<Tally> {
        let rules = self.rules.load().len();
        // Twice as many as before at least: what was counted stays in the former ones, of which there are few then.
        if rules <= tally.room() { Arc::clone(tally) } else { self.tally_for(rules.max(tally.room() * 2)) }
    }

    fn tally_for(&self, rules: usize) -> Arc<Tally> {
        let tally = Arc::new(Tally::new(rules));
        self.workers().push(Arc::clone(&tally));
        tally
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Tally>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
