//! A disk that fails while somebody waits for it: what the client was told to try again can be tried again, and what
//! nobody was told of is not there.
//!
//! Guarantees: the journal is broken and mended at the worst moments, by a disk that does as it is told.
//! Does not know: files, and how often anybody tries to mend.

use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use tokio::task::yield_now;

use super::super::files::open_on;
use super::super::files::tests::faulty::FaultyDisk;
use super::*;

/// What a disk may fail at when it is given a record: nothing of it is there, or all of it, and cannot be taken back.
const FAULTS: [&[&str]; 3] = [&["write"], &["sync"], &["sync", "truncate"]];

/// A store whose writer is not at work yet: nothing is decided.
fn idle(disk: &Arc<FaultyDisk>, folder: &TempDir, policy: &Policy) -> (Running, Writer) {
    let Remembered { memory, restorations, recovered } = Remembered::read(folder.path()).unwrap();
    let opened = open_on(Arc::clone(disk) as Arc<_>, &recovered, Fsync::Always).unwrap();
    let caps = arc_swap::ArcSwap::from_pointee(Caps { sessions: 1000, sessions_per_user: 10, tombstones: 1000 });
    let snapshots = Mutex::new(opened.snapshots);
    let store = Store {
        memory,
        restorations: arc_swap::ArcSwap::from_pointee(restorations),
        policy: arc_swap::ArcSwap::from_pointee(policy.clone()),
        source: Source::Own(Own { caps, journal: opened.journal, snapshots }),
    };
    (Running { store: Arc::new(store), writer: None }, opened.writer)
}

pub(super) fn on(disk: &Arc<FaultyDisk>, folder: &TempDir, policy: &Policy) -> Running {
    let (mut store, writer) = idle(disk, folder, policy);
    store.writer = Some(thread::spawn(|| writer.run()));
    store
}

fn start(policy: &Policy) -> (TempDir, Arc<FaultyDisk>, Running) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::under(folder.path()));
    let store = on(&disk, &folder, policy);
    (folder, disk, store)
}

fn begin<F: Future>(future: Pin<&mut F>) {
    assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

fn present(
    store: &Store,
    id: SessionId,
    generation: u32,
    second: u32,
    settle: impl Future,
) -> Result<Rotation, StoreError> {
    let now = T0 + SECOND * second;
    let presented = Presented {
        session: id,
        generation,
        issued_at: T0,
        profile: Profile::Smsgate,
        arrived_at: now,
        sender: Sender::default(),
        by: None,
        certificate: None,
    };
    let rotation = run(store.rotate(&presented, &known, &"key".into(), now, settle));
    store.answered(id, generation + 1, now);
    rotation
}

fn mend(store: &Store, disk: &FaultyDisk) {
    disk.fail(&[]);
    store.snapshot(T0).unwrap();
    assert!(store.health().is_healthy());
}

/// The parent gives the same successor as often as it is asked for, and that goes on.
#[track_caller]
fn one_successor(store: &Store, id: SessionId, case: &str) {
    for second in [10, 11] {
        let Ok(Rotation::Retried(session)) = present(store, id, 0, second, async {}) else { panic!("{case}") };
        assert_eq!(session.generation, 1, "{case}");
    }
    assert!(matches!(present(store, id, 1, 12, async {}), Ok(Rotation::Rotated(_))), "{case}");
    assert!(matches!(present(store, id, 0, 13, async {}), Ok(Rotation::Reused(_))), "{case}");
}

#[test]
fn a_rotation_that_failed_may_be_repeated_whenever_the_journal_is_mended() {
    for (faults, meanwhile, restarted) in
        FAULTS.iter().flat_map(|f| [(f, false, false), (f, true, false), (f, false, true), (f, true, true)])
    {
        let case = format!("{faults:?}, mended meanwhile: {meanwhile}, restarted: {restarted}");
        // Who hears of the break only after the mend hears that all is well, and rightly so.
        while !repeats(faults, meanwhile, restarted, &case) {}
    }
}

/// Returns whether the client was told to try again.
fn repeats(faults: &'static [&'static str], mended_meanwhile: bool, restarted: bool, case: &str) -> bool {
    let (folder, disk, store) = start(&policy());
    let id = sign_in(&store, 1, "anna", 0).unwrap();
    drop(store);

    let (mut store, writer) = idle(&disk, &folder, &policy());
    let mut work = None;
    let settle = async {
        let written = store.own().unwrap().journal.so_far();
        disk.fail(faults);
        work = Some(thread::spawn(|| writer.run()));
        assert!(written.durable().await.is_err());
        for _ in 0..10 {
            yield_now().await;
        }
        if mended_meanwhile {
            mend(&store, &disk);
        }
    };
    let told = present(&store, id, 0, 1, settle).is_err();
    store.writer = work;
    assert!(told || mended_meanwhile, "{case}");
    if !mended_meanwhile {
        assert!(matches!(present(&store, id, 0, 2, async {}), Err(StoreError::Unwritten)), "{case}");
        mend(&store, &disk);
    }
    if restarted {
        drop(store);
        store = on(&disk, &folder, &policy());
    }
    if told {
        one_successor(&store, id, case);
    }
    told
}

