//! Many hands at once: appenders, the writer, snapshots, and one who follows the files.
//!
//! Guarantees: real threads, no sleeps.
//! Does not know: failing disks.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::*;

#[test]
fn what_gathers_during_a_sync_goes_with_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::under(folder.path()));
    let seam: Arc<dyn Disk> = Arc::<FaultyDisk>::clone(&disk);
    let mut gate = Gate::open_on(seam, folder.path(), Fsync::Always).unwrap();
    assert!(gate.sign_in(1));
    let (writes, syncs) = (disk.count("write"), disk.count("sync"));
    let held = disk.syncing.lock().unwrap();
    let first = gate.begin_rotation(1);
    disk.wait_for("write", writes + 1);
    // Appending does not wait for the disk, which does nothing now.
    let others: Vec<_> = (0..500).map(|_| gate.begin_rotation(1)).collect();
    drop(held);
    assert!(first.wait().is_ok() && others.into_iter().all(|receipt| receipt.wait().is_ok()));
    assert_eq!((disk.count("write"), disk.count("sync")), (writes + 2, syncs + 2));
    assert_eq!(recovered(folder.path()).0, gate.close());
}

#[test]
fn every_task_hears_of_its_change() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::open(folder.path());
    let (mut tasks, journal) = (JoinSet::new(), gate.journal.clone());
    Builder::new_current_thread().build().unwrap().block_on(async {
        for number in 0..200 {
            let journal = journal.clone();
            tasks.spawn(async move {
                for generation in 0..20 {
                    let session = Session { generation, ..session(number) };
                    let receipt = journal.append(Entry::Session(&session));
                    receipt.durable().await.unwrap();
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
    });
    let (entries, found) = recovered(folder.path());
    assert_eq!((entries.len(), found.next), (200, 4001));
    assert!(entries.values().all(|known| matches!(known, Known::Live(session) if session.generation == 19)));
    gate.close();
}

/// Threads change sessions under a lock, snapshots are taken meanwhile, and a copy of the directory is read now and then
/// as a crash would leave it.
#[test]
fn snapshots_beside_live_traffic_lose_nothing() {
    const THREADS: u8 = 4;
    let folder = tempfile::tempdir().unwrap();
    let Gate { journal, mut snapshots, writer, .. } = Gate::open(folder.path());
    let memory: Vec<_> = (0..THREADS).map(|_| Mutex::new(HashMap::<SessionId, Known>::new())).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for own in 0..THREADS {
            let (memory, journal) = (&memory, journal.clone());
            threads.push(scope.spawn(move || {
                for step in 0..600u32 {
                    let number = own * 50 + u8::try_from(step % 50).unwrap();
                    let shard = &memory[usize::from(own)];
                    let receipt = {
                        let mut shard = shard.lock().unwrap();
                        let next = match shard.get(&id(number)) {
                            None => Known::Live(Box::new(session(number))),
                            Some(Known::Live(known)) if known.generation < 8 => {
                                let generation = known.generation + 1;
                                Known::Live(Box::new(Session { generation, ..session(number) }))
                            }
                            _ => Known::Ended { until: T0 },
                        };
                        let receipt = journal.append(next.as_entry(id(number)));
                        shard.insert(id(number), next);
                        receipt
                    };
                    if step % 7 == 0 {
                        receipt.wait().unwrap();
                    }
                }
            }));
        }
        let snapshot = scope.spawn(|| {
            let mut taken = 0;
            while !stop.load(Ordering::Relaxed) {
                let mut round = snapshots.begin(T0).unwrap();
                for shard in &memory {
                    for (id, known) in &*shard.lock().unwrap() {
                        round.put(known.as_entry(*id));
                    }
                    round.drain().unwrap();
                }
                round.finish(T0).unwrap();
                taken += 1;
            }
            taken
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        assert!(snapshot.join().unwrap() > 0);
    });
    journal.close();
    writer.join().unwrap();
    let expected: HashMap<_, _> = memory.into_iter().flat_map(|shard| shard.into_inner().unwrap()).collect();
    let (entries, found) = recovered(folder.path());
    assert_eq!((entries, found.next), (expected, u64::from(THREADS) * 600 + 1));
}

/// What a replica does: reads what there is, then looks at the end again and again.
struct Follower {
    reader: SegmentReader,
    entries: HashMap<SessionId, Known>,
}

impl Follower {
    fn new(directory: &Path) -> Self {
        let (entries, found) = recovered(directory);
        let end = found.end.unwrap();
        let segment = list(directory).unwrap().into_iter().find(|segment| segment.first == end.segment).unwrap();
        let mut reader = SegmentReader::open(&segment).unwrap().unwrap();
        reader.resume(end);
        Self { reader, entries }
    }

    fn look(&mut self, directory: &Path) -> &'static str {
        loop {
            let segments = list(directory).unwrap();
            let last = loop {
                match self.reader.next_item().unwrap() {
                    Item::Record { record: Record::Session(session), .. } => {
                        self.entries.insert(session.id, Known::Live(session));
                    }
                    Item::Record { record: Record::Tombstone { id, until }, .. } => {
                        self.entries.insert(id, Known::Ended { until });
                    }
                    Item::Record { record: Record::Pulse { .. } | Record::Restored(_), .. } => {}
                    Item::End => break "all there is",
                    Item::Flawed(Flaw::Cut) => break "on its way",
                    Item::Flawed(flaw) => panic!("{flaw}"),
                }
            };
            let place = self.reader.place();
            match segments.iter().find(|segment| segment.first > place.segment) {
                None => return last,
                Some(next) if next.first != place.sequence => return "to be read again",
                Some(next) => self.reader = SegmentReader::open(next).unwrap().unwrap(),
            }
        }
    }
}

#[test]
fn the_files_of_a_running_gate_can_be_followed() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path();
    let disk = Arc::new(FaultyDisk::under(directory));
    let seam: Arc<dyn Disk> = Arc::<FaultyDisk>::clone(&disk);
    let mut gate = Gate::open_on(seam, directory, Fsync::Always).unwrap();
    assert!(gate.sign_in(1));
    let mut follower = Follower::new(directory);
    assert_eq!(follower.look(directory), "all there is");
    assert!(gate.rotate(1) && gate.sign_in(2) && gate.end(1));
    assert_eq!(follower.look(directory), "all there is");
    assert_eq!(follower.entries, gate.memory.entries);

    // A new segment, before and after the old one is deleted.
    drop(gate.snapshots.begin(T0).unwrap());
    assert!(gate.rotate(2));
    assert_eq!((follower.look(directory), follower.reader.place().segment), ("all there is", 5));
    gate.snapshot().unwrap();
    assert!(gate.rotate(2));
    assert_eq!(follower.look(directory), "all there is");
    assert_eq!(follower.entries, gate.memory.entries);

    // A record on its way, as it may be seen in the middle of a write.
    let newest = directory.join(segment_name(5));
    let before = fs::metadata(&newest).unwrap().len();
    assert!(gate.sign_in(3));
    let whole = fs::read(&newest).unwrap();
    for length in usize::try_from(before).unwrap() + 1..whole.len() {
        fs::write(&newest, &whole[..length]).unwrap();
        assert_eq!(follower.look(directory), "on its way", "{length}");
    }
    fs::write(&newest, &whole).unwrap();
    assert_eq!(follower.look(directory), "all there is");
    assert_eq!(follower.entries, gate.memory.entries);

    // A break: what was refused is not in the journal, so the next segment does not go on from here.
    disk.fail(&["sync"]);
    assert!(!gate.end(3) && !gate.sign_in(4));
    disk.fail(&[]);
    gate.snapshot().unwrap();
    assert_eq!(follower.look(directory), "to be read again");
    follower = Follower::new(directory);
    assert_eq!(follower.entries, gate.memory.entries);

    // Two snapshots while nobody looked.
    for number in 5..7 {
        assert!(gate.sign_in(number));
        gate.snapshot().unwrap();
    }
    assert!(gate.sign_in(7));
    assert_eq!(follower.look(directory), "to be read again");
    assert_eq!(recovered(directory).0, gate.close());
}
