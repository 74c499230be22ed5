//! The snapshot file: private, without anything that could be presented, and never half-read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::{gate, refresh, revoke};
use crate::support::{Answer, Gate, Run, user};

fn snapshot(gate: &Gate) -> PathBuf {
    gate.folder().join("data/sessions.snapshot")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    assert!(part.len() >= 5, "{part:?} would be found anywhere");
    bytes.windows(part.len()).any(|window| window == part)
}

/// The ways in which `secret` could stand in a file.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let decoded = std::str::from_utf8(secret).ok().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    // The end of an encoding depends on what follows.
    let cut = |text: String| text.as_bytes()[..text.len() - 4].to_vec();
    let mut all = vec![secret.to_vec(), cut(STANDARD.encode(secret)), cut(URL_SAFE_NO_PAD.encode(secret)), hex.into()];
    all.extend(decoded.filter(|bytes| bytes.len() >= 16));
    all
}

/// What nobody may find: the whole tokens, and the signatures that make them good.
fn secrets_of(pair: &Answer) -> Vec<Vec<u8>> {
    let tokens = ["access_token", "refresh_token"].map(|name| pair.field(name));
    tokens
        .iter()
        .flat_map(|token| [token.clone(), token.rsplit_once('.').unwrap().1.to_owned()])
        .map(Into::into)
        .collect()
}

/// The values in the key files.
fn secrets_of_keys(folder: &Path) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder.join("data/keys")).unwrap().map(|file| file.unwrap().path());
    let mut secrets = Vec::new();
    for file in files.filter(|file| file.extension().is_some()) {
        let text = fs::read_to_string(file).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        secrets.extend(words.filter(|word| word.len() >= 40).map(|word| word.as_bytes().to_vec()));
    }
    secrets
}

#[test]
fn it_is_private_and_holds_nothing_that_could_be_presented() {
    let mut gate = gate();
    let first = gate.alice(&["all:any"]);
    let second = refresh(&gate, &first).expect(200);
    let ended = gate.alice(&["messages:list"]);
    revoke(&gate, &ended);
    let users = fs::read_to_string(gate.folder().join("users.toml")).unwrap();
    let hash = users.split('"').find(|word| word.starts_with("$2")).unwrap().to_owned();
    let journal = written_so_far(&gate.folder());
    gate.stop();
    assert_eq!(mode(&snapshot(&gate)), 0o600);
    holds_nothing_that_could_be_presented(&fs::read(snapshot(&gate)).unwrap(), &gate, [&first, &second, &ended], &hash);
    holds_nothing_that_could_be_presented(&journal, &gate, [&first, &second, &ended], &hash);
}

/// What stands in the files of a gate that runs: in segments, and what a snapshot has just taken from there.
fn written_so_far(folder: &Path) -> Vec<u8> {
    let files = fs::read_dir(folder.join("data")).unwrap().map(|file| file.unwrap().path());
    let segments = files.filter(|file| file.file_name().unwrap().to_str().unwrap().contains(".journal."));
    let mut written: Vec<u8> = segments.filter_map(|file| fs::read(file).ok()).flatten().collect();
    written.extend(fs::read(folder.join("data/sessions.snapshot")).unwrap_or_default());
    written
}

#[track_caller]
fn holds_nothing_that_could_be_presented(bytes: &[u8], gate: &Gate, pairs: [&Answer; 3], hash: &str) {
    let second = pairs[1];
    // What is looked for would be found.
    assert!(contains(bytes, b"alice"));
    let session = second.claims("access_token")["sid"].as_str().unwrap().to_owned();
    assert!(
        spellings(session.as_bytes()).iter().any(|spelling| contains(bytes, spelling)) || {
            contains(bytes, &URL_SAFE_NO_PAD.decode(&session).unwrap())
        }
    );
    let mut secrets = pairs.map(secrets_of).concat();
    secrets.extend([b"wonderland".to_vec(), hash.as_bytes().to_vec()]);
    let keys = secrets_of_keys(&gate.folder());
    assert_eq!(keys.len(), 3, "signing, refresh and fingerprint key");
    secrets.extend(keys);
    for secret in secrets {
        for spelling in spellings(&secret) {
            assert!(!contains(bytes, &spelling), "{}", String::from_utf8_lossy(&secret));
        }
    }
}

