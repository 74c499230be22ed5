//! A store, a disk, and clients with every token that was ever handed out.
//!
//! Guarantees: a step does to the store what requests, an operator and the machine do.
//! Does not know: what must come of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::super::super::files::tests::faulty::{FaultyDisk, Unsynced};
use super::super::doubts::on;
use super::Step;
use super::*;
use crate::keys::{Algorithm, KeyRing};
use crate::token::{Pair, Person, Refreshing, opaque, refresh as refresh_token};

/// What the profile's clients hold.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) access: String,
    pub(super) refresh: String,
}

/// A request whose answer has not left.
pub(super) struct Flight {
    pub(super) generation: u32,
    pub(super) arrived_at: Timestamp,
    /// Set, and the answer may leave.
    pub(super) settled: Rc<Cell<bool>>,
    pub(super) rotation: Pin<Box<dyn Future<Output = Result<Rotation, StoreError>>>>,
}

pub(super) struct World {
    pub(super) store: Running,
    pub(super) disk: Arc<FaultyDisk>,
    pub(super) folder: TempDir,
    pub(super) broken: bool,
    pub(super) policy: Policy,
    pub(super) ring: KeyRing,
    pub(super) now: Rc<Cell<Timestamp>>,
    pub(super) password: Rc<Cell<u8>>,
    pub(super) id: SessionId,
    /// Of the same user, and never presented.
    pub(super) other: SessionId,
    pub(super) flights: Vec<Flight>,
    /// All that was ever handed out, by generation: there is one pair of each.
    pub(super) handed: Vec<Texts>,
    /// When each generation came to be, when its pair was let go, and which clients were told to try again.
    pub(super) born: HashMap<u32, Timestamp>,
    pub(super) let_go: Rc<RefCell<HashMap<u32, Timestamp>>>,
    pub(super) doubted: Vec<u32>,
    /// Somebody was told that it has ended; and if the disk took nothing then, only until the process ends.
    pub(super) ended: bool,
    pub(super) ended_for_now: bool,
}

/// The pair of a rotation is held back until this is dropped, as at the endpoints.
pub(super) struct LettingGo {
    pub(super) store: Arc<Store>,
    pub(super) id: SessionId,
    pub(super) generation: u32,
    pub(super) now: Rc<Cell<Timestamp>>,
    pub(super) let_go: Rc<RefCell<HashMap<u32, Timestamp>>>,
}

impl Drop for LettingGo {
    fn drop(&mut self) {
        self.store.answered(self.id, self.generation, self.now.get());
        self.let_go.borrow_mut().entry(self.generation).or_insert(self.now.get());
    }
}

pub(super) fn with_password(password: u8) -> Option<Standing> {
    Some(Standing { scopes: Scopes::new([ALL_ANY]), credential: CredentialVersion([password; 8]) })
}

