//! The files under every fault that can be thought of: what was acknowledged is there, and nothing that never was.
//!
//! Guarantees: damage is tried at every byte and bit, crashes between all operations; nothing sleeps, and every directory
//! is its own.
//! Does not know: memory; a plain map stands in for it.

mod breaks;
mod crashes;
mod damage;
pub(in crate::store) mod faulty;
mod formats;
mod restores;
mod together;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::token::{CredentialVersion, Profile, Scopes, Sender, Session, SessionId, Subject, Timestamp};

use super::disk::Disk;
use super::opening::open_on;
use super::snapshot::NAME as SNAPSHOT_NAME;
use super::*;

use faulty::{FaultyDisk, Unsynced};

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 12])
}

fn session(number: u8) -> Session {
    let scopes = Scopes::new(["messages:send", "messages:read"]);
    Session {
        id: id(number),
        subject: Subject::new("anna"),
        profile: Profile::Smsgate,
        scopes: scopes.clone(),
        granted: scopes,
        access_ttl: SECOND * 900,
        device: None,
        begun_from: Sender::default(),
        used_from: Sender::default(),
        created_at: T0,
        rotated_at: T0,
        answered_at: Timestamp::default(),
        idle_expires_at: T0 + SECOND * 2_592_000,
        expires_at: T0 + SECOND * 31_536_000,
        generation: 0,
        kid: "key".into(),
        credential: CredentialVersion([7; 8]),
        parent: None,
        access_floor: 0,
        in_doubt: false,
        outlived: None,
        client: None,
        certificate: None,
    }
}

/// A store as plain as can be: a map, the journal beside it, and a note of what it has acknowledged.
struct Gate {
    directory: PathBuf,
    memory: Replayed,
    /// All that ever was in memory, by id.
    history: HashMap<SessionId, Vec<Known>>,
    acknowledged: HashMap<SessionId, Known>,
    journal: Journal,
    snapshots: Snapshots,
    writer: JoinHandle<()>,
}

impl Gate {
    fn open(directory: &Path) -> Self {
        Self::open_on(Arc::new(FaultyDisk::under(directory)), directory, Fsync::Always).unwrap()
    }

    fn open_on(disk: Arc<dyn Disk>, directory: &Path, fsync: Fsync) -> Result<Self, FilesError> {
        let mut memory = Replayed::default();
        let recovered = read(directory, &mut memory)?;
        let Opened { journal, snapshots, writer } = open_on(disk, &recovered, fsync)?;
        let history = memory.entries.iter().map(|(id, known)| (*id, vec![known.clone()])).collect();
        Ok(Self {
            directory: directory.to_owned(),
            acknowledged: memory.entries.clone(),
            memory,
            history,
            journal,
            snapshots,
            writer: thread::spawn(move || writer.run()),
        })
    }

    /// Changes memory and appends the change.
    fn change(&mut self, id: SessionId, known: Known) -> Receipt {
        let receipt = self.journal.append(known.as_entry(id));
        self.history.entry(id).or_default().push(known.clone());
        self.memory.entries.insert(id, known);
        receipt
    }

    /// Waits for the receipt of what memory holds, and notes what it says. Returns that.
    fn acknowledge(&mut self, id: SessionId, receipt: Receipt) -> bool {
        let durable = receipt.wait().is_ok();
        if durable {
            self.acknowledged.insert(id, self.memory.entries[&id].clone());
        }
        durable
    }

    fn sign_in(&mut self, number: u8) -> bool {
        let receipt = self.change(id(number), Known::Live(Box::new(session(number))));
        self.acknowledge(id(number), receipt)
    }

    fn begin_rotation(&mut self, number: u8) -> Receipt {
        let Some(Known::Live(known)) = self.memory.entries.get(&id(number)) else { panic!("not live: {number}") };
        let mut next = known.clone();
        next.generation += 1;
        next.rotated_at = next.rotated_at + SECOND;
        self.change(id(number), Known::Live(next))
    }

