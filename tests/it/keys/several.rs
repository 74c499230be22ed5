//! Several keys from the configuration, rotated by editing it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::hmac;
use serde_json::Value;

use super::{before, header, keys, kid, listed};
use crate::support::{Answer, Gate, Run, SECRET, Start, forge, list, refresh};

const ALGORITHMS: [&str; 12] =
    ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// A table for a key whose file is named as the key is.
fn table((kid, algorithm, state): (&str, &str, &str)) -> String {
    format!("[[token.keys]]\nkid = '{kid}'\nalgorithm = '{algorithm}'\nstate = '{state}'\nfile = '{kid}'\n")
}

fn tables(keys: &[(&str, &str, &str)]) -> String {
    keys.iter().map(|key| table(*key)).collect()
}

/// Makes the file of a key.
#[track_caller]
fn make(folder: &Path, kid: &str, algorithm: &str) {
    Run::new(folder, &["keygen", "--algorithm", algorithm, "--out", kid]).end().expect(0);
}

/// A gate with these keys, whose files are made, and public ones told.
#[track_caller]
fn with(keys: &[(&str, &str, &str)]) -> Start {
    let start = before().set("profiles.oauth.enabled", "true").config_file(&tables(keys));
    for (kid, algorithm, _) in keys {
        make(start.path(), kid, algorithm);
    }
    start
}

/// Edits the configuration and restarts.
#[track_caller]
fn restarted(gate: Gate, keys: &[(&str, &str, &str)]) -> Gate {
    fs::write(gate.folder().join("config.toml"), tables(keys)).unwrap();
    gate.restart()
}

fn refresh_keys(gate: &Gate) -> usize {
    let files = fs::read_dir(gate.folder().join("data/keys")).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "refresh")).count()
}

fn published(gate: &Gate) -> Vec<Value> {
    gate.get("/.well-known/jwks.json").send().expect(200).json()["keys"].as_array().unwrap().clone()
}

