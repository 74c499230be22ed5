//! The journal of a real gate, cut at every byte and with every bit flipped: either what was acknowledged up to some
//! moment, or a refusal that names the file and the byte.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis::store::{Caps, FilesError, Fsync, Remembered};
use portcullis::token::{
    AccessOverlap, AccessStanding, Lifetimes, OnReuse, Policy, SessionId, Timestamp, TokenId, TokenKind,
};
use tempfile::TempDir;

use super::*;
use crate::support::Run;

/// Where the records of a segment begin.
const HEADER: usize = 32;

/// What is known of each session: its generation, or that it has ended.
type State = BTreeMap<String, Option<u32>>;

/// A gate that was killed, and what it had acknowledged.
struct Story {
    gate: Gate,
    segment: PathBuf,
    bytes: Vec<u8>,
    snapshot: Vec<u8>,
    /// How long the segment was when something had been acknowledged, and what that made of the sessions.
    steps: Vec<(usize, State)>,
}

impl Story {
    #[track_caller]
    fn tell() -> Self {
        // A keeper that is late writes a snapshot in the middle, and the segment is gone.
        std::iter::from_fn(|| Some(Self::told())).flatten().next().unwrap()
    }

    #[track_caller]
    fn told() -> Option<Self> {
        let (gate, pairs) = rested(&[], 3);
        let segment = segment(&data(&gate)).unwrap();
        let state = pairs.iter().map(|pair| (session_of(pair), Some(0))).collect();
        let mut story = Self { snapshot: Vec::new(), bytes: Vec::new(), steps: vec![(HEADER, state)], segment, gate };
        let renewed = story.renews(&pairs[0]);
        let other = story.begins(None);
        story.ends(&pairs[1], &[&pairs[1]]);
        let child = story.begins(Some(&renewed));
        let child = story.renews(&child);
        let other = story.renews(&other);
        story.renews(&other);
        refresh(&story.gate, &other).expect_refusal(401);
        story.step(|state| state.insert(session_of(&other), None));
        // Two records in one write.
        story.ends(&renewed, &[&renewed, &child]);
        let last = story.begins(None);
        story.renews(&last);
        story.gate.kill();
        story.bytes = fs::read(&story.segment).ok()?;
        story.snapshot = fs::read(data(&story.gate).join("sessions.snapshot")).unwrap();
        assert_eq!(story.bytes.len(), story.steps.last().unwrap().0);
        Some(story)
    }

    fn step<T>(&mut self, change: impl FnOnce(&mut State) -> T) {
        let mut state = self.steps.last().unwrap().1.clone();
        change(&mut state);
        let length = fs::metadata(&self.segment).map_or(0, |segment| segment.len());
        self.steps.push((length.try_into().unwrap(), state));
    }

    #[track_caller]
    fn begins(&mut self, parent: Option<&Answer>) -> Answer {
        let pair = match parent {
            None => self.gate.alice(&["messages:list"]),
            Some(parent) => {
                let mint = self.gate.post(TOKEN).bearer(&parent.field("access_token"));
                mint.json(&serde_json::json!({ "scopes": ["messages:list"] })).send().expect(201)
            }
        };
        self.step(|state| state.insert(session_of(&pair), Some(0)));
        pair
    }

    #[track_caller]
    fn renews(&mut self, pair: &Answer) -> Answer {
        let next = refresh(&self.gate, pair).expect(200);
        self.step(|state| *state.get_mut(&session_of(pair)).unwrap().as_mut().unwrap() += 1);
        next
    }

    #[track_caller]
    fn ends(&mut self, pair: &Answer, ended: &[&Answer]) {
        revoke(&self.gate, pair).send().expect(204);
        self.step(|state| state.extend(ended.iter().map(|pair| (session_of(pair), None))));
    }

    /// The last step that a segment of so many sound bytes knows, and the one after it.
    fn around(&self, sound: usize) -> (&(usize, State), &(usize, State)) {
        let next = self.steps.partition_point(|(length, _)| *length <= sound);
        let last = self.steps.len() - 1;
        (&self.steps[next.saturating_sub(1)], &self.steps[next.min(last)])
    }

    /// A directory with the snapshot and another segment in place of the one that was written.
    fn files_with(&self, bytes: &[u8]) -> TempDir {
        // Where syncs cost nothing, if there is such a place: thousands of directories are made.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        fs::write(folder.path().join("sessions.snapshot"), &self.snapshot).unwrap();
        fs::write(folder.path().join(self.segment.file_name().unwrap()), bytes).unwrap();
        folder
    }

    /// What the library makes of such a directory, as a start does.
    fn known(&self, bytes: &[u8]) -> Result<State, FilesError> {
        let folder = self.files_with(bytes);
        let caps = Caps { sessions: 100, sessions_per_user: 100, tombstones: 100 };
        let (store, _writer) = Remembered::read(folder.path())?.open(Fsync::Never, caps, Arc::new(policy()))?;
        let now = Timestamp::from_secs(0);
        let ids = self.steps.last().unwrap().1.keys();
        let known = ids.filter_map(|id| {
            let session: SessionId = id.parse().unwrap();
            let token = TokenId { session, generation: 0, kind: TokenKind::Access };
            let ended = store.access_standing(token, now) == AccessStanding::Ended;
            let generation = store.find(session).map(|session| session.generation);
            (ended || generation.is_some()).then(|| (id.clone(), generation))
        });
        Ok(known.collect())
    }

