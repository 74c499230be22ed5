//! Any steps of a primary, any looks in between: after the last look both know the same.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::super::files::tests::faulty::{FaultyDisk, Unsynced};
use super::crashes::{cut_power, on};
use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    SignIn,
    Rotate(u64),
    End(u64),
    Narrow,
    Pulse,
    Snapshot,
    /// A round that comes no further than its new segment.
    HalfARound,
    /// A failing disk, and a change that is in doubt.
    Break(u64),
    Reopen,
    CutPower(Unsynced),
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..8_u64;
    prop_oneof![
        4 => Just(Step::SignIn),
        6 => session.clone().prop_map(Step::Rotate),
        2 => session.clone().prop_map(Step::End),
        1 => Just(Step::Narrow),
        1 => Just(Step::Pulse),
        2 => Just(Step::Snapshot),
        1 => Just(Step::HalfARound),
        1 => session.prop_map(Step::Break),
        1 => Just(Step::Reopen),
        2 => select(vec![Unsynced::Lost, Unsynced::Kept, Unsynced::Half, Unsynced::Hole]).prop_map(Step::CutPower),
        6 => Just(Step::Look),
    ]
}

struct World {
    folder: TempDir,
    disk: Arc<FaultyDisk>,
    /// `None` between an end and the next beginning.
    primary: Option<Running>,
    begun: Vec<SessionId>,
    second: u32,
}

impl World {
    fn primary(&self) -> &Store {
        self.primary.as_ref().unwrap()
    }

    fn open(&mut self) {
        self.disk = Arc::new(FaultyDisk::under(self.folder.path()));
        self.primary = Some(on(&self.disk, self.folder.path(), Fsync::Never));
    }

    fn pick(&self, number: u64) -> Option<SessionId> {
        let index = usize::try_from(number).unwrap() % self.begun.len().max(1);
        self.begun.get(index).copied()
    }

    fn take(&mut self, step: Step) {
        self.second += 1;
        match step {
            Step::SignIn => {
                let number = u64::try_from(self.begun.len()).unwrap() + 1;
                let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let session = session(spread, "anna", T0 + SECOND * self.second, &policy());
                self.begun.push(session.id);
                let _ = run(self.primary().issue(session, &known, T0));
            }
            Step::Rotate(number) => {
                let found = self.pick(number).and_then(|id| self.primary().find(id));
                if let Some(Session { id, generation, .. }) = found {
                    let now = T0 + SECOND * self.second;
                    let profile = Profile::Smsgate;
                    let presented = Presented {
                        session: id,
                        generation,
                        issued_at: now,
                        profile,
                        arrived_at: now,
                        sender: Sender::default(),
                        by: None,
                        certificate: None,
                    };
                    let _ = run(self.primary().rotate(&presented, &known, &"key".into(), now, async {}));
                }
            }
            Step::End(number) => {
                if let Some(id) = self.pick(number) {
                    let _ = run(self.primary().end(id));
                }
            }
            Step::Narrow => {
                let scopes = Scopes::default();
                let narrow = |_: &Subject, _: Option<&str>| {
                    Some(Standing { scopes: scopes.clone(), ..known(&Subject::new(""), None)? })
                };
                let _ = run(self.primary().users_changed(&narrow));
            }
            Step::Pulse => self.primary().pulse(T0 + SECOND * self.second),
            Step::Snapshot => self.primary().snapshot(T0).unwrap(),
            Step::HalfARound => {
                let own = self.primary().own().unwrap();
                drop(own.snapshots.lock().unwrap().begin(T0).unwrap());
            }
            Step::Break(number) => {
                self.disk.fail(&["write"]);
                self.take(Step::End(number));
                self.disk.fail(&[]);
            }
            Step::Reopen => {
                self.primary = None;
                self.open();
            }
            Step::CutPower(unsynced) => {
                cut_power(self.primary.take().unwrap(), &self.disk, self.folder.path(), unsynced);
                self.open();
            }
            Step::Look => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_both_know_the_same(steps in vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::under(folder.path()));
        let primary = Some(on(&disk, folder.path(), Fsync::Never));
        let mut replica = Replica::of(folder.path());
        let mut world = World { folder, disk, primary, begun: Vec::new(), second: 0 };
        for step in steps {
            world.take(step);
            if matches!(step, Step::Look) {
                replica.poll();
            }
        }
        // What is in doubt, or was never written at all, is in the files when this stands.
        world.primary().snapshot(T0).unwrap();
        replica.knows_what_is_known_to(world.primary());
    }
}
