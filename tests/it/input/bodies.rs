//! What a sign-in may say, and what it may not.

use serde_json::json;

use super::{Desk, REFRESH};

#[test]
fn a_body_that_is_no_request_for_a_token_is_refused() {
    let desk = Desk::new();
    let deep = format!("{{\"scopes\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let rows: [(&str, &[u8]); 32] = [
        ("nothing", b""),
        ("white space", b" \r\n\t"),
        ("an unfinished object", b"{\"scopes\":[\"messages:list\"]"),
        ("an unfinished text", b"{\"scopes\":[\"messages:list"),
        ("a brace", b"{"),
        ("null", b"null"),
        ("a text", b"\"scopes\""),
        ("a number", b"1"),
        ("a list", b"[]"),
        ("a list of the members", b"[60,[\"messages:list\"],null]"),
        ("two objects", b"{\"scopes\":[\"messages:list\"]}{}"),
        ("a comma too many", b"{\"scopes\":[\"messages:list\"],}"),
        ("single quotes", b"{'scopes':['messages:list']}"),
        ("a comment", b"{\"scopes\":[\"messages:list\"]} // please"),
        ("a form", b"scopes=messages:list&ttl=60"),
        ("bytes that are not UTF-8", b"{\"scopes\":[\"\xff\xfe\"]}"),
        ("UTF-16", b"\xff\xfe{\0\"\0"),
        ("a byte order mark", b"\xef\xbb\xbf{\"scopes\":[\"messages:list\"]}"),
        ("depth", deep.as_bytes()),
        ("scopes twice", b"{\"scopes\":[\"messages:list\"],\"scopes\":[\"all:any\"]}"),
        ("a text of scopes", b"{\"scopes\":\"messages:list\"}"),
        ("an object of scopes", b"{\"scopes\":{\"0\":\"messages:list\"}}"),
        ("a number among scopes", b"{\"scopes\":[\"messages:list\",1]}"),
        ("null among scopes", b"{\"scopes\":[null]}"),
        ("null as scopes", b"{\"scopes\":null}"),
        ("no scopes", b"{}"),
        ("other members only", b"{\"scope\":\"messages:list\",\"Scopes\":[\"messages:list\"]}"),
        ("an empty list of scopes", b"{\"scopes\":[]}"),
        ("an empty scope", b"{\"scopes\":[\"\"]}"),
        ("a device that is a text", b"{\"scopes\":[\"messages:list\"],\"device\":\"phone\"}"),
        ("a device whose id is a number", b"{\"scopes\":[\"messages:list\"],\"device\":{\"id\":7}}"),
        ("a device whose name is a list", b"{\"scopes\":[\"messages:list\"],\"device\":{\"name\":[]}}"),
    ];
    for (name, body) in rows {
        desk.refused(name, &desk.sign_in().header("Content-Type", "application/json").body(body), 400);
    }
    desk.refused("no body at all", &desk.sign_in(), 400);
    desk.unharmed();
}

