//! A disk that refuses: what is told to whom, and how the journal comes back.
//!
//! Guarantees: each refusal is of one operation at one moment.
//! Does not know: crashes.

use super::*;

fn faulty(fsync: Fsync) -> (tempfile::TempDir, Arc<FaultyDisk>, Gate) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::under(folder.path()));
    let seam: Arc<dyn Disk> = Arc::<FaultyDisk>::clone(&disk);
    let gate = Gate::open_on(seam, folder.path(), fsync).unwrap();
    (folder, disk, gate)
}

fn why(gate: &Gate) -> String {
    match gate.journal.health() {
        Health::Healthy => "healthy".into(),
        Health::Broken { why, .. } => format!("broken: {why}"),
        Health::Mending { why, .. } => format!("mending: {why}"),
    }
}

fn segment(folder: &tempfile::TempDir, first: u64) -> Vec<u8> {
    fs::read(folder.path().join(segment_name(first))).unwrap()
}

#[test]
fn a_failed_sync_fails_all_who_wait_and_leaves_its_segment_alone() {
    let (folder, disk, mut gate) = faulty(Fsync::Always);
    assert!(gate.sign_in(1) && gate.sign_in(2));
    let sound = segment(&folder, 1);
    disk.fail(&["sync"]);
    let held = disk.syncing.lock().unwrap();
    let receipts: Vec<_> = (0..5).map(|_| gate.begin_rotation(1)).collect();
    drop(held);
    for receipt in receipts {
        assert_eq!(receipt.wait(), Err(NotDurable));
    }
    assert!(why(&gate).starts_with("broken: ") && why(&gate).contains("sessions.journal.00"), "{}", why(&gate));
    assert_eq!(segment(&folder, 1), sound, "cut back to what was acknowledged");

    disk.fail(&[]);
    assert!(!gate.sign_in(3) && !gate.end(2), "refused, though the disk is well again");
    gate.journal.pulse(T0);
    assert_eq!(segment(&folder, 1), sound, "never appended to again");
    // One break, one truncation: nothing else has happened to it.
    assert_eq!((disk.count("truncate"), gate.files()), (1, vec![segment_name(1)]));

    gate.snapshot().unwrap();
    assert!(gate.journal.health().is_healthy());
    assert_eq!(gate.files(), [segment_name(11), "sessions.snapshot".into()]);
    assert!(gate.rotate(1));
    assert_eq!(recovered(folder.path()).0, gate.close(), "also what was answered with an error");
}

#[test]
fn a_full_disk_leaves_half_a_record_that_is_cut_off() {
    let (folder, disk, mut gate) = faulty(Fsync::Always);
    assert!(gate.sign_in(1));
    let sound = segment(&folder, 1);
    disk.fail(&["write", "truncate"]);
    assert!(!gate.sign_in(2));
    assert!(why(&gate).ends_with("cannot write: no storage space"), "{}", why(&gate));
    let torn = segment(&folder, 1);
    assert!(torn.len() > sound.len() && torn.starts_with(&sound), "not even cutting succeeded");
    let (entries, found) = recovered(folder.path());
    assert_eq!((entries.len(), found.next), (1, 2));
    let offset = sound.len() as u64;
    let bytes = torn.len() as u64 - offset;
    assert_eq!(found.notices, [Notice::Cut { file: folder.path().join(segment_name(1)), offset, bytes }]);
    gate.close();
}

