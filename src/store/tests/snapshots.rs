//! The snapshot file: what it brings back, and that no damage to it goes unseen.
//!
//! Guarantees: damage is tried at every byte and every bit, not at chosen ones.
//! Does not know: when snapshots are taken.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::token::Device;

use super::*;

const HEADER: usize = 12;

fn at(file: &Path) -> Result<Store, SnapshotError> {
    let caps = Caps { sessions: 10_000, sessions_per_user: 1000 };
    Store::open(file.to_owned(), caps, Arc::new(policy()))
}

/// A store of three sessions and a tombstone, with something in every field, and its file.
fn filled() -> (TempDir, Store) {
    let (folder, store) = empty();
    let policy = policy();
    let plain = session(1, "anna", T0, &policy);
    let rich = Session {
        device: Some(Box::new(Device { id: Some("d-1".into()), name: Some("Anna’s phone".into()) })),
        address: Some("2001:db8::7".parse().unwrap()),
        parent: Some(plain.id),
        access_floor: 3,
        generation: 4_000_000_000,
        kid: "other".into(),
        granted: Scopes::new(["messages:read"]),
        rotated_at: T0 + SECOND * 5,
        ..session(2, "anna", T0, &policy)
    };
    let odd = Session {
        device: Some(Box::new(Device { id: None, name: Some(String::new()) })),
        address: Some("192.0.2.7".parse().unwrap()),
        scopes: Scopes::default(),
        granted: Scopes::default(),
        access_ttl: Duration::from_micros(1),
        ..session(3, "", T0, &policy)
    };
    let gone = session(4, "ben", T0 + SECOND * 9, &policy);
    let id = gone.id;
    for session in [plain, rich, odd, gone] {
        run(store.issue(session, &known, T0)).unwrap();
    }
    assert!(run(store.end(id)).unwrap());
    store.snapshot().unwrap();
    (folder, store)
}

fn file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("s")
}

fn all(store: &Store) -> Vec<Session> {
    let mut all: Vec<_> =
        ["anna", "ben", ""].iter().flat_map(|name| store.sessions_of(&Subject::new(*name), T0)).collect();
    for session in &mut all {
        // What was on its way is gone with the process, so when an answer left need not be kept.
        session.answered_at = Timestamp::default();
    }
    all
}

/// Where each record begins, and the end of the last one.
fn records(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![HEADER];
    while let Some(length) = starts.last().and_then(|at| bytes.get(*at..at + 4)) {
        starts.push(starts.last().unwrap() + 8 + u32::from_le_bytes(length.try_into().unwrap()) as usize);
    }
    starts
}

#[track_caller]
fn refused(file: &Path, bytes: &[u8], what: &str) -> SnapshotError {
    fs::write(file, bytes).unwrap();
    let error = at(file).err().unwrap_or_else(|| panic!("read in spite of {what}"));
    assert!(error.to_string().starts_with(&file.display().to_string()), "{what}: {error}");
    assert_eq!(fs::read(file).unwrap(), bytes, "{what}: the file was touched");
    error
}

#[track_caller]
fn damaged_at(file: &Path, bytes: &[u8], expected: usize, what: &str) {
    let error = refused(file, bytes, what);
    assert!(matches!(error, SnapshotError::Damaged { offset, .. } if offset == expected), "{what}: {error}");
    assert!(error.to_string().contains(&format!("damaged at byte {expected}:")), "{what}: {error}");
}

#[test]
fn a_snapshot_brings_everything_back() {
    let (folder, store) = filled();
    let again = at(&file(&folder)).unwrap();
    assert_eq!((all(&again), again.live()), (all(&store), 3));
    assert_eq!(again.newest(), T0 + SECOND * 9, "also the time of what has ended");
    let gone = session(4, "ben", T0, &policy()).id;
    assert_eq!(again.access_standing(access(gone, 0), T0 + SECOND * 10), AccessStanding::Ended);
    assert_eq!(refresh(&again, gone, 0, T0 + SECOND * 10), Rotation::Refused(RotationRefusal::Ended));
    // Written again from what was read, too.
    assert!(run(again.end(all(&again)[0].id)).unwrap());
    again.snapshot().unwrap();
    assert_eq!(all(&at(&file(&folder)).unwrap()), all(&again));
}

#[test]
fn a_missing_file_is_an_empty_store_and_nothing_changed_is_nothing_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = at(&file(&folder)).unwrap();
    assert_eq!((store.is_empty(), store.newest()), (true, Timestamp::default()));
    store.snapshot().unwrap();
    assert!(!file(&folder).exists());

    let (folder, store) = filled();
    fs::remove_file(file(&folder)).unwrap();
    store.snapshot().unwrap();
    assert!(!file(&folder).exists(), "it was saved already");
    assert!(matches!(refresh(&store, session(1, "anna", T0, &policy()).id, 0, T0 + SECOND), Rotation::Rotated(_)));
    store.snapshot().unwrap();
    assert!(file(&folder).exists());
}

#[test]
fn a_file_cut_short_anywhere_is_refused_with_the_place() {
    let (folder, _store) = filled();
    let whole = fs::read(file(&folder)).unwrap();
    let starts = records(&whole);
    assert_eq!((starts.len(), *starts.last().unwrap()), (6, whole.len()), "four entries and the closing record");
    for length in 0..whole.len() {
        let what = format!("a cut at {length}");
        if length < HEADER {
            assert!(
                matches!(refused(&file(&folder), &whole[..length], &what), SnapshotError::Foreign { .. }),
                "{what}"
            );
        } else {
            let begun = starts.iter().rev().find(|start| **start <= length).unwrap();
            damaged_at(&file(&folder), &whole[..length], *begun, &what);
        }
    }
}