    /// Holds what is known to what was acknowledged while the segment had so many sound bytes. Of a step of several
    /// records that was cut between them, what is known may have some.
    #[track_caller]
    fn is_a_prefix(&self, known: &State, sound: usize, case: &str) {
        let ((length, before), (_, after)) = self.around(sound);
        if *length == sound {
            return assert_eq!(known, before, "{case}");
        }
        for id in after.keys() {
            let found = known.get(id);
            assert!(found == before.get(id) || found == after.get(id), "{case}: {id} is {found:?}");
        }
        assert!(before.keys().all(|id| known.contains_key(id)), "{case}");
    }
}

/// Of no consequence for what is read.
fn policy() -> Policy {
    let hour = Duration::from_hours(1);
    let hours = Lifetimes { access_ttl: hour, refresh_ttl: hour };
    Policy {
        issuer: "portcullis".into(),
        audience: Vec::new(),
        access_type: "at+jwt".into(),
        leeway: Duration::ZERO,
        max_token_bytes: 8192,
        smsgate: hours,
        form: hours,
        oauth: hours,
        access_ttl_max: hour,
        session_ttl: hour,
        access_overlap: AccessOverlap::UntilExpiry,
        retry_window: Duration::ZERO,
        on_reuse: OnReuse::Session,
    }
}

fn flipped(bytes: &[u8], at: usize, bit: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << bit;
    bytes
}

#[test]
fn cut_at_any_byte_it_is_what_was_acknowledged_before() {
    let story = Story::tell();
    for cut in 0..=story.bytes.len() {
        let known = story.known(&story.bytes[..cut]).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        story.is_a_prefix(&known, cut.max(HEADER), &format!("cut at {cut}"));
    }
}

#[test]
fn with_any_bit_flipped_it_is_refused_or_what_was_acknowledged_before_its_last_record() {
    let story = Story::tell();
    let [.., (before_last, _), _] = &story.steps[..] else { panic!("no steps") };
    for (at, bit) in (0..story.bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let case = format!("bit {bit} of byte {at}");
        match story.known(&flipped(&story.bytes, at, bit)) {
            Ok(known) => {
                assert!(at >= *before_last, "{case} passed for a torn end");
                story.is_a_prefix(&known, *before_last, &case);
            }
            Err(error) => {
                assert!(at < *before_last, "{case}: {error}");
                let (start, end) = (story.around(at).0.0, story.around(at).1.0);
                refused(&error.to_string(), if at < HEADER { 0..HEADER } else { start..end }, &case);
            }
        }
    }
}

/// Holds a refusal to naming the file, and the byte unless the file is not a segment at all.
#[track_caller]
fn refused(said: &str, expected: std::ops::Range<usize>, case: &str) {
    assert!(said.contains("/sessions.journal.0"), "{case}: {said}");
    if let Some((_, place)) = said.split_once(" at byte ") {
        let offset = place.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
        assert!(expected.contains(&offset), "{case}: {said}");
    } else {
        assert!(expected.start == 0, "{case}: {said}");
        assert!(said.contains("not a journal segment") || said.contains("format version"), "{case}: {said}");
    }
}

#[test]
fn the_binary_does_as_the_library_does() {
    let mut story = Story::tell();
    let (bytes, length) = (story.bytes.clone(), story.bytes.len());
    let [.., (before_last, _), _] = story.steps[..] else { panic!("no steps") };
    for cut in [0, 7, HEADER, HEADER + 9, length / 3, length / 2, before_last, before_last + 1, length - 1] {
        story = starts(story, &bytes[..cut], cut.max(HEADER));
    }
    story = starts(story, &flipped(&bytes, length - 3, 4), before_last);
    for at in [3, 20, HEADER + 2, length / 2, before_last - 1] {
        lay(&story, &flipped(&bytes, at, 4));
        for verb in ["check", "serve"] {
            let ended = Run::new(&story.gate.folder(), &[verb, "--listen", "127.0.0.1:0"]).end().expect(1);
            let said = ended.stderr.lines().find(|line| line.starts_with("portcullis: ")).unwrap();
            let (start, end) = (story.around(at).0.0, story.around(at).1.0);
            refused(said, if at < HEADER { 0..HEADER } else { start..end }, &format!("{verb}, byte {at}"));
        }
        assert_eq!(fs::read(&story.segment).unwrap(), flipped(&bytes, at, 4), "it is left alone");
    }
}

/// Puts the files of the story in place, with another segment.
fn lay(story: &Story, bytes: &[u8]) {
    let data = data(&story.gate);
    for entry in fs::read_dir(&data).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_name().to_string_lossy().starts_with("sessions.") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    fs::write(data.join("sessions.snapshot"), &story.snapshot).unwrap();
    fs::write(&story.segment, bytes).unwrap();
}

/// Starts the gate on such a segment, asks it for its sessions and kills it.
#[track_caller]
fn starts(mut story: Story, bytes: &[u8], sound: usize) -> Story {
    lay(&story, bytes);
    story.gate = story.gate.start_again();
    let known = story.gate.get(SESSIONS).basic("alice", "wonderland").send().expect(200).json();
    let known: Vec<_> = known.as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap()).collect();
    let (before, after) = story.around(sound);
    let live = |state: &State, id: &str| state.get(id).is_some_and(Option::is_some);
    for id in after.1.keys() {
        let found = known.contains(&&**id);
        assert!(found == live(&before.1, id) || found == live(&after.1, id), "{} bytes: {id}", bytes.len());
    }
    assert_eq!(said(&story.gate, "never acknowledged") > 0, before.0 != bytes.len(), "{} bytes", bytes.len());
    story.gate.kill();
    story
}
