//! The first start, with nothing there.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::{Start, Upstream, user};

const LIST: &str = "/3rdparty/v1/messages";

#[test]
fn in_an_empty_folder_it_starts_shut_and_says_what_to_do_next() {
    let upstream = Upstream::start();
    let gate = Start::alone().set("upstream.url", &format!("http://{}", upstream.address)).start();
    let body = json!({"scopes": ["messages:list"]});
    let token = gate.post("/3rdparty/v1/auth/token");
    token.send().expect_refusal(401);
    for (name, password) in [("admin", "admin"), ("admin", ""), ("user", "password"), ("portcullis", "portcullis")] {
        let issue = gate.post("/3rdparty/v1/auth/token").basic(name, password).json(&body);
        issue.send().expect_refusal(401);
    }
    gate.get(LIST).send().expect_refusal(401);
    gate.get(LIST).basic("admin", "admin").send().expect_refusal(401);
    gate.get("/").send().expect_refusal(403);
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
    let log = gate.log();
    let before_listening = log.iter().position(|line| line.contains("\"listening\"")).unwrap();
    assert!(before_listening <= 4, "{log:#?}");
    let advice = log.iter().find(|line| line.contains("hash-password")).unwrap();
    for part in ["WARN", "users.toml", "[[user]]", "without a restart"] {
        assert!(advice.contains(part), "{advice}");
    }
}

#[test]
fn the_advice_it_gives_leads_to_a_sign_in() {
    let upstream = Upstream::start();
    let gate = Start::alone().set("upstream.url", &format!("http://{}", upstream.address)).start();
    gate.write_users(&user("ada", "lovelace", &["messages:list"], ""));
    gate.wait_for_log("the users file has changed");
    let pair = gate.sign_in("ada", "lovelace", &["messages:list"]);
    gate.get(LIST).bearer(&pair.field("access_token")).send().expect(200);
}

#[test]
fn it_makes_its_keys_private_and_says_so() {
    let gate = Start::alone().start();
    let keys = gate.folder().join("data/keys");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&keys), 0o700);
    let files: Vec<_> = fs::read_dir(&keys).unwrap().map(|file| file.unwrap().path()).collect();
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    let line = gate.log().into_iter().find(|line| line.contains("made the HS256 signing key")).unwrap();
    let named = files.iter().find(|file| line.contains(file.file_name().unwrap().to_str().unwrap())).unwrap();
    // And it says nothing of what stands in it.
    let text = fs::read_to_string(named).unwrap();
    for secret in text.split('\'').filter(|word| word.len() > 20) {
        assert!(gate.whole_log().iter().all(|line| !line.contains(secret)));
    }
}

#[test]
fn the_second_start_makes_no_other_key() {
    let start = Start::before(Upstream::start().address).start();
    let pair = start.alice(&["messages:list"]);
    let kid = |gate: &crate::support::Gate| {
        let mut names: Vec<_> =
            fs::read_dir(gate.folder().join("data/keys")).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = kid(&start);
    let gate = start.restart();
    assert_eq!(kid(&gate), before);
    assert!(gate.log().iter().all(|line| !line.contains("signing key")));
    gate.get(LIST).bearer(&pair.field("access_token")).send().expect(200);
}

const WAITS: &str = "another portcullis uses this data directory";

#[test]
fn a_second_gate_on_the_same_data_waits_for_the_first_to_end_and_takes_over() {
    let gate = Start::before(Upstream::start().address).start();
    let pair = gate.alice(&["messages:list"]);
    let second = gate.launch_beside();
    second.wait_for_log(WAITS);
    let pair = gate.refresh(&pair.field("refresh_token")).expect(200);
    assert!(second.log().iter().all(|line| !line.contains("listening")), "two gates write to one directory");
    gate.signal("TERM");
    let second = second.listens();
    second.get(LIST).bearer(&pair.field("access_token")).send().expect(200);
    second.refresh(&pair.field("refresh_token")).expect(200);
}

#[test]
fn a_gate_that_waits_is_ended_by_a_signal_and_leaves_the_first_alone() {
    let gate = Start::before(Upstream::start().address).start();
    let mut second = gate.launch_beside();
    second.wait_for_log(WAITS);
    second.signal("TERM");
    second.wait();
    gate.get(LIST).bearer(&gate.alice(&["messages:list"]).field("access_token")).send().expect(200);
}