impl World {
    pub(super) fn new(policy: Policy, profile: Profile) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::under(folder.path()));
        let store = on(&disk, &folder, &policy);
        let [first, other] = [1, 2].map(|n| Session { profile, ..session(n, "anna", T0, &policy) });
        let (id, other_id) = (first.id, other.id);
        for session in [first.clone(), other] {
            run(store.issue(session, &known, T0)).unwrap();
        }
        let mut world = Self {
            store,
            disk,
            folder,
            broken: false,
            ring: KeyRing::in_memory(Algorithm::HS256).unwrap(),
            policy,
            now: Rc::new(Cell::new(T0)),
            password: Rc::new(Cell::new(7)),
            id,
            other: other_id,
            flights: Vec::new(),
            handed: Vec::new(),
            born: HashMap::from([(0, T0)]),
            let_go: Rc::default(),
            doubted: Vec::new(),
            ended: false,
            ended_for_now: false,
        };
        world.handed.push(world.texts(&first));
        world
    }

    pub(super) fn texts(&self, session: &Session) -> Texts {
        let nobody = Person { email: None, roles: &[], claims: None };
        let pair = Pair::mint(session, nobody, None, self.ring.current(), &self.policy, None).unwrap();
        Texts { access: pair.access_token, refresh: pair.refresh_token }
    }

    /// What an endpoint makes of a refresh token's text at this moment.
    pub(super) fn read(&self, texts: &Texts) -> Presented {
        let (now, profile) = (self.now.get(), self.profile());
        let Refreshing { id, issued_at, .. } = match profile {
            Profile::Smsgate => refresh_token::verify(&texts.refresh, &self.ring, &self.policy, now).unwrap(),
            Profile::Form | Profile::Oauth => opaque::verify(&texts.refresh, &self.ring, now).unwrap(),
        };
        let generation = id.generation;
        Presented {
            session: id.session,
            generation,
            issued_at,
            profile,
            arrived_at: now,
            sender: Sender::default(),
            by: None,
            certificate: None,
        }
    }

    pub(super) fn profile(&self) -> Profile {
        if self.handed[0].refresh.contains('.') { Profile::Smsgate } else { Profile::Form }
    }

    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Present(back) => {
                if let Some(flight) = self.begin(back) {
                    self.land(flight);
                }
            }
            Step::Begin(back) => {
                let flight = self.begin(back);
                self.flights.extend(flight);
            }
            Step::LetGo(which) if !self.flights.is_empty() => {
                let flight = self.flights.remove(which.index(self.flights.len()));
                self.land(flight);
            }
            Step::GoAway(which) if !self.flights.is_empty() => {
                let flight = self.flights.remove(which.index(self.flights.len()));
                self.abandon(flight);
            }
            Step::Revoke => {
                let told = run(self.store.end(self.id)).is_ok();
                self.end(told);
            }
            Step::ChangePassword => {
                self.password.set(8);
                let told = run(self.store.users_changed(&|_, _| with_password(8))).is_ok();
                self.end(told);
            }
            Step::Wait(span) => self.now.set(self.now.get() + span),
            Step::Snapshot => self.snapshot(),
            Step::Restart => {
                self.abandon_all();
                self.store.end_writing();
                self.begin_anew();
            }
            Step::CutPower(presented, unsynced) => self.cut_power(&presented, unsynced),
            Step::Break(what) => {
                self.disk.fail(what);
                self.broken = true;
            }
            Step::Mend => {
                self.disk.fail(&[]);
                self.snapshot();
                assert!(!self.broken);
            }
            Step::LetGo(_) | Step::GoAway(_) => {}
        }
    }

    fn begin(&mut self, back: usize) -> Option<Flight> {
        let texts = self.handed[self.handed.len() - 1 - back.min(self.handed.len() - 1)].clone();
        let presented = self.read(&texts);
        let (generation, arrived_at) = (presented.generation, presented.arrived_at);
        let settled = Rc::new(Cell::new(false));
        let letting_go = (Arc::clone(&self.store.store), Rc::clone(&self.now), Rc::clone(&self.let_go));
        let (store, now, password) = (Arc::clone(&self.store.store), self.now.get(), Rc::clone(&self.password));
        let may_leave = Rc::clone(&settled);
        let mut rotation = Box::pin(async move {
            let settle = async {
                let (store, now, let_go) = letting_go;
                let letting_go = LettingGo { store, id: presented.session, generation: generation + 1, now, let_go };
                poll_fn(|_| if may_leave.get() { Poll::Ready(()) } else { Poll::Pending }).await;
                letting_go
            };
            let users = move |_: &Subject, _: Option<&str>| with_password(password.get());
            store.rotate(&presented, &users, &"key".into(), now, settle).await
        });
        let polled = rotation.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let Some(session) = self.store.find(self.id) {
            self.born.entry(session.generation).or_insert(session.rotated_at);
        }
        match polled {
            Poll::Pending => Some(Flight { generation, arrived_at, settled, rotation }),
            Poll::Ready(told) => {
                self.hear(generation, arrived_at, told);
                None
            }
        }
    }

    fn land(&mut self, flight: Flight) {
        flight.settled.set(true);
        let told = run(flight.rotation);
        self.hear(flight.generation, flight.arrived_at, told);
    }

    /// What holds in memory alone is on the disk then.
    fn snapshot(&mut self) {
        if self.store.snapshot(self.now.get()).is_ok() {
            self.broken = false;
            self.ended |= self.ended_for_now;
        }
    }

    /// The client goes away: while the disk takes nothing, its token may be presented once more.
    fn abandon(&mut self, flight: Flight) {
        if self.broken {
            self.doubted.push(flight.generation + 1);
        }
        drop(flight);
    }

    fn abandon_all(&mut self) {
        while let Some(flight) = self.flights.pop() {
            self.abandon(flight);
        }
    }

    pub(super) fn begin_anew(&mut self) {
        self.disk.fail(&[]);
        self.store = on(&self.disk, &self.folder, &self.policy);
        self.broken = false;
        self.ended_for_now = self.ended;
        // What was on its way is gone with the process, and what was not written is not so.
        let known = self.store.find(self.id).map(|session| session.generation);
        let mut let_go = self.let_go.borrow_mut();
        self.born.retain(|generation, _| known.is_none_or(|known| *generation <= known));
        let_go.retain(|generation, _| known.is_none_or(|known| *generation <= known));
        for generation in self.born.keys() {
            let_go.entry(*generation).or_default();
        }
    }

    fn cut_power(&mut self, presented: &[usize], unsynced: Unsynced) {
        let disk = Arc::clone(&self.disk);
        let to = tempfile::tempdir().unwrap();
        {
            let _nothing_is_synced = disk.syncing.lock().unwrap();
            for back in presented {
                let flight = self.begin(*back);
                self.flights.extend(flight);
            }
            if presented.len() > 1 {
                // Whether the writer has come to them or not: both happen.
                thread::yield_now();
            }
            disk.cut_power(to.path(), disk.possible_names() - 1, unsynced);
        }
        self.abandon_all();
        self.store.end_writing();
        self.disk = Arc::new(FaultyDisk::under(to.path()));
        self.folder = to;
        self.begin_anew();
    }
}
