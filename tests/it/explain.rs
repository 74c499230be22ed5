//! `portcullis explain`: what the gate would make of a request, told without one, or by the gate that runs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Ended, Gate, Run, Start, Upstream, forge};

fn start() -> Start {
    let start = Start::before(Upstream::start().address);
    let socket = start.path().join("admin.sock");
    start
        .with_known_secret()
        .config_file(&format!("token.secret = {:?}\n[admin]\nsocket = {socket:?}\n", crate::support::SECRET))
}

fn run(folder: &Path, arguments: &[&str], token: &str) -> Ended {
    let arguments = [&["explain"], arguments].concat();
    Run::new(folder, &arguments).input(token).end()
}

/// The same token with another claim.
fn with(token: &str, claim: &str, value: impl Into<Value>) -> String {
    let (header, claims) = forge::parts(token);
    forge::forge(header.to_string(), forge::with(&claims, claim, value).to_string())
}

fn expired(token: &str) -> String {
    with(token, "exp", 1_700_000_000)
}

/// What it tells as JSON, once without and once by the running gate: both have to agree.
#[track_caller]
fn explained(gate: &Gate, arguments: &[&str], token: &str) -> Value {
    let mut arguments = [arguments, &["--json"]].concat();
    if !token.is_empty() {
        arguments.extend(["--token-file", "-"]);
    }
    let offline = run(&gate.folder(), &arguments, token);
    arguments.push("--live");
    let live = run(&gate.folder(), &arguments, token);
    let read = |ended: &Ended| serde_json::from_str::<Value>(&ended.stdout).unwrap_or_else(|_| panic!("{ended:#?}"));
    let (offline, live) = (read(&offline), read(&live));
    assert_eq!(offline["verdict"], live["verdict"]);
    assert_eq!(offline["request"], live["request"]);
    offline
}

/// Asks the gate the same, and holds answer, log and explanation to one reason.
#[track_caller]
fn agrees(gate: &Gate, method: &str, path: &str, token: &str, reason: &str) {
    let told = explained(gate, &["--method", method, "--path", path], token);
    let call = gate.call(method, path);
    let answer = if token.is_empty() { call } else { call.bearer(token) }.send();
    let id = answer.header("x-request-id").unwrap().to_owned();
    let line: Value = serde_json::from_str(&gate.wait_for_log(&id)).unwrap();
    assert_eq!(line["reason"], reason, "the log");
    assert_eq!(told["verdict"]["reason"], reason, "the explanation: {told:#}");
    if reason != "ok" {
        assert_eq!(answer.json()["reason"], reason, "the answer: {}", answer.text());
        for field in ["error", "message"] {
            assert_eq!(answer.json()[field], told["verdict"][field]);
        }
        assert_eq!(told["verdict"]["status"], answer.status);
    }
}

#[test]
fn answer_log_and_explanation_have_one_reason() {
    let gate = start().start();
    let pair = gate.alice(&["messages:list", "messages:read"]);
    let (access, refresh) = (pair.field("access_token"), pair.field("refresh_token"));
    let messages = "/3rdparty/v1/messages";
    agrees(&gate, "GET", messages, &access, "ok");
    agrees(&gate, "GET", "/health", "", "ok");
    agrees(&gate, "GET", messages, "", "credentials_missing");
    agrees(&gate, "POST", messages, &access, "scope_missing");
    agrees(&gate, "GET", "/nowhere", &access, "no_rule");
    agrees(&gate, "GET", "/a%2fb", &access, "path_ambiguous");
    agrees(&gate, "GET", "/api/3rdparty/v1/auth/token", &access, "no_endpoint");
    agrees(&gate, "GET", messages, &refresh, "refresh_token_presented");
    agrees(&gate, "GET", messages, "nonsense", "token_malformed");
    agrees(&gate, "GET", messages, &(access.clone() + "x"), "token_signature");
    agrees(&gate, "GET", messages, &expired(&access), "token_expired");
    agrees(&gate, "GET", messages, &with(&access, "iss", "somebody"), "token_issuer");
    Run::new(&gate.folder(), &["revoke", "--user", "alice"]).end().expect(0);
    agrees(&gate, "GET", messages, &access, "session_ended");
}

