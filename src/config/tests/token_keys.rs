//! Several signing keys from the configuration.
//!
//! Guarantees: each test has a directory of its own.
//! Does not know: what is signed with them.

use super::*;
use crate::keys::{State, generate, own_name};

const SECRET: &str = "kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU";

fn keys(file: &str) -> Vec<TokenKey> {
    match right(file).token.key {
        KeySource::Several(keys) => keys,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_come_from_files_and_secrets_under_their_own_names_or_given_ones() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let pem = generate(Algorithm::ES384).unwrap();
    fs::write(path("pem"), pem.as_bytes()).unwrap();
    fs::write(path("text"), "another secret of more than 32 bytes\n").unwrap();
    let file = format!(
        "[[token.keys]]\nkid = 'a.b_c~d-E1'\nalgorithm = 'ES384'\nstate = 'current'\nfile = '{}'\n\
         [[token.keys]]\nalgorithm = 'HS256'\nstate = 'retiring'\nsecret = '{SECRET}'\n\
         [[token.keys]]\nalgorithm = 'HS256'\nstate = 'next'\nfile = '{}'\n",
        path("pem"),
        path("text"),
    );
    let [first, second, third] = &keys(&file)[..] else { panic!("three") };
    assert_eq!((&*first.kid, first.algorithm, first.state), ("a.b_c~d-E1", Algorithm::ES384, State::Current));
    assert_eq!((&second.kid, second.state), (&own_name(Algorithm::HS256, SECRET.as_bytes()).unwrap(), State::Retiring));
    assert_eq!((third.text.expose(), third.state), (&b"another secret of more than 32 bytes"[..], State::Next));
    assert_eq!((second.kid.len(), third.kid.len()), (16, 16));

    let printed = right(&file).effective();
    assert_eq!(printed.matches("\n[[token.keys]]\n").count(), 3, "{printed}");
    assert!(!printed.contains(SECRET) && !format!("{:?}", right(&file)).contains(SECRET));
    let printed = printed.replace("\"[secret]\"", &format!("\"{SECRET}\""));
    assert_eq!(values(right(&printed)), values(right(&file)));
    assert_eq!(right("token.keys = []").token.key, KeySource::Ring);
}

#[test]
fn all_that_is_wrong_with_several_keys_is_said_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pem").to_str().unwrap().to_owned();
    fs::write(&path, generate(Algorithm::ES256).unwrap().as_bytes()).unwrap();
    let file = format!(
        "[[token.keys]]\nkid = 'a'\nalgorithm = 'HS256'\nstate = 'current'\nsecret = '{SECRET}'\n\
         [[token.keys]]\nkid = 'a'\nalgorithm = 'HS256'\nstate = 'current'\nsecret = '{SECRET}-another'\n\
         [[token.keys]]\nkid = 'b'\nalgorithm = 'HS256'\nstate = 'next'\nsecret = '{SECRET}'\n\
         [[token.keys]]\nkid = 'c/d'\nalgorithm = 'ES384'\nstate = 'next'\nfile = '{path}'\n\
         [[token.keys]]\nkid = 'e'\nalgorithm = 'HS384'\nstate = 'next'\nfile = '{path}'\n"
    );
    mistakes(
        &file,
        &[],
        &[],
        &[
            "config.toml:7:7: token.keys.1.kid: is an earlier key's name already",
            "config.toml:9:9: token.keys.1.state: is an earlier key's already, and exactly one signs",
            "config.toml:15:10: token.keys.2.secret: is the key of an earlier [[token.keys]] already",
            "config.toml:17:7: token.keys.3.kid: `c/d` must consist of letters, digits and `. _ ~ -`",
            "config.toml:20:8: token.keys.3.file: holds an EC key on the curve P-256, but ES384 needs an EC key on the curve \
             P-384; make one with: portcullis keygen --algorithm ES384",
            "config.toml:25:8: token.keys.4.file: this is a PEM text, not a secret for HS384; a private key needs another \
             algorithm and a file",
        ],
    );
}

#[test]
fn the_single_key_has_no_place_beside_several() {
    let several = format!("[[token.keys]]\nalgorithm = 'HS256'\nstate = 'current'\nsecret = '{SECRET}'\n");
    let another = format!("{SECRET}-another");
    for (name, at) in [("PORTCULLIS_TOKEN__SECRET", ""), ("JWT_SECRET_KEY", "")] {
        let expected = format!("{name}:{at} contradicts [[token.keys]]: leave one of them out");
        mistakes(&several, &[(name, &another)], &[], &[&expected]);
    }
    let key_file = [("token.algorithm", "ES256"), ("token.key_file", "k.pem")];
    mistakes(&several, &[], &key_file, &["--set token.key_file: contradicts [[token.keys]]: leave one of them out"]);
}