    fn rotate(&mut self, number: u8) -> bool {
        let receipt = self.begin_rotation(number);
        self.acknowledge(id(number), receipt)
    }

    fn end(&mut self, number: u8) -> bool {
        let receipt = self.change(id(number), Known::Ended { until: T0 + SECOND * 939 });
        self.acknowledge(id(number), receipt)
    }

    fn snapshot(&mut self) -> Result<(), FilesError> {
        let mut round = self.snapshots.begin(T0)?;
        for (id, known) in &self.memory.entries {
            round.put(known.as_entry(*id));
            round.drain()?;
        }
        round.finish(T0)
    }

    /// A snapshot beside live traffic: number 1 is rotated before, in the middle of, and behind the walk.
    fn snapshot_among_changes(&mut self) -> Result<(), FilesError> {
        let Self { snapshots, memory, history, journal, .. } = self;
        let mut round = snapshots.begin(T0)?;
        let mut pending = Vec::new();
        let mut rotate = |memory: &mut Replayed| {
            let Some(Known::Live(session)) = memory.entries.get_mut(&id(1)) else { panic!("number 1 has ended") };
            session.generation += 1;
            let known = Known::Live(session.clone());
            pending.push((journal.append(known.as_entry(id(1))), known.clone()));
            history.entry(id(1)).or_default().push(known);
        };
        rotate(memory);
        let mut walk: Vec<_> = memory.entries.keys().copied().collect();
        walk.sort_by_key(|walked| *walked == id(1));
        for walked in walk {
            rotate(memory);
            round.put(memory.entries[&walked].as_entry(walked));
        }
        rotate(memory);
        let finished = round.finish(T0);
        for (receipt, known) in pending {
            if receipt.wait().is_ok() {
                self.acknowledged.insert(id(1), known);
            }
        }
        finished
    }

    /// Ends as a process ends that is told to.
    fn close(self) -> HashMap<SessionId, Known> {
        self.journal.close();
        self.writer.join().unwrap();
        self.memory.entries
    }

    fn files(&self) -> Vec<String> {
        files(&self.directory)
    }
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn segment_name(first: u64) -> String {
    format!("sessions.journal.{first:020}")
}

fn recovered(directory: &Path) -> (HashMap<SessionId, Known>, Recovered) {
    let mut memory = Replayed::default();
    let recovered = read(directory, &mut memory).unwrap_or_else(|error| panic!("{error} ({:?})", files(directory)));
    (memory.entries, recovered)
}

/// What a recovery makes of the directory keeps all that was acknowledged, knows nothing that never was, and can be
/// built upon.
#[track_caller]
fn keeps_faith(gate: &Gate, directory: &Path, case: &str) {
    let mut memory = Replayed::default();
    let found = read(directory, &mut memory);
    let found = found.unwrap_or_else(|error| panic!("{case}: {error} ({:?})", files(directory)));
    for (id, acknowledged) in &gate.acknowledged {
        let history = &gate.history[id];
        let at_least = history.iter().rposition(|known| known == acknowledged).unwrap();
        let now = memory.entries.get(id).and_then(|known| history.iter().rposition(|past| past == known));
        assert!(now.is_some_and(|now| now >= at_least), "{case}: {id} is {:?} of {at_least}", now);
    }
    for (id, known) in &memory.entries {
        assert!(gate.history.get(id).is_some_and(|history| history.contains(known)), "{case}: {id} is {known:?}");
    }
    let mut next = Gate::open_on(Arc::new(FaultyDisk::under(directory)), directory, Fsync::Always)
        .unwrap_or_else(|error| panic!("{case}, opened: {error} ({:?})", files(directory)));
    assert_eq!(next.memory.entries, memory.entries, "{case}: read again, it is something else");
    assert!(next.sign_in(200), "{case}");
    memory.entries = next.close();
    let mut last = Gate::open(directory);
    last.snapshot().unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(recovered(directory).0, memory.entries, "{case}");
    assert!(found.next <= last.journal.shared.desk().next, "{case}: sequences fall");
    last.close();
}
