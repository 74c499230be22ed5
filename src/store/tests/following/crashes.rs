//! A primary that dies, and files that go back: what a replica knew of a future that is gone is taken back.

use super::super::super::files::open_on;
use super::super::super::files::tests::faulty::{FaultyDisk, Unsynced};
use super::*;

pub(super) fn on(disk: &Arc<FaultyDisk>, folder: &Path, fsync: Fsync) -> Running {
    let Remembered { memory, restorations, recovered } = Remembered::read(folder).unwrap();
    let opened = open_on(Arc::clone(disk) as Arc<_>, &recovered, fsync).unwrap();
    let caps = arc_swap::ArcSwap::from_pointee(Caps { sessions: 1000, sessions_per_user: 10, tombstones: 1000 });
    let own = Own { caps, journal: opened.journal, snapshots: Mutex::new(opened.snapshots) };
    let restorations = arc_swap::ArcSwap::from_pointee(restorations);
    let store =
        Store { memory, restorations, policy: arc_swap::ArcSwap::from_pointee(policy()), source: Source::Own(own) };
    Running { store: Arc::new(store), writer: Some(thread::spawn(|| opened.writer.run())) }
}

/// Ends a primary and leaves its files as a power cut would have left them just before.
pub(super) fn cut_power(primary: Running, disk: &FaultyDisk, folder: &Path, unsynced: Unsynced) {
    let left = tempfile::tempdir().unwrap();
    disk.cut_power(left.path(), disk.possible_names() - 1, unsynced);
    drop(primary);
    for entry in fs::read_dir(left.path()).unwrap().map(Result::unwrap) {
        // The file stays the same one.
        fs::write(folder.join(entry.file_name()), fs::read(entry.path()).unwrap()).unwrap();
    }
}

#[test]
fn a_primary_that_is_killed_and_starts_again_is_followed() {
    let (folder, mut primary) = empty();
    let mut replica = Replica::of(folder.path());
    let id = sign_in(&primary, 1, "anna", 0).unwrap();
    for round in 0..6 {
        if round % 2 == 0 {
            replica.knows_what_is_known_to(&primary);
        }
        drop(primary);
        // What a kill leaves of a write.
        let torn = [fs::read(newest_segment(folder.path())).unwrap(), vec![40, 0, 0, 0, 1, 2]].concat();
        fs::write(newest_segment(folder.path()), torn).unwrap();
        if round % 3 == 0 {
            replica.poll();
        }
        primary = open(&folder, 1000, &policy());
        renew(&primary, id, round, round + 2);
        if round == 4 {
            primary.snapshot(T0).unwrap();
        }
        replica.knows_what_is_known_to(&primary);
    }
}

#[test]
fn what_a_power_cut_has_taken_back_is_taken_back_here_too() {
    for (unsynced, more, looks, rounds) in [Unsynced::Lost, Unsynced::Half, Unsynced::Hole, Unsynced::Kept]
        .into_iter()
        .flat_map(|u| [(u, 0, false, 0), (u, 1, true, 0), (u, 4, false, 0), (u, 9, true, 1), (u, 2, false, 2)])
    {
        let case = format!("{unsynced:?}, {more} more, looks between: {looks}, {rounds} rounds");
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::under(folder.path()));
        let primary = on(&disk, folder.path(), Fsync::Never);
        let ids: Vec<_> = (1..=3).map(|n| sign_in(&primary, n, "anna", 0).unwrap()).collect();
        primary.snapshot(T0).unwrap();
        let mut replica = Replica::of(folder.path());
        replica.poll();
        // Seen, and never synced: a session, an end, and two renewals.
        let lost = sign_in(&primary, 9, "anna", 1).unwrap();
        assert!(run(primary.end(ids[0])).unwrap());
        renew(&primary, ids[1], 0, 5);
        renew(&primary, ids[1], 1, 6);
        replica.knows_what_is_known_to(&primary);
        cut_power(primary, &disk, folder.path(), unsynced);
        if looks {
            replica.poll();
            assert_eq!(replica.access_standing(access(ids[0], 0), T0), AccessStanding::Ended, "{case}: not yet");
        }
        let primary = open(&folder, 1000, &policy());
        for n in 0..more {
            let second = u32::try_from(n).unwrap() + 20;
            sign_in(&primary, 20 + n, "ben", second).unwrap();
        }
        for _ in 0..rounds {
            primary.snapshot(T0).unwrap();
            sign_in(&primary, 40, "ben", 40).map(|id| run(primary.end(id))).unwrap().unwrap();
        }
        replica.knows_what_is_known_to(&primary);
        if matches!(unsynced, Unsynced::Lost | Unsynced::Hole) {
            assert_eq!(live(&replica, &[ids[0], lost]), [true, false], "{case}");
            assert_eq!(replica.find(ids[1]).unwrap().generation, 0, "{case}");
        }
    }
}

#[test]
fn a_break_is_followed_to_its_mend() {
    for faults in [&["write"] as &'static [&'static str], &["sync"], &["sync", "truncate"]] {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::under(folder.path()));
        let primary = on(&disk, folder.path(), Fsync::Always);
        let mut replica = Replica::of(folder.path());
        let ids: Vec<_> = (1..=4).map(|n| sign_in(&primary, n, "anna", 0).unwrap()).collect();
        replica.knows_what_is_known_to(&primary);
        disk.fail(faults);
        assert!(run(primary.end(ids[0])).is_err());
        assert!(run(primary.end(ids[1])).is_err());
        replica.poll();
        disk.fail(&[]);
        // The new segment is there, the snapshot is not.
        drop(primary.own().unwrap().snapshots.lock().unwrap().begin(T0).unwrap());
        assert!(run(primary.end(ids[2])).is_err());
        while replica.find(ids[2]).is_some() {
            replica.poll();
        }
        assert!(replica.find(ids[3]).is_some(), "{faults:?}");
        primary.snapshot(T0).unwrap();
        replica.knows_what_is_known_to(&primary);
        renew(&primary, ids[3], 0, 5);
        replica.knows_what_is_known_to(&primary);
    }
}

#[test]
fn an_end_in_doubt_holds_until_the_files_are_complete() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::under(folder.path()));
    let primary = on(&disk, folder.path(), Fsync::Always);
    let mut replica = Replica::of(folder.path());
    let ids: Vec<_> = (1..=2).map(|n| sign_in(&primary, n, "anna", 0).unwrap()).collect();
    let segment = newest_segment(folder.path());
    let sound = fs::metadata(&segment).unwrap().len();
    replica.poll();
    disk.fail(&["sync", "truncate"]);
    assert!(run(primary.end(ids[0])).is_err());
    replica.poll();
    let has_ended = |replica: &Replica| replica.find(ids[0]).is_none();
    assert!(has_ended(&replica));
    // Cut off after all.
    fs::File::options().write(true).open(&segment).unwrap().set_len(sound).unwrap();
    replica.poll();
    disk.fail(&[]);
    drop(primary.own().unwrap().snapshots.lock().unwrap().begin(T0).unwrap());
    assert!(run(primary.end(ids[1])).is_err());
    while replica.find(ids[1]).is_some() {
        replica.poll();
    }
    assert!(has_ended(&replica), "the primary knows it, too");
    // But the next primary does not.
    drop(primary);
    let primary = open(&folder, 1000, &policy());
    replica.poll();
    primary.snapshot(T0).unwrap();
    replica.knows_what_is_known_to(&primary);
    assert!(!has_ended(&replica));
}
