//! First starts, later starts, and every way in which the files of a ring can be wrong.
//!
//! Guarantees: each test has a directory of its own.
//! Does not know: how signatures are computed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::header_segment;
use super::*;

const NOW: u64 = 1_795_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn from_ring(root: &Path, sessions_exist: bool) -> Result<(KeyRing, Vec<Notice>), KeyError> {
    KeyRing::open(root, KeySource::Ring { algorithm: Algorithm::HS256 }, sessions_exist, NOW)
}

fn from_secret(root: &Path, secret: &[u8], sessions_exist: bool) -> Result<(KeyRing, Vec<Notice>), KeyError> {
    let secret = Zeroizing::new(secret.to_vec());
    KeyRing::open(root, KeySource::Secret { algorithm: Algorithm::HS256, secret }, sessions_exist, NOW)
}

fn from_file(root: &Path, algorithm: Algorithm, path: &Path) -> Result<(KeyRing, Vec<Notice>), KeyError> {
    KeyRing::open(root, KeySource::File { algorithm, path: path.to_owned() }, false, NOW)
}

/// A directory after its first start, and the path of its key.
fn started(algorithm: Algorithm) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let (_, notices) = KeyRing::open(root.path(), KeySource::Ring { algorithm }, false, NOW).unwrap();
    let [Notice::Created { path, .. }] = notices.as_slice() else { panic!("{notices:?}") };
    (root, path.clone())
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn names(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("keys")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The directory holds these files, the lock file, and nothing else.
#[track_caller]
fn holds(root: &Path, expected: &[&str]) {
    let mut expected = [expected, &[".lock"]].concat();
    expected.sort();
    assert_eq!(names(root), expected);
}

#[track_caller]
fn refused(result: Result<(KeyRing, Vec<Notice>), KeyError>, expected: &str) {
    let error = result.map(|(ring, _)| ring).expect_err("refused").to_string();
    assert!(error.contains(expected) && !error.contains('\n'), "{error}");
}

#[test]
fn the_first_start_makes_a_key_and_the_second_loads_it() {
    for algorithm in Algorithm::ALL {
        let (root, path) = started(algorithm);
        let kid = path.file_stem().unwrap().to_str().unwrap();
        holds(root.path(), &[&format!("{kid}.key"), "fingerprint.key"]);
        for name in names(root.path()) {
            let mode = fs::metadata(root.path().join("keys").join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let (first, _) = KeyRing::open(root.path(), KeySource::Ring { algorithm }, true, NOW).unwrap();
        let (second, notices) = KeyRing::open(root.path(), KeySource::Ring { algorithm }, true, NOW + 9).unwrap();
        assert_eq!(notices, []);
        assert_eq!(first.current().algorithm(), algorithm);
        assert_eq!(&**first.current().kid(), kid);
        let found = second.find(kid).unwrap();
        assert!(found.verify(b"m", &first.current().sign(b"m").unwrap()));
        assert!(found.verify_refresh(b"m", &first.current().sign_refresh(b"m").unwrap()));
        assert_eq!(first.fingerprint_key(), second.fingerprint_key());
        assert!(second.find("another").is_none());
    }
}

#[test]
fn the_refresh_key_is_another_key_than_the_signing_key() {
    let ring = KeyRing::in_memory(Algorithm::HS256).unwrap();
    let key = ring.current();
    assert!(!key.verify_refresh(b"m", &key.sign(b"m").unwrap()));
    assert!(!key.verify(b"m", &key.sign_refresh(b"m").unwrap()));
}

#[test]
fn sessions_without_keys_stop_the_start_and_nothing_is_made() {
    let root = tempfile::tempdir().unwrap();
    refused(from_ring(root.path(), true), "there are sessions but no signing key");
    refused(from_secret(root.path(), SECRET, true), "there are sessions but no refresh key");
    assert!(!root.path().join("keys").exists());

    let (root, path) = started(Algorithm::HS256);
    fs::remove_file(root.path().join("keys/fingerprint.key")).unwrap();
    refused(from_ring(root.path(), true), "no fingerprint key");
    fs::remove_file(path).unwrap();
    refused(from_ring(root.path(), true), "restore it from a backup");
    holds(root.path(), &[]);
}

#[test]
fn a_first_start_that_was_cut_off_is_completed() {
    let (root, path) = started(Algorithm::HS256);
    let before = from_ring(root.path(), false).unwrap().0;
    fs::remove_file(&path).unwrap();
    let (after, notices) = from_ring(root.path(), false).unwrap();
    assert!(matches!(notices[..], [Notice::Created { .. }]));
    assert_eq!(after.fingerprint_key(), before.fingerprint_key());
    assert_ne!(after.current().kid(), before.current().kid());
}

#[test]
fn gateways_with_the_same_secret_agree_on_its_name_and_share_no_refresh_key() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, notices) = from_secret(one.path(), SECRET, false).unwrap();
    let (second, _) = from_secret(two.path(), SECRET, false).unwrap();
    assert_eq!(notices, []);
    let kid = first.current().kid();
    assert_eq!((kid.len(), kid), (16, second.current().kid()));
    holds(one.path(), &[&format!("{kid}.refresh"), "fingerprint.key"]);
    assert!(second.current().verify(b"m", &first.current().sign(b"m").unwrap()));
    let refresh = first.current().sign_refresh(b"m").unwrap();
    assert!(!second.current().verify_refresh(b"m", &refresh));
    // The same gateway knows it again, also with sessions.
    let (again, _) = from_secret(one.path(), SECRET, true).unwrap();
    assert!(again.current().verify_refresh(b"m", &refresh));
    // Another secret is another key, whose refresh key is missing.
    refused(from_secret(one.path(), b"another secret of more than 32 bytes", true), "no refresh key");
}

#[test]
fn weak_and_unfitting_secrets_are_refused_with_the_way_out() {
    let root = tempfile::tempdir().unwrap();
    let hint = "31 bytes are too short for HS256, which needs at least 32 (RFC 7518 section 3.2); \
                make a secret with: portcullis keygen --algorithm HS256";
    refused(from_secret(root.path(), &SECRET[..31], false), hint);
    refused(from_secret(root.path(), b"", false), "token.secret: 0 bytes are too short");
    refused(from_secret(root.path(), b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ", false), "a PEM text");
    for (algorithm, bytes) in [(Algorithm::HS384, 47), (Algorithm::HS512, 63)] {
        let secret = Zeroizing::new(vec![b'x'; bytes]);
        let result = KeyRing::open(root.path(), KeySource::Secret { algorithm, secret }, false, NOW);
        refused(result, &format!("{bytes} bytes are too short for {algorithm}"));
    }
    let source = KeySource::Secret { algorithm: Algorithm::ES256, secret: Zeroizing::new(SECRET.to_vec()) };
    refused(KeyRing::open(root.path(), source, false, NOW), "set token.key_file");
    assert!(!root.path().join("keys").exists());
}

#[test]
fn a_configured_key_file_is_used_where_it_lies() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("signing.pem");
    refused(from_file(root.path(), Algorithm::ES256, &path), "signing.pem: cannot be read: ");
    fs::write(&path, super::super::generate(Algorithm::ES256).unwrap().as_bytes()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let (ring, notices) = from_file(root.path(), Algorithm::ES256, &path).unwrap();
    assert_eq!(notices, [Notice::OpenToAll { path: path.clone(), mode: 0o444 }]);
    holds(root.path(), &[&format!("{}.refresh", ring.current().kid()), "fingerprint.key"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    assert_eq!(from_file(root.path(), Algorithm::ES256, &path).unwrap().1, []);
    refused(from_file(root.path(), Algorithm::RS256, &path), "signing.pem: holds an EC key on the curve P-256, but");
    refused(from_file(root.path(), Algorithm::HS256, &path), "set token.secret");
}

/// Keys of the configuration: each named for the letter of its secret.
fn several(keys: &[(char, State)]) -> KeySource {
    let given = |(letter, state): &(char, State)| GivenKey {
        kid: letter.to_string().into(),
        algorithm: Algorithm::HS256,
        state: *state,
        text: Zeroizing::new(letter.to_string().repeat(32).into_bytes()),
        path: None,
    };
    KeySource::Several(keys.iter().map(given).collect())
}

fn refresh_file(root: &Path, letter: char) -> PathBuf {
    let name = own_name(Algorithm::HS256, letter.to_string().repeat(32).as_bytes()).unwrap();
    root.join(format!("keys/{name}.refresh"))
}

#[test]
fn several_configured_keys_have_each_a_refresh_key_and_the_current_one_signs() {
    let root = tempfile::tempdir().unwrap();
    let keys = [('a', State::Retiring), ('b', State::Current), ('c', State::Next)];
    let open = |sessions_exist| KeyRing::open(root.path(), several(&keys), sessions_exist, NOW);
    refused(open(true), "there are sessions but no refresh key");
    assert!(!root.path().join("keys").exists());
    let (first, notices) = open(false).unwrap();
    assert_eq!((notices.len(), &**first.current().kid()), (0, "b"));
    assert_eq!(names(root.path()).len(), 5);
    let again = open(true).unwrap().0;
    for (kid, state) in [("a", State::Retiring), ("b", State::Current), ("c", State::Next)] {
        assert_eq!(again.state(kid), Some(state));
        let (one, two) = (first.find(kid).unwrap(), again.find(kid).unwrap());
        let refresh = one.sign_refresh(b"m").unwrap();
        assert!(two.verify(b"m", &one.sign(b"m").unwrap()) && two.verify_refresh(b"m", &refresh));
        assert_eq!(again.iter().filter(|(key, _)| key.verify_refresh(b"m", &refresh)).count(), 1);
    }
    // The refresh key belongs to the key, under whatever name.
    let (alone, _) = from_secret(root.path(), "b".repeat(32).as_bytes(), true).unwrap();
    assert!(alone.current().verify_refresh(b"m", &first.current().sign_refresh(b"m").unwrap()));
    refused(
        KeyRing::open(root.path(), several(&[('a', State::Next)]), true, NOW),
        "none of the keys has state = \"current\"",
    );
}

#[test]
fn a_key_joins_others_while_there_are_sessions_only_where_it_is_admitted() {
    let root = tempfile::tempdir().unwrap();
    KeyRing::open(root.path(), several(&[('a', State::Current)]), false, NOW).unwrap();
    let steps: [&[_]; 3] = [
        &[('a', State::Current), ('b', State::Next)],
        &[('a', State::Retiring), ('b', State::Current)],
        &[('b', State::Retiring), ('c', State::Current)],
    ];
    for (keys, joins) in steps.into_iter().zip([true, false, true]) {
        let open = || KeyRing::open(root.path(), several(keys), true, NOW);
        let before = names(root.path());
        match open() {
            Err(KeyError::Joining { path }) => assert!(joins && !path.exists()),
            opened => assert!(!joins && opened.is_ok()),
        }
        assert_eq!(names(root.path()), before);
        KeyRing::admit(root.path(), several(keys)).unwrap();
        open().unwrap();
        assert_eq!(names(root.path()).len(), before.len() + usize::from(joins));
    }
}

#[test]
fn what_sessions_need_is_never_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let both = [('a', State::Retiring), ('b', State::Current)];
    KeyRing::open(root.path(), several(&both), false, NOW).unwrap();
    let refuses = |keys: &[(char, State)], expected: &str| {
        KeyRing::admit(root.path(), several(keys)).unwrap();
        refused(KeyRing::open(root.path(), several(keys), true, NOW), expected);
    };
    // Other keys than those that the sessions know.
    refuses(&[('x', State::Current), ('y', State::Next)], "there are sessions but no refresh key");
    fs::remove_file(refresh_file(root.path(), 'a')).unwrap();
    refuses(&both, "there are sessions but no refresh key");
    fs::remove_file(root.path().join("keys/fingerprint.key")).unwrap();
    refuses(&[('b', State::Current), ('c', State::Next)], "no fingerprint key");
    assert_eq!(names(root.path()).len(), 2);
}

#[test]
fn keys_of_the_ring_beside_a_configured_key_are_told() {
    let (root, path) = started(Algorithm::HS256);
    assert_eq!(from_secret(root.path(), SECRET, false).unwrap().1, [Notice::Unused { path }]);
}

#[test]
fn the_algorithm_belongs_to_the_key_not_to_the_setting() {
    let (root, _) = started(Algorithm::ES256);
    let (ring, notices) = from_ring(root.path(), true).unwrap();
    assert_eq!(ring.current().algorithm(), Algorithm::ES256);
    assert!(matches!(notices[..], [Notice::AlgorithmKept { configured: Algorithm::HS256, .. }]), "{notices:?}");
    assert!(notices[0].is_warning());
}

#[test]
fn a_key_in_any_state_verifies_and_the_current_one_signs() {
    let (root, _) = started(Algorithm::HS256);
    let old = from_ring(root.path(), true).unwrap().0.current().clone();
    for state in [State::Retiring, State::Next] {
        let (kid, text) = file::fresh(Algorithm::EdDSA, state, jiff::Timestamp::UNIX_EPOCH).unwrap();
        fs::write(root.path().join(format!("keys/{kid}.key")), text.as_bytes()).unwrap();
        fs::set_permissions(root.path().join(format!("keys/{kid}.key")), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let (ring, _) = from_ring(root.path(), true).unwrap();
    assert_eq!(ring.current().kid(), old.kid());
    let mut states: Vec<_> = ring.iter().map(|(_, state)| state.to_string()).collect();
    states.sort();
    assert_eq!(states, ["current", "next", "retiring"]);
    for (key, _) in ring.iter() {
        assert!(ring.find(key.kid()).unwrap().verify(b"m", &key.sign(b"m").unwrap()));
    }
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let (root, path) = started(Algorithm::HS256);
    let copy = path.with_file_name("copy.key");
    fs::copy(&path, &copy).unwrap();
    refused(from_ring(root.path(), true), "both hold the key");
    fs::remove_file(&path).unwrap();
    refused(from_ring(root.path(), true), "copy.key: is named for another key");
    fs::rename(&copy, &path).unwrap();

    let (kid, text) = file::fresh(Algorithm::HS256, State::Current, jiff::Timestamp::UNIX_EPOCH).unwrap();
    let second = path.with_file_name(format!("{kid}.key"));
    fs::write(&second, text.as_bytes()).unwrap();
    fs::set_permissions(&second, fs::Permissions::from_mode(0o600)).unwrap();
    refused(from_ring(root.path(), true), "exactly one must");
    edit(&path, "'current'", "'retiring'");
    from_ring(root.path(), true).unwrap();
    edit(&second, "'current'", "'next'");
    refused(from_ring(root.path(), false), "none of the keys has state");
}

#[test]
fn a_damaged_file_is_refused_and_never_replaced() {
    for (from, to, expected) in [
        ("kid", "kit", "missing field `kid`"),
        ("'HS256'", "'none'", "unknown variant `none`"),
        ("'current'", "'currant'", "line 4: unknown variant"),
        ("secret = '", "secret = '=", "secret is not base64url"),
        ("secret = '", "secret = 'AAAA", "the kid does not belong to the key"),
        ("secret", "secrets", "either secret or private_key"),
        ("refresh_key = '", "refresh_key = 'A", "refresh_key is not 32 bytes"),
        ("created = '2", "created = '", "created is not a time"),
        ("state = '", "state = ", "line 4: "),
    ] {
        let (root, path) = started(Algorithm::HS256);
        edit(&path, from, to);
        let before = fs::read(&path).unwrap();
        for sessions_exist in [true, false] {
            refused(from_ring(root.path(), sessions_exist), expected);
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }
    let (root, path) = started(Algorithm::ES256);
    for length in [0, 1, 40, 150, 300] {
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..length.min(text.len())]).unwrap();
        refused(from_ring(root.path(), false), "damaged: ");
        fs::write(&path, text).unwrap();
    }
    fs::write(root.path().join("keys/fingerprint.key"), "AAAA").unwrap();
    refused(from_ring(root.path(), false), "fingerprint.key: damaged: not 32 bytes in base64url");
}

#[test]
fn no_message_about_a_damaged_file_quotes_its_secret() {
    let (root, path) = started(Algorithm::HS256);
    let text = fs::read_to_string(&path).unwrap();
    let secret = text.lines().find_map(|line| line.strip_prefix("secret = '")).unwrap().trim_end_matches('\'');
    for (from, to) in [("secret = '", "secret = "), ("secret = ", "secret == "), ("state = '", "state = 5 '")] {
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = from_ring(root.path(), true).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&secret[..8]), "{error}");
    }
}

#[test]
fn a_key_that_everybody_can_read_is_refused() {
    let (root, path) = started(Algorithm::HS256);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    refused(from_ring(root.path(), true), "mode 0644 lets every user of this machine in; fix it with chmod 600");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    assert_eq!(from_ring(root.path(), true).unwrap().1, [Notice::GroupReadable { path, mode: 0o440 }]);
}

#[test]
fn first_starts_at_the_same_moment_end_with_one_key() {
    let root = tempfile::tempdir().unwrap();
    let kids: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| from_ring(root.path(), false).unwrap().0.current().kid().to_string()))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
    assert_eq!(names(root.path()).len(), 3);
}

#[test]
fn debug_shows_names_only() {
    let (root, _) = started(Algorithm::HS256);
    let (ring, _) = from_ring(root.path(), true).unwrap();
    let kid = ring.current().kid();
    let expected =
        format!("KeyRing {{ entries: [(SigningKey {{ kid: {kid:?}, algorithm: HS256, .. }}, Current)], .. }}");
    assert_eq!(format!("{ring:?}"), expected);
}

#[test]
fn a_header_is_known_by_its_whole_text_alone() {
    let ring = KeyRing::in_memory(Algorithm::ES256).unwrap();
    let kid = ring.current().kid();
    let header = |algorithm, typ| header_segment(algorithm, typ, kid);
    let known = header(Algorithm::ES256, "at+jwt");
    for (text, expected) in [
        (&*known, Some("at+jwt")),
        (&header(Algorithm::ES256, "JWT"), Some("JWT")),
        (&header(Algorithm::ES256, "rt+jwt"), None),
        (&header(Algorithm::ES256, "AT+JWT"), None),
        (&header(Algorithm::HS256, "at+jwt"), None),
        (&header_segment(Algorithm::ES256, "at+jwt", "another"), None),
        (&known[..known.len() - 1], None),
        (&format!("{known}A"), None),
        (&known.to_lowercase(), None),
        ("", None),
    ] {
        assert_eq!(ring.find_by_header(text).map(|(key, typ)| (key.kid(), typ)), expected.map(|typ| (kid, typ)));
    }
}
