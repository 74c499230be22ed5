//! The commands that look at the files of the store: what they say, what they save, and that they change nothing.

mod export;
mod inspect;
mod restore;
mod salvage;
mod verify;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::support::{Answer, Ended, Gate, Run, Start, Upstream, refresh};

/// A gate that has lived: some sessions, some refreshes, an end. Each record was synced before the next was made.
struct Life {
    gate: Gate,
    /// Refreshed twice.
    refreshed: Answer,
    /// Of another user, and never used.
    untouched: Answer,
    revoked: Answer,
}

/// How many records such a life leaves.
const RECORDS: usize = 6;

impl Life {
    #[track_caller]
    fn on(gate: Gate) -> Self {
        let first = gate.alice(&["messages:list", "messages:send"]);
        let untouched = gate.sign_in("bob", "builder", &["messages:read"]);
        let revoked = gate.alice(&["messages:list"]);
        let second = refresh(&gate, &first).expect(200);
        let token = format!("/3rdparty/v1/auth/token/{}", revoked.field("id"));
        gate.call("DELETE", &token).basic("alice", "wonderland").send().expect(204);
        let refreshed = refresh(&gate, &second).expect(200);
        Self { gate, refreshed, untouched, revoked }
    }

    /// With everything in one segment of the journal, as a killed process leaves it. A gate that is slow to begin may
    /// write its first snapshot among the requests; then another one has to live.
    #[track_caller]
    fn killed() -> Self {
        for _ in 0..20 {
            let mut life = Self::on(Start::before(Upstream::start().address).start());
            life.kill();
            if !life.snapshot().exists() && frames(&fs::read(life.segment()).unwrap()).len() == RECORDS {
                return life;
            }
        }
        panic!("twenty gates were too slow");
    }

    /// With everything in the snapshot.
    #[track_caller]
    fn ended() -> Self {
        let mut life = Self::on(Start::before(Upstream::start().address).start());
        life.gate.stop();
        life
    }

    fn kill(&mut self) {
        self.gate.signal("KILL");
        self.gate.wait();
    }

    fn data(&self) -> PathBuf {
        self.gate.folder().join("data")
    }

    fn snapshot(&self) -> PathBuf {
        self.data().join("sessions.snapshot")
    }

    /// The segment that holds records.
    #[track_caller]
    fn segment(&self) -> PathBuf {
        let files = fs::read_dir(self.data()).unwrap().map(|entry| entry.unwrap().path());
        let mut segments: Vec<_> = files.filter(|file| name(file).starts_with("sessions.journal.")).collect();
        segments.sort();
        segments.into_iter().find(|segment| fs::metadata(segment).unwrap().len() > HEADER as u64).unwrap()
    }

    /// Runs one of the commands, and holds it to having changed nothing.
    #[track_caller]
    fn store(&self, arguments: &[&str]) -> Ended {
        let before = state(&self.data());
        let ended = Run::new(&self.gate.folder(), &[&["store"], arguments].concat()).end();
        let after = state(&self.data());
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{arguments:?}");
        assert!(before == after, "{arguments:?} changed a file");
        assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
        ended
    }

    /// The objects that a command prints.
    #[track_caller]
    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let ended = self.store(arguments).expect(0);
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Before the first record of a snapshot or segment.
const HEADER: usize = 32;

/// Where the records of a file begin: length, checksum, body.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let (mut frames, mut at) = (Vec::new(), HEADER);
    while let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        frames.push(at);
        at += 8 + u32::from_le_bytes(*length) as usize;
    }
    assert_eq!(at, bytes.len());
    frames
}

/// Flips a bit in the middle of a record, and returns where that begins.
#[track_caller]
fn damage(file: &Path, record: usize) -> usize {
    let mut bytes = fs::read(file).unwrap();
    let frames = frames(&bytes);
    bytes[(frames[record] + frames[record + 1]) / 2] ^= 0x10;
    fs::write(file, bytes).unwrap();
    frames[record]
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_str().unwrap().to_owned()
}

fn sid(pair: &Answer) -> String {
    pair.claims("access_token")["sid"].as_str().unwrap().to_owned()
}

/// Everything below a folder: when it was changed, and the bytes of files.
fn state(folder: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let mut state = BTreeMap::from([(folder.to_owned(), (modified(folder), Vec::new()))]);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => state.extend(self::state(&path)),
            false => drop(state.insert(path.clone(), (modified(&path), fs::read(&path).unwrap()))),
        }
    }
    state
}
