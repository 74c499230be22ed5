//! What is read from the files. See [`crate::fuzzing`].
#![expect(clippy::expect_used, reason = "what cannot be is a finding")]

use std::fs;
use std::path::PathBuf;

use super::record::{self, Record};
use super::segment;
use super::{Entry, Replayed, SNAPSHOT, read};

/// The kind of a record and its payload.
pub fn record(data: &[u8]) {
    let Some((kind, payload)) = data.split_first() else { return };
    let Ok(read) = record::read(*kind, payload) else { return };
    let mut written = Vec::new();
    match &read {
        Record::Session(session) => record::write(Entry::Session(session), &mut written),
        Record::Tombstone { id, until } => record::write(Entry::Tombstone { id: *id, until: *until }, &mut written),
        Record::Pulse { at } => record::write_pulse(*at, &mut written),
        Record::Restored(restoration) => record::write(Entry::Restored(restoration), &mut written),
    };
    let again = record::read(written[0], &written[1..]);
    assert!(again.is_ok_and(|again| again == read), "what is read can be written, and read again");
}

/// A snapshot or a segment of the journal: the first byte says which.
pub fn file(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let folder = folder();
    fs::create_dir_all(&folder).expect("a folder");
    let [snapshot, segment] = [folder.join(SNAPSHOT), segment::path(&folder, 1)];
    for path in [&snapshot, &segment] {
        let _ = fs::remove_file(path);
    }
    fs::write(if kind % 2 == 0 { snapshot } else { segment }, rest).expect("a file");
    // Whether it is good or not is told; what it claims of its length is not believed.
    let _ = read(&folder, &mut Replayed::default());
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("portcullis-fuzz-{}", std::process::id()))
}