#[test]
fn any_flipped_bit_is_refused_with_the_place() {
    let (folder, _store) = filled();
    let whole = fs::read(file(&folder)).unwrap();
    let starts = records(&whole);
    for bit in 0..whole.len() * 8 {
        let (byte, what) = (bit / 8, format!("a flip of bit {bit}"));
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << (bit % 8);
        match byte {
            0..8 => {
                assert!(matches!(refused(&file(&folder), &flipped, &what), SnapshotError::Foreign { .. }), "{what}")
            }
            8..HEADER => {
                assert!(matches!(refused(&file(&folder), &flipped, &what), SnapshotError::Newer { .. }), "{what}");
            }
            _ => damaged_at(&file(&folder), &flipped, *starts.iter().rev().find(|at| **at <= byte).unwrap(), &what),
        }
    }
}

#[test]
fn a_record_too_many_or_too_few_is_refused() {
    let (folder, _store) = filled();
    let whole = fs::read(file(&folder)).unwrap();
    let starts = records(&whole);
    let (first, second, closing, end) = (starts[0], starts[1], starts[4], starts[5]);
    let record = &whole[first..second];
    damaged_at(&file(&folder), &[&whole[..first], &whole[second..]].concat(), closing - record.len(), "one lost");
    damaged_at(
        &file(&folder),
        &[&whole[..first], record, &whole[first..]].concat(),
        closing + record.len(),
        "one twice",
    );
    damaged_at(&file(&folder), &[&whole[..], record].concat(), closing, "one behind the end");
    damaged_at(&file(&folder), &[&whole[..], b"\0"].concat(), closing, "a byte behind the end");
    damaged_at(&file(&folder), &[&whole[..], &whole[closing..end]].concat(), closing, "two ends");
    let mut endless = whole;
    endless[first..first + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    damaged_at(&file(&folder), &endless, first, "a length beyond all memory");
}

#[test]
fn what_is_not_ours_or_of_a_newer_kind_is_said_to_be_so() {
    let (folder, _store) = filled();
    let mut newer = fs::read(file(&folder)).unwrap();
    newer[8] = 2;
    let error = refused(&file(&folder), &newer, "a newer version").to_string();
    assert!(error.ends_with("format version 2; this portcullis reads up to 1"), "{error}");
    for text in ["", "\n", "{\"sessions\": []}", "PCLSNAP"] {
        let error = refused(&file(&folder), text.as_bytes(), text).to_string();
        assert!(error.ends_with("not a snapshot of portcullis"), "{error}");
    }
    fs::remove_file(file(&folder)).unwrap();
    fs::create_dir(file(&folder)).unwrap();
    assert!(matches!(at(&file(&folder)), Err(SnapshotError::Io { what: "read", .. })));
}

#[test]
fn a_snapshot_that_cannot_be_written_leaves_the_old_one_and_is_tried_again() {
    let (folder, store) = filled();
    let before = fs::read(file(&folder)).unwrap();
    let scratch = file(&folder).with_extension("tmp");
    fs::create_dir(&scratch).unwrap();
    assert!(run(store.end(all(&store)[0].id)).unwrap());
    for _ in 0..2 {
        let error = store.snapshot().unwrap_err();
        assert!(matches!(error, SnapshotError::Io { what: "create its temporary file", .. }), "{error}");
        assert_eq!(fs::read(file(&folder)).unwrap(), before);
    }
    fs::remove_dir(&scratch).unwrap();
    store.snapshot().unwrap();
    assert_eq!(all(&at(&file(&folder)).unwrap()), all(&store));
    assert!(!scratch.exists());

    // No folder to write into at all: a file stands in its place.
    let nowhere = file(&folder).join("s");
    assert!(matches!(at(&nowhere), Err(SnapshotError::Io { what: "read", .. })));
}

#[test]
fn a_snapshot_is_for_its_owner_alone_whatever_a_crash_has_left_behind() {
    let (folder, store) = filled();
    let mode = || fs::metadata(file(&folder)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    let scratch = file(&folder).with_extension("tmp");
    fs::write(&scratch, vec![b'x'; 100_000]).unwrap();
    fs::set_permissions(&scratch, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(all(&at(&file(&folder)).unwrap()), all(&store), "what was left behind is not read");
    assert!(run(store.end(all(&store)[0].id)).unwrap());
    store.snapshot().unwrap();
    assert_eq!((mode(), scratch.exists()), (0o600, false));
    assert_eq!(all(&at(&file(&folder)).unwrap()), all(&store));

    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &scratch).unwrap();
    assert!(run(store.end(all(&store)[0].id)).unwrap());
    store.snapshot().unwrap();
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious");
}

#[test]
fn every_snapshot_taken_beside_live_traffic_can_be_read() {
    let (folder, store) = empty();
    let snapshots = at_once(5, |thread| {
        if thread == 0 {
            let taken = (0..20).map(|_| {
                store.snapshot().unwrap();
                if file(&folder).exists() { at(&file(&folder)).unwrap().live() } else { 0 }
            });
            return taken.max().unwrap_or_default();
        }
        for n in 0..100 {
            let id = sign_in(&store, u64::try_from(thread * 1000 + n).unwrap(), "anna", 1).unwrap();
            assert!(matches!(refresh(&store, id, 0, T0 + SECOND * 2), Rotation::Rotated(_)));
            if n % 3 == 0 {
                assert!(run(store.end(id)).unwrap());
            }
        }
        0
    });
    assert!(snapshots[0] <= 400);
    store.snapshot().unwrap();
    let again = at(&file(&folder)).unwrap();
    assert_eq!((again.live(), store.live()), (264, 264));
    let (mut before, mut after) = (all(&store), all(&again));
    before.sort_by_key(|session| session.id);
    after.sort_by_key(|session| session.id);
    assert_eq!(before, after);
}
