//! What the files are after every step of every change, and what a crash leaves of them.
//!
//! Guarantees: each test has a directory of its own; time is an argument.
//! Does not know: processes.

use std::fs;

use super::super::{KeyRing, KeySource};
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

/// A ring of one key.
fn started() -> (tempfile::TempDir, Arc<str>) {
    let root = tempfile::tempdir().unwrap();
    let kid = open(&root).current().kid().clone();
    (root, kid)
}

fn open(root: &tempfile::TempDir) -> KeyRing {
    let source = KeySource::Ring { algorithm: Algorithm::HS256 };
    KeyRing::open(root.path(), source, false, 1_795_000_000).unwrap().0
}

fn begin(root: &tempfile::TempDir) -> Changes {
    Changes::begin(root.path()).unwrap().unwrap()
}

fn states(root: &tempfile::TempDir) -> Vec<(Arc<str>, State)> {
    list(root.path()).unwrap().into_iter().map(|key| (key.kid, key.state)).collect()
}

/// A ring with one key in each state, and their kids.
fn full() -> (tempfile::TempDir, [Arc<str>; 3]) {
    let (root, retiring) = started();
    let mut changes = begin(&root);
    let current = changes.add(Algorithm::ES256, at(1)).unwrap();
    changes.promote(&current, at(2)).unwrap();
    let next = changes.add(Algorithm::EdDSA, at(3)).unwrap();
    drop(changes);
    (root, [next, current, retiring])
}

#[test]
fn a_key_goes_from_next_to_current_to_retiring_to_gone() {
    let (root, first) = started();
    let second = begin(&root).add(Algorithm::ES256, at(1)).unwrap();
    assert_eq!(states(&root), [(first.clone(), State::Current), (second.clone(), State::Next)]);
    let before = open(&root);
    begin(&root).promote(&second, at(2)).unwrap();
    assert_eq!(states(&root), [(first.clone(), State::Retiring), (second.clone(), State::Current)]);
    let since: Vec<_> = list(root.path()).unwrap().into_iter().map(|key| key.since).collect();
    assert_eq!(since, [Some(at(2)), Some(at(2))]);
    let after = open(&root);
    assert_eq!((after.current().kid(), after.current().algorithm()), (&second, Algorithm::ES256));
    assert_eq!(after.fingerprint_key(), before.fingerprint_key());
    let (old, now) = (before.current(), after.find(&first).unwrap());
    assert!(now.verify(b"m", &old.sign(b"m").unwrap()) && now.verify_refresh(b"m", &old.sign_refresh(b"m").unwrap()));
    begin(&root).remove(&first).unwrap();
    assert_eq!(states(&root), [(second, State::Current)]);
    assert!(open(&root).find(&first).is_none());
}

/// Takes the first `number` steps of a change; then a crash.
fn stop_after(number: usize, change: impl Fn(&Changes) -> Vec<Step>, root: &tempfile::TempDir) -> usize {
    let mut changes = begin(root);
    let steps = change(&changes);
    let of = steps.len();
    let mut steps = steps.into_iter();
    changes.take(steps.by_ref().take(number).collect()).unwrap();
    if let Some(Step::Write { name, contents }) = steps.next() {
        // In the middle of the next one.
        let half = &contents.as_bytes()[..contents.len() / 2];
        fs::write(root.path().join("keys").join(format!(".{name}.new")), half).unwrap();
    }
    of
}

/// Whatever step a change stops after, the ring opens with the key `currents` says, and the change can be made anew.
#[track_caller]
fn check(change: impl Fn(&Changes, &[Arc<str>; 3]) -> Vec<Step>, currents: &[usize]) {
    for (number, current) in currents.iter().enumerate() {
        let (root, kids) = full();
        let of = stop_after(number, |changes| change(changes, &kids), &root);
        assert_eq!(of + 1, currents.len());
        let ring = open(&root);
        assert_eq!(ring.current().kid(), &kids[*current], "after {number} of {of} steps");
        assert_eq!(ring.iter().filter(|(_, state)| *state == State::Current).count(), 1);
        let current = ring.current().kid().clone();
        let mut changes = begin(&root);
        let newest = changes.add(Algorithm::HS256, at(9)).unwrap();
        changes.promote(&newest, at(9)).unwrap();
        let files: Vec<_> = read(&root.path().join("keys")).unwrap();
        assert!(files.iter().all(|(_, file)| !file.is_implied));
        drop(changes);
        begin(&root).remove(&current).unwrap();
        assert_eq!(open(&root).current().kid(), &newest);
    }
}

