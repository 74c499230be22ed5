//! The token endpoints and what they answer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{MESSAGES, REFRESH, TOKEN, example, gate, issue, lifetime, refresh, sms};
use crate::support::{Start, Upstream};

const DAY: u64 = 24 * 3600;

/// Seed S1.
#[test]
fn a_pair_is_issued_for_basic_credentials_a_ttl_and_scopes_with_201() {
    let pair = example(&gate(&[]));
    assert_eq!(lifetime(&pair, "access_token"), 3600);
    assert_eq!(pair.json()["scopes"], json!(["messages:send", "messages:read"]));
    assert_eq!(pair.header("content-type"), Some("application/json"));
    assert_eq!(pair.header("cache-control"), Some("no-store"));
}

/// Seed S2. Two of the five official clients read camelCase, so both spellings are there, and nothing undocumented
/// besides the lifetime and the granted scopes.
#[test]
fn the_pair_has_the_documented_fields() {
    let pair = example(&gate(&[]));
    let body = pair.json();
    let mut names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut expected = vec![
        "id",
        "token_type",
        "access_token",
        "refresh_token",
        "expires_at", // as documented
        "tokenType",
        "accessToken",
        "refreshToken",
        "expiresAt", // as two clients read them
        "expires_in",
        "expiresIn",
        "scopes",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["id"], pair.claims("access_token")["jti"]);
    assert!(pair.field("id").len() <= 64);
}

/// Seed S3: the sample code does `replace("Z", "+00:00")` and `fromisoformat`, which reads no fractions everywhere.
#[test]
fn expires_at_is_utc_with_z_in_whole_seconds_and_equals_the_claim() {
    let gate = gate(&[]);
    let first = example(&gate);
    for pair in [refresh(&gate, &first).expect(200), first] {
        let text = pair.field("expires_at");
        let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00Z", "{text}");
        let at: jiff::Timestamp = text.parse().unwrap();
        assert_eq!(Some(at.as_second()), pair.claims("access_token")["exp"].as_i64());
    }
}

/// Seed S4.
#[test]
fn both_tokens_are_three_part_hs256_jwts() {
    let header = |token: &str| -> Value {
        let segments: Vec<_> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        assert_eq!(segments.len(), 3);
        assert_eq!(segments[2].len(), 32, "HMAC-SHA256");
        serde_json::from_slice(&segments[0]).unwrap()
    };
    let pair = example(&gate(&[]));
    for name in ["access_token", "refresh_token"] {
        assert_eq!(header(&pair.field(name))["alg"], "HS256");
    }
    assert_ne!(header(&pair.field("access_token"))["typ"], header(&pair.field("refresh_token"))["typ"]);
    // For validators that look for what the documentation shows.
    let documented = example(&gate(&[("token.type", "JWT")])).field("access_token");
    assert_eq!(header(&documented)["typ"], "JWT");
    assert!(documented.starts_with("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCI"), "{documented}");
}

/// Seeds S5, S6 and S7.
#[test]
fn without_a_ttl_an_access_token_lives_15_minutes_and_a_refresh_token_720_hours() {
    let gate = gate(&[]);
    for (ttl, expected) in [(None, 900), (Some(json!(0)), 900), (Some(Value::Null), 900), (Some(json!(60)), 60)] {
        let mut body = json!({"scopes": ["messages:send"]});
        if let Some(ttl) = &ttl {
            body["ttl"] = ttl.clone();
        }
        let pair = issue(&gate).json(&body).send().expect(201);
        assert_eq!(lifetime(&pair, "access_token"), expected, "{ttl:?}");
        assert_eq!(pair.json()["expires_in"], json!(expected), "{ttl:?}");
        assert_eq!(lifetime(&pair, "refresh_token"), 30 * DAY);
    }
}

/// The samples ask for 7200 too, and trust `expires_at`: what is too long is cut, not refused.
#[test]
fn a_ttl_that_is_too_long_is_capped_and_the_answer_shows_it() {
    for (longest, expected) in [("1h", 3600), ("24h", DAY)] {
        let gate = gate(&[("token.access_ttl_max", longest)]);
        for ttl in [expected + 1, 7200 * 24, 9_223_372_036_854_775_807] {
            let body = json!({"ttl": ttl, "scopes": ["messages:send"]});
            let pair = issue(&gate).json(&body).send().expect(201);
            assert_eq!(lifetime(&pair, "access_token"), expected);
            assert_eq!(pair.json()["expires_in"], json!(expected));
        }
    }
}

