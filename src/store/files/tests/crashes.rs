//! The end of the process and of the power, between any two operations on the disk.
//!
//! Guarantees: all operations of a long life are tried, with a failing disk and a mend among them; a power cut takes any
//! part of what was not synced.
//! Does not know: damage that no crash can do.

use super::*;

/// A life with everything in it. Errors are what a stopped disk gives.
fn live(disk: &Arc<FaultyDisk>, directory: &Path, fsync: Fsync) -> Option<Gate> {
    let seam: Arc<dyn Disk> = Arc::<FaultyDisk>::clone(disk);
    let mut gate = Gate::open_on(seam, directory, fsync).ok()?;
    for number in 1..=4 {
        gate.sign_in(number);
    }
    gate.rotate(1);
    gate.end(2);
    let _ = gate.snapshot();
    gate.rotate(1);
    gate.journal.pulse(T0 + SECOND);
    gate.sign_in(5);
    let _ = gate.snapshot_among_changes();
    gate.end(3);
    // Several in one batch.
    let held = disk.syncing.lock().unwrap();
    let pending: Vec<_> = (0..4).map(|_| (gate.begin_rotation(1), gate.memory.entries[&id(1)].clone())).collect();
    drop(held);
    for (receipt, known) in pending {
        if receipt.wait().is_ok() {
            gate.acknowledged.insert(id(1), known);
        }
    }
    for failing in [&["sync"][..], &["write"], &["write", "truncate"]] {
        disk.fail(failing);
        gate.rotate(4);
        gate.rotate(1);
        disk.fail(&["create"]);
        let _ = gate.snapshot();
        gate.rotate(1);
        disk.fail(&["rename"]);
        let _ = gate.snapshot();
        gate.rotate(4);
        disk.fail(&[]);
        let _ = gate.snapshot_among_changes();
        gate.rotate(4);
        gate.rotate(1);
    }
    // A segment whose beginning failed half-way, and a mend whose snapshot did.
    disk.fail(&["sync directory"]);
    let _ = gate.snapshot();
    disk.fail(&[]);
    gate.rotate(4);
    drop(gate.snapshots.begin(T0));
    gate.rotate(4);
    let _ = gate.snapshot();
    gate.rotate(4);
    Some(gate)
}

/// Stops the life after each of its operations.
fn stop_everywhere(fsync: Fsync, stopped: impl Fn(&FaultyDisk, &Gate, &str)) {
    for stop in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::under(folder.path()).stop_after(stop));
        let gate = live(&disk, folder.path(), fsync);
        let done = disk.done();
        if let Some(gate) = gate {
            let operation = done.get(stop).copied().unwrap_or("the end");
            stopped(&disk, &gate, &format!("stopped at {stop} ({operation})"));
            gate.close();
        }
        if done.len() <= stop {
            assert!(stop > 100, "a long life");
            return;
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for name in files(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

fn killed(gate: &Gate, case: &str) {
    let left = tempfile::tempdir().unwrap();
    copy(&gate.directory, left.path());
    keeps_faith(gate, left.path(), case);
}

/// Shows each directory that a power cut at this moment may leave.
fn cut_power(disk: &FaultyDisk, mut found: impl FnMut(&Path, &str)) {
    let mut seen = Vec::new();
    for names in 0..disk.possible_names() {
        for unsynced in [Unsynced::Lost, Unsynced::Kept, Unsynced::Half, Unsynced::Hole] {
            let left = tempfile::tempdir().unwrap();
            disk.cut_power(left.path(), names, unsynced);
            let read = |name: String| (fs::read(left.path().join(&name)).unwrap(), name);
            let content: Vec<_> = files(left.path()).into_iter().map(read).collect();
            if !seen.contains(&content) {
                found(left.path(), &format!("power cut, {names} renamings, {unsynced:?}"));
                seen.push(content);
            }
        }
    }
}

#[test]
fn a_process_killed_at_any_operation_loses_nothing_acknowledged() {
    stop_everywhere(Fsync::Always, |_, gate, case| killed(gate, case));
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_acknowledged() {
    stop_everywhere(Fsync::Always, |disk, gate, case| {
        cut_power(disk, |left, how| keeps_faith(gate, left, &format!("{case}, {how}")));
    });
}

#[test]
fn without_syncs_a_killed_process_loses_nothing_acknowledged_either() {
    for fsync in [Fsync::Never, Fsync::Interval(Duration::from_hours(1))] {
        stop_everywhere(fsync, |_, gate, case| killed(gate, case));
    }
}

#[test]
fn without_syncs_a_power_cut_takes_an_end_and_leaves_what_can_be_read() {
    for fsync in [Fsync::Never, Fsync::Interval(Duration::ZERO)] {
        stop_everywhere(fsync, |disk, gate, case| {
            cut_power(disk, |left, how| {
                for (id, known) in recovered(left).0 {
                    assert!(gate.history[&id].contains(&known), "{case}, {how}: {id} is {known:?}");
                }
            });
        });
    }
}

#[test]
fn a_snapshot_never_knows_more_than_the_journal_has_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::under(folder.path()));
    let seam: Arc<dyn Disk> = Arc::<FaultyDisk>::clone(&disk);
    let mut gate = Gate::open_on(seam, folder.path(), Fsync::Never).unwrap();
    assert!(gate.sign_in(1));
    gate.snapshot_among_changes().unwrap();
    cut_power(&disk, |left, how| {
        let (entries, found) = recovered(left);
        assert_eq!((&entries, found.next), (&gate.memory.entries, 5), "{how}");
        fs::remove_file(left.join(SNAPSHOT_NAME)).unwrap();
    });
    gate.close();
}

#[test]
fn a_new_segment_never_stands_behind_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::under(folder.path()));
    let seam: Arc<dyn Disk> = Arc::<FaultyDisk>::clone(&disk);
    let mut gate = Gate::open_on(seam, folder.path(), Fsync::Never).unwrap();
    gate.snapshot().unwrap();
    assert!(gate.sign_in(1));
    // What is appended while the beginning waits for a sync belongs to the old segment, too.
    let held = disk.syncing.lock().unwrap();
    let (journal, snapshots) = (gate.journal.clone(), &mut gate.snapshots);
    thread::scope(|scope| {
        scope.spawn(|| drop(snapshots.begin(T0).unwrap()));
        disk.wait_for_a_sync_to_begin();
        let _ = journal.append(Entry::Session(&session(2)));
        drop(held);
    });
    cut_power(&disk, |left, how| assert_eq!(recovered(left).0.len(), 2, "{how}"));
    gate.close();
}

