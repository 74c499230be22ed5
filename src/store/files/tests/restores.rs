//! Restoring a copy: what stands there before, after, and in between.
//!
//! Guarantees: every state in which a crash may leave the directory is one that a start reads, or refuses by name.
//! Does not know: what a restoration means for tokens.

use crate::token::{Restoration, Restorations};

use super::*;

fn restoration(number: u64) -> Restoration {
    let at = |second| T0 + Duration::from_secs(number * 100 + second);
    Restoration { backup: at(1), restored: at(9), adopt: false, revoked_after: None, sessions_end: at(99) }
}

fn all(restorations: &[Restoration]) -> Restorations {
    let mut all = Restorations::default();
    restorations.iter().for_each(|restoration| all.add(*restoration));
    all
}

/// A copy with one session, and the directory that it was made of, which has gone on: with a snapshot and a journal.
fn gone_on(folder: &Path) -> (PathBuf, Replayed, u64) {
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    let mut gate = Gate::open(&data);
    assert!(gate.sign_in(1));
    let mut copy = Replayed::default();
    let covers = read(&data, &mut copy).unwrap().next - 1;
    assert!(gate.rotate(1) && gate.sign_in(2));
    gate.snapshot().unwrap();
    assert!(gate.sign_in(3) && gate.end(2));
    gate.close();
    (data, copy, covers)
}

fn restored(data: &Path, memory: &Replayed, covers: u64, number: u64) -> PathBuf {
    let aside = data.with_file_name(format!("replaced-{number}"));
    let plan = Plan { memory, covers, restoration: restoration(number) };
    let restored = restore(&plan, data, &aside).unwrap();
    assert_eq!((restored.sessions, restored.tombstones, restored.aside), (1, 0, Some(aside.clone())));
    aside
}

#[test]
fn a_copy_takes_the_place_of_what_is_there_and_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy, covers) = gone_on(folder.path());
    let (before, found) = recovered(&data);
    let aside = restored(&data, &copy, covers, 1);
    let mut memory = Replayed::default();
    let after = read(&data, &mut memory).unwrap();
    assert_eq!((&memory.entries, &memory.restorations), (&copy.entries, &all(&[restoration(1)])));
    assert_eq!((after.newest, after.notices, after.next), (restoration(1).restored, vec![], found.next));
    assert_eq!(recovered(&aside).0, before);
    // What is restored later keeps what it knew of restorations.
    restored(&data, &memory, after.next - 1, 2);
    let mut memory = Replayed::default();
    read(&data, &mut memory).unwrap();
    assert_eq!(memory.restorations, all(&[restoration(1), restoration(2)]));
    // Salvage does as well.
    salvage(&data, &folder.path().join("salvaged"), T0).unwrap();
    fs::rename(folder.path().join("salvaged"), data.join(SNAPSHOT_NAME)).unwrap();
    let mut memory = Replayed::default();
    read(&data, &mut memory).unwrap();
    assert_eq!(memory.restorations, all(&[restoration(1), restoration(2)]));
    let mut gate = Gate::open(&data);
    assert!(gate.sign_in(9));
    gate.close();
}

#[test]
fn a_crash_behind_the_rename_leaves_what_was_restored() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy, covers) = gone_on(folder.path());
    let aside = restored(&data, &copy, covers, 1);
    for file in files(&aside).iter().filter(|file| *file != SNAPSHOT_NAME) {
        fs::copy(aside.join(file), data.join(file)).unwrap();
        assert_eq!(recovered(&data).0, copy.entries, "{file}");
    }
    let mut gate = Gate::open(&data);
    assert!(gate.sign_in(9));
    gate.close();
}

#[test]
fn damage_in_what_is_replaced_is_no_obstacle_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy, covers) = gone_on(folder.path());
    let (_, found) = recovered(&data);
    for file in files(&data) {
        let mut bytes = fs::read(data.join(&file)).unwrap();
        bytes[20] ^= 1;
        fs::write(data.join(&file), bytes).unwrap();
    }
    let aside = restored(&data, &copy, covers, 1);
    let (entries, after) = recovered(&data);
    assert_eq!(entries, copy.entries);
    assert_eq!(after.next, found.next, "sequences do not fall");
    assert!(read(&aside, &mut Replayed::default()).is_err());
}

#[test]
fn a_folder_that_is_there_is_not_written_into() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy, covers) = gone_on(folder.path());
    let before = recovered(&data).0;
    let aside = data.join("replaced");
    fs::create_dir(&aside).unwrap();
    let plan = Plan { memory: &copy, covers, restoration: restoration(1) };
    let error = restore(&plan, &data, &aside).unwrap_err().to_string();
    assert!(error.contains("cannot make the folder"), "{error}");
    assert_eq!(recovered(&data).0, before);
    assert!(!data.join("sessions.tmp").exists());
}
