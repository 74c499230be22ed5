//! Claims that are missing, of the wrong type, of another time, issuer, audience or session.

use serde_json::{Value, json};

use super::Forger;
use crate::support::forge;
use crate::support::forge::{with, without};

#[test]
fn every_claim_is_there_and_of_its_type() {
    let forger = Forger::new();
    forger.control();
    let claims = &forger.claims;
    for name in ["exp", "nbf", "iat"] {
        let right = claims[name].as_u64().unwrap();
        for wrong in [
            json!(right.to_string()),
            json!(right as f64 + 0.5),
            json!(-1),
            json!(i64::MIN),
            json!(1e300),
            json!(1.9e19),
            json!(null),
            json!(true),
            json!([right]),
            json!({ "is": right }),
        ] {
            forger.refused(&format!("{name}: {wrong}"), &forger.claiming(&with(claims, name, wrong)));
        }
    }
    for name in ["iss", "sub", "jti", "sid"] {
        let right = &claims[name];
        for wrong in [json!(""), json!(7), json!(1.5), json!(null), json!(true), json!([right]), json!({ "is": right })]
        {
            forger.refused(&format!("{name}: {wrong}"), &forger.claiming(&with(claims, name, wrong)));
        }
    }
    for wrong in [
        json!("messages:list"),
        json!(7),
        json!(null),
        json!(true),
        json!({ "0": "messages:list" }),
        json!([["messages:list"]]),
        json!(["messages:list", 7]),
        json!(["messages:list", null]),
    ] {
        forger.refused(&format!("scopes: {wrong}"), &forger.claiming(&with(claims, "scopes", wrong)));
    }
    for name in ["exp", "nbf", "iat", "iss", "sub", "jti", "sid", "scopes"] {
        forger.refused(&format!("no {name}"), &forger.claiming(&without(claims, name)));
    }
    for (name, wrong) in [
        ("aud", json!(7)),
        ("aud", json!(["x", 7])),
        ("aud", json!({ "x": 1 })),
        ("roles", json!("admin")),
        ("roles", json!([7])),
        ("sub", json!("ali\nce")),
        ("sub", json!("alice\0")),
    ] {
        forger.refused(&format!("{name}: {wrong}"), &forger.claiming(&with(claims, name, wrong)));
    }
}

#[test]
fn what_a_token_is_bound_to_has_to_be_there() {
    let forger = Forger::new();
    forger.control();
    let claims = &forger.claims;
    for binding in [
        json!({ "x5t#S256": forge::encode([7; 32]) }),
        json!({ "x5t#S256": "" }),
        json!({ "jkt": forge::encode([7; 32]) }),
        json!({ "kid": "a" }),
        json!({}),
        json!([]),
        json!("none"),
        json!(null),
    ] {
        let token = forger.claiming(&with(claims, "cnf", binding));
        forger.gate.get(super::ROUTE).bearer(&token).send().expect_refusal(401);
        forger.gate.get("/3rdparty/v1/auth/sessions").bearer(&token).send().expect_refusal(401);
    }
    assert_eq!(forger.upstream.seen().len(), 1, "the control alone");
}

#[test]
fn no_scope_is_no_right() {
    let forger = Forger::new();
    forger.control();
    for scopes in [json!([]), json!(["Messages:list"]), json!(["messages:*"]), json!(["all"]), json!([""])] {
        let token = forger.claiming(&with(&forger.claims, "scopes", scopes.clone()));
        let refusal = forger.gate.get(super::ROUTE).bearer(&token).send().expect_refusal(403);
        assert_eq!(refusal.field("message"), "scope required: messages:list", "{scopes}");
    }
    let unwritable = forger.claiming(&with(&forger.claims, "scopes", json!(["messages:list", "line\nfeed"])));
    forger.gate.get(super::ROUTE).bearer(&unwritable).send().expect_refusal(401);
    // Only the list counts: the RFC 9068 text beside it must not be a second door.
    let mut claims = with(&forger.claims, "scopes", json!([]));
    claims["scope"] = json!("messages:list all:any");
    forger.gate.get(super::ROUTE).bearer(&forger.claiming(&claims)).send().expect_refusal(403);
}

