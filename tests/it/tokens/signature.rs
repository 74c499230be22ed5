//! Texts that are nearly a token: damaged, respelled, cut and glued.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::{Forger, ROUTE};
use crate::support::SECRET;
use crate::support::forge::{encode, with};

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The token with the lowest bit of one character turned.
fn flipped(token: &str, at: usize, bit: usize) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let value = ALPHABET.iter().position(|byte| *byte == bytes[at]).unwrap();
    bytes[at] = ALPHABET[value ^ bit];
    String::from_utf8(bytes).unwrap()
}

#[test]
fn no_bit_of_a_token_can_be_turned() {
    let forger = Forger::new();
    let token = forger.claiming(&forger.claims);
    forger.control();
    let before = forger.upstream.seen().len();
    for at in (0..token.len()).filter(|at| token.as_bytes()[*at] != b'.') {
        // The lowest bits of a segment's last character decode to nothing: a second spelling of the same token.
        for bit in [1, 32] {
            let damaged = flipped(&token, at, bit);
            let answer = forger.gate.get(ROUTE).bearer(&damaged).send();
            assert_eq!(answer.status, 401, "character {at}, bit {bit}: {damaged}");
        }
    }
    assert_eq!(forger.upstream.seen().len(), before);
    let refresh = forger.pair.field("refresh_token");
    for at in (0..refresh.len()).filter(|at| refresh.as_bytes()[*at] != b'.') {
        let damaged = flipped(&refresh, at, 1);
        assert_eq!(forger.gate.refresh(&damaged).status, 401, "refresh token, character {at}: {damaged}");
    }
    forger.gate.refresh(&refresh).expect(200);
}

#[test]
fn a_signature_is_whole_and_has_one_spelling() {
    let forger = Forger::new();
    forger.control();
    let token = forger.claiming(&forger.claims);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let other = forger.claiming(&json!({ "sub": "mallory" }));
    for (name, signature) in [
        ("none", String::new()),
        ("one character short", signature[..signature.len() - 1].into()),
        ("one byte short", encode(&raw[..31])),
        ("half of it", encode(&raw[..16])),
        ("one byte longer", encode([&raw[..], b"\0"].concat())),
        ("twice", encode([&raw[..], &raw].concat())),
        ("one character longer", format!("{signature}A")),
        ("padded", format!("{signature}=")),
        ("padded twice", format!("{signature}==")),
        ("in the standard alphabet with padding", STANDARD.encode(&raw)),
        ("with a stray character", format!("{}*{}", &signature[..10], &signature[11..])),
        ("with a space inside", format!("{} {}", &signature[..10], &signature[10..])),
        ("with an escape inside", format!("{}%41{}", &signature[..10], &signature[11..])),
        ("in hexadecimal", raw.iter().map(|byte| format!("{byte:02x}")).collect()),
        ("of another token", other.rsplit('.').next().unwrap().into()),
        ("all zero", encode([0; 32])),
        ("all one", encode([255; 32])),
    ] {
        forger.refused(name, &format!("{message}.{signature}"));
    }
    let last = ALPHABET.iter().position(|byte| *byte == token.as_bytes()[token.len() - 1]).unwrap();
    for stray in 1..4 {
        // 43 characters are 258 bits, and 256 are the signature's.
        let respelled = format!("{}{}", &token[..token.len() - 1], char::from(ALPHABET[last ^ stray]));
        forger.refused(&format!("stray bits {stray}"), &respelled);
    }
}

#[test]
fn the_standard_alphabet_and_padding_are_another_spelling() {
    // Claims are chosen until their base64 has a character in which the alphabets differ.
    let forger = Forger::new();
    forger.control();
    let claims = with(&forger.claims, "x", "??>>~~??>>");
    let token = forger.claiming(&claims);
    forger.passes("in the right alphabet", &token);
    let parts: Vec<&str> = token.split('.').collect();
    let payload = STANDARD_NO_PAD.encode(claims.to_string());
    assert_ne!(payload, parts[1], "the alphabets do not differ here");
    forger.refused("payload respelled", &format!("{}.{payload}.{}", parts[0], parts[2]));
    // Signed over the other spelling: what was signed is then right, and its form is not.
    for (name, header, payload) in [
        ("payload in the standard alphabet", parts[0].to_owned(), payload.clone()),
        ("payload with padding", parts[0].to_owned(), format!("{}=", parts[1])),
        ("header with padding", format!("{}=", parts[0]), parts[1].to_owned()),
        ("payload with an escape", parts[0].to_owned(), format!("{}\\n{}", &parts[1][..8], &parts[1][8..])),
    ] {
        let message = format!("{header}.{payload}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = encode(hmac::sign(&key, message.as_bytes()));
        forger.refused(name, &format!("{message}.{signature}"));
    }
}

#[test]
fn a_token_has_three_segments() {
    let forger = Forger::new();
    forger.control();
    let token = forger.claiming(&forger.claims);
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{token}") };
    for text in [
        header.to_owned(),
        format!("{header}."),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!("..{signature}"),
        "..".into(),
        ".".into(),
        "....".into(),
        format!(".{token}"),
        format!("{token}."),
        format!("{token}.{signature}"),
        format!("{header}.{payload}.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}.{payload}.{signature}"),
        format!("{token}.{token}"),
        format!("{token}{token}"),
        format!("{header}.{signature}.{payload}"),
        format!("{payload}.{header}.{signature}"),
        format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#),
        format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#),
        "null".into(),
        "undefined".into(),
        "{}".into(),
        "0".into(),
        "Bearer".into(),
        format!("\"{token}\""),
        format!("<{token}>"),
        format!("{token},{token}"),
        format!("{token};"),
        "€.€.€".into(),
    ] {
        forger.refused(&text, &text);
    }
}

#[test]
fn a_token_may_be_as_long_as_the_limit_and_not_longer() {
    let padded = |forger: &Forger, length: usize| forger.claiming(&with(&forger.claims, "pad", "x".repeat(length)));
    // Ids and times have a fixed length, so the tokens of any two gates with one secret are of one length too.
    let limit = padded(&Forger::new(), 500).len();
    let forger = Forger::with(|start| start.set("limits.max_token_bytes", &limit.to_string()));
    forger.control();
    let token = padded(&forger, 500);
    assert_eq!(token.len(), limit);
    forger.passes("exactly the limit", &token);
    forger.refused("beyond the limit", &padded(&forger, 501));
}

#[test]
fn an_oversized_token_is_refused_unread() {
    let forger = Forger::new();
    forger.control();
    let huge = with(&forger.claims, "pad", "x".repeat(9000));
    forger.refused("a good token of 12 KiB", &forger.claiming(&huge));
    forger.refused("letters", &"A".repeat(20_000));
    forger.refused("dots", &".".repeat(20_000));
}