#[test]
fn what_a_killed_process_has_left_to_the_system_is_synced_before_anything_builds_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::under(folder.path()));
    let open = || {
        let seam: Arc<dyn Disk> = Arc::<FaultyDisk>::clone(&disk);
        Gate::open_on(seam, folder.path(), Fsync::Never).unwrap()
    };
    let mut killed = open();
    assert!(killed.sign_in(1));
    // It does nothing any more, and so might as well not be there.
    let next = open();
    cut_power(&disk, |left, how| assert_eq!(recovered(left).0, next.memory.entries, "{how}"));
    next.close();
    killed.close();
}

/// A directory with everything that an opening has to put in order: a torn tail, scratch files, an older segment.
#[test]
fn an_opening_stopped_anywhere_is_one_more_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let mut gate = Gate::open(folder.path());
    for number in 1..=3 {
        assert!(gate.sign_in(number));
    }
    let older = fs::read(folder.path().join(segment_name(1))).unwrap();
    gate.snapshot().unwrap();
    assert!(gate.rotate(1));
    gate.snapshot().unwrap();
    fs::write(folder.path().join(segment_name(1)), older).unwrap();
    assert!(gate.end(2));
    let newest = folder.path().join(segment_name(5));
    let mut torn = fs::read(&newest).unwrap();
    torn.extend_from_slice(&torn.clone()[32..50]);
    fs::write(&newest, torn).unwrap();
    for scratch in ["sessions.tmp", "sessions.journal.tmp"] {
        fs::write(folder.path().join(scratch), "half").unwrap();
    }
    for stop in 0.. {
        let left = tempfile::tempdir().unwrap();
        copy(folder.path(), left.path());
        let disk = Arc::new(FaultyDisk::under(left.path()).stop_after(stop));
        let seam: Arc<dyn Disk> = Arc::<FaultyDisk>::clone(&disk);
        let opened = Gate::open_on(seam, left.path(), Fsync::Always).map(|_| ());
        cut_power(&disk, |left, how| keeps_faith(&gate, left, &format!("opening, {stop}, {how}")));
        keeps_faith(&gate, left.path(), &format!("opening, {stop}"));
        if opened.is_ok() && disk.done().len() <= stop {
            assert!(stop >= 8, "{:?}", disk.done());
            return;
        }
    }
}
