//! Damage: cut files, flipped bits, lost and foreign ones.
//!
//! Guarantees: every length and every bit of a small store is tried; whatever is read is what stood there up to some
//! point, with a notice, or nothing is read, with the name of the file.
//! Does not know: how damage comes about.

use proptest::prelude::*;

use super::super::salvage::salvage_on;
use super::*;

/// A directory of a snapshot and one segment.
struct Store {
    folder: tempfile::TempDir,
    /// What each prefix of the journal amounts to: the first is the snapshot alone.
    prefixes: Vec<HashMap<SessionId, Known>>,
    /// Where the header of the segment ends, and each of its records.
    ends: Vec<usize>,
}

/// Numbers 1 to 3 in the snapshot; then a rotation each in a batch of its own, and at last two in one batch.
fn store() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::under(folder.path()));
    let seam: Arc<dyn Disk> = Arc::<FaultyDisk>::clone(&disk);
    let mut gate = Gate::open_on(seam, folder.path(), Fsync::Always).unwrap();
    for number in 1..=3 {
        assert!(gate.sign_in(number));
    }
    gate.end(3);
    gate.snapshot().unwrap();
    let newest = folder.path().join(segment_name(5));
    let length = || usize::try_from(fs::metadata(&newest).unwrap().len()).unwrap();
    let (mut prefixes, mut ends) = (vec![gate.memory.entries.clone()], vec![length()]);
    for _ in 0..3 {
        assert!(gate.rotate(1));
        prefixes.push(gate.memory.entries.clone());
        ends.push(length());
    }
    let held = disk.syncing.lock().unwrap();
    let written = disk.count("write");
    // The first keeps the writer busy, so that the others have to share a batch.
    let mut receipts = vec![gate.begin_rotation(1)];
    disk.wait_for("write", written + 1);
    prefixes.push(gate.memory.entries.clone());
    ends.push(length());
    for _ in 0..2 {
        receipts.push(gate.begin_rotation(2));
        prefixes.push(gate.memory.entries.clone());
    }
    drop(held);
    assert!(receipts.into_iter().all(|receipt| receipt.wait().is_ok()));
    let record = (length() - ends.last().unwrap()) / 2;
    ends.extend([length() - record, length()]);
    gate.close();
    Store { folder, prefixes, ends }
}

impl Store {
    fn newest(&self) -> PathBuf {
        self.folder.path().join(segment_name(5))
    }

    /// Reads, and holds what was read against the prefixes: which one it is, and the notices.
    #[track_caller]
    fn read(&self, case: &str) -> Result<(usize, Vec<Notice>), FilesError> {
        let mut memory = Replayed::default();
        let found = read(self.folder.path(), &mut memory)?;
        let prefix = self.prefixes.iter().position(|prefix| *prefix == memory.entries);
        let prefix = prefix.unwrap_or_else(|| panic!("{case}: what was never written: {:?}", memory.entries));
        assert_eq!(found.next, 5 + prefix as u64, "{case}");
        Ok((prefix, found.notices))
    }

    fn salvage(&self, to: &Path) -> Result<Salvaged, FilesError> {
        salvage_on(&FaultyDisk::under(self.folder.path()), self.folder.path(), to, T0)
    }
}

#[test]
fn a_journal_cut_anywhere_is_read_up_to_the_cut() {
    let store = store();
    let whole = fs::read(store.newest()).unwrap();
    assert_eq!((store.ends.len(), *store.ends.last().unwrap()), (store.prefixes.len(), whole.len()));
    for length in 0..=whole.len() {
        fs::write(store.newest(), &whole[..length]).unwrap();
        let case = format!("cut at {length}");
        let (prefix, notices) = store.read(&case).unwrap();
        assert_eq!(prefix, store.ends.iter().rposition(|end| *end <= length).unwrap_or(0), "{case}");
        let end = if length < store.ends[0] { 0 } else { store.ends[prefix] };
        let cut = Notice::Cut { file: store.newest(), offset: end as u64, bytes: (length - end) as u64 };
        let expected = if length > 0 && store.ends.contains(&length) { vec![] } else { vec![cut] };
        assert_eq!(notices, expected, "{case}");
    }
}

#[test]
fn what_was_cut_is_gone_after_an_opening_and_the_next_change_follows() {
    let store = store();
    let whole = fs::read(store.newest()).unwrap();
    for length in [0, 31, 32, 50, store.ends[1] + 1, store.ends[3] + 70, whole.len() - 1] {
        fs::write(store.newest(), &whole[..length]).unwrap();
        let mut gate = Gate::open(store.folder.path());
        assert!(gate.sign_in(9));
        let (entries, found) = recovered(store.folder.path());
        assert_eq!((entries, found.notices), (gate.memory.entries.clone(), vec![]), "cut at {length}");
        gate.close();
        for name in files(store.folder.path()).iter().filter(|name| name.starts_with("sessions.journal")) {
            fs::remove_file(store.folder.path().join(name)).unwrap();
        }
    }
}

