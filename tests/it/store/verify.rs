//! `store verify`: what a start would say, without a start.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{HEADER, Life, RECORDS, damage, frames, name};
use crate::support::{Ended, Run, Start, Upstream, list, refresh};

/// A test that fails must come to its end all the same.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries to start on what is there, which must not do, and returns the reason.
#[track_caller]
fn refusal(life: &Life) -> String {
    let run = |verb| Run::new(&life.gate.folder(), &[verb, "--listen", "127.0.0.1:0"]).end().expect(1);
    let last = |ended: Ended| ended.stderr.lines().next_back().unwrap().to_owned();
    let refusal = last(run("serve"));
    assert_eq!(last(run("check")), refusal);
    refusal
}

/// The line of a file.
#[track_caller]
fn line<'a>(ended: &'a Ended, file: &str) -> &'a str {
    let prefix = format!("{file}: ");
    ended.stdout.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("no {file}: {ended:#?}"))
}

#[test]
fn after_a_kill_all_is_in_the_journal() {
    let life = Life::killed();
    let ended = life.store(&["verify"]).expect(0);
    let segment = life.segment();
    let bytes = fs::metadata(&segment).unwrap().len();
    let expected = format!("format 1, {RECORDS} records, sequence 1 to {RECORDS}, {bytes} bytes: sound");
    assert_eq!(line(&ended, &name(&segment)), expected);
    let verdict = format!("ok: a start finds 2 sessions and 1 ended ones; the next change is {}\n", RECORDS + 1);
    assert!(ended.stdout.ends_with(&verdict), "{ended:#?}");
    assert!(ended.stderr.is_empty() && !ended.stdout.contains("note"), "{ended:#?}");
}

#[test]
fn after_an_end_all_is_in_the_snapshot() {
    let life = Life::ended();
    let ended = life.store(&["verify"]).expect(0);
    let snapshot = line(&ended, "sessions.snapshot");
    let bytes = fs::metadata(life.snapshot()).unwrap().len();
    assert!(snapshot.starts_with(&format!("format 2, 3 records, sequence to {RECORDS}, written 2")), "{snapshot}");
    assert!(snapshot.ends_with(&format!("Z, {bytes} bytes: sound")), "{snapshot}");
    assert!(ended.stdout.contains("\nok: a start finds 2 sessions and 1 ended ones; "), "{ended:#?}");
    // However the directory is named.
    let elsewhere = tempfile::tempdir().unwrap();
    let data = life.data();
    for arguments in
        [&["store", "verify", data.to_str().unwrap()][..], &["store", "verify", "--data-dir", data.to_str().unwrap()]]
    {
        assert_eq!(Run::new(elsewhere.path(), arguments).end().expect(0).stdout, ended.stdout);
    }
}

#[test]
fn a_torn_end_is_a_note_and_a_start_cuts_it_at_the_same_byte() {
    let life = Life::killed();
    let segment = life.segment();
    let bytes = fs::read(&segment).unwrap();
    let last = *frames(&bytes).last().unwrap();
    fs::write(&segment, &bytes[..bytes.len() - 3]).unwrap();
    let left = bytes.len() - 3 - last;
    let ended = life.store(&["verify"]).expect(0);
    let torn = format!("torn at byte {last}: the {left} bytes behind it were never acknowledged");
    assert!(line(&ended, &name(&segment)).ends_with(&torn), "{ended:#?}");
    let note = ended.stdout.lines().find_map(|line| line.strip_prefix("note: ")).unwrap().to_owned();
    assert!(note.contains(&format!("{}: cut at byte {last}: ", name(&segment))), "{note}");
    assert!(
        ended.stdout.contains(&format!("ok: a start finds 2 sessions and 1 ended ones; the next change is {RECORDS}"))
    );
    let Life { gate, untouched, .. } = life;
    let gate = gate.start_again();
    gate.wait_for_log(&note);
    list(&gate, &untouched).expect_refusal(403);
    refresh(&gate, &untouched).expect(200);
}

#[test]
fn damage_is_told_as_a_start_tells_it() {
    let life = Life::killed();
    let segment = life.segment();
    let (first, second) = (damage(&segment, 1), damage(&segment, 3));
    let ended = life.store(&["verify"]).expect(1);
    assert_eq!(ended.stderr, format!("{}\n", refusal(&life)));
    let said = format!("data/{}: damaged at byte {first}: a checksum does not match; ", name(&segment));
    assert!(ended.stderr.contains(&said) && ended.stderr.contains("portcullis store salvage"), "{ended:#?}");
    // The second damage, too, which a start does not come to.
    let line = line(&ended, &name(&segment));
    for offset in [first, second] {
        assert!(line.contains(&format!("unreadable at byte {offset}, ")), "{line}");
    }
    assert!(line.contains(&format!("{} records, ", RECORDS - 2)), "{line}");
    assert!(!ended.stdout.contains("ok:"), "{ended:#?}");
}

