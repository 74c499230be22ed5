//! The muster: asking every worker to look at its sockets once.
//!
//! Guarantees: when [`Muster::all_have_looked`] returns, whatever had reached the kernel on any connection before it was
//! called has been read by its worker, short of one that stood still for half a second.
//! Does not know: why it matters what has been read.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::timeout;

/// A worker that takes longer is not waited for: one that hangs must not hang the others.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a worker turns to its sockets before it reports: a connection has to be accepted, told apart by its first
/// bytes, and read.
const TURNS: usize = 4;

type Report = oneshot::Sender<()>;

/// Calls the workers. Shared by all of them.
#[derive(Debug)]
pub struct Muster {
    workers: Vec<mpsc::UnboundedSender<Report>>,
}

/// One worker's end.
#[derive(Debug)]
pub struct Roll(mpsc::UnboundedReceiver<Report>);

impl Muster {
    /// A muster of `workers`, and what each of them answers with.
    pub fn new(workers: usize) -> (Self, Vec<Roll>) {
        let (workers, rolls) = (0..workers)
            .map(|_| {
                let (worker, roll) = mpsc::unbounded_channel();
                (worker, Roll(roll))
            })
            .unzip();
        (Self { workers }, rolls)
    }

    /// Returns once every worker has looked: `true`; or at the end of patience.
    pub async fn all_have_looked(&self) -> bool {
        let mut reports = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (report, reported) = oneshot::channel();
            // A worker that has ended has nothing left to read.
            if worker.send(report).is_ok() {
                reports.push(reported);
            }
        }
        let all = async {
            for reported in reports {
                let _ = reported.await;
            }
        };
        timeout(PATIENCE, all).await.is_ok()
    }
}

impl Roll {
    /// Answers for a worker, as a task on its own runtime, for as long as there is a muster.
    /// `take_in` accepts the connections that the kernel has queued: they may be waiting for another worker.
    pub async fn answer(mut self, take_in: impl Fn()) {
        while let Some(report) = self.0.recv().await {
            take_in();
            for _ in 0..TURNS {
                // Comes back after the runtime has asked the kernel what is ready and run what that woke.
                yield_now().await;
            }
            // Whoever asked may have gone.
            let _ = report.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_that_hangs_is_told_apart_and_one_that_has_ended_is_not_waited_for() {
        let (muster, mut rolls) = Muster::new(2);
        drop(rolls.pop());
        assert!(!muster.all_have_looked().await);
        tokio::spawn(rolls.remove(0).answer(|| {}));
        assert!(muster.all_have_looked().await);
    }
}
