//! Users in an htpasswd file.

use std::fs;

use super::{LIST, Phone, sign_in};
use crate::support::{Run, Start, Upstream, until, user};

fn line(name: &str, password: &str) -> String {
    format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap())
}

#[test]
fn its_people_sign_in_behind_those_of_the_users_file_and_changes_are_picked_up() {
    let start = Start::before(Upstream::start().address).set("users.htpasswd_scopes", "messages:list");
    let file = start.path().join("htpasswd");
    fs::write(&file, line("anna", "a") + &line("alice", "other") + "# comment\n").unwrap();
    let gate = start.set("users.htpasswd_file", file.to_str().unwrap()).start();
    gate.get(LIST).basic("anna", "a").send().expect(200);
    gate.get("/3rdparty/v1/logs").basic("anna", "a").send().expect_refusal(403);
    gate.get(LIST).basic("alice", "wonderland").send().expect(200);
    gate.get(LIST).basic("alice", "other").send().expect_refusal(401);
    fs::write(&file, line("anna", "b")).unwrap();
    until("the change", || (gate.get(LIST).basic("anna", "b").send().status == 200).then_some(()));
    gate.get(LIST).basic("anna", "a").send().expect_refusal(401);
}

#[test]
fn weak_formats_stop_the_start_by_name_and_line() {
    let start = Start::alone();
    let file = start.path().join("htpasswd");
    fs::write(&file, "a:$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00\nb:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nc:rqXexS6ZhobKA\n")
        .unwrap();
    let setting = format!("--set=users.htpasswd_file={}", file.to_str().unwrap());
    let ended = Run::new(start.path(), &["check", &setting]).end().expect(78);
    let told = ended.stdout.clone() + &ended.stderr;
    for part in ["line 1", "$apr1$ (Apache MD5)", "line 2", "{SHA}", "line 3", "DES crypt"] {
        assert!(told.contains(part), "{part}: {}", told);
    }
    assert!(!told.contains("eIMz"));
}

#[test]
fn whom_it_does_not_know_the_upstream_may() {
    let phone = Phone::start();
    let start = phone.gate().users(&user("bob", "builder", &["all:any"], ""));
    let file = start.path().join("htpasswd");
    fs::write(&file, line("anna", "a")).unwrap();
    let gate = start.set("users.htpasswd_file", file.to_str().unwrap()).start();
    phone.set("anna", "hers at the phone");
    sign_in(&gate, "anna", "hers at the phone").expect_refusal(401);
    sign_in(&gate, "anna", "a").expect(201);
    sign_in(&gate, "bob", "builder").expect(201);
    sign_in(&gate, "sms", super::PASSWORD).expect(201);
    assert_eq!(phone.checks(), 1);
}