#[test]
fn while_it_is_mended_changes_are_recorded_and_still_refused() {
    let (folder, disk, mut gate) = faulty(Fsync::Always);
    assert!(gate.sign_in(1) && gate.sign_in(2));
    disk.fail(&["sync"]);
    assert!(!gate.rotate(1));
    disk.fail(&[]);
    assert!(!gate.rotate(2), "lost: it is in no file");
    let round = gate.snapshots.begin(T0).unwrap();
    let receipt = gate.journal.append(Entry::Session(&session(3)));
    assert_eq!(receipt.wait(), Err(NotDurable));
    drop(round);
    assert!(why(&gate).starts_with("mending"), "{}", why(&gate));
    gate.journal.shared.sync().unwrap();

    // What a crash at this moment would find.
    let (entries, found) = recovered(folder.path());
    let generation = |number| match &entries[&id(number)] {
        Known::Live(session) => session.generation,
        Known::Ended { .. } => panic!("ended"),
    };
    assert_eq!((entries.len(), generation(1), generation(2)), (3, 0, 0));
    let file = folder.path().join(segment_name(5));
    assert_eq!(found.notices, [Notice::Refused { file, changes: 2 }]);
    assert_eq!((found.next, found.held), (6, 5));

    // The next round goes on with the same segment.
    gate.memory.entries.insert(id(3), Known::Live(Box::new(session(3))));
    gate.snapshot().unwrap();
    assert_eq!(gate.files(), [segment_name(5), "sessions.snapshot".into()]);
    assert!(gate.journal.health().is_healthy());
    assert_eq!(recovered(folder.path()).0, gate.close());
}

#[test]
fn nothing_is_vouched_for_before_the_snapshot_of_a_mend_stands() {
    for fsync in [Fsync::Always, Fsync::Interval(Duration::from_hours(1)), Fsync::Never] {
        let (_folder, disk, mut gate) = faulty(fsync);
        assert!(gate.sign_in(1));
        assert_eq!(gate.journal.so_far().wait(), Ok(()));
        disk.fail(&["write"]);
        assert!(!gate.end(1));
        assert_eq!(gate.journal.so_far().wait(), Err(NotDurable), "memory says it has ended, the disk does not");
        disk.fail(&[]);
        let round = gate.snapshots.begin(T0).unwrap();
        let refused = gate.journal.append(Entry::Session(&session(2)));
        gate.journal.shared.sync().unwrap();
        let held = disk.syncing.lock().unwrap();
        thread::scope(|scope| {
            let finish = scope.spawn(|| round.finish(T0));
            disk.wait_for_a_sync_to_begin();
            assert!(!gate.journal.health().is_healthy());
            assert_eq!(gate.journal.so_far().wait(), Err(NotDurable), "{fsync:?}");
            assert_eq!(gate.journal.append(Entry::Session(&session(3))).wait(), Err(NotDurable), "{fsync:?}");
            drop(held);
            finish.join().unwrap().unwrap();
        });
        assert_eq!(refused.wait(), Err(NotDurable));
        assert_eq!(gate.journal.so_far().wait(), Ok(()), "{fsync:?}: also what was refused");
        gate.close();
    }
}

#[test]
fn a_mend_that_fails_is_tried_again_until_it_succeeds() {
    for failing in ["create", "write", "sync", "rename", "sync directory"] {
        let (folder, disk, mut gate) = faulty(Fsync::Always);
        assert!(gate.sign_in(1));
        disk.fail(&["sync"]);
        assert!(!gate.sign_in(2));
        disk.fail(&[failing]);
        for _ in 0..3 {
            assert!(gate.snapshot().is_err(), "{failing}");
            assert!(!gate.journal.health().is_healthy() && !gate.rotate(1), "{failing}");
        }
        disk.fail(&[]);
        gate.snapshot().unwrap();
        assert!(gate.journal.health().is_healthy() && gate.rotate(1), "{failing}");
        assert_eq!(gate.files().len(), 2, "{failing}: {:?}", gate.files());
        assert_eq!(recovered(folder.path()).0, gate.close(), "{failing}");
    }
}