#[test]
#[cfg_attr(not(have_node), ignore = "node is not on the PATH")]
fn each_algorithm_is_verified_by_others_with_what_is_published() {
    for algorithm in ALGORITHMS {
        let gate = with(&[("a-key_1.0~", algorithm, "current")]).start();
        let pair = gate.alice(&["messages:list"]);
        list(&gate, &pair).expect(200);
        let refreshed = refresh(&gate, &pair).expect(200);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/node/verify_token.js");
        let secret = fs::read_to_string(gate.folder().join("a-key_1.0~")).unwrap();
        for pair in [&pair, &refreshed] {
            assert_eq!(kid(pair), "a-key_1.0~");
            let output = Command::new("node")
                .arg(&script)
                .env("GATE_URL", format!("http://{}", gate.address))
                .env("GATE_TOKEN", pair.field("access_token"))
                .env("GATE_ALGORITHM", algorithm)
                .env("GATE_SECRET", secret.trim_end())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(said, format!("ok {algorithm}\n"), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn a_rotation_by_editing_the_configuration_refuses_no_token() {
    let gate = with(&[("old", "HS256", "current")]).set("token.access_overlap", "until-expiry").start();
    let mut pairs = vec![gate.alice(&["messages:list"])];
    let stays = gate.alice(&["messages:list"]);
    assert_eq!((kid(&stays), refresh_keys(&gate)), ("old".into(), 1));
    make(&gate.folder(), "new", "ES256");

    let serves = |gate: &Gate, pairs: &mut Vec<Answer>, signs: &str| {
        for pair in pairs.iter() {
            list(gate, pair).expect(200);
        }
        list(gate, &stays).expect(200);
        let next = refresh(gate, pairs.last().unwrap()).expect(200);
        assert_eq!(kid(&next), signs);
        list(gate, &next).expect(200);
        pairs.push(next);
        pairs.push(gate.alice(&["messages:list"]));
        assert_eq!(kid(pairs.last().unwrap()), signs);
    };
    serves(&gate, &mut pairs, "old");
    let gate = restarted(gate, &[("old", "HS256", "current"), ("new", "ES256", "next")]);
    // Told to others before it signs; a secret never is.
    let told = published(&gate);
    assert_eq!((told.len(), &told[0]["kid"], &told[0]["crv"]), (1, &"new".into(), &"P-256".into()));
    assert_eq!(refresh_keys(&gate), 2);
    serves(&gate, &mut pairs, "old");
    let gate = restarted(gate, &[("old", "HS256", "retiring"), ("new", "ES256", "current")]);
    serves(&gate, &mut pairs, "new");
    assert_eq!(header(pairs.last().unwrap(), "access_token")["alg"], "ES256");

    // Gone: what it signed is refused, access and refresh tokens alike.
    let gate = restarted(gate, &[("new", "ES256", "current")]);
    let (mut refused, mut passed) = (0, 0);
    for pair in &pairs {
        let status = list(&gate, pair).status;
        assert_eq!(status, if kid(pair) == "new" { 200 } else { 401 });
        if status == 200 { passed += 1 } else { refused += 1 }
    }
    assert!(refused > 3 && passed == 2, "{refused} {passed}");
    list(&gate, &stays).expect_refusal(401);
    refresh(&gate, &stays).expect_refusal(401);
    refresh(&gate, pairs.last().unwrap()).expect(200);
}

#[test]
fn a_key_may_come_as_the_current_one_at_once() {
    let gate = with(&[("old", "PS256", "current")]).start();
    let pair = gate.alice(&["messages:list"]);
    make(&gate.folder(), "new", "ES384");
    let gate = restarted(gate, &[("new", "ES384", "current"), ("old", "PS256", "retiring")]);
    list(&gate, &pair).expect(200);
    let next = refresh(&gate, &pair).expect(200);
    assert_eq!(kid(&next), "new");
    assert_eq!(published(&gate).len(), 2);
}

#[test]
fn another_key_under_the_same_kid_is_another_key() {
    let gate = with(&[("one", "HS256", "current"), ("two", "HS256", "next")]).start();
    let pair = gate.alice(&["messages:list"]);
    fs::remove_file(gate.folder().join("one")).unwrap();
    make(&gate.folder(), "one", "HS256");
    let gate = gate.restart();
    list(&gate, &pair).expect_refusal(401);
    refresh(&gate, &pair).expect_refusal(401);
}

#[test]
fn whoever_knows_the_signing_secret_forges_no_refresh_token() {
    let text = format!("[[token.keys]]\nkid='shared'\nalgorithm='HS256'\nstate='current'\nsecret='{SECRET}'\n");
    let gate = before().config_file(&text).start();
    let pair = gate.alice(&["messages:list"]);
    let real = pair.field("refresh_token");
    let (header, claims) = forge::parts(&real);
    for secret in [SECRET.as_bytes(), b"shared", b""] {
        let forged = forge::signed(hmac::HMAC_SHA256, secret, header.to_string(), claims.to_string());
        gate.refresh(&forged).expect_refusal(401);
    }
    // The access token it can, as ever.
    let (header, claims) = forge::parts(&pair.field("access_token"));
    let forged = forge::forge(header.to_string(), claims.to_string());
    gate.get("/3rdparty/v1/messages").bearer(&forged).send().expect(200);
    refresh(&gate, &pair).expect(200);
}

#[test]
fn the_single_secret_becomes_one_of_several_and_nobody_notices() {
    let gate = before().set("workers", "1").env("PORTCULLIS_TOKEN__SECRET", SECRET);
    let folder = gate.path().to_owned();
    let mut gate = gate.start();
    let pair = gate.alice(&["messages:list"]);
    gate.stop();
    let without_kid = format!("[[token.keys]]\nalgorithm = 'HS256'\nstate = 'current'\nsecret = '{SECRET}'\n");
    fs::write(folder.join("config.toml"), &without_kid).unwrap();
    let both = Run::new(&folder, &["check"]).env("JWT_SECRET_KEY", SECRET).end().expect(78);
    assert!(both.stderr.contains("JWT_SECRET_KEY: contradicts [[token.keys]]"), "{both:#?}");
    let gate = gate.without("PORTCULLIS_TOKEN__SECRET").start_again();
    list(&gate, &pair).expect(200);
    assert_eq!(kid(&refresh(&gate, &pair).expect(200)), kid(&pair));
}

#[test]
fn refresh_keys_that_are_lost_stop_the_start_and_are_never_replaced() {
    let mut gate = with(&[("old", "HS256", "retiring"), ("new", "HS256", "current")]).start();
    gate.alice(&["messages:list"]);
    gate.stop();
    let kept = gate.folder().join("data/keys");
    for file in fs::read_dir(&kept).unwrap().map(|file| file.unwrap().path()) {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        if file.extension().is_some_and(|extension| extension == "refresh") {
            fs::remove_file(file).unwrap();
        }
    }
    for command in ["serve", "check"] {
        let ended = Run::new(&gate.folder(), &[command]).end().expect(78);
        assert!(ended.stderr.contains("there are sessions but no refresh key"), "{ended:#?}");
    }
    assert_eq!(refresh_keys(&gate), 0);
}

#[test]
fn a_replica_makes_no_refresh_key_and_waits_for_the_primarys() {
    let primary = with(&[("one", "HS256", "current")]).start();
    let pair = primary.alice(&["messages:list"]);
    let folder = primary.folder();
    make(&folder, "two", "HS256");
    let both = [("one", "HS256", "current"), ("two", "HS256", "next")];
    let replica = before()
        .config_file(&tables(&both))
        .set("data_dir", folder.join("data").to_str().unwrap())
        .set("store.kind", "replica")
        .set("store.primary_url", &format!("http://{}", primary.address));
    for kid in ["one", "two"] {
        fs::copy(folder.join(kid), replica.path().join(kid)).unwrap();
    }
    let replica = replica.launch();
    replica.wait_for_log("waiting for the primary: ");
    assert_eq!(refresh_keys(&primary), 1);
    let check = Run::new(&folder, &["check"]).end();
    assert_eq!(check.code, Some(0), "{check:#?}");
    let primary = restarted(primary, &both);
    let replica = replica.listens();
    assert_eq!(refresh_keys(&primary), 2);
    list(&replica, &pair).expect(200);
    assert_eq!(kid(&primary.alice(&["messages:list"])), "one");
}

#[test]
fn the_commands_list_these_keys_and_change_none() {
    let gate = with(&[("old", "ES256", "retiring"), ("now", "EdDSA", "current"), ("soon", "RS256", "next")]).start();
    gate.alice(&["messages:list"]);
    let listed = listed(&gate, &[]);
    let told: Vec<_> = listed.iter().map(|key| (key["kid"].as_str().unwrap(), &key["sessions"])).collect();
    assert_eq!(told, [("old", &0.into()), ("now", &1.into()), ("soon", &0.into())]);
    assert!(listed.iter().all(|key| key["created"].is_null() && key["since"].is_null()), "{listed:?}");
    // Since when it retires is not known: its last access token may be a moment old.
    assert_eq!(listed[0]["safe_to_retire"], false);
    let text = keys(&gate, &["list"]).expect(0).stdout;
    assert!(text.contains("retiring since an unknown time"), "{text}");
    for arguments in [&["add"][..], &["rotate"], &["retire", "AAAAAAAAAAAAAAAA"]] {
        let refused = keys(&gate, arguments).expect(1);
        assert!(refused.stderr.contains("[[token.keys]] names the keys"), "{refused:#?}");
    }
}

#[test]
fn all_mistakes_are_named_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "a", "ES256");
    make(folder.path(), "b", "HS256");
    let text = tables(&[("a", "ES384", "current"), ("b", "HS256", "current"), ("c", "HS256", "next")]);
    fs::write(folder.path().join("config.toml"), text).unwrap();
    let ended = Run::new(folder.path(), &["check"]).end().expect(78);
    for line in [
        "config.toml:5:8: token.keys.0.file: holds an EC key on the curve P-256, but ES384 needs",
        "config.toml:9:9: token.keys.1.state: is an earlier key's already",
        "config.toml:15:8: token.keys.2.file: c cannot be read",
    ] {
        assert!(ended.stderr.contains(line), "{line}: {}", ended.stderr);
    }
}
