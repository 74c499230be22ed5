//! What an operator may do and nobody else: look at sessions and end them, drain, change what is logged.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{ask, start};
use crate::support::{Answer, Call, Connection, Gate, Run, Start, Upstream, list, refresh, until};

const TOKEN: &str = "f00dfacef00dfacef00dfacef00dface";

fn with_token() -> Start {
    let start = start();
    let file = start.path().join("admin-token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    start.set("admin.token_file", file.to_str().unwrap())
}

fn with_socket() -> Start {
    let start = Start::before(Upstream::start().address);
    let socket = start.path().join("admin.sock");
    start.set("admin.socket", socket.to_str().unwrap())
}

fn socket(gate: &Gate) -> PathBuf {
    gate.folder().join("admin.sock")
}

#[track_caller]
fn call(gate: &Gate, method: &str, target: &str) -> Call {
    let line: Value = serde_json::from_str(&gate.wait_for_log("the operator's endpoints are there")).unwrap();
    Call::new(line["address"].as_str().unwrap().parse().unwrap(), method, target)
}

#[track_caller]
fn tell(gate: &Gate, method: &str, target: &str, body: &Value) -> Answer {
    call(gate, method, target).bearer(TOKEN).json(body).send()
}

/// Status and body of what a socket answers.
#[track_caller]
fn over(socket: &Path, method: &str, target: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).unwrap();
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

const GUARDED: [(&str, &str); 8] = [
    ("GET", "/sessions"),
    ("POST", "/revoke"),
    ("GET", "/log-level"),
    ("PUT", "/log-level"),
    ("POST", "/drain"),
    ("DELETE", "/drain"),
    ("POST", "/reload"),
    ("POST", "/explain"),
];

#[test]
fn without_a_token_or_a_socket_nobody_operates() {
    let gate = start().start();
    let pair = gate.alice(&["messages:list"]);
    for (method, target) in GUARDED {
        for call in [call(&gate, method, target), call(&gate, method, target).bearer(TOKEN)] {
            let refused = call.json(&json!({"all": true})).send().expect(403);
            assert_eq!(refused.field("error"), "no_operator", "{method} {target}");
        }
    }
    list(&gate, &pair).expect(200);
}

#[test]
fn with_a_token_only_who_shows_it_operates() {
    let gate = with_token().start();
    let pair = gate.alice(&["messages:list"]);
    for (method, target) in GUARDED {
        let body = json!({"all": true, "level": "off"});
        let missing = call(&gate, method, target).json(&body).send().expect(401);
        assert_eq!(missing.header("www-authenticate"), Some("Bearer realm=\"portcullis admin\""));
        assert_eq!(missing.field("error"), "token_missing");
        for wrong in ["x", &TOKEN[1..], &TOKEN.to_uppercase()] {
            let refused = call(&gate, method, target).bearer(wrong).json(&body).send().expect(401);
            assert_eq!(refused.field("error"), "token_wrong");
        }
        let twice = call(&gate, method, target).bearer(TOKEN).bearer(TOKEN).json(&body).send();
        assert_eq!(twice.expect(401).field("error"), "token_missing");
    }
    list(&gate, &pair).expect(200);
    tell(&gate, "POST", "/revoke", &json!({"all": true})).expect(200);
    list(&gate, &pair).expect_refusal(401);
    assert!(!gate.whole_log().concat().contains(TOKEN));
}

#[test]
fn each_endpoint_says_how_it_is_to_be_asked() {
    let gate = with_token().start();
    for (target, allow) in [
        ("/sessions", "GET"),
        ("/revoke", "POST"),
        ("/log-level", "GET, PUT"),
        ("/drain", "POST, DELETE"),
        ("/reload", "POST"),
        ("/explain", "POST"),
        ("/status", "GET, HEAD"),
    ] {
        let refused = call(&gate, "PATCH", target).bearer(TOKEN).send().expect(405);
        assert_eq!(refused.header("allow"), Some(allow), "{target}");
    }
}

#[test]
fn a_token_that_could_be_guessed_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for (token, text) in [("short", "at least 32 characters"), (&*"two words".repeat(9), "visible ASCII")] {
        fs::write(folder.path().join("token"), token).unwrap();
        let ended = Run::new(folder.path(), &["check", "--set=admin.token_file=token"]).end().expect(78);
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
        assert!(!ended.stderr.contains(token));
    }
}

