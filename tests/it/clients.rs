//! Clients that others wrote, against the gate: the SMS API vendor's own packages, the documented samples word for
//! word, curl, axios and fetch; and OAuth clients.

mod oauth;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis::command::demo::SampleUpstream;

use crate::support::{Gate, Start};

const USER: &str = "daemon";
const PASSWORD: &str = "a-long-password-of-a-daemon";

/// Runs one client through a fresh gate before a sample SMS API.
#[track_caller]
fn run(program: &str, script: Option<&str>) {
    let upstream = SampleUpstream::start("127.0.0.1:0".parse().unwrap(), "/3rdparty/v1").unwrap();
    let scopes = [
        "messages:send",
        "messages:read",
        "messages:list",
        "devices:list",
        "webhooks:list",
        "webhooks:write",
        "webhooks:delete",
        "settings:read",
        "settings:write",
        "tokens:manage",
    ];
    let gate = Start::before(upstream.address()).user(USER, PASSWORD, &scopes).start();
    drive(&gate, &format!("http://{}/3rdparty/v1", gate.address), program, script, &[]);
}

/// Runs a client, which is told where the gate is and what else it has to know.
#[track_caller]
fn drive(gate: &Gate, url: &str, program: &str, script: Option<&str>, told: &[(&str, &str)]) {
    let mut command = Command::new(program);
    command.args(script.map(|script| root().join("tests/clients").join(script)));
    command.env("GATE_URL", url).env("GATE_USER", USER).env("GATE_PASSWORD", PASSWORD);
    let output = command.envs(told.iter().copied()).output().unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{wrong}\n{:#?}", output.status, gate.log());
    assert!(said.contains("ok"), "it verified nothing: {said}");
    no_secrets(gate);
}

/// Runs the vendor's Python client as a user of its own.
#[track_caller]
pub(crate) fn drive_python(gate: &Gate, program: &str, name: &str, password: &str) {
    let told = [("GATE_USER", name), ("GATE_PASSWORD", password)];
    drive(gate, &format!("http://{}/3rdparty/v1", gate.address), program, Some("python/vendor_sync.py"), &told);
}

#[track_caller]
fn no_secrets(gate: &Gate) {
    for line in gate.whole_log() {
        assert!(!line.contains(PASSWORD) && !line.contains("eyJhbGciOi"), "a secret in the log: {line}");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What `tests/clients/prepare.sh` has made of a part.
pub(crate) fn prepared(part: &str) -> String {
    let stamp = root().join(Path::new("target/clients").join(part)).with_extension("ok");
    fs::read_to_string(stamp).unwrap().trim().to_owned()
}

#[test]
#[cfg_attr(not(have_python_clients), ignore = "the Python clients are not prepared: make clients")]
fn the_vendors_python_client_signs_in_sends_refreshes_and_revokes() {
    run(&prepared("python"), Some("python/vendor_sync.py"));
}

#[test]
#[cfg_attr(not(have_python_clients), ignore = "the Python clients are not prepared: make clients")]
fn the_documented_token_manager_and_daemon_work_word_for_word() {
    run(&prepared("python"), Some("python/blog_samples.py"));
}

#[test]
#[cfg_attr(not(have_rust_clients), ignore = "the Rust client is not prepared: make clients")]
fn the_vendors_rust_client_signs_in_sends_refreshes_and_revokes() {
    run(&prepared("rust"), None);
}

#[test]
#[cfg_attr(not(have_node_clients), ignore = "the Node clients are not prepared: make clients")]
fn the_documented_axios_samples_work_word_for_word() {
    run("node", Some("node/axios_flow.js"));
}

#[test]
#[cfg_attr(not(have_node), ignore = "node is not on the PATH")]
fn fetch_with_a_json_content_type_and_no_body_refreshes() {
    run("node", Some("node/fetch_flow.js"));
}

#[test]
#[cfg_attr(not(all(have_curl, have_python3)), ignore = "curl or python3 is not on the PATH")]
fn the_documented_curl_lines_work() {
    run("sh", Some("curl/flow.sh"));
}
