//! A file system that is really full: 64 KiB of memory, mounted as the data directory.

use std::io::Write;
use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::support::Run;

/// Unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn on(folder: &Path) -> Self {
        let path = folder.join("data");
        fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k,mode=700", "none"]).arg(&path);
        assert!(mount.status().unwrap().success());
        Self(path)
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut ballast = fs::File::create(self.0.join("ballast")).unwrap();
        for size in [4096, 1] {
            while ballast.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The mount goes after the gate that uses it, and before the folder that it is in.
fn on_64_kib(settings: &[(&str, &str)]) -> (Gate, Arc<Mounted>) {
    let start = Start::before(Upstream::start().address);
    let mounted = Mounted::on(start.path());
    (settings.iter().fold(start, |start, (key, value)| start.set(key, value)).start(), Arc::new(mounted))
}

/// Refreshes until the disk is full: the last page of the journal has room left.
#[track_caller]
fn refresh_until_full(gate: &Gate, mut pair: Answer) -> Answer {
    until("the disk to be full", || {
        let answer = refresh(gate, &pair);
        if answer.status == 503 {
            unwritten(answer);
            return Some(pair.clone());
        }
        pair = answer.expect(200);
        None
    })
}

#[test]
#[cfg_attr(not(can_mount), ignore = "file systems can be mounted by root only")]
fn a_full_disk_refuses_and_everything_is_there_when_it_has_room_again() {
    let (gate, mounted) = on_64_kib(&[]);
    let pairs: Vec<_> = (0..4).map(|_| gate.alice(&["messages:list"])).collect();
    for _ in 0..2 {
        mounted.fill();
        let held = refresh_until_full(&gate, gate_pair(&gate));
        unwritten(sign_in(&gate).send());
        unwritten(revoke(&gate, &held).send());
        list(&gate, &pairs[0]).expect(200);
        assert_eq!(list(&gate, &held).expect_refusal(401).field("message"), "Token revoked");
        mounted.free();
        recovers(&gate);
        ended(&gate, &held);
    }
    assert_eq!((said(&gate, BROKEN), said(&gate, MENDED)), (2, 2));
    let gate = gate.restart();
    for pair in &pairs {
        refresh(&gate, pair).expect(200);
    }
}

#[track_caller]
fn gate_pair(gate: &Gate) -> Answer {
    gate.alice(&["messages:list"])
}

#[test]
#[cfg_attr(not(can_mount), ignore = "file systems can be mounted by root only")]
fn a_gate_that_is_killed_on_a_full_disk_starts_again_when_there_is_room() {
    let (mut gate, mounted) = on_64_kib(&[]);
    let idle = gate.alice(&["messages:list"]);
    let pair = gate.alice(&["messages:list"]);
    mounted.fill();
    let pair = refresh_until_full(&gate, pair);
    gate.kill();
    let said = Run::new(&gate.folder(), &["serve", "--listen", "127.0.0.1:0"]).end().expect(1).stderr;
    let last = said.lines().find(|line| line.starts_with("portcullis: ")).unwrap();
    assert!(last.contains("data/sessions.") && last.contains("No space left on device"), "{last}");
    mounted.free();
    let gate = gate.start_again();
    for pair in [&idle, &pair] {
        list(&gate, &refresh(&gate, pair).expect(200)).expect(200);
    }
}

#[test]
#[cfg_attr(not(can_mount), ignore = "file systems can be mounted by root only")]
fn a_journal_that_has_no_room_to_grow_is_made_shorter_by_snapshots() {
    let (gate, _mounted) = on_64_kib(&[("store.snapshot_interval", "100ms")]);
    let mut pair = gate.alice(&["messages:list"]);
    // Some 200 bytes each: several times what fits.
    for _ in 0..1000 {
        pair = until("a refresh", || {
            let answer = refresh(&gate, &pair);
            if answer.status == 503 { None } else { Some(answer.expect(200)) }
        });
    }
    refresh(&gate.restart(), &pair).expect(200);
}
