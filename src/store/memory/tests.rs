//! The memory alone: what its log tells, what its walks see, and many hands at once.
//!
//! Guarantees: every instant is an argument.
//! Does not know: the rules; those of the store are tested there, against a model.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::thread;

use crate::token::tests::{T0, moved, policy, session};
use crate::token::{ALL_ANY, CredentialVersion, Presented, Profile, Sender, Standing, TokenKind};

use super::*;

/// A change as it was told of, to be kept.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Session(Box<Session>),
    Tombstone(SessionId, Timestamp),
}

impl From<Change<'_>> for Told {
    fn from(change: Change<'_>) -> Self {
        match change {
            Change::Session(session) => Self::Session(Box::new(session.clone())),
            Change::Tombstone { id, until } => Self::Tombstone(id, until),
        }
    }
}

/// Sessions all over the shards, as random ids are.
fn made(n: u64, subject: &str) -> Session {
    session(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15), subject, T0, &policy())
}

fn rotate(memory: &Memory, id: SessionId, generation: u32, now: Timestamp, log: &mut Log<'_>) -> Rotation {
    let presented = Presented {
        session: id,
        generation,
        issued_at: T0,
        profile: Profile::Smsgate,
        arrived_at: now,
        sender: Sender::default(),
        by: None,
        certificate: None,
    };
    let user = Standing { scopes: Scopes::new([ALL_ANY]), credential: CredentialVersion([7; 8]) };
    let rule = |session: &mut Session| session.rotate(&presented, Some(&user), &"key".into(), now, &policy());
    memory.change(id, &policy(), rule, log)
}

fn walk(memory: &Memory) -> Vec<Told> {
    let mut seen = Vec::new();
    let Ok(()) = memory.visit(|change| {
        seen.push(change.into());
        Ok::<_, Infallible>(())
    });
    seen
}

#[test]
fn the_log_tells_every_real_change_and_nothing_else() {
    let (memory, policy) = (Memory::new(), policy());
    let mut told: Vec<Told> = Vec::new();
    let anna = made(1, "anna");
    let id = anna.id;
    let mut take = |work: &dyn Fn(&mut Log<'_>)| {
        let epoch = memory.epoch();
        work(&mut |change| told.push(change.into()));
        let new = std::mem::take(&mut told);
        assert_eq!(memory.epoch() - epoch, new.len() as u64);
        new
    };
    let now = T0 + policy.leeway;
    let found = || Told::Session(Box::new(memory.find(id).unwrap()));

    assert_eq!(take(&|log| assert!(memory.insert(anna.clone(), log))), [Told::Session(Box::new(anna.clone()))]);
    assert_eq!(take(&|log| assert!(memory.insert(anna.clone(), log))), [], "the same again");
    let rotated = take(&|log| assert!(matches!(rotate(&memory, id, 0, now, log), Rotation::Rotated(_))));
    assert_eq!(rotated, [found()]);
    assert_eq!(take(&|log| assert_eq!(rotate(&memory, id, 0, now, log), Rotation::Raced)), []);
    assert_eq!(take(&|_| memory.answered(id, 1, now)), [], "no file keeps when an answer left");
    assert_eq!(memory.find(id).unwrap().answered_at, now);
    assert_eq!(take(&|log| memory.narrow(id, &Scopes::new([ALL_ANY]), log)), []);
    assert_eq!(take(&|log| memory.narrow(id, &Scopes::default(), log)), [found()]);
    assert_eq!(take(&|log| drop(memory.sweep(now, &policy, log))), []);
    let until = memory.find(id).unwrap().access_ends_at(&policy);
    let later = moved(now, 1);
    let reused = take(&|log| assert!(matches!(rotate(&memory, id, 0, later, log), Rotation::Reused(_))));
    assert_eq!(reused, [Told::Tombstone(id, until)]);
    assert_eq!(take(&|log| assert_eq!(memory.end(id, &policy, log), None)), []);
    assert_eq!(take(&|log| drop(rotate(&memory, id, 1, later, log))), []);
    assert_eq!(take(&|log| assert!(!memory.insert(anna.clone(), log))), [], "an end is final");
    assert_eq!((memory.live(), memory.tombstones()), (0, 1));

    let ben = made(2, "ben");
    take(&|log| assert!(memory.insert(ben.clone(), log)));
    let expired = take(&|log| assert_eq!(memory.sweep(ben.expires_at, &policy, log), [(ben.subject.clone(), ben.id)]));
    assert_eq!(expired, [Told::Tombstone(ben.id, ben.access_ends_at(&policy))]);
}