#[test]
fn damage_in_a_snapshot_is_told_as_a_start_tells_it() {
    let life = Life::ended();
    let offset = damage(&life.snapshot(), 1);
    let ended = life.store(&["verify"]).expect(1);
    assert_eq!(ended.stderr, format!("{}\n", refusal(&life)));
    assert!(line(&ended, "sessions.snapshot").contains(&format!("damaged at byte {offset}: ")), "{ended:#?}");
}

#[test]
fn what_is_of_a_newer_version_is_refused_by_all_and_named() {
    for life in [Life::killed(), Life::ended()] {
        let file = if life.snapshot().exists() { life.snapshot() } else { life.segment() };
        let mut bytes = fs::read(&file).unwrap();
        bytes[8..12].copy_from_slice(&9_u32.to_le_bytes());
        fs::write(&file, bytes).unwrap();
        let refusal = refusal(&life);
        assert!(refusal.contains(&format!("{}: format version 9; this portcullis reads up to ", name(&file))));
        for arguments in [
            &["verify"][..],
            &["inspect"],
            &["inspect", "--tombstones", "--json"],
            &["export"],
            &["salvage", "--to", "rescued"],
        ] {
            let ended = life.store(arguments).expect(1);
            assert_eq!(ended.stderr.lines().next_back(), Some(&*refusal), "{arguments:?}");
        }
        assert!(line(&life.store(&["verify"]), &name(&file)).starts_with("format 9, "));
        assert!(!life.gate.folder().join("rescued").exists());
    }
}

#[test]
fn a_directory_without_files_is_told_apart_from_one_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| Run::new(folder.path(), &[&["store"], arguments].concat()).end();
    let all = [&["verify"][..], &["inspect"], &["inspect", "--journal"], &["export"], &["salvage", "--to", "rescued"]];
    for arguments in all {
        let ended = run(arguments).expect(1);
        assert_eq!(ended.stderr, "portcullis: data: there is no such directory\n", "{arguments:?}");
        assert!(ended.stdout.is_empty());
    }
    fs::write(folder.path().join("data"), "").unwrap();
    assert_eq!(run(&["verify"]).expect(1).stderr, "portcullis: data: not a directory\n");
    fs::remove_file(folder.path().join("data")).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let nothing = "data: no sessions are kept here: there is neither a snapshot nor a journal\n";
    assert!(run(&["verify"]).expect(0).stdout.starts_with(&format!("note: {nothing}")));
    assert!(run(&["inspect"]).expect(0).stdout.contains("sessions       0 live, 0 expired\n"));
    for arguments in [&["inspect"][..], &["inspect", "--json"], &["export"]] {
        assert_eq!(run(arguments).expect(0).stderr, format!("note: {nothing}"), "{arguments:?}");
    }
    assert!(run(&["salvage", "--to", "rescued"]).expect(1).stderr.contains("nothing to save"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(folder.path().join("data")).unwrap().count(), 0);
}

#[test]
fn a_wrong_configuration_is_told_as_ever_and_a_named_directory_needs_none() {
    let life = Life::ended();
    fs::write(life.gate.folder().join("config.toml"), "[nonsense]\n").unwrap();
    assert!(life.store(&["verify"]).expect(78).stderr.contains("nonsense"));
    assert!(life.store(&["verify", "data"]).expect(0).stdout.contains("ok: "));
}

#[test]
fn beside_a_busy_gate_nothing_is_taken_for_damage() {
    let start = Start::before(Upstream::start().address).set("store.snapshot_interval", "100ms");
    let life = Life::on(start.start());
    let (over, begin) = (AtomicBool::new(false), Instant::now());
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| life.gate.alice(&["messages:list"])).collect();
        for mut pair in clients {
            let (gate, over) = (&life.gate, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) && begin.elapsed() < PATIENCE {
                    pair = refresh(gate, &pair).expect(200);
                }
            });
        }
        let looked: Vec<_> = (0..30)
            .map(|round| match round % 3 {
                0 => Run::new(&life.gate.folder(), &["store", "verify"]).end(),
                1 => Run::new(&life.gate.folder(), &["store", "inspect"]).end(),
                _ => Run::new(&life.gate.folder(), &["store", "export"]).end(),
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        for ended in looked {
            assert_eq!(ended.code, Some(0), "{ended:#?}");
            assert!(format!("{}{}", ended.stdout, ended.stderr).contains("note: data: a gate is running here"));
            assert!(!ended.stdout.contains("unreadable") && !ended.stderr.contains("cut at"), "{ended:#?}");
        }
    });
    refresh(&life.gate, &life.refreshed).expect(200);
    assert!(fs::metadata(life.snapshot()).unwrap().len() > HEADER as u64);
}
