//! Secrets on their way through the configuration.
//!
//! Guarantees: they arrive byte for byte, and are seen nowhere else.
//! Does not know: which secrets are strong.

use super::*;

#[test]
fn secrets_of_digits_stay_text() {
    let secret = "0071234567890123456789012345678901234567";
    let config = layers("", &[("PORTCULLIS_TOKEN__SECRET", secret)], &[]).unwrap();
    let KeySource::Secret { algorithm: Algorithm::HS256, secret: read } = config.token.key else {
        panic!("{:?}", config.token.key);
    };
    assert_eq!(read.expose(), secret.as_bytes());

    let account = [
        ("PORTCULLIS_UPSTREAM__CREDENTIALS", "basic"),
        ("PORTCULLIS_UPSTREAM__USERNAME", "007"),
        ("PORTCULLIS_UPSTREAM__PASSWORD", " true "),
    ];
    let Account { username, password } = layers("", &account, &[]).unwrap().upstream.account.unwrap();
    assert_eq!((username.as_str(), password.expose()), ("007", &b" true "[..]));
}

#[test]
fn secrets_appear_nowhere() {
    let hush = "hush-hush-hush";
    let account = format!("[upstream]\ncredentials = 'basic'\nusername = 'u'\npassword = '{hush}'\n");
    let config = right(&account);
    assert!(!format!("{config:?} {}", config.effective()).contains(hush));
    assert!(config.effective().contains("password = \"[secret]\""));

    for file in [
        format!("token.secret = '{hush}'"),
        format!("token.secret = {hush}"),
        format!("token.secret = '{hush}"),
        format!("token.secret = ['{hush}']"),
        format!("token.secret = {{ a = '{hush}' }}"),
        format!("token.secrt = '{hush}'"),
        format!("upstream.url = 'http://u:{hush}@h'"),
        format!("{account}url = 'ftp://{hush}'"),
    ] {
        let found = layers(&file, &[("PORTCULLIS_TOKEN__SECRT", hush)], &[("token.secrt", hush)]).unwrap_err();
        assert!(found.len() >= 3, "{found:?}");
        assert!(found.iter().all(|mistake| !mistake.contains("hush")), "{file}: {found:#?}");
    }
}

#[test]
fn secrets_come_from_files_without_their_last_line_break() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let load = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        layers("", &[("PORTCULLIS_TOKEN__SECRET_FILE", path.to_str().unwrap())], &[])
    };
    for ending in ["", "\n", "\r\n"] {
        let config = load(format!("kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU{ending}").as_bytes()).unwrap();
        let KeySource::Secret { secret, .. } = &config.token.key else {
            panic!("{:?}", config.token.key);
        };
        assert_eq!(secret.expose().len(), 32);
        assert!(config.effective().contains("# secret is not set"));
    }
    let shown = path.display();
    let expected = format!("PORTCULLIS_TOKEN__SECRET_FILE: the content of {shown} must not be empty");
    assert_eq!(load(b"\n").unwrap_err(), [expected]);
    assert!(load(b"short").unwrap_err()[0].starts_with("PORTCULLIS_TOKEN__SECRET_FILE: the secret is 5 bytes long"));
    assert!(load(&[7; 70_000]).unwrap_err()[0].ends_with("is larger than 64KiB"));

    fs::write(&path, "kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU").unwrap();
    mistakes(
        "token.secret = 'kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU'",
        &[("PORTCULLIS_TOKEN__SECRET_FILE", path.to_str().unwrap())],
        &[],
        &["PORTCULLIS_TOKEN__SECRET_FILE: token.secret is given as well: leave one of them out"],
    );
}
