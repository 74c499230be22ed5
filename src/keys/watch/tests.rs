//! What is seen of changed files, and what is said of files that cannot be read.
//!
//! Guarantees: each test has a directory of its own.
//! Does not know: seconds.

use std::fs;
use std::path::Path;

use super::super::{Changes, KeyChange, Keys, State};
use super::*;

fn watched() -> (tempfile::TempDir, Keys, Watch) {
    let root = tempfile::tempdir().unwrap();
    let (ring, _) = KeyRing::open(root.path(), KeySource::Ring { algorithm: Algorithm::HS256 }, false, 0).unwrap();
    let watch = Watch::new(root.path().to_owned(), Algorithm::HS256);
    (root, Keys::new(ring), watch)
}

/// Looks, and puts in force what is there.
#[track_caller]
fn takes(watch: &mut Watch, keys: &Keys) -> Vec<KeyChange> {
    match watch.look(&keys.ring()) {
        Look::Changed { ring, .. } => keys.replace(*ring),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn sees_nothing(watch: &mut Watch, keys: &Keys) {
    let look = watch.look(&keys.ring());
    assert!(matches!(look, Look::Unchanged), "{look:?}");
}

fn begin(root: &Path) -> Changes {
    Changes::begin(root).unwrap().unwrap()
}

#[test]
fn every_change_is_seen_once_and_the_epoch_moves_when_a_key_is_gone() {
    let (root, keys, mut watch) = watched();
    let first = keys.ring().current().kid().clone();
    assert_eq!(takes(&mut watch, &keys), []);
    sees_nothing(&mut watch, &keys);
    let now = jiff::Timestamp::UNIX_EPOCH;

    let second = begin(root.path()).add(Algorithm::ES256, now).unwrap();
    let of = |kid: &std::sync::Arc<str>, algorithm, from, to| KeyChange { kid: kid.clone(), algorithm, from, to };
    assert_eq!(takes(&mut watch, &keys), [of(&second, Algorithm::ES256, None, Some(State::Next))]);
    sees_nothing(&mut watch, &keys);

    begin(root.path()).promote(&second, now).unwrap();
    let mut changes = takes(&mut watch, &keys);
    changes.sort_by_key(|change| change.kid != first);
    let (next, current, retiring) = (Some(State::Next), Some(State::Current), Some(State::Retiring));
    assert_eq!(
        changes,
        [of(&first, Algorithm::HS256, current, retiring), of(&second, Algorithm::ES256, next, current)]
    );
    assert_eq!((keys.ring().current().kid(), keys.epoch()), (&second, 0));

    begin(root.path()).remove(&first).unwrap();
    assert_eq!(takes(&mut watch, &keys), [of(&first, Algorithm::HS256, retiring, None)]);
    assert_eq!(keys.epoch(), 1);
    assert!(keys.ring().find(&first).is_none());
    sees_nothing(&mut watch, &keys);
}

#[test]
fn trouble_is_told_once_and_so_is_its_end() {
    let (root, keys, mut watch) = watched();
    takes(&mut watch, &keys);
    let path = root.path().join(format!("keys/{}.key", keys.ring().current().kid()));
    let whole = fs::read(&path).unwrap();
    for (spoil, expected) in [
        ((|path| fs::write(path, "kid = 'a'").unwrap()) as fn(&Path), "damaged"),
        (|path| fs::remove_file(path).unwrap(), "no signing key"),
        (|path| fs::remove_dir_all(path.parent().unwrap()).unwrap(), "no signing key"),
    ] {
        let fingerprint = fs::read(root.path().join("keys/fingerprint.key")).unwrap();
        spoil(&path);
        match watch.look(&keys.ring()) {
            Look::Trouble(error) => assert!(error.to_string().contains(expected), "{error}"),
            other => panic!("{other:?}"),
        }
        sees_nothing(&mut watch, &keys);
        sees_nothing(&mut watch, &keys);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for (name, contents) in
            [("fingerprint.key", &fingerprint), (path.file_name().unwrap().to_str().unwrap(), &whole)]
        {
            let _ = fs::remove_file(path.with_file_name(name));
            super::super::create_private(&path.with_file_name(name), contents).unwrap();
        }
        match watch.look(&keys.ring()) {
            Look::Changed { ring, mended: true } => assert_eq!(keys.replace(*ring), []),
            other => panic!("{other:?}"),
        }
        sees_nothing(&mut watch, &keys);
    }
    assert_eq!(keys.epoch(), 0);
}

#[test]
fn another_fingerprint_key_is_refused() {
    let (root, keys, mut watch) = watched();
    let (other, ..) = watched();
    fs::copy(other.path().join("keys/fingerprint.key"), root.path().join("keys/fingerprint.key")).unwrap();
    let look = watch.look(&keys.ring());
    assert!(matches!(look, Look::Trouble(KeyError::OtherFingerprint { .. })), "{look:?}");
    sees_nothing(&mut watch, &keys);
}
