//! What happens, in numbers.

use std::collections::BTreeSet;
use std::fs;

use crate::admin::ask;
use crate::support::{Connection, Gate, Run, Start, Upstream, until};

fn start() -> (Upstream, Gate) {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).set("admin.listen", "127.0.0.1:0").start();
    (upstream, gate)
}

fn numbers(gate: &Gate) -> String {
    let answer = ask(gate, "GET", "/metrics").expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text()
}

/// The value of a series; `None` if it is not there.
fn value(numbers: &str, series: &str) -> Option<f64> {
    numbers.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[track_caller]
fn expect(numbers: &str, series: &str, expected: f64) {
    assert_eq!(value(numbers, series), Some(expected), "{series} in\n{numbers}");
}

#[test]
fn requests_are_counted_by_rule_decision_and_reason() {
    let (_upstream, gate) = start();
    let token = gate.alice(&["messages:list"]).field("access_token");
    for _ in 0..3 {
        gate.get("/3rdparty/v1/messages").bearer(&token).send().expect(200);
    }
    gate.get("/3rdparty/v1/messages").send().expect_refusal(401);
    gate.get("/3rdparty/v1/devices").bearer(&token).send().expect_refusal(403);
    gate.get("/nowhere").send().expect_refusal(403);
    gate.get("/a/%2e%2e/b").send().expect_refusal(400);
    let numbers = numbers(&gate);
    let rule = r#"rule="GET /3rdparty/v1/messages""#;
    expect(&numbers, &format!(r#"portcullis_requests_total{{{rule},decision="forwarded",code="200"}}"#), 3.0);
    expect(&numbers, &format!(r#"portcullis_requests_total{{{rule},decision="refused",code="401"}}"#), 1.0);
    expect(&numbers, &format!(r#"portcullis_refusals_total{{{rule},reason="credentials_missing"}}"#), 1.0);
    expect(&numbers, &format!("portcullis_upstream_answer_seconds_count{{{rule}}}"), 3.0);
    expect(&numbers, r#"portcullis_refusals_total{rule="(unmatched)",reason="no_rule"}"#, 1.0);
    expect(&numbers, r#"portcullis_refusals_total{rule="",reason="path_ambiguous"}"#, 1.0);
    expect(&numbers, r#"portcullis_requests_total{rule="(gate)",decision="answered",code="201"}"#, 1.0);
    // Workers know tokens of their own: how often this one had to be verified depends on who was asked.
    let known = value(&numbers, r#"portcullis_token_cache_total{result="hit"}"#).unwrap();
    let verified = value(&numbers, r#"portcullis_token_cache_total{result="miss"}"#).unwrap();
    assert!(known + verified == 4.0 && verified >= 1.0, "{known} {verified}");
    expect(&numbers, r#"sms_auth_jwt_tokens_validated_total{status="success"}"#, 4.0);
}

#[test]
fn sessions_are_counted_by_what_becomes_of_them() {
    let (_upstream, gate) = start();
    let first = gate.alice(&["messages:list"]);
    let second = gate.refresh(&first.field("refresh_token")).expect(200);
    gate.refresh(&first.field("refresh_token")).expect_refusal(401);
    gate.get("/3rdparty/v1/messages").bearer(&second.field("access_token")).send().expect_refusal(401);
    gate.alice(&["messages:list"]);
    let numbers = numbers(&gate);
    for (event, count) in [("sign_in", 2.0), ("refresh", 1.0), ("reuse", 1.0), ("retry", 0.0)] {
        expect(&numbers, &format!(r#"portcullis_session_events_total{{event="{event}"}}"#), count);
    }
    expect(&numbers, "portcullis_sessions", 1.0);
    expect(&numbers, "portcullis_ended_sessions", 1.0);
    expect(&numbers, "portcullis_ready", 1.0);
    expect(&numbers, "portcullis_journal_healthy", 1.0);
    expect(&numbers, r#"sms_auth_jwt_tokens_issued_total{status="success"}"#, 3.0);
    expect(&numbers, r#"sms_auth_jwt_tokens_issued_total{status="error"}"#, 1.0);
    assert!(value(&numbers, "portcullis_journal_sync_seconds_count").unwrap() >= 1.0);
}

#[test]
fn clients_cannot_make_series() {
    let (_upstream, gate) = start();
    gate.get("/nowhere/0").send().expect_refusal(403);
    let before = numbers(&gate).lines().count();
    for number in 0..50 {
        gate.call(&format!("M{number}"), &format!("/nowhere/{number}?{number}"))
            .header("host", &format!("h{number}.example"))
            .header("user-agent", &format!("a{number}"))
            .send();
    }
    // At most a refusal for the methods, with its status.
    let after = numbers(&gate).lines().count();
    assert!(after <= before + 2, "{before} lines became {after}");
}

#[test]
fn nothing_that_can_be_presented_is_among_the_numbers() {
    let (_upstream, gate) = start();
    let pair = gate.alice(&["messages:list"]);
    gate.get(&format!("/3rdparty/v1/messages/{}", pair.field("access_token"))).send();
    let numbers = numbers(&gate);
    for secret in ["eyJ", "alice", &pair.field("refresh_token")] {
        assert!(!numbers.contains(secret), "{secret}");
    }
}

#[test]
fn every_name_is_documented_and_every_documented_name_is_there() {
    let (_upstream, gate) = start();
    gate.get("/3rdparty/v1/messages").bearer(&gate.alice(&["messages:list"]).field("access_token")).send().expect(200);
    let numbers = numbers(&gate);
    let told: BTreeSet<_> =
        numbers.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let documented: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    // On replicas, on Redis, once there is a snapshot, and under TLS.
    let only_elsewhere = [
        "portcullis_replica_stale_seconds",
        "portcullis_snapshot_age_seconds",
        "portcullis_certificate_expiry_seconds",
    ];
    let undocumented: Vec<_> = told.difference(&documented).collect();
    let absent: Vec<_> = documented
        .difference(&told)
        .filter(|name| !only_elsewhere.contains(*name) && !name.starts_with("portcullis_redis_"))
        .collect();
    assert!(undocumented.is_empty() && absent.is_empty(), "undocumented: {undocumented:?}, absent: {absent:?}");
}

#[test]
#[cfg_attr(not(have_promtool), ignore = "promtool is not on the PATH")]
fn promtool_finds_nothing_to_say() {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let (_upstream, gate) = start();
    gate.get("/3rdparty/v1/messages").bearer(&gate.alice(&["messages:list"]).field("access_token")).send().expect(200);
    gate.get("/nowhere").send().expect_refusal(403);
    let mut promtool = Command::new("promtool");
    let promtool =
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(numbers(&gate).as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
}

#[test]
fn connections_and_handshakes_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    Run::new(folder.path(), &["dev-cert", "--out", "."]).end().expect(0);
    let upstream = Upstream::start();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let gate = Start::before(upstream.address)
        .set("admin.listen", "127.0.0.1:0")
        .set("tls.certificate", &at("tls.crt"))
        .set("tls.key", &at("tls.key"))
        .start();
    // It begins like a handshake, and is none.
    Connection::open(gate.address).write(&[22, 3, 1, 0, 1, 0]);
    let begun = || value(&numbers(&gate), r#"portcullis_tls_handshakes_total{stage="begun"}"#);
    until("the handshake to be counted", || (begun() == Some(1.0)).then_some(()));
    until("its connection to end", || (value(&numbers(&gate), "portcullis_connections") == Some(0.0)).then_some(()));
    let numbers = numbers(&gate);
    expect(&numbers, r#"portcullis_tls_handshakes_total{stage="done"}"#, 0.0);
    expect(&numbers, r#"portcullis_connections_accepted_total{result="served"}"#, 1.0);
    let expiry = value(&numbers, "portcullis_certificate_expiry_seconds").unwrap();
    let now = portcullis::clock::wall().as_secs() as f64;
    assert!(expiry > now + 86_400.0 && expiry < now + 91.0 * 86_400.0, "{expiry}");
}
