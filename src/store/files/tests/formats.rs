//! The formats, to the byte: what files of today and of before say, and that those of tomorrow are left alone.
//!
//! Guarantees: the bytes here were written once and are not made by the code that reads them.
//! Does not know: damage.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use crate::token::{Device, Restoration, Sender};

use super::*;

/// Written by the last version without a journal: the two sessions of [`both`], and a tombstone.
const VERSION_1: &str = "50434c534e41500001000000ab0000004997847b0002020202020202020202020204616e6e6100020d6d6573736167\
    65733a73656e640d6d657373616765733a72656164010d6d657373616765733a72656164840700010103642d31010e416e6e61e2809973207068\
    6f6e65010120010db80000000000000000000000078080e2c4f2a29903c09693c7f2a299038080d7beaaee990380c0b1a5dbb8a00380d0acf30e\
    056f746865720707070707070707010101010101010101010101010315000000858a816d01040404040404040404040404c081c284f6a2990381\
    0000003719a2f60001010101010101010101010104616e6e6100020d6d657373616765733a73656e640d6d657373616765733a72656164020d6d\
    657373616765733a73656e640d6d657373616765733a7265616484070000008080e2c4f2a299038080e2c4f2a299038080d7beaaee990380c0b1\
    a5dbb8a00300036b6579070707070707070700000a000000b1c7b9f80203c0a887c9f2a29903";

/// A snapshot of today: a restoration, number 1 and a tombstone of number 4; it covers 41.
const SNAPSHOT: &str = "50434c534e415000020000002900000000000000c046c628176506004fe3448d23000000c73e872d058080e2c4f2a29\
    9038089dcc5f2a299030101c0849fc5f2a29903c0a887c9f2a29903870000007537467f0101010101010101010101010104616e6e6100020d6\
    d657373616765733a73656e640d6d657373616765733a72656164020d6d657373616765733a73656e640d6d657373616765733a72656164840\
    70000000000008080e2c4f2a299038080e2c4f2a299038080d7beaaee990380c0b1a5dbb8a00300036b6579070707070707070700000000001\
    500000066089f1602040404040404040404040404c081c284f6a299030a000000f6b7a7f50403c0a887c9f2a29903";

/// A segment of today that begins with 42: number 2, a tombstone of number 1 written together with it, a heartbeat.
const SEGMENT: &str = "50434c4a524e4c00010000002a000000000000002900000000000000bbe10b7cc50000009979daf22a00000000000000\
    0102020202020202020202020204616e6e6100020d6d657373616765733a73656e640d6d657373616765733a72656164010d6d657373616765\
    733a72656164840700010103642d31010e416e6e61e28099732070686f6e65000103612f31010120010db80000000000000000000000070107\
    622f32202863298080e2c4f2a29903c09693c7f2a299038080d7beaaee990380c0b1a5dbb8a00380d0acf30e056f7468657207070707070707\
    0701010101010101010101010101030000001d000000e81fd37c2b00000000000000820101010101010101010101018080e2c4f2a299031100\
    0000bceaaf292c0000000000000083c0849fc5f2a29903";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A plain session and one with something in every field.
fn both() -> [Session; 2] {
    let plain = session(1);
    let rich = Session {
        device: Some(Box::new(Device { id: Some("d-1".into()), name: Some("Anna’s phone".into()) })),
        begun_from: Sender { address: None, agent: Some("a/1".into()) },
        used_from: Sender { address: Some("2001:db8::7".parse().unwrap()), agent: Some("b/2 (c)".into()) },
        parent: Some(plain.id),
        access_floor: 3,
        generation: 4_000_000_000,
        kid: "other".into(),
        granted: Scopes::new(["messages:read"]),
        rotated_at: T0 + SECOND * 5,
        ..session(2)
    };
    [plain, rich]
}

fn restoration() -> Restoration {
    let revoked_after = Some(T0 + SECOND);
    Restoration { backup: T0, restored: T0 + SECOND * 2, adopt: true, revoked_after, sessions_end: T0 + SECOND * 9 }
}

fn live(session: Session) -> Known {
    Known::Live(Box::new(session))
}

#[track_caller]
fn refused(directory: &Path) -> String {
    read(directory, &mut Replayed::default()).unwrap_err().to_string()
}

#[test]
fn the_first_snapshot_format_is_read_and_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(SNAPSHOT_NAME);
    fs::write(&file, bytes(VERSION_1)).unwrap();
    let (entries, found) = recovered(folder.path());
    let [plain, rich] = both();
    // Of where a session came from that format knew the last address.
    let address = Some("2001:db8::7".parse().unwrap());
    let rich = Session { begun_from: Sender::default(), used_from: Sender { address, agent: None }, ..rich };
    let expected =
        HashMap::from([(id(1), live(plain)), (id(2), live(rich)), (id(4), Known::Ended { until: T0 + SECOND * 939 })]);
    assert_eq!((&entries, found.newest, found.next), (&expected, T0 + SECOND * 9, 1));
    assert_eq!(found.notices, [Notice::Migrated { file: file.clone(), version: 1 }]);

    let mut gate = Gate::open(folder.path());
    assert!(gate.rotate(1));
    let (again, _) = recovered(folder.path());
    assert_eq!(again, gate.memory.entries, "the old snapshot with a journal behind it");
    gate.snapshot().unwrap();
    let (again, found) = recovered(folder.path());
    assert_eq!((again, found.notices), (gate.close(), vec![]));
}

