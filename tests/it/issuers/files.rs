//! Keys in a file, which changes beside a running gate.

use std::fs;

use super::provider::{Key, claims, set};
use super::{before, read, read_until, table};
use crate::support::{Gate, Upstream};

const ISSUER: &str = "https://batch.example";

fn write(gate: &Gate, text: &[u8]) {
    let scratch = gate.folder().join("jwks.next");
    fs::write(&scratch, text).unwrap();
    fs::rename(scratch, gate.folder().join("jwks.json")).unwrap();
}

#[test]
fn a_changed_file_counts_within_about_a_second_and_a_broken_one_changes_nothing() {
    let upstream = Upstream::start();
    let start = before(&upstream, &table(ISSUER, "jwks_file = 'jwks.json'", ""));
    let (old, new) = (Key::new("old", "ES256"), Key::new("new", "EdDSA"));
    fs::write(start.path().join("jwks.json"), set(&[&old])).unwrap();
    let gate = start.start();
    let [by_old, by_new] = [&old, &new].map(|key| key.token(&claims(ISSUER, "job", "items:read")));
    // From the first request on.
    read(&gate, &by_old).expect(200);
    assert_eq!(upstream.only().header("x-auth-subject"), Some("https://batch.example|job"));
    read(&gate, &by_new).expect_refusal(401);

    write(&gate, &set(&[&old, &new]));
    read_until(&gate, &by_new, 200);
    write(&gate, b"{");
    gate.wait_for_log("cannot be had");
    fs::remove_file(gate.folder().join("jwks.json")).unwrap();
    gate.wait_for_log("cannot be read");
    read(&gate, &by_old).expect(200);
    write(&gate, &set(&[&new]));
    read_until(&gate, &by_old, 401);
    gate.wait_for_log("can be had again");
    read(&gate, &by_new).expect(200);
}
