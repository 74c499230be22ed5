//! Clients that refresh without a pause while something happens to the engine, and what they were told.
//!
//! Guarantees: each presents its newest token, and the same one again after a refusal that was a 503; at the end each presents
//! the token that it had used last.
//! Does not know: what happens.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

const WORKERS: u64 = 4;
const SESSIONS: u64 = 25;

/// What clients have been through.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) acknowledged: usize,
    /// With a 503.
    pub(super) refused: usize,
    /// Sessions that could not be gone on with.
    pub(super) lost: usize,
    /// Consumed tokens that had a second successor.
    pub(super) wrong: usize,
    /// Sessions and ends that the engine had taken back, and that a gate has put there again.
    pub(super) restored: u64,
}

#[derive(Default)]
pub(super) struct Load {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    asked: AtomicUsize,
}

impl Load {
    /// Until so many more refreshes have been acknowledged.
    pub(super) fn goes_on(&self, refreshes: usize) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        until("the load goes on", || self.acknowledged.load(Ordering::Relaxed) >= before + refreshes);
    }

    /// Until so many more were asked for, whatever came of it.
    pub(super) fn is_felt(&self, refreshes: usize) {
        let before = self.asked.load(Ordering::Relaxed);
        until("the load is felt", || self.asked.load(Ordering::Relaxed) >= before + refreshes);
    }
}

/// Has clients refresh at all `gates` while `happens` does.
pub(super) fn under_load(gates: &[Gate], happens: impl FnOnce(&Load)) -> Told {
    let ids: Vec<Vec<_>> = (0..WORKERS)
        .map(|worker| (0..SESSIONS).map(|n| sign_in(&gates[0], worker * 1000 + n, "anna", 0).unwrap()).collect())
        .collect();
    let load = Load::default();
    let mut all = thread::scope(|scope| {
        let load = &load;
        let workers: Vec<_> = ids.iter().map(|ids| scope.spawn(move || refreshes(gates, ids, load))).collect();
        // Whatever comes of it the clients have to be told to stop.
        let happened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| happens(load)));
        load.stop.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        for worker in workers {
            let told = worker.join().unwrap();
            all.acknowledged += told.acknowledged;
            all.refused += told.refused;
            all.lost += told.lost;
            all.wrong += told.wrong;
        }
        happened.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        all
    });
    all.restored = gates.iter().map(|gate| gate.engine().unwrap().restored).sum();
    all
}

/// Refreshes its sessions one after the other, each time as late as if it were no race.
fn refreshes(gates: &[Gate], ids: &[SessionId], load: &Load) -> Told {
    let (mut told, mut clock) = (Told::default(), T0);
    let mut sessions: Vec<_> = ids.iter().map(|id| (*id, 0)).collect();
    let mut turn = 0;
    while !load.stop.load(Ordering::Relaxed) {
        sessions.retain_mut(|(id, generation)| {
            turn += 1;
            clock = clock + SECOND * 10;
            load.asked.fetch_add(1, Ordering::Relaxed);
            match try_refresh(&gates[turn % gates.len()], *id, *generation, clock) {
                Ok(Rotation::Rotated(next) | Rotation::Retried(next)) => {
                    told.acknowledged += 1;
                    load.acknowledged.fetch_add(1, Ordering::Relaxed);
                    *generation = next.generation;
                }
                Err(StoreError::Unwritten) => {
                    told.refused += 1;
                    // As clients heed Retry-After.
                    thread::sleep(Duration::from_millis(5));
                }
                other => {
                    eprintln!("{id}, generation {generation}: {other:?}");
                    told.lost += 1;
                    return false;
                }
            }
            true
        });
    }
    for (id, generation) in sessions {
        clock = clock + SECOND * 10;
        if generation > 0 {
            let consumed = try_refresh(&gates[turn % gates.len()], id, generation - 1, clock);
            told.wrong += usize::from(matches!(consumed, Ok(Rotation::Rotated(_))));
        }
    }
    told
}
