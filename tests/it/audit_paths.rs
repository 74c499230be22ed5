//! `portcullis audit-paths` before routers of all kinds.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use crate::support::{Ended, Run, Seen, Upstream};

const LOOSE: &str = r#"
[routes]
preset = "none"
unmatched = "authenticated"

[[route]]
path = "/admin/users"
role = "admin"

[[route]]
path = "/admin/users/{id}"
role = "admin"
"#;

/// What the most lenient of routers makes of a target: it decodes first, then cuts, merges and folds.
fn leniently(target: &str) -> String {
    let raw = target.split('?').next().unwrap();
    let mut decoded = Vec::new();
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let digits = bytes.clone().take(2).collect::<Vec<_>>();
        match str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                bytes.nth(1);
            }
            _ => decoded.push(byte),
        }
    }
    let text = String::from_utf8_lossy(&decoded).replace('\\', "/").to_lowercase();
    let mut segments = Vec::new();
    for segment in text.split(['?', '#']).next().unwrap().split('/') {
        let segment = segment.split([';', '\0']).next().unwrap().trim();
        match segment.trim_end_matches(".json") {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment.to_owned()),
        }
    }
    format!("/{}", segments.join("/"))
}

fn exactly(target: &str) -> String {
    target.split('?').next().unwrap().into()
}

/// Without credentials: 401 for what `is_route` knows, else 404.
fn upstream(read: fn(&str) -> String, is_route: fn(&str) -> bool) -> Upstream {
    Upstream::answering(move |seen: &Seen| {
        let status = if is_route(&read(&seen.target)) { "401 Unauthorized" } else { "404 Not Found" };
        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes()
    })
}

fn admin(path: &str) -> bool {
    path.strip_prefix("/admin/users").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn api(path: &str) -> bool {
    const NAMES: [&str; 9] =
        ["message", "messages", "inbox", "device", "devices", "webhooks", "settings", "logs", "health"];
    let own = |rest: &str| NAMES.contains(&rest.split('/').next().unwrap_or_default());
    path.strip_prefix("/3rdparty/v1/").is_some_and(own) || path.starts_with("/mobile/v1/") || path == "/health"
}

fn run(folder: &Path, upstream: &Upstream, more: &[&str]) -> Ended {
    let url = format!("http://{}", upstream.address);
    Run::new(folder, &[&["audit-paths", "--upstream", &url], more].concat()).end()
}

#[test]
fn the_preset_holds_before_the_most_lenient_router() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = upstream(leniently, api);
    let ended = run(folder.path(), &upstream, &[]).expect(0);
    assert!(ended.stdout.contains("\nno disagreement: "), "{ended:#?}");
    assert!(ended.stderr.contains("at most 2000 times"), "{ended:#?}");
    let seen = upstream.seen();
    assert!(seen.len() <= 2000);
    for request in seen {
        assert!(["GET", "HEAD", "OPTIONS"].contains(&&*request.method), "{request:?}");
        assert!(request.header("user-agent").unwrap().starts_with("portcullis-audit-paths/"), "{request:?}");
        assert!(request.header("authorization").is_none() && request.body.is_empty(), "{request:?}");
    }
}

#[test]
fn looser_rules_are_told_with_the_variant_that_profits() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), LOOSE).unwrap();
    let ended = run(folder.path(), &upstream(leniently, admin), &["--json"]).expect(1);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(found["verdict"], "disagree");
    let all = found["disagreements"].as_array().unwrap();
    let suffix = all.iter().find(|it| it["variant"] == "/admin/users.json").unwrap();
    assert_eq!(suffix["path"], "/admin/users");
    assert_eq!((&suffix["demand_of_path"], &suffix["demand_of_variant"]), (&"role admin".into(), &"any token".into()));
    assert!(all.iter().any(|it| it["variant"] == "/admin/users%3Fx=1"), "{found:#}");
    // What the gate refuses is no disagreement, but told.
    let kind = |name: &str| found["kinds"].as_array().unwrap().iter().find(|it| it["kind"] == name).unwrap().clone();
    for name in ["encoded slash", "dot segment", "backslash"] {
        assert!(kind(name)["refused"].as_u64() > Some(0) && kind(name)["looser"] == 0, "{found:#}");
    }
    let text = run(folder.path(), &upstream(leniently, admin), &[]).expect(1).stdout;
    assert!(text.contains("disagreement (suffix): /admin/users.json is /admin/users to the upstream"), "{text}");
}

#[test]
fn a_strict_router_agrees_with_loose_rules() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), LOOSE).unwrap();
    run(folder.path(), &upstream(exactly, |path| path == "/admin/users" || path == "/admin/users/sample"), &[])
        .expect(0);
}

#[test]
fn what_cannot_be_compared_is_no_agreement() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &upstream(exactly, |_| true), &[]).expect(3);
    assert!(ended.stdout.contains("cannot be told from paths"), "{ended:#?}");
    fs::write(folder.path().join("config.toml"), LOOSE).unwrap();
    let upstream = upstream(exactly, admin);
    run(folder.path(), &upstream, &["--max-requests", "7"]).expect(3);
    assert_eq!(upstream.seen().len(), 7);
}

#[test]
fn headers_of_a_file_go_along_and_mistakes_in_it_are_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), LOOSE).unwrap();
    let (upstream, file) = (upstream(exactly, |path| path == "/admin/users"), folder.path().join("headers"));
    fs::write(&file, "Authorization: Basic YTpi\n\nX-Tenant: 7\n").unwrap();
    run(folder.path(), &upstream, &["--header-file", "headers"]).expect(0);
    assert!(upstream.seen().iter().all(|seen| seen.header("authorization") == Some("Basic YTpi")));
    fs::write(&file, "Authorization\x01: hush\n").unwrap();
    let ended = run(folder.path(), &upstream, &["--header-file", "headers"]).expect(1);
    assert!(ended.stderr.contains("line 1") && !ended.stderr.contains("hush"), "{ended:#?}");
}

#[test]
fn no_upstream_and_a_wrong_configuration_have_codes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = Run::new(folder.path(), &["audit-paths", "--upstream", &format!("http://{free}")]).end().expect(69);
    assert!(ended.stderr.contains("no connection"), "{ended:#?}");
    Run::new(folder.path(), &["audit-paths", "--upstream", "nonsense"]).end().expect(78);
}
