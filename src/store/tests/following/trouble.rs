//! Files that are gone, damaged, or others than before: what is known stays, and nothing has to be started anew.

use super::super::super::files::tests::faulty::FaultyDisk;
use super::crashes::on;
use super::*;

/// All files of the store, for another day.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).unwrap().map(Result::unwrap) {
        fs::remove_file(entry.path()).unwrap();
    }
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[track_caller]
fn why(replica: &Replica, second: u32) -> String {
    match replica.freshness(replica.began + SECOND * second) {
        Freshness::Stale { why, .. } => why.to_string(),
        Freshness::Fresh => panic!("fresh"),
    }
}

#[test]
fn files_that_are_not_there_are_waited_for_and_never_taken_for_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut replica = Replica::of(&data);
    assert_eq!(replica.poll(), Seen::Nothing);
    fs::create_dir(&data).unwrap();
    assert_eq!(replica.poll(), Seen::Nothing);
    let caps = Caps { sessions: 10, sessions_per_user: 10, tombstones: 10 };
    let primary = super::super::start(&data, caps, &policy());
    let id = sign_in(&primary, 1, "anna", 0).unwrap();
    assert!(run(primary.end(id)).unwrap());
    replica.knows_what_is_known_to(&primary);
    // As when the volume is gone for a while.
    let away = folder.path().join("away");
    fs::rename(&data, &away).unwrap();
    assert_eq!(replica.poll_at(11).unwrap(), Seen::Nothing);
    assert_eq!(replica.access_standing(access(id, 0), T0), AccessStanding::Ended);
    assert_eq!(why(&replica, 11), "there are no files");
    fs::create_dir(&data).unwrap();
    assert_eq!(replica.poll(), Seen::Nothing);
    fs::remove_dir(&data).unwrap();
    fs::rename(&away, &data).unwrap();
    sign_in(&primary, 2, "anna", 1).unwrap();
    replica.knows_what_is_known_to(&primary);
}

#[test]
fn damage_is_trouble_and_what_is_known_stays() {
    let folder = tempfile::tempdir().unwrap();
    // Only where each record is synced before the next can damage be told from a torn end.
    let primary = on(&Arc::new(FaultyDisk::under(folder.path())), folder.path(), Fsync::Always);
    let ids: Vec<_> = (1..=3).map(|n| sign_in(&primary, n, "anna", 0).unwrap()).collect();
    assert!(run(primary.end(ids[0])).unwrap());
    let mut replica = Replica::of(folder.path());
    replica.knows_what_is_known_to(&primary);
    let (segment, known) = (newest_segment(folder.path()), contents(&replica));
    let at = fs::metadata(&segment).unwrap().len();
    renew(&primary, ids[1], 0, 5);
    renew(&primary, ids[2], 0, 5);
    let good = fs::read(&segment).unwrap();
    let mut bad = good.clone();
    bad[usize::try_from(at).unwrap() + 30] ^= 1;
    fs::write(&segment, &bad).unwrap();
    for second in [1, 2] {
        let error = replica.poll_at(second).unwrap_err().to_string();
        assert!(error.contains(&format!("damaged at byte {at}")), "{error}");
        assert_eq!(contents(&replica), known);
    }
    assert!(why(&replica, 20).contains("damaged at byte"));
    // It is not read over and over.
    let mut tried = 0;
    for second in 3..23 {
        tried += usize::from(replica.poll_at(second).is_err());
        assert!(why(&replica, 40).contains("damaged at byte"));
    }
    assert!((3..=5).contains(&tried), "{tried}");
    fs::write(&segment, &good).unwrap();
    replica.poll_at(30).unwrap();
    assert!(replica.freshness(replica.began + SECOND * 31).is_fresh());
    replica.knows_what_is_known_to(&primary);
}

#[test]
fn a_damaged_snapshot_matters_only_to_who_has_to_read_it() {
    let (folder, primary) = empty();
    let id = sign_in(&primary, 1, "anna", 0).unwrap();
    let mut replica = Replica::of(folder.path());
    replica.poll();
    primary.snapshot(T0).unwrap();
    let snapshot = folder.path().join(SNAPSHOT);
    let mut bytes = fs::read(&snapshot).unwrap();
    bytes[50] ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    renew(&primary, id, 0, 5);
    replica.knows_what_is_known_to(&primary);
    assert!(Replica::of(folder.path()).poll_at(0).is_err());
}

#[test]
fn a_backup_that_was_put_back_is_what_is_so() {
    for (later, looks) in [(0, true), (1, true), (1, false), (3, false)] {
        let (folder, primary) = empty();
        let ids: Vec<_> = (1..=3).map(|n| sign_in(&primary, n, "anna", 0).unwrap()).collect();
        primary.snapshot(T0).unwrap();
        sign_in(&primary, 4, "anna", 1).unwrap();
        drop(primary);
        let backup = tempfile::tempdir().unwrap();
        copy(folder.path(), backup.path());
        let primary = open(&folder, 1000, &policy());
        let mut replica = Replica::of(folder.path());
        assert!(run(primary.end(ids[0])).unwrap());
        renew(&primary, ids[1], 0, 5);
        sign_in(&primary, 5, "anna", 6).unwrap();
        replica.knows_what_is_known_to(&primary);
        drop(primary);
        copy(backup.path(), folder.path());
        if looks {
            replica.poll();
        }
        let primary = open(&folder, 1000, &policy());
        for n in 0..later {
            sign_in(&primary, 10 + n, "ben", 7).unwrap();
        }
        replica.knows_what_is_known_to(&primary);
    }
}

#[test]
fn a_snapshot_without_a_journal_is_read_once() {
    let (folder, primary) = empty();
    sign_in(&primary, 1, "anna", 0).unwrap();
    primary.snapshot(T0).unwrap();
    drop(primary);
    fs::remove_file(newest_segment(folder.path())).unwrap();
    let mut replica = Replica::of(folder.path());
    assert_eq!((replica.poll(), replica.poll(), replica.live()), (Seen::News, Seen::Quiet, 1));
    let primary = open(&folder, 1000, &policy());
    sign_in(&primary, 2, "anna", 1).unwrap();
    replica.knows_what_is_known_to(&primary);
}
