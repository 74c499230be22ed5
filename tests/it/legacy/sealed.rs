//! The user's own password on its way to the upstream, sealed into tokens.

use std::fs;
use std::path::Path;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::{CHECK, LIST, PASSWORD, Phone, TOKEN, list, sign_in};
use crate::support::dialect::client;
use crate::support::{Answer, Gate, Start, Upstream, forge, until, user};

/// The credentials that reached the phone with calls, checks apart.
fn calls(phone: &Phone) -> Vec<Option<(String, String)>> {
    phone.presented().into_iter().filter(|(target, _)| target != CHECK).map(|(_, credentials)| credentials).collect()
}

fn own(name: &str, password: &str) -> Option<(String, String)> {
    Some((name.into(), password.into()))
}

/// Whatever a thief of `bytes` could read the password from: itself, and what base64 makes of it.
#[track_caller]
fn hides(what: &str, bytes: &[u8]) {
    let shifted = |shift: usize| {
        let text = STANDARD.encode([&b"xx"[..shift], PASSWORD.as_bytes()].concat());
        // What stands at the ends depends on the neighbours.
        text[4..text.len() - 4].to_owned()
    };
    let forms = [PASSWORD.to_owned(), shifted(0), shifted(1), shifted(2)];
    for form in forms {
        assert!(!bytes.windows(form.len()).any(|part| part == form.as_bytes()), "the password is in {what}");
    }
}

/// How many files were looked at.
#[track_caller]
fn hidden_in_files(folder: &Path) -> usize {
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            seen += hidden_in_files(&entry.path());
        } else {
            seen += 1;
            hides(&entry.path().display().to_string(), &fs::read(entry.path()).unwrap());
        }
    }
    seen
}

/// A token, and what its parts are when decoded.
#[track_caller]
fn hidden_in_token(token: &str) {
    hides("a token", token.as_bytes());
    for part in token.split('.') {
        hides("a token's part", &URL_SAFE_NO_PAD.decode(part).unwrap_or_default());
    }
    assert!(token.len() < 1024, "{} bytes", token.len());
}

#[test]
fn the_phone_sees_the_users_own_password_and_nobody_else_does() {
    let phone = Phone::start();
    phone.set("zoe", "hers");
    let gate = phone.gate().start();
    let (mut sms, mut zoe) = (sign_in(&gate, "sms", PASSWORD).expect(201), sign_in(&gate, "zoe", "hers").expect(201));
    for _ in 0..3 {
        list(&gate, &sms).expect(200);
        list(&gate, &zoe).expect(200);
        list(&gate, &sms).expect(200);
        hidden_in_token(&sms.field("access_token"));
        hidden_in_token(&sms.field("refresh_token"));
        hides("an answer", &sms.body);
        sms = gate.refresh(&sms.field("refresh_token")).expect(200);
        zoe = gate.refresh(&zoe.field("refresh_token")).expect(200);
    }
    gate.get(LIST).basic("sms", PASSWORD).send().expect(200);
    let calls = calls(&phone);
    assert_eq!(calls.len(), 10);
    for (n, credentials) in calls.into_iter().enumerate() {
        let expected = if n % 3 == 1 { own("zoe", "hers") } else { own("sms", PASSWORD) };
        assert_eq!(credentials, expected, "{n}");
    }
    for line in gate.whole_log() {
        hides("the log", line.as_bytes());
    }
    // A restart writes a snapshot of all there is.
    let gate = gate.restart();
    assert!(hidden_in_files(&gate.folder()) > 3);
    drop(gate);
}

#[test]
fn opaque_refresh_tokens_carry_it_too() {
    let phone = Phone::start();
    let more = "[profiles.form]\nenabled = true\n[profiles.oauth]\nenabled = true\npassword_grant = true\n[[client]]\n\
                id = 'phone'\npublic = true\ngrants = ['password', 'refresh_token']\nscopes = ['messages:list']\n";
    let gate = phone.gate().config_file(more).start();
    let form = [("username", "sms"), ("password", PASSWORD)];
    let mut pair = gate.post("/login").form(&form).send().expect(200);
    for _ in 0..3 {
        hidden_in_token(&pair.field("accessToken"));
        hidden_in_token(&pair.field("refreshToken"));
        gate.get(LIST).bearer(&pair.field("accessToken")).send().expect(200);
        pair = gate.post("/refresh").form(&[("refreshToken", &pair.field("refreshToken"))]).send().expect(200);
    }
    let granted = [&form[..], &[("grant_type", "password")]].concat();
    let pair = client(&gate, "phone", "/oauth/token", &granted).send().expect(200);
    let renewing = [("grant_type", "refresh_token"), ("refresh_token", &pair.field("refresh_token"))];
    let pair = client(&gate, "phone", "/oauth/token", &renewing).send().expect(200);
    list(&gate, &pair).expect(200);
    assert!(calls(&phone).iter().all(|credentials| *credentials == own("sms", PASSWORD)));
}