#[test]
fn the_socket_is_for_its_own_user_alone_and_gone_at_the_end() {
    let mut gate = with_socket().start();
    let path = socket(&gate);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(over(&path, "GET", "/sessions", "").0, 200);
    assert_eq!(over(&path, "GET", "/readyz", "").0, 200);
    gate.stop();
    assert!(!path.exists());
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_a_file_is_not() {
    let start = with_socket();
    let path = start.path().join("admin.sock");
    drop(UnixListener::bind(&path).unwrap());
    let mut gate = start.start();
    assert_eq!(over(&path, "GET", "/sessions", "").0, 200);
    gate.kill();
    assert!(path.exists());
    let mut gate = gate.start_again();
    assert_eq!(over(&path, "GET", "/sessions", "").0, 200);
    gate.stop();

    fs::write(&path, "precious").unwrap();
    let argument = format!("--set=admin.socket={}", path.display());
    let ended = Run::new(path.parent().unwrap(), &["serve", &argument]).end().expect(1);
    assert!(ended.stderr.contains("is no socket, and is left alone"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_users_sessions_end_and_nobody_elses() {
    let gate = with_token().start();
    let (one, two) = (gate.alice(&["messages:list"]), gate.alice(&["messages:list"]));
    let bob = gate.sign_in("bob", "builder", &["messages:read"]);
    let ended = tell(&gate, "POST", "/revoke", &json!({"user": "alice"})).expect(200);
    assert_eq!(ended.json(), json!({"ended": 2}));
    for pair in [&one, &two] {
        list(&gate, pair).expect_refusal(401);
        refresh(&gate, pair).expect_refusal(401);
    }
    refresh(&gate, &bob).expect(200);
    assert_eq!(tell(&gate, "POST", "/revoke", &json!({"user": "alice"})).expect(200).json(), json!({"ended": 0}));
    let line: Value = serde_json::from_str(&gate.wait_for_log("\"event\":\"operator\"")).unwrap();
    assert_eq!(
        (&line["action"], &line["what"], &line["by_way_of"]),
        (&json!("revoke"), &json!("alice"), &json!("token"))
    );
    assert_eq!(line["target"], "portcullis::audit");
    let line: Value = serde_json::from_str(&gate.wait_for_log("\"event\":\"revoke\"")).unwrap();
    assert_eq!((&line["subject"], &line["by"]), (&json!("alice"), &json!(":operator")));
}

#[test]
fn one_session_ends_and_the_users_others_stay() {
    let gate = with_token().start();
    let (one, two) = (gate.alice(&["messages:list"]), gate.alice(&["messages:list"]));
    let id = one.claims("access_token")["sid"].as_str().unwrap().to_owned();
    let end = || tell(&gate, "POST", "/revoke", &json!({"session": id}));
    assert_eq!(end().expect(200).json(), json!({"ended": 1}));
    list(&gate, &one).expect_refusal(401);
    list(&gate, &two).expect(200);
    assert_eq!(end().expect(200).json(), json!({"ended": 0}));
}

#[test]
fn everybodys_sessions_end_and_the_end_outlives_a_crash() {
    let mut gate = with_token().start();
    let pairs: Vec<_> = (0..5).map(|_| gate.alice(&["messages:list"])).collect();
    let bob = gate.sign_in("bob", "builder", &["messages:read"]);
    assert_eq!(tell(&gate, "POST", "/revoke", &json!({"all": true})).expect(200).json(), json!({"ended": 6}));
    gate.kill();
    let gate = gate.start_again();
    for pair in pairs.iter().chain([&bob]) {
        refresh(&gate, pair).expect_refusal(401);
    }
}

#[test]
fn what_is_no_order_changes_nothing() {
    let gate = with_token().start();
    let pair = gate.alice(&["messages:list"]);
    let large = "x".repeat(70_000);
    for body in [
        "",
        "{}",
        "null",
        "[]",
        r#"{"all":false}"#,
        r#"{"all":true,"user":"bob"}"#,
        r#"{"users":"alice"}"#,
        "{",
        r#"{"session":"x"}"#,
        r#"{"session":7}"#,
    ] {
        call(&gate, "POST", "/revoke").bearer(TOKEN).body(body).send().expect(400);
    }
    for body in ["", "{}", r#"{"level":7}"#, r#"{"level":"portcullis=loud"}"#] {
        call(&gate, "PUT", "/log-level").bearer(TOKEN).body(body).send().expect(400);
    }
    call(&gate, "POST", "/revoke").bearer(TOKEN).body(large).send().expect(413);
    for query in
        ["limit=0", "limit=1001", "limit=x", "after=x", "session=x", "users=alice", "after=9999.AAAAAAAAAAAAAAAA"]
    {
        call(&gate, "GET", &format!("/sessions?{query}")).bearer(TOKEN).send().expect(400);
    }
    list(&gate, &pair).expect(200);
}

#[test]
fn a_body_that_never_comes_holds_up_nobody() {
    let gate = with_token().start();
    let line: Value = serde_json::from_str(&gate.wait_for_log("the operator's endpoints are there")).unwrap();
    let mut stalled = Connection::open(line["address"].as_str().unwrap().parse().unwrap());
    let head =
        format!("POST /revoke HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 9\r\n\r\n");
    stalled.write(head.as_bytes());
    ask(&gate, "GET", "/livez").expect(200);
    assert_eq!(stalled.read().unwrap().status, 408);
}

/// All pages of a listing, each no longer than `limit`.
#[track_caller]
fn pages(gate: &Gate, query: &str, limit: usize) -> Vec<Value> {
    let (mut sessions, mut after) = (Vec::new(), String::new());
    loop {
        let page = call(gate, "GET", &format!("/sessions?limit={limit}{query}{after}"))
            .bearer(TOKEN)
            .send()
            .expect(200)
            .json();
        let listed = page["sessions"].as_array().unwrap();
        assert!(listed.len() <= limit);
        sessions.extend(listed.iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return sessions,
        }
    }
}

#[test]
fn sessions_are_listed_page_by_page_each_once() {
    let gate = with_token().start();
    let mut ids: Vec<_> = (0..7)
        .map(|_| gate.alice(&["messages:list"]).claims("access_token")["sid"].as_str().unwrap().to_owned())
        .collect();
    gate.sign_in("bob", "builder", &["messages:read"]);
    ids.sort();
    for limit in [1, 3, 7, 100] {
        let listed = |query| {
            let mut ids: Vec<_> =
                pages(&gate, query, limit).iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
            ids.sort();
            ids
        };
        assert_eq!(listed("&user=alice"), ids);
        assert_eq!(listed("").len(), 8);
        assert_eq!(listed("&user=nobody"), Vec::<String>::new());
    }
    let one = pages(&gate, &format!("&session={}", ids[0]), 1);
    assert_eq!((one.len(), &one[0]["user"], &one[0]["scopes"]), (1, &json!("alice"), &json!(["messages:list"])));
    assert_eq!(pages(&gate, "&session=AAAAAAAAAAAAAAAA", 1).len(), 0);
}

#[test]
fn a_replica_lists_and_says_where_sessions_are_ended() {
    let primary = Start::before(Upstream::start().address).start();
    let pair = primary.alice(&["messages:list"]);
    let replica = with_token()
        .set("data_dir", primary.folder().join("data").to_str().unwrap())
        .set("store.kind", "replica")
        .set("store.primary_url", &format!("http://{}", primary.address))
        .start();
    assert_eq!(pages(&replica, "", 10).len(), 1);
    for body in [json!({"all": true}), json!({"user": "alice"})] {
        let refused = tell(&replica, "POST", "/revoke", &body).expect(409);
        assert_eq!(refused.field("error"), "replica");
        assert!(refused.field("message").contains(&primary.address.to_string()), "{}", refused.text());
    }
    list(&primary, &pair).expect(200);
    tell(&replica, "POST", "/drain", &json!(null)).expect(200);
    assert_eq!(call(&replica, "GET", "/status").send().expect(200).field("role"), "replica");
}

#[test]
fn the_log_says_more_until_further_notice() {
    let gate = with_token().set("log.access", "off").start();
    let level = |body: Value| tell(&gate, "PUT", "/log-level", &body).expect(200).json();
    assert_eq!(level(json!({"level": "portcullis=debug,info"}))["until_further_notice"], true);
    tell(&gate, "PUT", "/log-level", &json!({"level": "off"})).expect(200);
    gate.alice(&["messages:list"]);
    gate.wait_for_log("\"event\":\"sign_in\"");
    gate.write_users("[[user]]\n");
    assert_eq!(level(json!({"level": null}))["until_further_notice"], false);
    gate.wait_for_log("\"action\":\"log_level\"");
    gate.write_users("nonsense");
    gate.wait_for_log("the users known so far stay in force");
    let shown = call(&gate, "GET", "/log-level").bearer(TOKEN).send().expect(200).json();
    assert_eq!(shown["level"], shown["configured"]);
}

#[test]
fn what_was_switched_off_is_not_logged_and_what_was_switched_on_is() {
    let gate = with_token().set("log.access", "all").start();
    let level = |level: Value| tell(&gate, "PUT", "/log-level", &json!({"level": level})).expect(200);
    level(json!("warn"));
    let silent = gate.get("/silent").send().header("x-request-id").unwrap().to_owned();
    level(json!("info"));
    let told = gate.get("/told").send().header("x-request-id").unwrap().to_owned();
    gate.wait_for_log(&told);
    assert!(!gate.log().concat().contains(&silent));
}

#[test]
fn a_gate_that_is_drained_serves_whoever_comes_and_is_not_ready() {
    let gate = with_token().start();
    let pair = gate.alice(&["messages:list"]);
    let drain = |method| tell(&gate, method, "/drain", &json!(null)).expect(200).json();
    assert_eq!(drain("POST"), json!({"drained": true, "changed": true, "ready": false}));
    assert_eq!(drain("POST")["changed"], false);
    let unready = ask(&gate, "GET", "/readyz").expect(503);
    assert!(unready.text().contains("taken out of rotation by the operator"), "{}", unready.text());
    ask(&gate, "GET", "/livez").expect(200);
    list(&gate, &pair).expect(200);
    assert_eq!(drain("DELETE"), json!({"drained": false, "changed": true, "ready": true}));
    ask(&gate, "GET", "/readyz").expect(200);
    gate.wait_for_log("\"action\":\"undrain\"");
}

#[test]
fn a_gate_that_waits_for_its_data_says_so() {
    let first = with_token().start();
    let second = first.launch_beside();
    second.wait_for_log("another portcullis uses this data directory");
    for (method, target) in [("GET", "/sessions"), ("POST", "/revoke"), ("POST", "/reload")] {
        let refused = tell(&second, method, target, &json!({"all": true})).expect(503);
        assert_eq!(refused.field("error"), "starting");
    }
    let status = call(&second, "GET", "/status").send().expect(200).json();
    assert_eq!((&status["ready"], status.get("store")), (&json!(false), None));
}

#[test]
fn who_asks_may_go_away() {
    let gate = with_token().start();
    let pair = gate.alice(&["messages:list"]);
    let line: Value = serde_json::from_str(&gate.wait_for_log("the operator's endpoints are there")).unwrap();
    let body = r#"{"all":true}"#;
    let mut gone = Connection::open(line["address"].as_str().unwrap().parse().unwrap());
    gone.write(
        format!(
            "POST /revoke HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    drop(gone);
    until("the session to end", || (list(&gate, &pair).status == 401).then_some(()));
}

#[test]
fn the_status_tells_all_of_it_and_no_secret() {
    let gate = with_token().with_known_secret().start();
    gate.alice(&["messages:list"]);
    let answer = call(&gate, "GET", "/status").send().expect(200);
    let status = answer.json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["ready"], &status["role"]), (&json!(true), &json!("primary")));
    assert_eq!(status["checks"][0], json!({"name": "serving", "state": "ok"}));
    assert_eq!((&status["store"]["sessions"], &status["store"]["journal"]), (&json!(1), &json!("healthy")));
    assert_eq!(status["keys"][0]["state"], "current");
    assert_eq!(status["upstream"]["reachable"], true);
    assert!(!answer.text().contains(crate::support::SECRET) && !answer.text().contains(TOKEN));
    assert_eq!(status["certificates"], json!([]));
}

#[test]
fn an_upstream_that_is_gone_is_told_in_time() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let gate = Start::before(address).set("admin.listen", "127.0.0.1:0").start();
    let status = call(&gate, "GET", "/status").send().expect(200).json();
    assert_eq!(status["upstream"]["reachable"], false);
    assert!(status["upstream"]["trouble"].is_string());
}
