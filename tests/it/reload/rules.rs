//! What takes effect.

use std::fs;
use std::os::unix::fs::symlink;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::traffic::token;
use super::{IN_FORCE, LIST, count, gate, lively_upstream, number, reload, start, write};
use crate::support::{Connection, Upstream, ok, until, user};

#[track_caller]
fn route(path: &str, access: &str) -> String {
    format!("[[route]]\npath = {path:?}\naccess = {access:?}\n")
}

#[test]
fn a_route_counts_for_the_next_request_of_a_connection() {
    let gate = gate(Upstream::start().address, "");
    let mut kept = Connection::open(gate.address);
    let call = gate.get("/page");
    kept.ask(&call).expect_refusal(403);
    reload(&gate, &route("/page", "public"));
    kept.ask(&call).expect(200);
    reload(&gate, &route("/page", "authenticated"));
    kept.ask(&call).expect_refusal(401);
    reload(&gate, "");
    kept.ask(&call).expect_refusal(403);
}

#[test]
fn a_file_that_changes_is_noticed() {
    let gate = gate(Upstream::start().address, "");
    write(&gate, &route("/page", "public"));
    gate.wait_for_log(IN_FORCE);
    gate.get("/page").send().expect(200);
}

#[test]
fn a_file_that_comes_later_is_noticed() {
    let gate = start(Upstream::start().address).start();
    write(&gate, &route("/page", "public"));
    gate.wait_for_log(IN_FORCE);
    gate.get("/page").send().expect(200);
}

#[test]
fn a_swapped_folder_is_noticed() {
    // As Kubernetes mounts a ConfigMap: the file is a link into a folder whose own link is swapped.
    let start = start(Upstream::start().address);
    let folder = start.path().to_owned();
    for (name, text) in [("..1", String::new()), ("..2", route("/page", "public"))] {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("config.toml"), text).unwrap();
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/config.toml", folder.join("config.toml")).unwrap();
    let gate = start.start();
    gate.get("/page").send().expect_refusal(403);
    symlink("..2", folder.join("..next")).unwrap();
    fs::rename(folder.join("..next"), folder.join("..data")).unwrap();
    gate.wait_for_log(IN_FORCE);
    gate.get("/page").send().expect(200);
}

#[test]
fn the_command_line_and_variables_go_on_counting() {
    let start = start(Upstream::start().address).env("PORTCULLIS_ROUTES__REALM", "of the variable");
    let gate = start.set("limits.max_uri_bytes", "256").config_file("").start();
    reload(
        &gate,
        &format!("[routes]\nrealm = \"of the file\"\n\n[limits]\nmax_uri_bytes = 1024\n\n{}", route("/*", "public")),
    );
    gate.get(&format!("/{}", "x".repeat(300))).send().expect_refusal(414);
    let refused = gate.get(LIST).send().expect_refusal(401);
    assert!(refused.header("www-authenticate").unwrap().contains("of the variable"), "{:?}", refused.headers);
}

#[test]
fn limits_shrink_and_grow() {
    let gate = gate(Upstream::start().address, &route("/*", "public"));
    let long = gate.get(&format!("/{}", "x".repeat(1000)));
    let limit = |bytes: usize| format!("[limits]\nmax_uri_bytes = {bytes}\n\n{}", route("/*", "public"));
    let mut kept = Connection::open(gate.address);
    kept.ask(&long).expect(200);
    reload(&gate, &limit(500));
    kept.ask(&long).expect_refusal(414);
    reload(&gate, &limit(5000));
    kept.ask(&long).expect(200);
}

#[test]
fn fewer_requests_for_each_connection_end_one_that_has_had_more() {
    let gate = gate(Upstream::start().address, &route("/*", "public"));
    let (mut kept, call) = (Connection::open(gate.address), gate.get("/"));
    for _ in 0..5 {
        assert_eq!(kept.ask(&call).expect(200).header("connection"), None);
    }
    reload(&gate, &format!("[limits]\nmax_requests_per_connection = 3\n\n{}", route("/*", "public")));
    assert_eq!(kept.ask(&call).expect(200).header("connection"), Some("close"));
    assert!(kept.read().is_none());
}