#[test]
fn the_present_formats_do_not_change_without_a_new_version() {
    let folder = tempfile::tempdir().unwrap();
    let [plain, rich] = both();
    let disk = super::super::disk::LocalDisk;
    let now = T0 + SECOND * 3;
    let path = folder.path().join(SNAPSHOT_NAME);
    let mut draft = super::super::snapshot::Draft::create(&disk, path.clone(), 41, now).unwrap();
    draft.put(Entry::Restored(&restoration()));
    draft.put(Entry::Session(&plain));
    draft.put(Entry::Tombstone { id: id(4), until: T0 + SECOND * 939 });
    draft.close(T0 + SECOND * 9).unwrap();
    draft.keep();
    assert_eq!(hex(&fs::read(&path).unwrap()), SNAPSHOT, "raise the version, and keep what reads the old one");

    let found = recovered(folder.path()).1;
    let Opened { journal, writer, .. } = open(&found, Fsync::Always).unwrap();
    let receipts =
        [Entry::Session(&rich), Entry::Tombstone { id: id(1), until: T0 }].map(|entry| journal.append(entry));
    journal.pulse(T0 + SECOND);
    journal.close();
    writer.run();
    assert!(receipts.into_iter().all(|receipt| receipt.wait().is_ok()));
    let path = folder.path().join(segment_name(42));
    assert_eq!(hex(&fs::read(&path).unwrap()), SEGMENT, "raise the version, and keep what reads the old one");

    let mut memory = Replayed::default();
    read(folder.path(), &mut memory).unwrap();
    assert_eq!(memory.restorations.iter().collect::<Vec<_>>(), [&restoration()]);
    let (entries, found) = recovered(folder.path());
    let ended = |until| Known::Ended { until };
    let expected = [(id(1), ended(T0)), (id(2), live(rich)), (id(4), ended(T0 + SECOND * 939))];
    assert_eq!((entries, found.next, found.newest), (HashMap::from(expected), 45, T0 + SECOND * 9));
    assert_eq!((found.covers, found.written_at), (41, Some(now)));
}

#[test]
fn a_session_with_a_certificate_is_a_record_of_its_own_kind() {
    let [_, rich] = both();
    let spelled = |session: &Session| {
        let mut bytes = Vec::new();
        assert!(record::write(Entry::Session(session), &mut bytes));
        bytes
    };
    let plain = spelled(&rich);
    let certified = Session { certificate: Some("DNS=c.example".into()), ..rich };
    let bytes = spelled(&certified);
    // The name with its length, and then what the session would be without it.
    assert_eq!(bytes, [b"\x06\x0dDNS=c.example", &plain[1..]].concat());
    let read = record::read(bytes[0], &bytes[1..]).unwrap();
    assert_eq!(read, Record::Session(Box::new(certified)));
    for cut in 1..bytes.len() {
        assert!(record::read(bytes[0], &bytes[1..cut]).is_err(), "{cut}");
    }
}

#[test]
fn what_a_newer_version_has_written_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (snapshot, segment) = (folder.path().join(SNAPSHOT_NAME), folder.path().join(segment_name(42)));
    let newer = |hex: &str, version: u8| {
        let mut bytes = bytes(hex);
        bytes[8] = version;
        bytes
    };
    fs::write(&snapshot, newer(SNAPSHOT, 3)).unwrap();
    let error = refused(folder.path());
    assert!(error.contains("sessions.snapshot: format version 3; this portcullis reads up to 2; install"), "{error}");
    fs::write(&snapshot, bytes(SNAPSHOT)).unwrap();
    fs::write(&segment, newer(SEGMENT, 2)).unwrap();
    let error = refused(folder.path());
    assert!(error.contains("0042: format version 2; this portcullis reads up to 1; install"), "{error}");

    // A kind of record that we do not know, and one of a known kind that says something else.
    let mut unknown = bytes(SEGMENT);
    let body = 32 + 8;
    unknown[body + 8] = 9;
    super::super::frame::seal(&mut unknown[32..32 + 8 + frame_length(&bytes(SEGMENT))]);
    fs::write(&segment, &unknown).unwrap();
    let error = refused(folder.path());
    assert!(error.contains("0042: record of kind 9 at byte 32, which only a newer portcullis"), "{error}");
    unknown[body + 8] = 3;
    super::super::frame::seal(&mut unknown[32..32 + 8 + frame_length(&bytes(SEGMENT))]);
    fs::write(&segment, &unknown).unwrap();
    let error = refused(folder.path());
    assert!(error.contains("0042: damaged at byte 32: a record cannot be read"), "{error}");

    for (file, what) in [(&snapshot, "snapshot"), (&segment, "journal segment")] {
        let good = fs::read(file).unwrap();
        for text in [&b"{\"sessions\": [], \"a\": \"and so on and on\"}"[..], b"PCLSNAQ\0PCLJRNK\0PCLJRNL\0PCLSNAP\0"] {
            fs::write(file, text).unwrap();
            let error = refused(folder.path());
            assert!(error.ends_with(&format!("not a {what} of portcullis")), "{error}");
        }
        fs::write(file, good).unwrap();
        fs::write(&segment, bytes(SEGMENT)).unwrap();
    }
}

