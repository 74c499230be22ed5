//! The store against the model: any steps, in any order, and after each all that must hold.
//!
//! Guarantees: whatever the model says of every generation ever issued, the store says too.
//! Does not know: how either comes to it.

use std::collections::HashMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use super::model::{ALL, Bits, Fate, Generation, Model, Outcome, Signed, User};
use super::*;

const USERS: [&str; 2] = ["anna", "ben"];
const NAMES: [&str; 3] = ["messages:send", "messages:read", "logs:read"];

#[derive(Clone, Debug)]
enum Step {
    SignIn {
        user: usize,
        scopes: Bits,
        stale: bool,
    },
    Mint {
        parent: usize,
        scopes: Bits,
    },
    /// `back` generations before the newest, or ahead of it; `held`: the answer does not leave yet.
    Present {
        session: usize,
        back: i8,
        late: Duration,
        held: bool,
    },
    LetGo {
        session: usize,
    },
    Revoke {
        session: usize,
    },
    SetScopes {
        user: usize,
        scopes: Bits,
    },
    SetPassword {
        user: usize,
        password: u8,
    },
    Remove {
        user: usize,
    },
    UsersChanged,
    Wait(Duration),
    Sweep,
    Restart {
        after_a_snapshot: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let user = || 0..USERS.len();
    // Mostly the first ones, so that single sessions grow old.
    let session = || prop_oneof![3 => 0..2_usize, 2 => 0..64_usize];
    let scopes =
        || prop_oneof![3 => 0..ALL, 2 => Just(ALL)].prop_map(|bits| if bits == ALL { ALL } else { bits & 0b111 });
    let millis = Duration::from_millis;
    let late = select(vec![Duration::ZERO, millis(1), millis(5), millis(6), millis(20_000)]);
    let spans = vec![
        Duration::from_micros(1),
        millis(4),
        millis(9_990),
        millis(10_000),
        millis(29_990),
        millis(30_000),
        Duration::from_mins(5),
        Duration::from_mins(15),
        Duration::from_mins(59),
        Duration::from_mins(60),
    ];
    let back = prop_oneof![10 => Just(0_i8), 4 => Just(1), 1 => 2..5_i8, 1 => -3..0_i8];
    prop_oneof![
        2 => (user(), scopes(), prop::bool::weighted(0.1))
            .prop_map(|(user, scopes, stale)| Step::SignIn { user, scopes, stale }),
        2 => (session(), scopes()).prop_map(|(parent, scopes)| Step::Mint { parent, scopes }),
        16 => (session(), back, late, prop::bool::weighted(0.2))
            .prop_map(|(session, back, late, held)| Step::Present { session, back, late, held }),
        1 => session().prop_map(|session| Step::LetGo { session }),
        1 => session().prop_map(|session| Step::Revoke { session }),
        4 => (user(), scopes()).prop_map(|(user, scopes)| Step::SetScopes { user, scopes }),
        1 => (user(), 0..3_u8).prop_map(|(user, password)| Step::SetPassword { user, password }),
        1 => user().prop_map(|user| Step::Remove { user }),
        2 => Just(Step::UsersChanged),
        8 => select(spans).prop_map(Step::Wait),
        2 => Just(Step::Sweep),
        1 => any::<bool>().prop_map(|after_a_snapshot| Step::Restart { after_a_snapshot }),
    ]
}

fn policies() -> impl Strategy<Value = Policy> {
    let overlaps = vec![
        AccessOverlap::For(Duration::ZERO),
        AccessOverlap::For(Duration::from_secs(30)),
        AccessOverlap::UntilExpiry,
    ];
    (select(vec![0, 10]), select(vec![OnReuse::Session, OnReuse::User]), select(overlaps)).prop_map(
        |(retry_window, on_reuse, access_overlap)| Policy {
            retry_window: Duration::from_secs(retry_window),
            on_reuse,
            access_overlap,
            smsgate: crate::token::Lifetimes { refresh_ttl: Duration::from_hours(1), ..policy().smsgate },
            session_ttl: Duration::from_hours(2),
            ..policy()
        },
    )
}

/// Where the sessions are, while no store is open.
enum Place {
    Files(TempDir),
    Engine(redis::Yard),
}

/// The store and the model side by side.
struct World {
    /// `None` between an end and the next beginning.
    running: Option<Box<dyn Deref<Target = Store>>>,
    model: Model,
    now: Timestamp,
    place: Place,
    /// The one successor that each generation of each session ever had.
    successors: HashMap<(usize, usize), Session>,
}

fn scopes_of(bits: Bits) -> Scopes {
    if bits == ALL {
        return Scopes::new([ALL_ANY]);
    }
    Scopes::new(NAMES.iter().enumerate().filter(|(bit, _)| bits & 1 << bit != 0).map(|(_, name)| name))
}

fn bits_of(scopes: &Scopes) -> Bits {
    if scopes.satisfy("anything:else") {
        return ALL;
    }
    NAMES.iter().enumerate().map(|(bit, name)| u8::from(scopes.satisfy(name)) << bit).sum()
}

fn id(session: usize) -> SessionId {
    // Spread over the shards, as random ids are.
    let spread = (session as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    crate::token::tests::session(spread, "", T0, &policy()).id
}

fn credential(password: u8) -> CredentialVersion {
    CredentialVersion([password; 8])
}

impl Place {
    fn open(&self, per_user: usize, policy: &Policy) -> Box<dyn Deref<Target = Store>> {
        match self {
            Self::Files(folder) => Box::new(open(folder, per_user, policy)),
            Self::Engine(yard) => Box::new(yard.open(per_user, policy)),
        }
    }
}

impl World {
    fn new(place: Place, policy: Policy, per_user: usize) -> Self {
        let users = USERS.iter().map(|_| Some(User { scopes: ALL, password: 0 })).collect();
        Self {
            running: Some(place.open(per_user, &policy)),
            model: Model { policy, per_user, users, sessions: Vec::new() },
            now: T0,
            place,
            successors: HashMap::new(),
        }
    }

    fn standing(users: &[Option<User>], subject: &Subject) -> Option<Standing> {
        let user = users[USERS.iter().position(|name| *name == subject.as_str()).unwrap()]?;
        Some(Standing { scopes: scopes_of(user.scopes), credential: credential(user.password) })
    }

    fn take(&mut self, step: &Step) {
        let count = self.model.sessions.len();
        match *step {
            Step::SignIn { user, scopes, stale } => {
                let seen = self.model.users[user].unwrap_or(User { scopes: ALL, password: 9 });
                let password = if stale { seen.password + 1 } else { seen.password };
                self.issue(user, password, None, scopes & seen.scopes);
            }
            Step::Mint { parent, scopes } if count > 0 => {
                let (parent, its) = (parent % count, &self.model.sessions[parent % count]);
                let may = self.model.users[its.user].map_or(0, |user| user.scopes);
                let scopes = scopes & may & its.history[its.newest()].scopes;
                self.issue(its.user, its.password, Some(parent), scopes);
            }
            Step::Present { session, back, late, held } if count > 0 => {
                let session = session % count;
                let newest = i64::try_from(self.model.sessions[session].newest()).unwrap();
                let generation = usize::try_from((newest - i64::from(back)).max(0)).unwrap();
                self.present(session, generation, late);
                if !held {
                    self.now = self.now + SETTLE;
                    self.let_go(session);
                }
            }
            Step::LetGo { session } if count > 0 => self.let_go(session % count),
            Step::Revoke { session } if count > 0 => {
                let fate = self.model.sessions[session % count].fate;
                // The engine may know of it still, and has it shown before it can be ended.
                if fate == Fate::Forgotten && matches!(self.place, Place::Engine(_)) {
                    return;
                }
                let live = fate == Fate::Live;
                assert_eq!(run(self.store().end(id(session % count))).unwrap(), live);
                self.model.end(session % count);
            }
            Step::SetScopes { user, scopes } => {
                let password = self.model.users[user].map_or(0, |user| user.password);
                self.model.users[user] = Some(User { scopes, password });
            }
            Step::SetPassword { user, password } => {
                let scopes = self.model.users[user].map_or(ALL, |user| user.scopes);
                self.model.users[user] = Some(User { scopes, password });
            }
            Step::Remove { user } => self.model.users[user] = None,
            Step::UsersChanged => {
                let users = self.model.users.clone();
                run(self.store().users_changed(&|subject, _| Self::standing(&users, subject))).unwrap();
                self.model.users_changed();
            }
            Step::Wait(span) => self.now = self.now + span,
            Step::Sweep => self.sweep(),
            Step::Restart { after_a_snapshot } => self.restart(after_a_snapshot),
            Step::Mint { .. } | Step::Present { .. } | Step::LetGo { .. } | Step::Revoke { .. } => {}
        }
    }

    fn issue(&mut self, user: usize, password: u8, parent: Option<usize>, scopes: Bits) {
        let (policy, new) = (&self.model.policy, self.model.sessions.len());
        let mut session = crate::token::tests::session(0, USERS[user], self.now, policy);
        session.id = id(new);
        session.parent = parent.map(id);
        session.credential = credential(password);
        session.scopes = scopes_of(scopes);
        session.granted = session.scopes.clone();
        session.access_ttl = Duration::from_mins(if new % 2 == 0 { 15 } else { 50 });
        if let Some(parent) = parent {
            session.expires_at = session.expires_at.min(self.model.sessions[parent].end);
            session.idle_expires_at = session.idle_expires_at.min(session.expires_at);
        }
        let signed = Signed {
            user,
            password,
            parent,
            scopes,
            access_ttl: session.access_ttl,
            end: session.expires_at,
            history: vec![Generation { born: self.now, let_go: Some(self.now), scopes, cut: false }],
            fate: Fate::Live,
        };
        let users = self.model.users.clone();
        let taken = run(self.store().issue(session, &|subject, _| Self::standing(&users, subject), self.now)).is_ok();
        assert_eq!(taken, self.model.issue(signed, self.now));
    }

    fn present(&mut self, session: usize, generation: usize, late: Duration) {
        let micros = i64::try_from(late.as_micros()).unwrap();
        let presented = Presented {
            session: id(session),
            generation: u32::try_from(generation).unwrap(),
            issued_at: T0,
            profile: Profile::Smsgate,
            arrived_at: moved(self.now, -micros),
            sender: Sender::default(),
            by: None,
            certificate: None,
        };
        let users = self.model.users.clone();
        let (now, kid) = (self.now, "key".into());
        let standing = |subject: &Subject, _: Option<&str>| Self::standing(&users, subject);
        let (outcome, pair) = match run(self.store().rotate(&presented, &standing, &kid, now, async {})).unwrap() {
            Rotation::Rotated(pair) => (Outcome::Rotated, Some(*pair)),
            Rotation::Retried(pair) => (Outcome::Retried, Some(*pair)),
            Rotation::Raced => (Outcome::Raced, None),
            Rotation::Reused(_) => (Outcome::Reused, None),
            Rotation::Disowned(_) => (Outcome::Disowned, None),
            Rotation::Refused(_) => (Outcome::Refused, None),
        };
        let user = self.model.sessions[session].user;
        assert_eq!(outcome, self.model.present(session, generation, presented.arrived_at, now), "{presented:?}");
        let Some(pair) = pair else { return };
        let what_a_client_sees = |it: &Session| (it.generation, it.rotated_at, it.idle_expires_at, it.granted.clone());
        let first = self.successors.entry((session, generation)).or_insert_with(|| pair.clone());
        assert_eq!(what_a_client_sees(first), what_a_client_sees(&pair), "a second successor of one generation");
        assert_eq!(pair.generation, presented.generation + 1);
        if outcome == Outcome::Rotated {
            let may = users[user].map_or(0, |user| user.scopes);
            assert_eq!(bits_of(&pair.granted), self.model.sessions[session].scopes & may);
        }
    }

    fn let_go(&mut self, session: usize) {
        let it = &mut self.model.sessions[session];
        let newest = it.newest();
        it.history[newest].let_go.get_or_insert(self.now);
        self.store().answered(id(session), u32::try_from(newest).unwrap(), self.now);
    }

    fn store(&self) -> &Store {
        self.running.as_ref().unwrap()
    }

    fn sweep(&mut self) {
        let swept_at = match &self.place {
            Place::Files(_) => self.now,
            Place::Engine(yard) => {
                yard.settle(self.store());
                // What others have renewed may still be on its way.
                self.now.min(self.store().newest()).before(Duration::from_secs(60))
            }
        };
        self.store().sweep(self.now);
        self.model.sweep(swept_at);
    }

    fn restart(&mut self, after_a_snapshot: bool) {
        match &self.place {
            Place::Files(_) if after_a_snapshot => self.store().snapshot(self.now).unwrap(),
            Place::Files(_) => {}
            Place::Engine(yard) => yard.settle(self.store()),
        }
        let newest = self.store().newest();
        self.running = None;
        self.running = Some(self.place.open(self.model.per_user, &self.model.policy));
        match &self.place {
            Place::Files(_) => {
                assert_eq!(self.store().newest(), newest);
                self.model.restart(|_| Timestamp::default());
            }
            Place::Engine(_) => {
                // Its pair may be on its way at another gate.
                self.model.restart(|born| born + SECOND * 2);
            }
        }
        if matches!(self.place, Place::Engine(_)) {
            self.sessions_come_back();
        }
        // What had expired is found out anew.
        self.sweep();
        // Forgetting a tombstone is not worth a snapshot, so an older one may bring it back.
        self.ends_come_back();
    }

    fn ends_come_back(&mut self) {
        let store = self.running.as_ref().unwrap();
        for (index, it) in self.model.sessions.iter_mut().enumerate() {
            let back = store.access_standing(access(id(index), 0), self.now) == AccessStanding::Ended;
            if it.fate == Fate::Forgotten && back {
                it.fate = Fate::Ended;
            }
        }
    }

    /// What had been swept before its time was up in the engine is there once more when it is asked about, and has expired
    /// as before.
    fn sessions_come_back(&mut self) {
        let store = self.running.as_ref().unwrap();
        for (index, it) in self.model.sessions.iter_mut().enumerate() {
            if it.fate != Fate::Live && store.find(id(index)).is_some() {
                assert!(it.expired(self.now, &self.model.policy), "an ended session lives again");
                it.fate = Fate::Live;
            }
        }
    }

    fn standings(&self) -> Vec<AccessStanding> {
        let ask = |(session, it): (usize, &Signed)| {
            (0..it.history.len() + 2).map(move |generation| {
                let generation = u32::try_from(generation).unwrap();
                self.store().access_standing(access(id(session), generation), self.now)
            })
        };
        self.model.sessions.iter().enumerate().flat_map(ask).collect()
    }

    /// What must hold after every step.
    fn check(&mut self) {
        if matches!(self.place, Place::Engine(_)) {
            self.sessions_come_back();
            self.ends_come_back();
        }
        let (model, policy, now) = (&self.model, &self.model.policy, self.now);
        assert_eq!(self.store().live(), model.live(), "live sessions");
        let expected = |it: &Signed| -> Vec<_> {
            (0..it.history.len() + 2).map(|generation| it.standing(generation, now, policy)).collect()
        };
        assert_eq!(self.standings(), model.sessions.iter().flat_map(expected).collect::<Vec<_>>());
        for (index, it) in model.sessions.iter().enumerate() {
            let found = self.store().find(id(index));
            assert_eq!(found.is_some(), it.fate == Fate::Live);
            if it.fate == Fate::Forgotten {
                assert!(now >= it.over(policy), "forgotten while one of its access tokens could be alive");
            }
            let Some(found) = found else { continue };
            let newest = &it.history[it.newest()];
            assert_eq!(usize::try_from(found.generation).unwrap(), it.newest());
            assert_eq!((found.rotated_at, found.expires_at), (newest.born, it.end));
            assert_eq!(found.idle_expires_at, it.idle_end(policy));
            assert_eq!((bits_of(&found.granted), bits_of(&found.scopes)), (newest.scopes, it.scopes));
            if let Some(parent) = it.parent.filter(|_| !it.expired(now, policy)) {
                assert_eq!(model.sessions[parent].fate, Fate::Live, "outlived the session whose token minted it");
                assert!(found.expires_at <= model.sessions[parent].end);
            }
        }
        for (user, name) in USERS.iter().enumerate() {
            let live = model.of(user);
            let expired = live.iter().filter(|it| model.sessions[**it].expired(now, policy)).count();
            // Those that have come back take nobody's place.
            let surplus = if matches!(self.place, Place::Engine(_)) { expired } else { 0 };
            assert!(live.len() - surplus <= model.per_user);
            let listed = self.store().sessions_of(&Subject::new(*name), now).len();
            assert_eq!(listed, live.len() - expired);
        }
    }

    /// The newest refresh token of every session works to the end if anything of it is alive, and else nothing does.
    fn present_everything(&mut self) {
        for session in 0..self.model.sessions.len() {
            let it = &self.model.sessions[session];
            let known = self.model.users[it.user].is_some_and(|user| user.password == it.password);
            let (alive, newest) = (self.model.stands(session, self.now) && known, it.newest());
            self.present(session, newest, Duration::ZERO);
            assert_eq!(self.model.sessions[session].newest() > newest, alive);
            self.check();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_store_does_what_the_contract_says(
        policy in policies(),
        per_user in select(vec![1, 3, 1000]),
        steps in vec(step(), 1..100),
    ) {
        happen(World::new(Place::Files(tempfile::tempdir().unwrap()), policy, per_user), &steps);
    }
}

/// `PORTCULLIS_MODEL_CASES` makes it longer.
#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn whatever_happens_the_store_on_an_engine_does_what_the_contract_says() {
    let yards = redis::Yards::new();
    let cases = std::env::var("PORTCULLIS_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let whatever = (policies(), select(vec![1, 3, 1000]), vec(step(), 1..100));
    let ran = TestRunner::new(config).run(&whatever, |(policy, per_user, steps)| {
        happen(World::new(Place::Engine(yards.next()), policy, per_user), &steps);
        Ok(())
    });
    ran.unwrap();
}

fn happen(mut world: World, steps: &[Step]) {
    for step in steps {
        world.now = world.now + Duration::from_micros(1);
        let (before, epoch, then) = (world.standings(), world.store().epoch(), world.now);
        world.take(step);
        world.check();
        let was_good = |(was, is): &(_, _)| matches!(was, AccessStanding::Good { .. }) && was != is;
        let fell = before.into_iter().zip(world.standings()).any(|pair| was_good(&pair));
        if fell && then == world.now && !matches!(step, Step::Restart { .. }) {
            assert_ne!(epoch, world.store().epoch(), "what remembers the answer has not heard of {step:?}");
        }
    }
    world.present_everything();
}