#[test]
fn a_mended_journal_can_break_while_its_snapshot_is_written() {
    let (folder, disk, mut gate) = faulty(Fsync::Always);
    assert!(gate.sign_in(1));
    disk.fail(&["sync"]);
    assert!(!gate.sign_in(2));
    disk.fail(&[]);
    let round = gate.snapshots.begin(T0).unwrap();
    disk.fail(&["sync"]);
    assert_eq!(gate.journal.append(Entry::Session(&session(3))).wait(), Err(NotDurable));
    disk.wait_for("truncate", 2);
    disk.fail(&[]);
    let error = round.finish(T0).unwrap_err();
    assert!(matches!(error, FilesError::Broken { .. }), "{error}");
    assert_eq!(gate.files(), [segment_name(1), segment_name(3)], "no snapshot, and no scratch file");
    gate.snapshot().unwrap();
    assert!(gate.journal.health().is_healthy() && gate.rotate(1));
    assert_eq!(recovered(folder.path()).0, gate.close());
}

/// Where a snapshot can fail without harm, and where the journal cannot know which segment it is in.
#[test]
fn a_snapshot_that_cannot_be_written_breaks_nothing_but_where_names_are_uncertain() {
    for (failing, healthy) in [("create", true), ("write", true), ("rename", false), ("sync directory", false)] {
        let (folder, disk, mut gate) = faulty(Fsync::Always);
        assert!(gate.sign_in(1));
        disk.fail(&[failing]);
        assert!(gate.snapshot().is_err(), "{failing}");
        disk.fail(&[]);
        assert_eq!(gate.journal.health().is_healthy(), healthy, "{failing}");
        assert_eq!(gate.rotate(1), healthy, "{failing}");
        assert_eq!(recovered(folder.path()).0.len(), 1, "{failing}");
        gate.snapshot().unwrap();
        assert!(gate.rotate(1), "{failing}");
        assert_eq!(recovered(folder.path()).0, gate.close(), "{failing}");
    }
}

#[test]
fn rounds_that_fail_do_not_pile_up_segments() {
    let (_folder, disk, mut gate) = faulty(Fsync::Always);
    assert!(gate.sign_in(1));
    for _ in 0..5 {
        drop(gate.snapshots.begin(T0).unwrap());
        assert!(gate.rotate(1));
    }
    assert_eq!(gate.files(), [segment_name(1), segment_name(2)]);
    gate.snapshot().unwrap();
    assert_eq!(gate.files(), [segment_name(2), "sessions.snapshot".into()]);
    assert_eq!(gate.journal.uncovered(), 5, "a restart replays them over what it has already");
    disk.fail(&["remove"]);
    assert!(gate.snapshot().is_err());
    assert_eq!(gate.files().len(), 3, "the new snapshot stands, and the old segment is in nobody's way");
    disk.fail(&[]);
    assert!(gate.rotate(1));
    gate.snapshot().unwrap();
    assert_eq!(gate.files().len(), 2);
    gate.close();
}

#[test]
fn a_disk_that_hangs_stops_nobody_and_breaks_the_journal_when_too_much_waits() {
    let (folder, disk, mut gate) = faulty(Fsync::Always);
    assert!(gate.sign_in(1));
    let held = disk.syncing.lock().unwrap();
    let mut large = session(2);
    large.device = Some(Box::new(crate::token::Device { id: None, name: Some("x".repeat(1 << 19)) }));
    let receipts: Vec<_> = (0..80).map(|_| gate.journal.append(Entry::Session(&large))).collect();
    assert!(why(&gate).contains("too slow"), "{}", why(&gate));
    // While the disk still hangs.
    for receipt in receipts {
        assert_eq!(receipt.wait(), Err(NotDurable));
    }
    drop(held);
    assert!(gate.journal.shared.sync().is_err());
    // It has nothing to do, and does nothing.
    while !gate.journal.shared.desk().asleep {
        thread::yield_now();
    }
    gate.memory.entries.insert(id(2), Known::Live(Box::new(large)));
    gate.snapshot().unwrap();
    assert!(gate.rotate(1));
    assert_eq!(recovered(folder.path()).0, gate.close());
}

