//! Headers that name another algorithm, key or type, or say more than the gate ever writes.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::Forger;
use crate::support::forge::{encode, with, without};
use crate::support::{Start, Upstream, forge};

#[test]
fn no_spelling_of_none_is_an_algorithm() {
    let forger = Forger::new();
    forger.control();
    let real = forger.pair.field("access_token");
    let real = real.rsplit('.').next().unwrap();
    for alg in ["none", "None", "NONE", "nOnE", "", " none", "none\0"] {
        let signed = forger.headed(&with(&forger.header, "alg", alg));
        let (message, signature) = signed.rsplit_once('.').unwrap();
        for (name, signature) in [("its HMAC", signature), ("the real signature", real), ("nothing", "")] {
            forger.refused(&format!("alg {alg:?} signed with {name}"), &format!("{message}.{signature}"));
        }
        forger.refused(&format!("alg {alg:?} in two parts"), message);
    }
}

#[test]
fn the_algorithm_is_that_of_the_key() {
    let forger = Forger::new();
    forger.control();
    let secret = crate::support::SECRET.as_bytes();
    for (alg, hash) in [
        ("HS384", hmac::HMAC_SHA384),
        ("HS512", hmac::HMAC_SHA512),
        ("HS256", hmac::HMAC_SHA384),
        ("HS256", hmac::HMAC_SHA512),
        ("HS384", hmac::HMAC_SHA256),
        ("HS512", hmac::HMAC_SHA256),
        ("hs256", hmac::HMAC_SHA256),
        ("HS1", hmac::HMAC_SHA256),
        ("RS256", hmac::HMAC_SHA256),
        ("PS256", hmac::HMAC_SHA256),
        ("ES256", hmac::HMAC_SHA256),
        ("EdDSA", hmac::HMAC_SHA256),
        ("PBES2-HS256+A128KW", hmac::HMAC_SHA256),
        ("dir", hmac::HMAC_SHA256),
    ] {
        let (header, claims) = (with(&forger.header, "alg", alg), &forger.claims);
        if (alg, hash) != ("HS256", hmac::HMAC_SHA256) {
            let token = forge::signed(hash, secret, header.to_string(), claims.to_string());
            forger.refused(&format!("alg {alg} over {hash:?}"), &token);
        }
    }
    for alg in [json!(null), json!(["HS256"]), json!(256), json!({ "alg": "HS256" })] {
        forger.refused(&format!("alg {alg}"), &forger.headed(&with(&forger.header, "alg", alg)));
    }
    forger.refused("no alg", &forger.headed(&without(&forger.header, "alg")));
}

#[test]
fn the_key_is_one_of_ours_or_none() {
    let forger = Forger::new();
    forger.control();
    let kid = forger.header["kid"].as_str().unwrap();
    for value in [
        json!(""),
        json!("../../../../dev/null"),
        json!("/etc/passwd"),
        json!("keys/../current"),
        json!("file:///dev/null"),
        json!("http://127.0.0.1/key"),
        json!("' UNION SELECT '0123456789abcdef"),
        json!("1; DROP TABLE keys"),
        json!("x\0"),
        json!("current"),
        json!("a".repeat(4000)),
        json!(format!("{kid}x")),
        json!(&kid[1..]),
        json!(kid.to_uppercase() + "-"),
        json!(0),
        json!(1),
        json!(null),
        json!(true),
        json!([kid]),
        json!({ "kid": kid }),
    ] {
        forger.refused(&format!("kid {value}"), &forger.headed(&with(&forger.header, "kid", value)));
    }
    forger.refused("no kid", &forger.headed(&without(&forger.header, "kid")));
}