#[test]
fn fewer_connections_for_each_address_count_those_to_come() {
    let gate = gate(Upstream::start().address, &route("/*", "public"));
    let limit = |most: usize| format!("[limits]\nmax_connections_per_address = {most}\n\n{}", route("/*", "public"));
    reload(&gate, &limit(2));
    let mut open: Vec<_> = (0..2).map(|_| Connection::open(gate.address)).collect();
    open.iter_mut().for_each(|kept| drop(kept.ask(&gate.get("/")).expect(200)));
    gate.get("/").send().expect(503);
    reload(&gate, &limit(3));
    gate.get("/").send().expect(200);
    open.iter_mut().for_each(|kept| drop(kept.ask(&gate.get("/")).expect(200)));
}

#[test]
fn another_upstream_gets_the_next_request_and_the_former_one_answers_what_it_has() {
    let (first, second) = (Upstream::answering(|_| ok(b"first")), Upstream::answering(|_| ok(b"second")));
    let text =
        |upstream: &Upstream| format!("[upstream]\nurl = \"http://{}\"\n\n{}", upstream.address, route("/*", "public"));
    // Not by the command line, which would go on counting.
    let start = crate::support::Start::alone().set("admin.listen", "").config_file(&text(&first));
    let gate = start.start();
    let mut kept = Connection::open(gate.address);
    assert_eq!(kept.ask(&gate.get("/")).expect(200).text(), "first");
    reload(&gate, &text(&second));
    assert_eq!(kept.ask(&gate.get("/")).expect(200).text(), "second");
    reload(&gate, &text(&first));
    assert_eq!(kept.ask(&gate.get("/")).expect(200).text(), "first");
}

#[test]
fn connections_to_an_upstream_that_stays_are_kept() {
    let upstream = Upstream::start();
    let gate = gate(upstream.address, &route("/*", "public"));
    let mut kept = Connection::open(gate.address);
    for path in ["/a", "/b", "/c"] {
        kept.ask(&gate.get("/")).expect(200);
        reload(&gate, &format!("{}{}", route(path, "authenticated"), route("/*", "public")));
    }
    kept.ask(&gate.get("/")).expect(200);
    let peers: std::collections::HashSet<_> = upstream.seen().iter().map(|seen| seen.peer).collect();
    assert_eq!(peers.len(), 1);
}

#[test]
fn users_of_another_file_sign_in_and_the_sessions_of_those_before_end() {
    let gate = gate(Upstream::start().address, "");
    let alice = gate.alice(&["messages:list"]);
    fs::write(gate.folder().join("others.toml"), user("carol", "lookingglass", &["messages:list"], "")).unwrap();
    reload(&gate, "[users]\nfile = \"others.toml\"\n");
    let carol = gate.sign_in("carol", "lookingglass", &["messages:list"]);
    gate.get(LIST).bearer(&token(&carol)).send().expect(200);
    gate.get(LIST).bearer(&token(&alice)).send().expect_refusal(401);
    // The new file is followed like the former one.
    fs::write(gate.folder().join("others.toml"), user("dave", "drowssap1", &["messages:list"], "")).unwrap();
    until("carol's session to end", || (gate.get(LIST).bearer(&token(&carol)).send().status == 401).then_some(()));
    gate.sign_in("dave", "drowssap1", &["messages:list"]);
}