#[test]
fn any_flipped_bit_of_the_journal_is_found() {
    let store = store();
    let whole = fs::read(store.newest()).unwrap();
    // Where the last batch begins: before it all was synced when it was written.
    let last_batch = store.ends[store.ends.len() - 3];
    for bit in 0..whole.len() * 8 {
        let (byte, case) = (bit / 8, format!("bit {bit}"));
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << (bit % 8);
        fs::write(store.newest(), &flipped).unwrap();
        match store.read(&case) {
            Ok((prefix, notices)) => {
                assert!(byte >= last_batch, "{case}: cut in spite of what follows");
                assert_eq!(prefix, store.ends.iter().rposition(|end| *end <= byte).unwrap(), "{case}");
                assert!(matches!(notices[..], [Notice::Cut { offset, .. }] if offset == store.ends[prefix] as u64));
            }
            Err(error) => {
                assert!(byte < last_batch, "{case}: {error}");
                let message = error.to_string();
                assert!(message.starts_with(&store.newest().display().to_string()), "{case}: {message}");
                if byte >= 32 {
                    let record = store.ends.iter().rev().find(|end| **end <= byte).unwrap();
                    assert!(message.contains(&format!("damaged at byte {record}: ")), "{case}: {message}");
                    assert!(message.contains("salvage"), "{case}: {message}");
                }
            }
        }
    }
}

#[test]
fn any_flipped_bit_and_any_cut_of_the_snapshot_is_refused() {
    let store = store();
    let file = store.folder.path().join(SNAPSHOT_NAME);
    let whole = fs::read(&file).unwrap();
    let refused = |bytes: &[u8], case: String| {
        fs::write(&file, bytes).unwrap();
        let error = store.read(&case).expect_err(&case).to_string();
        assert!(error.starts_with(&file.display().to_string()), "{case}: {error}");
    };
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&flipped, format!("bit {bit}"));
    }
    for length in 0..whole.len() {
        refused(&whole[..length], format!("cut at {length}"));
    }
    refused(&[&whole[..], b"\0"].concat(), "a byte behind the end".into());
}

#[test]
fn what_lies_behind_the_last_record_is_cut_if_it_says_nothing() {
    let store = store();
    let whole = fs::read(store.newest()).unwrap();
    let all = store.prefixes.len() - 1;
    let last = &whole[store.ends[all - 1]..];
    for (case, tail) in [
        ("zeroes", vec![0; 5000]),
        ("ones", vec![0xff; 100]),
        ("a text", b"and then the lights went out, and nobody knew what was on the disk".to_vec()),
        ("a hole of two pages", vec![0; 8192]),
    ] {
        fs::write(store.newest(), [&whole[..], &tail].concat()).unwrap();
        let (prefix, notices) = store.read(case).unwrap();
        let cut = Notice::Cut { file: store.newest(), offset: whole.len() as u64, bytes: tail.len() as u64 };
        assert_eq!((prefix, notices), (all, vec![cut]), "{case}");
    }
    // A sound record that does not belong there is no tail.
    fs::write(store.newest(), [&whole[..], last].concat()).unwrap();
    let error = store.read("a record twice").unwrap_err().to_string();
    assert!(
        error.contains(&format!("damaged at byte {}: record 10 stands where another belongs", whole.len())),
        "{error}"
    );
    // An opening that was never used, as some file systems leave it.
    fs::write(store.newest(), vec![0; 4096]).unwrap();
    let (prefix, notices) = store.read("nothing but zeroes").unwrap();
    assert_eq!((prefix, notices), (0, vec![Notice::Cut { file: store.newest(), offset: 0, bytes: 4096 }]));
}

type File<'a> = &'a (String, Vec<u8>);

/// Reads a directory of these files: so many sessions, or a message with these words.
#[track_caller]
fn these(files: &[File<'_>], expected: Result<usize, &str>) {
    let left = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(left.path().join(name), bytes).unwrap();
    }
    let mut memory = Replayed::default();
    let found = read(left.path(), &mut memory).map(|_| memory.entries.len()).map_err(|error| error.to_string());
    match (&found, expected) {
        (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
        _ => assert_eq!(found, expected.map_err(Into::into)),
    }
}

#[test]
fn missing_and_misplaced_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| (name.to_owned(), fs::read(folder.path().join(name)).unwrap());
    let mut gate = Gate::open(folder.path());
    assert!(gate.sign_in(1));
    gate.snapshot().unwrap();
    let covers_1 = file(SNAPSHOT_NAME);
    assert!(gate.sign_in(2));
    let two = file(&segment_name(2));
    gate.snapshot().unwrap();
    assert!(gate.sign_in(3));
    let three = file(&segment_name(3));
    gate.snapshot().unwrap();
    let covers_3 = file(SNAPSHOT_NAME);
    assert!(gate.sign_in(4));
    let four = file(&segment_name(4));
    gate.close();

    these(&[], Ok(0));
    these(&[&covers_1, &two, &three, &four], Ok(4));
    these(&[&covers_3, &four], Ok(4));
    // Older segments, sound or not, are not needed.
    let cut = (three.0.clone(), three.1[..three.1.len() - 1].to_vec());
    these(&[&covers_3, &two, &cut, &four], Ok(4));
    // What a backup may hold.
    these(&[&covers_3], Ok(3));
    these(&[&covers_1, &two], Ok(2));

    let gap = "0004: goes on from record 4, but what stands before it ends with record 2";
    these(&[&covers_1, &two, &four], Err(gap));
    these(
        &[&covers_1, &three, &four],
        Err("0003: goes on from record 3, but what stands before it ends with record 1"),
    );
    these(&[&two, &three, &four], Err("0002: goes on from record 2, but what stands before it ends with record 0"));
    these(&[&covers_1, &two, &cut, &four], Err("0003: damaged at byte 32: the file ends in the middle of a record"));
    let blank = (three.0.clone(), vec![]);
    these(&[&covers_1, &two, &blank, &four], Err("0003: damaged at byte 0: the header is not whole"));
    let renamed = (segment_name(5), three.1.clone());
    let other = "0005: damaged at byte 12: the header is of the segment that begins with record 3";
    these(&[&covers_1, &two, &three, &four, &renamed], Err(other));
    let longer = (three.0.clone(), [&three.1[..], &four.1[32..]].concat());
    these(&[&covers_1, &two, &longer, &four], Err("record 4 belongs to the next segment"));
}