#[test]
fn a_session_minted_with_a_token_has_it_as_well() {
    let phone = Phone::start();
    let gate = phone.gate().start();
    let pair = sign_in(&gate, "sms", PASSWORD).expect(201);
    let scopes = json!({"scopes": ["messages:list"]});
    let minted = gate.post(TOKEN).bearer(&pair.field("access_token")).json(&scopes).send().expect(201);
    list(&gate, &minted).expect(200);
    assert_eq!(calls(&phone), [own("sms", PASSWORD)]);
}

#[test]
fn a_changed_password_ends_the_session_at_the_next_call_that_the_phone_refuses() {
    let phone = Phone::start();
    let gate = phone.gate().start();
    let pair = sign_in(&gate, "sms", PASSWORD).expect(201);
    list(&gate, &pair).expect(200);
    phone.set("sms", "new");
    let refusal = list(&gate, &pair).expect_refusal(401);
    assert_eq!(refusal.field("error"), "invalid_token");
    assert!(refusal.field("message").starts_with("upstream_credentials_rejected"), "{}", refusal.text());
    assert!(refusal.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
    gate.wait_for_log("\"reason\":\"upstream_credentials_rejected\"");
    assert_eq!(list(&gate, &pair).expect_refusal(401).field("message"), "Token revoked");
    gate.refresh(&pair.field("refresh_token")).expect_refusal(401);
    let pair = sign_in(&gate, "sms", "new").expect(201);
    list(&gate, &pair).expect(200);
}

#[test]
fn many_calls_at_once_ask_once() {
    let phone = Phone::start();
    let gate = phone.gate().start();
    let pair = sign_in(&gate, "sms", PASSWORD).expect(201);
    phone.set("sms", "new");
    thread::scope(|scope| {
        let calls: Vec<_> = (0..20).map(|_| scope.spawn(|| list(&gate, &pair).expect_refusal(401))).collect();
        for call in calls {
            call.join().unwrap();
        }
    });
    // Once at sign-in.
    assert_eq!(phone.checks(), 2);
}

#[test]
fn a_401_that_is_not_about_the_password_is_the_phones_and_ends_nothing() {
    let phone = Phone::start();
    let odd = "[[route]]\npath = '/odd'\naccess = 'authenticated'\n";
    let gate = phone.gate().config_file(odd).start();
    let pair = sign_in(&gate, "sms", PASSWORD).expect(201);
    let answer = gate.get("/odd").bearer(&pair.field("access_token")).send().expect(401);
    assert_eq!((answer.header("x-portcullis"), answer.body.len()), (None, 0));
    list(&gate, &pair).expect(200);
    // One that cannot be decided ends nothing either.
    let gate = phone
        .gate()
        .set("users.check.path", "/undecided")
        .users(&user("sms", PASSWORD, &["all:any"], ""))
        .config_file(odd)
        .start();
    let pair = sign_in(&gate, "sms", PASSWORD).expect(201);
    gate.get("/odd").bearer(&pair.field("access_token")).send().expect(401);
    list(&gate, &pair).expect(200);
}

#[test]
fn whose_401_it_is_can_be_told() {
    let phone = Phone::start();
    let gate = phone.gate().set("upstream.credentials", "strip").start();
    let pair = sign_in(&gate, "sms", PASSWORD).expect(201);
    let theirs = list(&gate, &pair).expect(401);
    assert_eq!(theirs.header("www-authenticate"), Some("Basic realm=\"the phone\""));
    assert_eq!(theirs.header("x-portcullis"), None);
    let ours = gate.get(LIST).bearer("garbage").send().expect_refusal(401);
    assert!(ours.header("www-authenticate").unwrap().starts_with("Bearer realm=\"portcullis\""));
}

/// A token of `pair` with the sealed part of another one in it, signed as the gate does.
fn with_sealed(pair: &Answer, sealed: &str) -> String {
    let (header, claims) = forge::parts(&pair.field("access_token"));
    forge::forge(header.to_string(), forge::with(&claims, "sealed", sealed).to_string())
}

#[test]
fn sealed_parts_that_were_changed_or_swapped_do_not_open() {
    let phone = Phone::start();
    phone.set("zoe", "hers");
    let gate = phone.gate().with_known_secret().start();
    let (sms, zoe) = (sign_in(&gate, "sms", PASSWORD).expect(201), sign_in(&gate, "zoe", "hers").expect(201));
    let again = sign_in(&gate, "sms", PASSWORD).expect(201);
    let sealed = |pair: &Answer| pair.claims("access_token")["sealed"].as_str().unwrap().to_owned();
    let right = with_sealed(&sms, &sealed(&sms));
    gate.get(LIST).bearer(&right).send().expect(200);
    let before = phone.presented().len();
    let mut wrong = vec![sealed(&zoe), sealed(&again)];
    for at in [0, 5, 40, 70, 101] {
        let mut changed = sealed(&sms).into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        wrong.push(String::from_utf8(changed).unwrap());
    }
    for wrong in wrong {
        let refusal = gate.get(LIST).bearer(&with_sealed(&sms, &wrong)).send().expect_refusal(401);
        assert_eq!(refusal.field("error"), "invalid_token", "{wrong}");
    }
    for wrong in ["", "AAAA", "not base64!"] {
        gate.get(LIST).bearer(&with_sealed(&sms, wrong)).send().expect_refusal(401);
    }
    assert_eq!(phone.presented().len(), before, "nothing of it reached the phone");
}

#[test]
fn a_new_key_takes_over_and_old_tokens_open_all_the_same() {
    let phone = Phone::start();
    let gate = phone.gate().set("upstream.sealing_rotation", "1s").start();
    let pair = sign_in(&gate, "sms", PASSWORD).expect(201);
    let keys =
        |gate: &Gate| fs::read_to_string(gate.folder().join("data/keys/sealing")).unwrap().matches("[[key]]").count();
    until("two more keys", || (keys(&gate) >= 3).then_some(()));
    list(&gate, &pair).expect(200);
    let newer = sign_in(&gate, "sms", PASSWORD).expect(201);
    let gate = gate.restart();
    for pair in [pair, newer] {
        list(&gate, &pair).expect(200);
        let pair = gate.refresh(&pair.field("refresh_token")).expect(200);
        list(&gate, &pair).expect(200);
    }
    assert!(calls(&phone).iter().all(|credentials| *credentials == own("sms", PASSWORD)));
}

#[test]
fn a_token_without_a_sealed_part_has_its_user_sign_in_again() {
    let phone = Phone::start();
    let gate = phone.gate().set("upstream.credentials", "strip").start();
    let pair = sign_in(&gate, "sms", PASSWORD).expect(201);
    let gate = gate.set("upstream.credentials", "sealed").restart();
    let refusal = list(&gate, &pair).expect_refusal(401);
    assert_eq!(refusal.field("error"), "invalid_token");
    assert_eq!(calls(&phone), []);
    // And one whose key is gone.
    let pair = sign_in(&gate, "sms", PASSWORD).expect(201);
    let mut gate = gate;
    gate.stop();
    fs::remove_file(gate.folder().join("data/keys/sealing")).unwrap();
    let gate = gate.start_again();
    list(&gate, &pair).expect_refusal(401);
    assert_eq!(calls(&phone), []);
}

#[test]
fn each_route_can_have_its_own_kind() {
    let upstream = Upstream::start();
    let route = |path: &str, mode: &str| {
        format!("[[route]]\npath = '{path}'\naccess = 'authenticated'\ncredentials = '{mode}'\n")
    };
    let modes = ["strip", "bearer", "basic", "sealed"];
    let account = "[upstream]\nusername = 'gate'\npassword = 'g'\n".to_owned();
    let text = account + &modes.map(|mode| route(&format!("/{mode}"), mode)).concat();
    let gate = Start::before(upstream.address).config_file(&text).start();
    let token = gate.alice(&["all:any"]).field("access_token");
    let basic = |name: &str, password: &str| Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))));
    let by_token = [None, Some(format!("Bearer {token}")), basic("gate", "g"), basic("alice", "wonderland")];
    let by_password = [None, None, basic("gate", "g"), basic("alice", "wonderland")];
    for (n, mode) in modes.into_iter().enumerate() {
        let path = format!("/{mode}");
        gate.get(&path).bearer(&token).send().expect(200);
        gate.get(&path).basic("alice", "wonderland").send().expect(200);
        let seen = upstream.seen();
        let [first, second] = &seen[2 * n..] else { panic!("{seen:?}") };
        assert_eq!(first.header("authorization"), by_token[n].as_deref(), "{mode}");
        assert_eq!(second.header("authorization"), by_password[n].as_deref(), "{mode}");
        assert_eq!(second.header("x-auth-subject"), Some("alice"));
    }
    gate.get(LIST).bearer(&token).send().expect(200);
    assert_eq!(upstream.seen().last().unwrap().header("authorization"), None);
}

#[test]
fn clients_that_speak_for_themselves_bring_no_password() {
    let upstream = Upstream::start();
    let start = crate::support::Dialect::all(Start::before(upstream.address), "");
    let gate = start.set("upstream.credentials", "sealed").start();
    let token = client(&gate, "reports", "/oauth/token", &[("grant_type", "client_credentials")]).send().expect(200);
    list(&gate, &token).expect(200);
    assert_eq!(upstream.only().header("authorization"), None);
}

#[test]
fn an_absurdly_long_password_is_told_so() {
    let long = "x".repeat(1025);
    let phone = Phone::start();
    phone.set("sms", &long);
    let gate = phone.gate().start();
    sign_in(&gate, "sms", &long).expect_refusal(400);
    phone.set("sms", &long[1..]);
    list(&gate, &sign_in(&gate, "sms", &long[1..]).expect(201)).expect(200);
}