#[test]
fn what_is_too_large_to_be_read_again_is_not_written() {
    let (_folder, _disk, mut gate) = faulty(Fsync::Always);
    let mut large = session(1);
    large.device = Some(Box::new(crate::token::Device { id: None, name: Some("x".repeat(1 << 20)) }));
    assert_eq!(gate.journal.append(Entry::Session(&large)).wait(), Err(NotDurable));
    assert!(why(&gate).contains("too large"), "{}", why(&gate));
    gate.memory.entries.insert(id(1), Known::Live(Box::new(large)));
    assert!(gate.snapshot().is_err());
    gate.memory.entries.clear();
    gate.snapshot().unwrap();
    assert!(gate.sign_in(2));
    gate.close();
}

#[test]
fn without_always_a_receipt_waits_for_the_write_alone() {
    for fsync in [Fsync::Never, Fsync::Interval(Duration::from_hours(1))] {
        let (folder, disk, mut gate) = faulty(fsync);
        let syncs = disk.count("sync");
        assert!(gate.sign_in(1) && gate.rotate(1));
        assert_eq!(disk.count("sync"), syncs, "{fsync:?}");
        let sound = segment(&folder, 1);
        disk.fail(&["write"]);
        assert!(!gate.rotate(1), "{fsync:?}");
        assert_eq!(segment(&folder, 1), sound, "{fsync:?}: nothing acknowledged is cut off");
        disk.fail(&[]);
        gate.snapshot().unwrap();
        assert!(gate.rotate(1));
        assert_eq!(recovered(folder.path()).0, gate.close(), "{fsync:?}");
    }
    let (_folder, disk, mut gate) = faulty(Fsync::Interval(Duration::from_millis(1)));
    let syncs = disk.count("sync");
    assert!(gate.sign_in(1));
    disk.wait_for("sync", syncs + 1);
    disk.fail(&["sync"]);
    assert!(gate.rotate(1));
    disk.wait_for("truncate", 1);
    assert!(!gate.rotate(1), "a sync that nobody waited for breaks it too");
    gate.close();
}

#[test]
fn a_heartbeat_is_written_but_not_worth_a_sync() {
    let (folder, disk, mut gate) = faulty(Fsync::Always);
    assert!(gate.sign_in(1));
    let (syncs, writes) = (disk.count("sync"), disk.count("write"));
    gate.journal.pulse(T0 + SECOND * 7);
    disk.wait_for("write", writes + 1);
    assert_eq!((gate.journal.so_far().wait(), disk.count("sync")), (Ok(()), syncs));
    assert!(gate.rotate(1));
    assert_eq!(disk.count("sync"), syncs + 1);
    assert_eq!(recovered(folder.path()).1.newest, T0 + SECOND * 7);
    gate.close();
}

#[test]
fn a_closed_journal_has_written_all_and_refuses_the_rest() {
    let (folder, disk, mut gate) = faulty(Fsync::Never);
    let receipt = gate.change(id(1), Known::Live(Box::new(session(1))));
    let (journal, syncs) = (gate.journal.clone(), disk.count("sync"));
    let Gate { writer, mut snapshots, .. } = gate;
    journal.close();
    writer.join().unwrap();
    assert_eq!((receipt.wait(), disk.count("sync")), (Ok(()), syncs + 1));
    assert_eq!(journal.append(Entry::Session(&session(2))).wait(), Err(NotDurable));
    assert!(matches!(snapshots.begin(T0), Err(FilesError::Broken { .. })));
    assert_eq!(recovered(folder.path()).0.len(), 1);
}

#[test]
fn a_writer_that_is_no_more_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let found = recovered(folder.path()).1;
    let Opened { journal, mut snapshots, writer } = open(&found, Fsync::Always).unwrap();
    let receipt = journal.append(Entry::Session(&session(1)));
    drop(writer);
    assert_eq!(receipt.wait(), Err(NotDurable));
    assert!(snapshots.begin(T0).is_err());
}