#[test]
fn nothing_else_is_left_in_the_data_directory_and_nothing_there_is_open_to_others() {
    let mut gate = gate();
    gate.alice(&["all:any"]);
    gate.stop();
    let data = gate.folder().join("data");
    let mut names: Vec<_> =
        fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let segment = names.iter().position(|name| name.starts_with("sessions.journal.")).map(|at| names.remove(at));
    assert_eq!(names, ["keys", "lock", "sessions.snapshot"]);
    assert_eq!(mode(&data.join(segment.unwrap())), 0o600);
    assert_eq!(mode(&data.join("keys")), 0o700);
    for file in fs::read_dir(data.join("keys")).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

/// Tries to start on what is in the gate's folder, which must not do.
#[track_caller]
fn refuses_to_start(gate: &Gate, case: &str) -> String {
    let before = fs::read(snapshot(gate)).unwrap();
    let mut said = String::new();
    for verb in ["serve", "check"] {
        let ended = Run::new(&gate.folder(), &[verb, "--listen", "127.0.0.1:0"]).end();
        assert_eq!(ended.code, Some(1), "{case}, {verb}: {ended:#?}");
        said = ended.stderr.lines().find(|line| line.starts_with("portcullis: ")).unwrap().to_owned();
        assert!(said.contains("data/sessions.snapshot: "), "{case}: {said}");
        assert!(!ended.stderr.contains("listening") && !ended.stderr.contains("panicked"), "{case}: {ended:#?}");
        assert_eq!(fs::read(snapshot(gate)).unwrap(), before, "{case}: {verb} changed the file");
    }
    said
}

#[test]
fn a_damaged_snapshot_stops_the_start_names_the_place_and_is_left_alone() {
    let mut gate = gate();
    let pairs: Vec<_> = (0..5).map(|_| gate.alice(&["all:any"])).collect();
    gate.stop();
    let good = fs::read(snapshot(&gate)).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let (length, middle) = (good.len(), good.len() / 2);
    for (case, bytes) in [
        ("a byte in the first length", flipped(13)),
        ("a byte in the first checksum", flipped(17)),
        ("a byte in the first record", flipped(25)),
        ("a byte in the middle", flipped(middle)),
        ("a byte a little later", flipped(middle + 5)),
        ("the last byte", flipped(length - 1)),
        ("cut in half", good[..middle].to_vec()),
        ("the last byte missing", good[..length - 1].to_vec()),
        ("cut behind the header", good[..12].to_vec()),
        ("something behind its end", [&good[..], b"x"].concat()),
        ("twice", good.repeat(2)),
    ] {
        fs::write(snapshot(&gate), bytes).unwrap();
        let said = refuses_to_start(&gate, case);
        let (_, place) = said.split_once("damaged at byte ").unwrap_or_else(|| panic!("{case}: {said}"));
        let offset: usize = place.split(':').next().unwrap().parse().unwrap();
        assert!((12..=length).contains(&offset), "{case}: {said}");
        assert!(said.contains("backup"), "{case}: {said}");
    }
    // The good one in its place again, all is well.
    fs::write(snapshot(&gate), good).unwrap();
    let gate = gate.start_again();
    for pair in &pairs {
        refresh(&gate, pair).expect(200);
    }
}

#[test]
fn a_foreign_file_in_its_place_stops_the_start_and_is_left_alone() {
    let mut gate = gate();
    gate.alice(&["all:any"]);
    gate.stop();
    let good = fs::read(snapshot(&gate)).unwrap();
    let newer = [&good[..8], &[9, 0, 0, 0], &good[12..]].concat();
    for (case, bytes, part) in [
        ("empty", Vec::new(), "not a snapshot"),
        ("too short", good[..7].to_vec(), "not a snapshot"),
        ("a text", user("a", "b", &[], "").into_bytes(), "not a snapshot"),
        ("zeroes", vec![0; 4096], "not a snapshot"),
        ("of a later version", newer, "format version 9"),
    ] {
        fs::write(snapshot(&gate), bytes).unwrap();
        let said = refuses_to_start(&gate, case);
        assert!(said.contains(part), "{case}: {said}");
    }
}