#[test]
fn a_rotation_that_failed_may_be_repeated_after_a_crash() {
    for faults in &FAULTS[..2] {
        let (folder, disk, store) = start(&policy());
        let id = sign_in(&store, 1, "anna", 0).unwrap();
        disk.fail(faults);
        assert!(matches!(present(&store, id, 0, 1, async {}), Err(StoreError::Unwritten)), "{faults:?}");
        drop(store);
        disk.fail(&[]);
        let store = on(&disk, &folder, &policy());
        assert!(matches!(present(&store, id, 0, 2, async {}), Ok(Rotation::Rotated(_))), "{faults:?}");
        assert!(matches!(present(&store, id, 0, 3, async {}), Ok(Rotation::Reused(_))), "{faults:?}");
    }
}

#[test]
fn a_retry_that_failed_may_be_repeated_when_its_window_is_over() {
    let policy = Policy { retry_window: SECOND * 5, ..policy() };
    let (folder, disk, store) = start(&policy);
    let id = sign_in(&store, 1, "anna", 0).unwrap();
    assert!(matches!(present(&store, id, 0, 1, async {}), Ok(Rotation::Rotated(_))));
    drop(store);

    let (mut store, writer) = idle(&disk, &folder, &policy);
    {
        let kid = "key".into();
        let now = T0 + SECOND * 3;
        let presented = Presented {
            session: id,
            generation: 0,
            issued_at: T0,
            profile: Profile::Smsgate,
            arrived_at: now,
            sender: Sender::default(),
            by: None,
            certificate: None,
        };
        let mut other = pin!(store.store.issue(session(2, "ben", T0, &policy), &known, T0));
        let mut retry = pin!(store.store.rotate(&presented, &known, &kid, now, async {}));
        begin(other.as_mut());
        // What it tells again is written, but nobody knows: it waits for what is not.
        begin(retry.as_mut());
        disk.fail(&["write"]);
        store.writer = Some(thread::spawn(|| writer.run()));
        assert!(matches!(run(retry), Err(StoreError::Unwritten)));
        assert!(matches!(run(other), Err(StoreError::Unwritten)));
    }
    mend(&store, &disk);
    one_successor(&store, id, "retried");
}

#[test]
fn a_sign_in_whose_client_went_away_before_it_was_written_is_no_session() {
    for faults in [&[], FAULTS[0], FAULTS[1], FAULTS[2]] {
        let (folder, disk, store) = start(&policy());
        drop(store);
        let (mut store, writer) = idle(&disk, &folder, &policy());
        let session = session(1, "anna", T0, &policy());
        let id = session.id;
        {
            let mut sign_in = pin!(store.store.issue(session, &known, T0));
            begin(sign_in.as_mut());
            assert_eq!(store.store.live(), 1);
        }
        assert_eq!((store.find(id), store.live()), (None, 0));
        disk.fail(faults);
        store.writer = Some(thread::spawn(|| writer.run()));
        let ended = run(store.end(id));
        assert_eq!(ended.is_ok(), faults.is_empty(), "{faults:?}");
        mend(&store, &disk);
        drop(store);
        assert_eq!(on(&disk, &folder, &policy()).live(), 0, "{faults:?}");
    }
}

#[test]
fn an_end_that_was_not_written_is_acknowledged_when_it_is_asked_for_again() {
    for (faults, more) in FAULTS.iter().flat_map(|faults| [(faults, false), (faults, true)]) {
        let (folder, disk, store) = start(&policy());
        let [id, late] = [1, 2].map(|n| sign_in(&store, n, "anna", 0).unwrap());
        disk.fail(faults);
        for _ in 0..2 {
            assert!(matches!(run(store.end(id)), Err(StoreError::Unwritten)), "{faults:?}");
            assert_eq!(store.access_standing(access(id, 0), T0), AccessStanding::Ended, "{faults:?}");
        }
        if more {
            // Refused while the journal is broken it has a number all the same, and that is the last one.
            assert!(matches!(run(store.end(late)), Err(StoreError::Unwritten)), "{faults:?}");
        }
        mend(&store, &disk);
        assert!(!run(store.end(id)).unwrap(), "{faults:?}: it had ended");
        assert_eq!(run(store.end(late)).unwrap(), !more, "{faults:?}");
        drop(store);
        let store = on(&disk, &folder, &policy());
        for ended in [id, late] {
            assert_eq!(store.access_standing(access(ended, 0), T0), AccessStanding::Ended, "{faults:?}");
        }
    }
}