#[test]
fn salvage_brings_back_all_but_the_damaged_record() {
    let store = store();
    let (newest, snapshot) = (store.newest(), store.folder.path().join(SNAPSHOT_NAME));
    for file in [&newest, &snapshot] {
        let whole = fs::read(file).unwrap();
        for byte in 0..whole.len() {
            let case = format!("byte {byte} of {}", file.display());
            let mut flipped = whole.clone();
            flipped[byte] ^= 1 << (byte % 8);
            fs::write(file, &flipped).unwrap();
            let elsewhere = tempfile::tempdir().unwrap();
            let to = elsewhere.path().join(SNAPSHOT_NAME);
            let said = match store.salvage(&to) {
                Ok(said) => said,
                Err(FilesError::Newer { .. }) if (8..12).contains(&byte) => continue,
                Err(error) => panic!("{case}: {error}"),
            };
            assert_eq!(said.skipped.len(), 1, "{case}: {:?}", said.skipped);
            let skipped = &said.skipped[0];
            let range = skipped.offset..=skipped.offset + skipped.bytes;
            assert!(&skipped.file == file && range.contains(&(byte as u64)), "{case}: {skipped:?}");
            let (entries, found) = recovered(elsewhere.path());
            let lost = store.prefixes.last().unwrap().iter().filter(|(id, known)| entries.get(id) != Some(known));
            // At most the session whose last state that was.
            assert!(lost.count() <= 1, "{case}: {entries:?}");
            assert_eq!(said.sessions + said.tombstones, entries.len() as u64, "{case}");
            assert!(found.next <= 5 + store.prefixes.len() as u64, "{case}");
            assert!(said.missing <= 1, "{case}: {}", said.missing);
        }
        fs::write(file, whole).unwrap();
    }
    let to = store.folder.path().join("salvaged");
    let said = store.salvage(&to).unwrap();
    assert_eq!((said.sessions, said.tombstones, said.skipped, said.missing), (2, 1, vec![], 0));
    assert!(store.salvage(&to).is_err(), "it replaces nothing");
}

#[test]
fn no_damage_is_taken_for_content() {
    let store = store();
    let files = [store.newest(), store.folder.path().join(SNAPSHOT_NAME)];
    let whole = files.clone().map(|file| fs::read(file).unwrap());
    let pokes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let cut = prop::option::of(any::<prop::sample::Index>());
    let lost = prop::option::of((any::<prop::sample::Index>(), 1..300usize));
    let config = ProptestConfig { cases: 500, ..ProptestConfig::default() };
    proptest!(config, |(which in 0..2usize, pokes in pokes, cut in cut, lost in lost)| {
        let mut bytes = whole[which].clone();
        for (at, value) in pokes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some((from, count)) = lost {
            let from = from.index(bytes.len());
            bytes.drain(from..(from + count).min(bytes.len()));
        }
        if let Some(length) = cut {
            bytes.truncate(length.index(bytes.len() + 1));
        }
        fs::write(&files[which], &bytes).unwrap();
        let read = store.read("damage");
        let to = store.folder.path().join("salvaged");
        let salvaged = store.salvage(&to);
        let _ = fs::remove_file(to);
        fs::write(&files[which], &whole[which]).unwrap();
        match read {
            // A cut between two records is no damage that could be seen.
            Ok((prefix, notices)) if notices.is_empty() => {
                prop_assert!(bytes == whole[which] || which == 0 && bytes.len() == store.ends[prefix]);
            }
            Ok(_) => {}
            Err(error) => prop_assert!(error.to_string().contains("sessions."), "{}", error),
        }
        prop_assert!(matches!(salvaged, Ok(_) | Err(FilesError::Newer { .. })), "{:?}", salvaged);
    });
}