#[test]
fn nobody_is_told_why_a_refresh_failed() {
    let gate = start().start();
    let pair = gate.alice(&["messages:list"]);
    gate.refresh(&pair.field("refresh_token")).expect(200);
    for token in [pair.field("refresh_token"), "nonsense".into()] {
        let refused = gate.refresh(&token).expect_refusal(401);
        assert_eq!(refused.json().get("reason"), None, "{}", refused.text());
    }
}

#[test]
fn rule_demand_times_key_and_session_are_told() {
    let gate = start().start();
    let pair = gate.alice(&["messages:list"]);
    let access = pair.field("access_token");
    let told = explained(&gate, &["--path", "/3rdparty/V1/messages?a=1"], &access);
    assert_eq!(told["request"]["rule"], "GET /3rdparty/v1/messages");
    assert_eq!(told["request"]["demands"], "scope messages:list");
    assert_eq!(told["request"]["path"], "/3rdparty/V1/messages");
    let token = &told["token"];
    assert_eq!(
        (&token["issuer_is"], &token["algorithm"], &token["subject"]),
        (&json!("ours"), &json!("HS256"), &json!("alice"))
    );
    assert_eq!(token["key"], json!({"known": true, "state": "current", "algorithm": "HS256"}));
    assert_eq!((&token["session"]["is"], &token["session"]["token_is"]), (&json!("lives"), &json!("good")));
    let times: Vec<_> = token["times"].as_array().unwrap().iter().map(|time| time["claim"].as_str().unwrap()).collect();
    assert_eq!(times, ["iat", "nbf", "exp"]);
    let expired = explained(&gate, &["--path", "/3rdparty/v1/messages"], &expired(&access));
    assert!(expired["token"]["times"][2]["seconds"].as_i64().unwrap() < 0);
}

#[test]
fn a_token_alone_is_judged_too_and_never_printed() {
    let mut gate = start().start();
    let access = gate.alice(&["messages:list"]).field("access_token");
    fs::write(gate.folder().join("token"), format!("{access}\n")).unwrap();
    for arguments in [&[][..], &["--token-file", "token"], &["--json"], &["--live"]] {
        let told = run(&gate.folder(), arguments, &access).expect(0);
        assert!(!told.stdout.contains(&access[..40]) && !told.stdout.contains(&access[access.len() - 20..]));
    }
    let text = run(&gate.folder(), &[], &access).expect(0).stdout;
    for part in
        ["passes: these credentials are good: a token of alice", "current for HS256", "lives; generation 0 of 0: good"]
    {
        assert!(text.contains(part), "no {part}: {text}");
    }
    let refused = run(&gate.folder(), &[], &expired(&access)).expect(3).stdout;
    assert!(refused.starts_with("refused with 401 token_expired"), "{refused}");
    // Also without a gate, and nothing is changed by that.
    gate.stop();
    run(&gate.folder(), &[], &access).expect(0);
    run(&gate.folder(), &["--live"], &access).expect(1);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--path", "/"], "").expect(78);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_running_gate_tries_no_passwords() {
    let gate = start().start();
    let basic = "Authorization: Basic YWxpY2U6d29uZGVybGFuZA==";
    let arguments = ["--path", "/3rdparty/v1/messages", "--header", basic];
    let offline = run(&gate.folder(), &arguments, "").expect(0).stdout;
    assert!(offline.contains("the password of alice"), "{offline}");
    let live = run(&gate.folder(), &[&arguments[..], &["--live"]].concat(), "").expect(1);
    assert!(live.stderr.contains("passwords are not tried out"), "{}", live.stderr);
}