#[test]
fn a_lifetime_is_whole_seconds_and_not_negative() {
    let desk = Desk::new();
    for ttl in [
        "-1",
        "-9223372036854775808",
        "1.5",
        "60.0",
        "1e2",
        "1e400",
        "-0.0",
        "\"60\"",
        "\"\"",
        "true",
        "[60]",
        "{}",
        "0x3c",
        "060",
        "+60",
        "NaN",
        "Infinity",
    ] {
        let body = format!("{{\"ttl\":{ttl},\"scopes\":[\"messages:list\"]}}");
        desk.refused(ttl, &desk.sign_in().body(body), 400);
    }
    // Default 15 minutes, at most one hour, and the answer shows which.
    for (ttl, expected) in [
        ("0", 900),
        ("null", 900),
        ("1", 1),
        ("60", 60),
        ("3600", 3600),
        ("3601", 3600),
        ("4294967296", 3600),
        ("9223372036854775807", 3600),
        ("18446744073709551615", 3600),
        ("18446744073709551616000", 3600),
    ] {
        let body = format!("{{\"ttl\":{ttl},\"scopes\":[\"messages:list\"]}}");
        let answer = desk.send(&desk.sign_in().body(body));
        assert_eq!(answer.status, 201, "{ttl}: {}", answer.text());
        let body = answer.json();
        assert_eq!((&body["expires_in"], &body["expiresIn"]), (&json!(expected), &json!(expected)), "ttl {ttl}");
    }
    let answer = desk.send(&desk.sign_in().body(r#"{"scopes":["messages:list"]}"#)).expect(201);
    assert_eq!(answer.json()["expires_in"], 900, "no ttl");
    desk.unharmed();
}

#[test]
fn scopes_are_known_and_the_users_own() {
    let desk = Desk::new();
    let alice = |scopes: serde_json::Value| desk.sign_in().json(&json!({ "scopes": scopes }));
    for unknown in [
        json!(["messages:fly"]),
        json!(["messages"]),
        json!(["*"]),
        json!(["messages:*"]),
        json!(["MESSAGES:LIST"]),
        json!([" messages:list"]),
        json!(["messages:list messages:send"]),
        json!(["messages:list,messages:send"]),
        json!(["tokens:refresh"]),
        json!(["a".repeat(60_000)]),
        json!(["\u{0}", "\u{202e}", "\"'<>"]),
    ] {
        let answer = desk.refused(&unknown.to_string()[..unknown.to_string().len().min(80)], &alice(unknown), 400);
        assert_eq!(answer.field("error"), "invalid_scope");
    }
    // What is unknown is dropped, and the answer says what is left.
    let some = alice(json!(["messages:fly", "messages:list", "tokens:refresh", "messages:list", "inbox:list"]));
    assert_eq!(desk.send(&some).expect(201).json()["scopes"], json!(["messages:list", "inbox:list"]));
    let many: Vec<String> = (0..3000).map(|n| format!("unknown:{n}")).chain(["messages:list".into()]).collect();
    assert_eq!(desk.send(&alice(json!(many))).expect(201).json()["scopes"], json!(["messages:list"]));
    // Bob may send and read.
    for beyond in [json!(["messages:list"]), json!(["messages:send", "messages:list"]), json!(["all:any"])] {
        let call = desk.post(super::TOKEN).basic("bob", "builder").json(&json!({ "scopes": beyond }));
        assert_eq!(desk.refused(&beyond.to_string(), &call, 403).field("error"), "invalid_scope");
    }
    desk.unharmed();
}

#[test]
fn what_a_device_says_of_itself_is_short_and_printable() {
    let desk = Desk::new();
    let device = |id: &str, name: &str| {
        desk.sign_in().json(&json!({ "scopes": ["messages:list"], "device": { "id": id, "name": name } }))
    };
    let long = "é".repeat(129);
    for (id, name) in [
        (&*long, "phone"),
        ("id", &*long),
        ("id", "line\nfeed"),
        ("id\r", "phone"),
        ("id\0", "phone"),
        ("id", "\u{1b}[31mred"),
        ("id", "\u{7f}"),
        ("id", "\u{85}"),
    ] {
        let answer = desk.refused(&format!("{id:?} {name:?}"), &device(id, name), 400);
        assert!(!answer.text().contains(name), "what was sent is shown back: {}", answer.text());
    }
    for (id, name) in [("", ""), (&*"é".repeat(128), "Zoë's \"phone\" <script>")] {
        desk.send(&device(id, name)).expect(201);
    }
    let sessions = desk.send(&desk.gate.get(super::SESSIONS).basic("alice", "wonderland")).expect(200).json();
    assert_eq!(sessions[0]["device"]["name"], "Zoë's \"phone\" <script>");
    desk.unharmed();
}

#[test]
fn a_body_is_json_or_says_nothing_of_itself() {
    let desk = Desk::new();
    let body = r#"{"scopes":["messages:list"]}"#;
    for right in [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/vnd.api+json",
    ] {
        let answer = desk.send(&desk.sign_in().header("Content-Type", right).body(body));
        assert_eq!(answer.status, 201, "{right}: {}", answer.text());
    }
    desk.send(&desk.sign_in().body(body)).expect(201);
    for wrong in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json-seq",
        "xapplication/json",
        "text/json",
        "application/xml",
        "",
        ";",
        "json",
    ] {
        desk.refused(wrong, &desk.sign_in().header("Content-Type", wrong).body(body), 415);
    }
    desk.unharmed();
}

#[test]
fn a_refresh_works_whatever_its_body_says() {
    let desk = Desk::new();
    let pair = desk.send(&desk.sign_in().body(r#"{"scopes":["messages:list"]}"#)).expect(201);
    let mut token = pair.field("refresh_token");
    let megabyte = vec![b'x'; 60 * 1024];
    let rows: [(&str, Option<&[u8]>); 9] = [
        ("application/json", None),
        ("application/json", Some(b"")),
        ("application/json", Some(b"{}")),
        ("application/json", Some(b"{\"scopes\":[\"all:any\"],\"ttl\":-1}")),
        ("application/json", Some(b"{broken")),
        ("application/xml", Some(b"<refresh/>")),
        ("application/x-www-form-urlencoded", Some(b"refresh_token=x")),
        ("\"'", Some(b"\xff\0\xfe")),
        ("text/plain", Some(&megabyte)),
    ];
    for (content_type, body) in rows {
        let call = desk.post(REFRESH).bearer(&token).header("Content-Type", content_type);
        let call = match body {
            Some(body) => call.body(body),
            None => call,
        };
        let answer = desk.send(&call);
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.text());
        assert_eq!(answer.json()["scopes"], json!(["messages:list"]), "{content_type}");
        token = answer.field("refresh_token");
    }
    desk.unharmed();
}