/// Seeds S8 and S9: the axios sample sends `{}`, the fetch sample a content type and nothing, Python nothing at all.
#[test]
fn a_refresh_is_200_whatever_the_body() {
    let gate = gate(&[]);
    let mut pair = example(&gate);
    for (name, content_type, body) in [
        ("nothing", None, None),
        ("an empty body", None, Some("")),
        ("an empty object", Some("application/json"), Some("{}")),
        ("a content type and nothing", Some("application/json"), None),
        ("a content type and an empty body", Some("application/json"), Some("")),
        ("some JSON", Some("application/json; charset=utf-8"), Some("{\"refresh_token\": \"x\", \"ttl\": -1}")),
        ("null", Some("application/json"), Some("null")),
        ("a form", Some("application/x-www-form-urlencoded"), Some("a=b")),
        ("no JSON after all", Some("application/json"), Some("{")),
    ] {
        let mut call = gate.post(REFRESH).bearer(&pair.field("refresh_token"));
        if let Some(content_type) = content_type {
            call = call.header("Content-Type", content_type);
        }
        if let Some(body) = body {
            call = call.body(body);
        }
        let next = call.send();
        assert_eq!(next.status, 200, "{name}: {}", next.text());
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&next.json()), keys(&pair.json()), "{name}");
        assert_eq!(lifetime(&next, "access_token"), 3600, "{name}: the body has no say");
        pair = next;
    }
}

/// Seed S10: clients put `"/refresh"` behind the URL they have, and follow no redirects with a POST.
#[test]
fn the_refresh_url_is_the_token_url_with_refresh_behind_it_and_a_trailing_slash_harms_nobody() {
    let gate = gate(&[]);
    for base in [TOKEN.to_owned(), format!("{TOKEN}/")] {
        let call = gate.post(&base).basic("alice", "wonderland");
        let mut pair = call.json(&json!({"scopes": ["messages:send"]})).send().expect(201);
        for end in ["/refresh", "/refresh/"] {
            let url = format!("{}{end}", base.trim_end_matches('/'));
            pair = gate.post(&url).bearer(&pair.field("refresh_token")).send().expect(200);
        }
    }
}

/// Seeds S11 and S21: a client that finds no refresh token tells its user so.
#[test]
fn every_pair_has_a_refresh_token_without_being_asked_for_one() {
    let gate = gate(&[]);
    let first = issue(&gate).json(&json!({"ttl": 1, "scopes": ["all:any"]})).send().expect(201);
    let minted = gate.post(TOKEN).bearer(&first.field("access_token")).json(&json!({"scopes": ["logs:read"]}));
    let minted = minted.send().expect(201);
    let mut pairs = vec![minted, refresh(&gate, &first).expect(200)];
    for _ in 0..3 {
        pairs.push(refresh(&gate, pairs.last().unwrap()).expect(200));
    }
    for pair in [first].iter().chain(&pairs) {
        assert_eq!(pair.field("refresh_token").split('.').count(), 3);
        assert_eq!(pair.field("refresh_token"), pair.field("refreshToken"));
    }
}

/// Seed S12, with an upstream whose answer is known byte for byte.
#[test]
fn the_upstreams_202_and_its_body_are_relayed_untouched() {
    let upstream = Upstream::answering(|_| {
        let body = "{ \"id\" : \"m1\",\n \"state\":\"Pending\", \"t\": \"\u{20ac}\" }\r\n";
        let head = "HTTP/1.1 202 Accepted\r\ncontent-type: application/json; charset=UTF-8\r\nlocation: /3rdparty/v1/messages/m1";
        format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    });
    let gate = Start::before(upstream.address).start();
    let pair = example(&gate);
    let sent = "{\"phoneNumbers\": [\"+15550100\"],  \"textMessage\": {\"text\": \"Hi \u{1f44b}\"}}\n";
    let call = gate.post(MESSAGES).bearer(&pair.field("access_token")).header("Content-Type", "application/json");
    let answer = call.body(sent).send().expect(202);
    assert_eq!(answer.text(), "{ \"id\" : \"m1\",\n \"state\":\"Pending\", \"t\": \"\u{20ac}\" }\r\n");
    assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"));
    assert_eq!(answer.header("location"), Some("/3rdparty/v1/messages/m1"));
    assert_eq!(answer.header("x-portcullis"), None);
    let seen = upstream.only();
    assert_eq!((seen.method.as_str(), seen.target.as_str(), &*seen.body), ("POST", MESSAGES, sent.as_bytes()));
    assert_eq!(seen.header("content-type"), Some("application/json"));
}

/// Seed S12, with the API itself.
#[test]
fn the_access_token_sends_a_message() {
    let (upstream, gate) = sms();
    let pair = example(&gate);
    let message = json!({"phoneNumbers": ["+15550100"], "textMessage": {"text": "Hello"}});
    let sent = gate.post(MESSAGES).bearer(&pair.field("access_token")).json(&message).send().expect(202);
    let place = sent.header("location").unwrap().to_owned();
    let read = gate.get(&place).bearer(&pair.field("access_token")).send().expect(200);
    assert_eq!(read.json()["id"], sent.json()["id"]);
    assert!(upstream.seen().iter().all(|seen| seen.subject() == Some("alice")));
}