#[test]
fn a_session_is_replaced_only_by_one_of_its_subject() {
    let memory = Memory::new();
    let anna = made(1, "anna");
    let newer = Session { generation: 5, ..anna.clone() };
    let stolen = Session { subject: Subject::new("ben"), ..anna.clone() };
    let outcomes = [anna, newer.clone(), stolen].map(|session| memory.insert(session, &mut |_| {}));
    assert_eq!(outcomes, [true, true, false]);
    assert_eq!((memory.of(&Subject::new("anna")), memory.of(&Subject::new("ben"))), (vec![newer], Vec::new()));
    assert_eq!(memory.live(), 1);
}

#[test]
fn an_end_from_elsewhere_ends_a_live_session_and_is_heard_of() {
    let memory = Memory::new();
    let (anna, stranger) = (made(1, "anna"), made(2, "ben"));
    memory.insert(anna.clone(), &mut |_| {});
    for id in [anna.id, stranger.id] {
        let epoch = memory.epoch();
        memory.bury(id, T0);
        memory.bury(id, T0);
        assert_eq!(memory.epoch(), epoch + 1);
        let token = TokenId { session: id, generation: 0, kind: TokenKind::Access };
        assert_eq!(memory.access_standing(token, T0, &policy()), AccessStanding::Ended);
    }
    assert_eq!((memory.live(), memory.tombstones(), memory.of(&anna.subject)), (0, 2, Vec::new()));
}

#[test]
fn a_walk_shows_everything_once() {
    let memory = Memory::new();
    let mut all: HashMap<SessionId, Told> = HashMap::new();
    for n in 0..3000 {
        let session = made(n, &format!("user-{}", n % 700));
        memory.insert(session.clone(), &mut |_| {});
        all.insert(session.id, Told::Session(Box::new(session)));
    }
    for n in 0..500 {
        memory.end(made(n, "").id, &policy(), &mut |change| {
            all.insert(made(n, "").id, change.into());
        });
    }
    for seen in walk(&memory) {
        let id = match &seen {
            Told::Session(session) => session.id,
            Told::Tombstone(id, _) => *id,
        };
        assert_eq!(all.remove(&id), Some(seen));
    }
    assert!(all.is_empty());
    let mut subjects: Vec<_> = memory.subjects().map(|subject| subject.to_string()).collect();
    subjects.sort();
    let mut expected: Vec<_> = (0..700).map(|n| format!("user-{n}")).collect();
    expected.sort();
    assert_eq!(subjects, expected);
}

