//! `store salvage`: what damaged files still tell, in a directory on which a gate starts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{Life, damage, name, state};
use crate::support::{Gate, list, refresh};

/// Does what the command says has to be done, and puts its directory in the place of the damaged one.
#[track_caller]
fn start_on(life: Life, rescued: &str) -> Gate {
    let folder = life.gate.folder();
    let copied = Command::new("cp").arg("-a").arg(life.data().join("keys")).arg(folder.join(rescued)).status();
    assert!(copied.unwrap().success());
    fs::rename(life.data(), folder.join("damaged")).unwrap();
    fs::rename(folder.join(rescued), life.data()).unwrap();
    life.gate.start_again()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_was_not_in_the_damaged_record_is_saved_and_what_was_revoked_stays_so() {
    let life = Life::killed();
    let segment = life.segment();
    // The sign-in of bob.
    let offset = damage(&segment, 1);
    let ended = life.store(&["salvage", "--to", "rescued"]).expect(3);
    let skipped = format!("skipped: data/{}: byte {offset}, ", name(&segment));
    let written = "written: rescued/sessions.snapshot: 1 sessions, 1 ended ones\n";
    for part in [&skipped, "missing: 1 changes of the journal\n", written, "cp -a data/keys rescued/\n"] {
        assert!(ended.stdout.contains(part), "no {part}: {ended:#?}");
    }
    let rescued = life.gate.folder().join("rescued");
    assert_eq!((mode(&rescued), mode(&rescued.join("sessions.snapshot"))), (0o700, 0o600));
    assert_eq!(fs::read_dir(&rescued).unwrap().count(), 1);
    assert!(life.store(&["verify", "rescued"]).expect(0).stdout.contains("1 sessions and 1 ended ones"));
    let pairs = (life.refreshed.clone(), life.untouched.clone(), life.revoked.clone());
    let gate = start_on(life, "rescued");
    let (saved, lost, revoked) = pairs;
    list(&gate, &saved).expect(200);
    refresh(&gate, &saved).expect(200);
    refresh(&gate, &lost).expect_refusal(401);
    list(&gate, &revoked).expect_refusal(401);
    refresh(&gate, &revoked).expect_refusal(401);
}

#[test]
fn a_damaged_snapshot_is_read_over_too() {
    let life = Life::ended();
    let offset = damage(&life.snapshot(), 0);
    let ended = life.store(&["salvage", "--to", "new/rescued"]).expect(3);
    assert!(ended.stdout.contains(&format!("skipped: data/sessions.snapshot: byte {offset}, ")), "{ended:#?}");
    let (refreshed, untouched, revoked) = (life.refreshed.clone(), life.untouched.clone(), life.revoked.clone());
    let gate = start_on(life, "new/rescued");
    // In a snapshot the sessions stand before the ends.
    let statuses = [&refreshed, &untouched].map(|pair| refresh(&gate, pair).status);
    assert!(statuses == [200, 401] || statuses == [401, 200], "{statuses:?}");
    list(&gate, &revoked).expect_refusal(401);
}

#[test]
fn where_a_start_would_succeed_nothing_is_lost() {
    let life = Life::killed();
    let segment = life.segment();
    let bytes = fs::read(&segment).unwrap();
    let ended = life.store(&["salvage", "--to", "whole"]).expect(0);
    assert!(ended.stdout.contains("written: whole/sessions.snapshot: 2 sessions, 1 ended ones\n"), "{ended:#?}");
    assert!(ended.stdout.contains("note: nothing is lost"), "{ended:#?}");
    // Nobody was told of what stands in a torn end.
    fs::write(&segment, &bytes[..bytes.len() - 3]).unwrap();
    let ended = life.store(&["salvage", "--to", "torn"]).expect(0);
    assert!(ended.stdout.contains("cut at byte ") && !ended.stdout.contains("skipped"), "{ended:#?}");
    let pair = life.refreshed.clone();
    fs::write(&segment, bytes).unwrap();
    let gate = start_on(life, "whole");
    refresh(&gate, &pair).expect(200);
}

#[test]
fn nothing_is_written_over_and_nothing_where_it_reads() {
    let life = Life::killed();
    damage(&life.segment(), 1);
    let folder = life.gate.folder();
    fs::create_dir(folder.join("full")).unwrap();
    fs::write(folder.join("full/precious"), "").unwrap();
    fs::create_dir(folder.join("empty")).unwrap();
    std::os::unix::fs::symlink("data", folder.join("link")).unwrap();
    let before = state(&folder.join("full"));
    for (to, why) in [
        ("full", "full: not empty, and nothing is written over"),
        ("full/precious", "full/precious: not a directory"),
        ("data", "data: not empty, and nothing is written over"),
        ("data/rescued", "data/rescued: lies in the directory that is read"),
        ("link/rescued/deeper", "link/rescued/deeper: lies in the directory that is read"),
    ] {
        let ended = life.store(&["salvage", "--to", to]).expect(1);
        assert!(ended.stderr.starts_with(&format!("portcullis: {why}")), "{to}: {ended:#?}");
    }
    assert!(before == state(&folder.join("full")));
    life.store(&["salvage", "--to", "empty"]).expect(3);
}