#[test]
fn another_gates_key_is_not_ours() {
    let forger = Forger::new();
    forger.control();
    let elsewhere = Upstream::start();
    let other = Start::before(elsewhere.address).start();
    let foreign = other.alice(&["messages:list"]);
    forger.refused("another gate's access token", &foreign.field("access_token"));
    forger.refused("another gate's refresh token", &foreign.field("refresh_token"));
    let (header, _) = forge::parts(&foreign.field("access_token"));
    assert_ne!(header["kid"], forger.header["kid"]);
    forger.refused("our secret under another gate's kid", &forger.headed(&header));
    for name in ["access_token", "refresh_token"] {
        let token = foreign.field(name);
        let (mut header, _) = forge::parts(&token);
        header["kid"] = forger.header["kid"].clone();
        let (_, rest) = token.split_once('.').unwrap();
        let token = format!("{}.{rest}", encode(header.to_string()));
        forger.refused(&format!("another gate's {name} under our kid"), &token);
    }
}

#[test]
fn the_type_is_that_of_an_access_token() {
    let forger = Forger::new();
    forger.control();
    for typ in [
        json!("JWT"),
        json!("jwt"),
        json!("rt+jwt"),
        json!("RT+JWT"),
        json!("application/at+jwt"),
        json!("at+jwt "),
        json!("at+jwt;v=1"),
        json!("id_token"),
        json!("logout+jwt"),
        json!(""),
        json!(null),
        json!(1),
        json!(["at+jwt"]),
    ] {
        forger.refused(&format!("typ {typ}"), &forger.headed(&with(&forger.header, "typ", typ)));
    }
    forger.refused("no typ", &forger.headed(&without(&forger.header, "typ")));
}

#[test]
fn tokens_for_old_validators_may_be_called_jwt() {
    let forger = Forger::with(|start| start.set("token.type", "JWT"));
    assert_eq!(forger.header["typ"], "JWT");
    forger.control();
    // Tokens from before the switch stay good.
    forger.passes("typ at+jwt", &forger.headed(&with(&forger.header, "typ", "at+jwt")));
    for typ in ["rt+jwt", "JOSE", ""] {
        forger.refused(typ, &forger.headed(&with(&forger.header, "typ", typ)));
    }
}

#[test]
fn a_header_with_anything_the_gate_does_not_write_is_refused() {
    let forger = Forger::new();
    forger.control();
    let jwk = json!({ "kty": "oct", "k": encode(crate::support::SECRET) });
    let members: [(&str, Value); 22] = [
        ("jwk", jwk),
        ("jwk", json!(null)),
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("x5u", json!("http://127.0.0.1:1/chain.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("crit", json!(["kid"])),
        ("crit", json!([])),
        ("crit", json!("exp")),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("enc", json!("A128GCM")),
        ("p2c", json!(1_000_000_000)),
        ("epk", json!({})),
        ("url", json!("/")),
        ("nonce", json!("x")),
    ];
    for (name, value) in members {
        forger.refused(&format!("{name}: {value}"), &forger.headed(&with(&forger.header, name, value)));
    }
}

#[test]
fn a_header_has_each_member_once_and_is_an_object() {
    let forger = Forger::new();
    forger.control();
    let kid = forger.header["kid"].as_str().unwrap();
    for header in [
        format!(r#"{{"alg":"HS256","alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"none","alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"HS256","alg":"none","typ":"at+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"x","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}","kid":"x"}}"#),
        format!(r#"{{"alg":"HS256","typ":"rt+jwt","typ":"at+jwt","kid":"{kid}"}}"#),
        format!(r#"["HS256","at+jwt","{kid}"]"#),
        format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}} "x""#),
        format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}""#),
        format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}",}}"#),
        format!("\u{feff}{{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"{kid}\"}}"),
        format!(r#"{{"ALG":"HS256","typ":"at+jwt","kid":"{kid}"}}"#),
        "{}".into(),
        "[]".into(),
        "null".into(),
        "\"HS256\"".into(),
        String::new(),
    ] {
        forger.refused(&header, &forge::forge(&header, forger.claims.to_string()));
    }
    let nested = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    forger.refused("a header of brackets", &forge::forge(nested, forger.claims.to_string()));
    forger.refused("a header that is not UTF-8", &forge::forge(b"{\"alg\":\"\xff\"}", forger.claims.to_string()));
}