#[test]
fn a_walk_beside_changes_misses_nothing_and_sees_nothing_half() {
    let memory = Memory::new();
    for n in 0..400 {
        memory.insert(made(n, &format!("user-{}", n % 7)), &mut |_| {});
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for generation in 0..u32::MAX {
                for n in 0..100 {
                    let now = T0 + std::time::Duration::from_micros(generation.into());
                    assert!(matches!(
                        rotate(&memory, made(n, "").id, generation, now, &mut |_| {}),
                        Rotation::Rotated(_)
                    ));
                }
                // One ends for good in each round, as long as there are any, and others come.
                memory.end(made(100 + u64::from(generation), "").id, &policy(), &mut |_| {});
                memory.insert(made(10_000 + u64::from(generation), "new"), &mut |_| {});
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for _ in 0..30 {
            let mut sessions = HashMap::new();
            let mut ended = Vec::new();
            for seen in walk(&memory) {
                match seen {
                    Told::Session(session) => {
                        assert!(ended.is_empty(), "sessions come first");
                        assert_eq!(
                            session.rotated_at.as_micros() - T0.as_micros(),
                            u64::from(session.generation.saturating_sub(1))
                        );
                        assert_eq!(sessions.insert(session.id, session.generation), None, "twice");
                    }
                    Told::Tombstone(id, _) => ended.push(id),
                }
            }
            for n in 0..400 {
                let id = made(n, "").id;
                assert!(sessions.contains_key(&id) || ended.contains(&id), "missed");
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn many_hands_leave_the_log_in_the_order_of_the_changes() {
    let memory = Memory::new();
    let log: Mutex<Vec<Told>> = Mutex::default();
    let note = |change: Change<'_>| log.lock().unwrap().push(change.into());
    let ids: Vec<_> = (0..5).map(|n| made(n, "anna").id).collect();
    for n in 0..5 {
        memory.insert(made(n, "anna"), &mut { note });
    }
    let next = |session: &mut Session| {
        session.generation += 1;
        Rotation::Raced
    };
    thread::scope(|scope| {
        for thread in 0..4 {
            let (memory, ids, note) = (&memory, &ids, &note);
            scope.spawn(move || {
                for round in 0..500 {
                    for id in ids {
                        let _ = memory.change(*id, &policy(), next, &mut { note });
                    }
                    if thread == 0 && round == 250 {
                        memory.end(ids[0], &policy(), &mut { note });
                    }
                }
            });
        }
    });
    let mut last: HashMap<SessionId, Told> = HashMap::new();
    for told in log.into_inner().unwrap() {
        match &told {
            Told::Session(session) => {
                let before = last.insert(session.id, told.clone());
                let expected = session.generation.checked_sub(1);
                match before {
                    None => assert_eq!(expected, None),
                    Some(Told::Session(before)) => assert_eq!(expected, Some(before.generation)),
                    Some(ended) => panic!("{told:?} after {ended:?}"),
                }
            }
            Told::Tombstone(id, _) => drop(last.insert(*id, told.clone())),
        }
    }
    for told in last.into_values() {
        match told {
            Told::Session(session) => {
                assert_eq!(session.generation, 2000);
                assert_eq!(memory.find(session.id), Some(*session));
            }
            Told::Tombstone(id, _) => assert_eq!((memory.find(id), id), (None, ids[0])),
        }
    }
    assert_eq!((memory.live(), memory.index_is_sound()), (4, true));
}

#[test]
fn whoever_comes_and_goes_at_once_leaves_no_trace_in_the_index() {
    let memory = Memory::new();
    thread::scope(|scope| {
        for thread in 0..4 {
            let memory = &memory;
            scope.spawn(move || {
                for n in 0..2000 {
                    let session = made(n / 2, "anna");
                    let id = session.id;
                    if (n + thread) % 2 == 0 {
                        memory.insert(session, &mut |_| {});
                    } else {
                        memory.end(id, &policy(), &mut |_| {});
                    }
                }
            });
        }
    });
    assert!(memory.index_is_sound());
    assert_eq!(memory.of(&Subject::new("anna")).len(), memory.live());
}

impl Memory {
    /// Whether exactly the live sessions are listed, once each.
    fn index_is_sound(&self) -> bool {
        let mut listed: Vec<_> = (0..SHARDS).flat_map(|shard| self.index.piece(shard)).collect();
        let mut live: Vec<_> = self.sessions.iter().map(|entry| *entry.key()).collect();
        listed.sort();
        live.sort();
        listed == live && live.len() == self.live()
    }
}