#[test]
fn a_token_has_its_time() {
    let forger = Forger::new();
    forger.control();
    let (claims, now) = (&forger.claims, forger.now());
    let at = |name: &str, secs: u64| forger.claiming(&with(claims, name, secs));
    // The leeway is 30 s; clocks of one machine do not differ.
    forger.passes("expired within the leeway", &at("exp", now - 5));
    forger.passes("not before, within the leeway", &at("nbf", now + 25));
    forger.passes("issued ahead, within the leeway", &at("iat", now + 25));
    forger.refused("expired", &at("exp", now - 31));
    forger.refused("expired for ever", &at("exp", 0));
    forger.refused("not yet valid", &at("nbf", now + 3600));
    forger.refused("never valid", &at("nbf", u64::MAX));
    forger.refused("issued in the future", &at("iat", now + 3600));
    forger.refused("issued at the end of time", &at("iat", u64::MAX));
    let expired = forger.gate.get(super::ROUTE).bearer(&at("exp", now - 31)).send().expect_refusal(401);
    assert_eq!(expired.field("message"), "Token expired");
}

#[test]
fn the_issuer_is_us() {
    let forger = Forger::new();
    forger.control();
    for issuer in [
        json!("Portcullis"),
        json!("portcullis "),
        json!("portcullis/"),
        json!("evil"),
        json!(["portcullis"]),
        json!(["portcullis", "evil"]),
    ] {
        forger.refused(&format!("iss {issuer}"), &forger.claiming(&with(&forger.claims, "iss", issuer)));
    }
}

#[test]
fn where_an_audience_is_configured_a_token_must_name_it() {
    let forger = Forger::with(|start| start.set("token.audience", "api,other"));
    assert_eq!(forger.claims["aud"], json!(["api", "other"]));
    forger.control();
    for audience in [json!("api"), json!("other"), json!(["api"]), json!(["evil", "other"])] {
        forger.passes(&format!("aud {audience}"), &forger.claiming(&with(&forger.claims, "aud", audience)));
    }
    for audience in [
        json!("evil"),
        json!("API"),
        json!("api,other"),
        json!("api other"),
        json!(""),
        json!(["evil"]),
        json!([]),
        json!([["api"]]),
        json!(["api", 7]),
        json!({ "api": "api" }),
        json!(7),
        json!(null),
    ] {
        forger.refused(&format!("aud {audience}"), &forger.claiming(&with(&forger.claims, "aud", audience)));
    }
    forger.refused("no aud", &forger.claiming(&without(&forger.claims, "aud")));
}

#[test]
fn where_no_audience_is_configured_any_will_do() {
    let forger = Forger::new();
    for audience in [json!("anyone"), json!(["a", "b"])] {
        forger.passes(&format!("aud {audience}"), &forger.claiming(&with(&forger.claims, "aud", audience)));
    }
}

#[test]
fn a_claim_is_there_once() {
    let forger = Forger::new();
    forger.control();
    let claims = forger.claims.to_string();
    for name in ["exp", "nbf", "iat", "iss", "sub", "jti", "sid", "scopes"] {
        let value = &forger.claims[name];
        let first = format!("{{\"{name}\":{value},{}", &claims[1..]);
        forger.refused(&format!("{name} twice"), &forge::forge(forger.header.to_string(), first));
    }
    let admin = format!("{},\"scopes\":[\"all:any\"]}}", &claims[..claims.len() - 1]);
    forger.refused("a second list of scopes", &forge::forge(forger.header.to_string(), admin));
}