#[test]
fn users_are_followed_and_streams_end_with_them_after_a_reload_too() {
    let gate = gate(lively_upstream(), "");
    let mut events = Connection::open(gate.address);
    events.write(&gate.get(&format!("{LIST}?events")).basic("alice", "wonderland").raw());
    events.until(b"data: 3\n\n");
    // The list of users is another one now than the stream was let in by.
    fs::write(gate.folder().join("htpasswd"), format!("eve:{}\n", bcrypt::hash("adam", 4).unwrap())).unwrap();
    reload(&gate, "[users]\nhtpasswd_file = \"htpasswd\"\nhtpasswd_scopes = [\"messages:list\"]\n");
    events.until(b"data: 100\n\n");
    gate.write_users(&user("bob", "builder", &["messages:list"], ""));
    events.rest();
    gate.get(LIST).basic("eve", "adam").send().expect(200);
}

#[test]
fn keys_of_the_configuration_change_with_it() {
    let gate = gate(Upstream::start().address, "[token]\nsecret = \"0123456789abcdef0123456789abcdef0123456789a\"\n");
    let before = gate.alice(&["messages:list"]);
    gate.get(LIST).bearer(&token(&before)).send().expect(200);
    let two = "[[token.keys]]\nalgorithm = \"HS256\"\nstate = \"current\"\nsecret = \"another-secret-of-sufficient-length-9876543210\"\n\n\
               [[token.keys]]\nalgorithm = \"HS256\"\nstate = \"retiring\"\nsecret = \"0123456789abcdef0123456789abcdef0123456789a\"\n";
    reload(&gate, two);
    let after = gate.alice(&["messages:list"]);
    for pair in [&before, &after] {
        gate.get(LIST).bearer(&token(pair)).send().expect(200);
    }
    let one = two.split_once("\n\n").unwrap().0;
    reload(&gate, one);
    gate.get(LIST).bearer(&token(&before)).send().expect_refusal(401);
    gate.get(LIST).bearer(&token(&after)).send().expect(200);
}

#[test]
fn a_secret_in_a_file_of_its_own_is_followed() {
    let upstream = Upstream::start();
    let start = start(upstream.address).set("upstream.credentials", "basic").set("upstream.username", "gate");
    fs::write(start.path().join("password"), "first").unwrap();
    let gate = start.config_file("[upstream]\npassword_file = \"password\"\n").start();
    let call = gate.get(LIST).bearer(&token(&gate.alice(&["messages:list"])));
    call.send().expect(200);
    fs::write(gate.folder().join("password"), "second").unwrap();
    gate.wait_for_log(IN_FORCE);
    call.send().expect(200);
    let shown: Vec<_> = upstream.seen().iter().map(|seen| seen.header("authorization").map(str::to_owned)).collect();
    let basic = |password: &str| Some(format!("Basic {}", STANDARD.encode(format!("gate:{password}"))));
    assert_eq!(shown, [basic("first"), basic("second")]);
}

#[test]
fn rules_that_come_later_are_counted_by_their_names() {
    let gate = gate(Upstream::start().address, &route("/first", "public"));
    gate.get("/first").send().expect(200);
    let many: String = (0..50).map(|n| route(&format!("/page/{n}"), "public")).collect();
    reload(&gate, &many);
    gate.get("/page/49").send().expect(200);
    reload(&gate, &route("/first", "public"));
    gate.get("/first").send().expect(200);
    for (rule, count) in [("/first", 2.0), ("/page/49", 1.0)] {
        let name = format!("portcullis_requests_total{{rule=\"{rule}\",decision=\"forwarded\",code=\"200\"}}");
        assert_eq!(number(&gate, &name), count, "{rule}");
    }
}

#[test]
fn what_changes_nothing_is_no_news() {
    let gate = gate(Upstream::start().address, "");
    let at = number(&gate, "portcullis_config_last_reload_success_timestamp_seconds");
    assert!(at > 1.7e9);
    write(&gate, "# A remark.\n");
    gate.signal("HUP");
    gate.wait_for_log(IN_FORCE);
    // By itself it is not read anew: nobody would know why it says so.
    std::thread::park_timeout(std::time::Duration::from_secs(3));
    assert_eq!(count(&gate, IN_FORCE), 1);
}