fn frame_length(segment: &[u8]) -> usize {
    u32::from_le_bytes(segment[32..36].try_into().unwrap()) as usize
}

#[test]
fn files_are_for_their_owner_alone_whatever_a_crash_has_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    for scratch in ["sessions.tmp", "sessions.journal.tmp"] {
        std::os::unix::fs::symlink(&elsewhere, folder.path().join(scratch)).unwrap();
    }
    let mut gate = Gate::open(folder.path());
    assert!(gate.sign_in(1));
    fs::write(folder.path().join("sessions.tmp"), vec![b'x'; 100_000]).unwrap();
    gate.snapshot().unwrap();
    assert_eq!(gate.files(), ["elsewhere", &segment_name(2), SNAPSHOT_NAME]);
    for name in [&segment_name(2), SNAPSHOT_NAME] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
    assert_eq!(fs::read_to_string(elsewhere).unwrap(), "precious");
    assert_eq!(recovered(folder.path()).0, gate.close());
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,40}"
}

fn sender() -> impl Strategy<Value = Sender> {
    (any::<Option<IpAddr>>(), prop::option::of(text()))
        .prop_map(|(address, agent)| Sender { address, agent: agent.map(Into::into) })
}

fn any_session() -> impl Strategy<Value = Session> {
    let scopes = || prop::collection::vec("[a-z:]{1,12}", 0..4).prop_map(Scopes::new);
    let time = || any::<u64>().prop_map(Timestamp::from_micros);
    let device = prop::option::of((prop::option::of(text()), prop::option::of(text())));
    let numbers = (any::<u32>(), any::<u32>(), any::<[u8; 8]>(), any::<u64>(), 0..1_000_000_000u32);
    let names = (any::<[u8; 12]>(), text(), text(), prop::option::of(any::<[u8; 12]>()), sender());
    (names, scopes(), scopes(), device, (time(), time(), time(), time()), numbers).prop_map(
        |((id, subject, kid, parent, used_from), scopes, granted, device, times, numbers)| {
            let (generation, access_floor, credential, seconds, nanos) = numbers;
            Session {
                id: SessionId::from_bytes(id),
                subject: Subject::new(subject),
                profile: Profile::Smsgate,
                scopes,
                granted,
                access_ttl: Duration::new(seconds, nanos),
                device: device.map(|(id, name)| Box::new(Device { id, name })),
                begun_from: Sender { agent: None, ..used_from.clone() },
                used_from,
                created_at: times.0,
                rotated_at: times.1,
                answered_at: Timestamp::default(),
                idle_expires_at: times.2,
                expires_at: times.3,
                generation,
                kid: kid.into(),
                credential: CredentialVersion(credential),
                parent: parent.map(SessionId::from_bytes),
                access_floor,
                in_doubt: generation % 2 == 1,
                outlived: (generation % 3 == 1).then_some(times.3),
                client: (generation % 5 == 1).then(|| "client".into()),
                certificate: (generation % 7 == 1).then(|| "DNS=client.example".into()),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read(
        sessions in prop::collection::vec(any_session(), 0..20),
        ends in prop::collection::vec((any::<[u8; 12]>(), any::<u64>()), 0..5),
        snapshots in prop::collection::vec(0..25usize, 0..3),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut gate = Gate::open(folder.path());
        let ends = ends.into_iter().map(|(id, until)| {
            (SessionId::from_bytes(id), Known::Ended { until: Timestamp::from_micros(until) })
        });
        let sessions = sessions.into_iter().map(|session| (session.id, live(session)));
        for (at, (id, known)) in sessions.chain(ends).enumerate() {
            if snapshots.contains(&at) {
                gate.snapshot().unwrap();
            }
            let receipt = gate.change(id, known);
            prop_assert!(receipt.wait().is_ok());
        }
        let (entries, found) = recovered(folder.path());
        prop_assert_eq!(found.notices, vec![]);
        prop_assert_eq!(entries, gate.close());
    }
}
