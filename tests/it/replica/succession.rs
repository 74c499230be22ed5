//! Who writes: one at a time, and whoever takes over is followed by the others.

use std::process::Command;

use super::{data, primary, refuses_within_a_second, replica_of, revoke};
use crate::support::{Run, list, refresh, until};

#[test]
fn a_second_primary_waits_for_the_first_and_is_then_followed() {
    let mut first = primary().start();
    let replica = replica_of(&first).start();
    let pair = first.alice(&["messages:list"]);
    let second = first.launch_beside();
    second.wait_for_log("waiting for it to end");
    list(&first, &pair).expect(200);
    first.kill();
    let second = second.listens();
    let pair = refresh(&second, &pair).expect(200);
    list(&replica, &pair).expect(200);
    revoke(&second, &pair);
    refuses_within_a_second(&replica, &pair);
}

#[test]
fn a_replica_is_made_the_primary_by_a_restart() {
    let mut first = primary().start();
    let [mut heir, other] = [replica_of(&first).start(), replica_of(&first).start()];
    let (pair, ended) = (first.alice(&["messages:list"]), first.alice(&["messages:list"]));
    revoke(&first, &ended);
    first.kill();
    heir.stop();
    let users = heir.folder().join("users.toml");
    // Its users file is that of the primary, as it would be.
    std::fs::copy(first.folder().join("users.toml"), &users).unwrap();
    let heir =
        primary().set("data_dir", data(&first).to_str().unwrap()).set("users.file", users.to_str().unwrap()).start();
    list(&heir, &ended).expect_refusal(401);
    let pair = refresh(&heir, &pair).expect(200);
    let new = heir.alice(&["messages:list"]);
    for pair in [&pair, &new] {
        list(&other, pair).expect(200);
        revoke(&heir, pair);
        refuses_within_a_second(&other, pair);
    }
}

#[test]
fn a_restored_backup_is_followed() {
    let mut primary = primary().start();
    let replica = replica_of(&primary).start();
    let (kept, ended) = (primary.alice(&["messages:list"]), primary.alice(&["messages:list"]));
    primary.kill();
    let (data, backup) = (data(&primary), primary.folder().join("backup"));
    assert!(Command::new("cp").arg("-a").arg(&data).arg(&backup).status().unwrap().success());
    // Tokens of the minute before the backup are taken for lost as well.
    let mut primary = primary.start_again();
    let lost = primary.alice(&["messages:list"]);
    revoke(&primary, &ended);
    refuses_within_a_second(&replica, &ended);
    list(&replica, &lost).expect(200);
    primary.kill();
    Run::new(&primary.folder(), &["store", "restore", "--from", "backup"]).end().expect(0);
    until("the lost token to be refused", || {
        let answer = list(&replica, &lost);
        (answer.status == 401).then(|| assert_eq!(answer.field("error"), "invalid_token"))
    });
    let primary = primary.start_again();
    let pair = refresh(&primary, &kept).expect(200);
    list(&replica, &pair).expect(200);
    refresh(&primary, &ended).expect(200);
}