#[test]
fn a_change_that_stops_after_any_step_leaves_one_current_key() {
    const NEXT: usize = 0;
    const CURRENT: usize = 1;
    check(|changes, [next, ..]| changes.promotion(next, at(5)).unwrap(), &[CURRENT, NEXT, NEXT]);
    check(|changes, [.., retiring]| changes.removal(retiring).unwrap(), &[CURRENT, CURRENT]);
    check(|changes, [next, ..]| changes.removal(next).unwrap(), &[CURRENT, CURRENT]);
    let adding = |_: &Changes, _: &[Arc<str>; 3]| {
        let (kid, contents) = file::fresh(Algorithm::HS256, State::Next, at(5)).unwrap();
        vec![Step::Write { name: file_name(&kid), contents }]
    };
    check(adding, &[CURRENT, CURRENT]);
}

#[test]
fn what_a_broken_rotation_left_is_retiring_since_then_and_is_written_down_by_the_next_change() {
    let (root, [next, current, retiring]) = full();
    stop_after(1, |changes| changes.promotion(&next, at(5)).unwrap(), &root);
    let since = |kid: &str| list(root.path()).unwrap().into_iter().find(|key| &*key.kid == kid).unwrap();
    assert_eq!((since(&current).state, since(&current).since), (State::Retiring, Some(at(5))));
    assert_eq!((since(&retiring).state, since(&retiring).since), (State::Retiring, Some(at(2))));
    // Also where that change takes away the key that it follows from.
    stop_after(1, |changes| changes.removal(&retiring).unwrap(), &root);
    let text = fs::read_to_string(root.path().join(format!("keys/{current}.key"))).unwrap();
    assert!(text.contains("state = 'retiring'\n") && text.contains(&format!("since = '{}'\n", at(5))), "{text}");
}

#[test]
fn a_clock_that_was_set_back_does_not_bring_an_old_key_back() {
    let (root, [next, current, _]) = full();
    begin(&root).promote(&next, at(-1000)).unwrap();
    let ring = open(&root);
    assert_eq!(ring.current().kid(), &next);
    assert_eq!(ring.state(&current), Some(State::Retiring));
    stop_after(1, |changes| changes.promotion(&current, at(-2000)).unwrap(), &root);
    assert_eq!(open(&root).current().kid(), &current);
}

#[test]
fn changes_at_the_same_time_are_all_made() {
    let (root, _) = started();
    let opened = std::thread::scope(|scope| {
        let adding: Vec<_> =
            (0..8).map(|_| scope.spawn(|| begin(&root).add(Algorithm::HS256, at(1)).unwrap())).collect();
        let reading = scope.spawn(|| (0..50).all(|_| open(&root).iter().count() > 0));
        let rotating = scope.spawn(|| {
            let mut changes = begin(&root);
            let kid = changes.add(Algorithm::ES256, at(2)).unwrap();
            changes.promote(&kid, at(3)).unwrap();
            kid
        });
        let current = rotating.join().unwrap();
        let added: Vec<_> = adding.into_iter().map(|adding| adding.join().unwrap()).collect();
        let ring = open(&root);
        assert_eq!(ring.current().kid(), &current);
        assert!(added.iter().all(|kid| ring.state(kid) == Some(State::Next)));
        reading.join().unwrap()
    });
    assert!(opened);
}

#[test]
fn before_the_first_start_there_is_nothing_to_change_and_nothing_is_made() {
    let root = tempfile::tempdir().unwrap();
    assert!(Changes::begin(root.path()).unwrap().is_none());
    assert_eq!(list(root.path()).unwrap(), []);
    assert!(!root.path().join("keys").exists());
}

#[test]
fn another_state_changes_nothing_else_in_a_file() {
    #[track_caller]
    fn check(before: &str, after: &str) {
        assert_eq!(*file::with_state(before.as_bytes(), State::Retiring, at(7)).unwrap(), after);
    }
    let since = at(7).to_string();
    check(
        "# text\nkid = 'a'\nstate = 'current'\ncreated = '1'\nsecret = 'state = 5'\n",
        &format!("# text\nkid = 'a'\nstate = 'retiring'\nsince = '{since}'\ncreated = '1'\nsecret = 'state = 5'\n"),
    );
    check(
        "since = \"2026-01-31T12:00:00Z\"\n state =\"current\" # mine\nkid = '''\nstate = 'next'\n'''",
        &format!("since = '{since}'\n state ='retiring' # mine\nkid = '''\nstate = 'next'\n'''"),
    );
    check("state = 'current'", &format!("state = 'retiring'\nsince = '{since}'"));
    for wrong in ["kid = 'a'", "state = ", "secret = '"] {
        assert!(file::with_state(wrong.as_bytes(), State::Next, at(7)).is_err(), "{wrong}");
    }
}

#[test]
fn a_key_that_was_retired_by_hand_is_retiring_since_the_file_was_changed() {
    let (root, [next, ..]) = full();
    let path = root.path().join(format!("keys/{next}.key"));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("'next'", "'retiring'", 1)).unwrap();
    let modified = Timestamp::try_from(fs::metadata(&path).unwrap().modified().unwrap()).unwrap();
    let key = list(root.path()).unwrap().into_iter().find(|key| key.kid == next).unwrap();
    assert_eq!((key.state, key.since), (State::Retiring, Some(modified)));
}