#[test]
fn a_payload_is_an_object_in_utf8() {
    let forger = Forger::new();
    forger.control();
    let claims = &forger.claims;
    let in_order = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "sid", "scopes", "roles"].map(|name| match name {
        "aud" | "roles" => json!([]),
        name => claims[name].clone(),
    });
    let text = claims.to_string();
    let inside = |what: &[u8]| [&text.as_bytes()[..text.len() - 1], b",\"x\":\"", what, b"\"}"].concat();
    for (name, payload) in [
        ("a list of the claims", Value::from(in_order.to_vec()).to_string().into_bytes()),
        ("an object in a list", format!("[{text}]").into_bytes()),
        ("a text", Value::from(text.clone()).to_string().into_bytes()),
        ("nothing", Vec::new()),
        ("null", b"null".to_vec()),
        ("a number", b"7".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("an unfinished object", text.as_bytes()[..text.len() - 1].to_vec()),
        ("two objects", format!("{text}{text}").into_bytes()),
        ("garbage behind it", format!("{text}x").into_bytes()),
        ("a byte order mark", format!("\u{feff}{text}").into_bytes()),
        ("half a surrogate pair", text.replace("alice", "ali\\ud800ce").into_bytes()),
        ("bytes that are not UTF-8", inside(b"\xff\xfe")),
        ("an overlong encoding", inside(b"\xc0\xaf")),
        ("a line feed in a text", inside(b"\n")),
    ] {
        forger.refused(name, &forge::forge(forger.header.to_string(), payload));
    }
    forger.passes("a claim we do not know", &forge::forge(forger.header.to_string(), inside(b"y")));
}

#[test]
fn depth_harms_nobody() {
    let forger =
        Forger::with(|start| start.set("limits.max_token_bytes", "64KiB").set("limits.max_header_bytes", "128KiB"));
    forger.control();
    let text = forger.claims.to_string();
    let text = &text[..text.len() - 1];
    for depth in [127, 128, 200, 10_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            if depth * (open.len() + 1) > 40_000 {
                continue;
            }
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let header = forger.header.to_string();
            for claim in ["aud", "roles"] {
                let token = forge::forge(&header, format!("{text},\"{claim}\":{nested}}}"));
                forger.refused(&format!("{claim} of {depth} {open}"), &token);
            }
            forger.refused(&format!("a payload of {depth} {open}"), &forge::forge(&header, &nested));
            // RFC 7519 section 4: unknown claims are ignored, whatever they are.
            let token = forge::forge(&header, format!("{text},\"unknown\":{nested}}}"));
            let status = forger.gate.get(super::ROUTE).bearer(&token).send().status;
            assert!([200, 401].contains(&status), "an unknown claim of {depth} {open}: {status}");
        }
    }
    forger.control();
}

#[test]
fn a_token_id_is_one_that_the_gate_could_have_made() {
    let forger = Forger::new();
    forger.control();
    let claims = &forger.claims;
    let sid = claims["sid"].as_str().unwrap();
    let other = forger.gate.alice(&["messages:list"]);
    let (_, other) = forge::parts(&other.field("access_token"));
    for jti in [
        sid.to_owned(),
        format!("{sid}."),
        format!("{sid}.-1"),
        format!("{sid}.+0"),
        format!("{sid}.00"),
        format!("{sid}.01"),
        format!("{sid}.0.0"),
        format!("{sid}.0 "),
        format!("{sid}.4294967296"),
        format!("{sid}.99999999999999999999"),
        format!("{sid}.0r"),
        format!("{sid}.r"),
        format!("{sid}=.0"),
        format!("{}.0", &sid[1..]),
        format!(" {sid}.0"),
        other["jti"].as_str().unwrap().to_owned(),
    ] {
        forger.refused(&format!("jti {jti:?}"), &forger.claiming(&with(claims, "jti", jti)));
    }
    for other_sid in [other["sid"].clone(), json!("AAAAAAAAAAAAAAAA"), json!(format!("{sid}=")), json!(&sid[1..])] {
        forger.refused(&format!("sid {other_sid}"), &forger.claiming(&with(claims, "sid", other_sid)));
    }
    // A store that lost a record must not turn good tokens away: only a known end refuses.
    forger.passes("a later generation", &forger.claiming(&with(claims, "jti", format!("{sid}.4294967295"))));
    let unknown = with(&with(claims, "sid", "AAAAAAAAAAAAAAAA"), "jti", "AAAAAAAAAAAAAAAA.0");
    forger.passes("an unknown session", &forger.claiming(&unknown));
}
