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

pub use events::{Event, Events, Step};
pub use exposition::CONTENT_TYPE;
pub use histogram::{Histogram, Observed};
pub use rules::{RuleNames, RuleNumber};
pub use tally::{Decision, Tally};

/// All numbers of this process.
#[derive(Debug, Default)]
pub struct Metrics {
    pub events: Events,
    rules: OnceLock<RuleNames>,
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
    /// Names the rules that requests are counted by. Only the first call counts.
    pub fn name_rules(&self, names: RuleNames) {
        let _ = self.rules.set(names);
    }

    /// Hands in what is asked for from now on. Only the first call counts.
    pub fn read_from(&self, readings: Vec<Reading>) {
        let _ = self.readings.set(readings);
    }

    /// For a worker to count in, and for nobody else.
    pub fn tally(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::new(self.rules.get().map_or(0, RuleNames::len)));
        self.workers().push(Arc::clone(&tally));
        tally
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Tally>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
