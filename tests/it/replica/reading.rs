//! Reading only: a replica leaves the directory as it is, waits for what is not there, and makes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{data, primary, refuses_within_a_second, replica_of, replica_on, revoke};
use crate::support::{Run, list};

const NOWHERE: &str = "http://127.0.0.1:9";

/// Every file and directory: its content, and when it and its inode were last changed.
fn everything(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u64, [i64; 4])> {
    let mut all = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        let found = fs::metadata(&path).unwrap();
        let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
        let content = if found.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        all.insert(path, (content, found.ino(), times));
    }
    all
}

#[test]
fn a_replica_leaves_no_trace_in_the_directory() {
    let mut primary = primary().start();
    let (kept, ended) = (primary.alice(&["messages:list"]), primary.alice(&["messages:list"]));
    revoke(&primary, &ended);
    primary.kill();
    let before = everything(&data(&primary));
    let mut replicas = [replica_of(&primary).start(), replica_of(&primary).start()];
    for replica in &replicas {
        list(replica, &kept).expect(200);
        list(replica, &ended).expect_refusal(401);
    }
    replicas.iter_mut().for_each(crate::support::Gate::stop);
    assert_eq!(everything(&data(&primary)), before);
    let arguments =
        ["check", "--data-dir", data(&primary).to_str().unwrap(), "--set=store.kind=replica"].map(String::from);
    let url = format!("--set=store.primary_url={NOWHERE}");
    let arguments: Vec<_> = arguments.iter().map(String::as_str).chain([url.as_str()]).collect();
    let checked = Run::new(&primary.folder(), &arguments).end().expect(0);
    assert!(checked.stdout.contains("configuration ok"), "{checked:?}");
    assert_eq!(everything(&data(&primary)), before);
}

#[test]
fn a_replica_waits_for_the_primary_to_begin() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let replica = replica_on(&data, NOWHERE).launch();
    replica.wait_for_log("waiting for the primary");
    assert!(!data.exists());
    let primary = primary().set("data_dir", data.to_str().unwrap()).start();
    let replica = replica.listens();
    let pair = primary.alice(&["messages:list"]);
    list(&replica, &pair).expect(200);
    revoke(&primary, &pair);
    refuses_within_a_second(&replica, &pair);
    let waits = replica.log().into_iter().filter(|line| line.contains("waiting for the primary")).count();
    assert_eq!(waits, 1);
}

#[test]
fn a_replica_makes_no_keys() {
    let mut primary = primary().start();
    primary.stop();
    fs::remove_dir_all(data(&primary).join("keys")).unwrap();
    let url = format!("--set=store.primary_url={NOWHERE}");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--set=store.kind=replica", &url];
    let ended = Run::new(&primary.folder(), &arguments).end().expect(78);
    assert!(ended.stderr.contains("keys"), "{ended:?}");
    assert!(!data(&primary).join("keys").exists());
}

#[test]
fn damaged_files_stop_its_start() {
    let mut primary = primary().start();
    primary.alice(&["messages:list"]);
    primary.stop();
    let snapshot = data(&primary).join("sessions.snapshot");
    let mut bytes = fs::read(&snapshot).unwrap();
    bytes[40] ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    let url = format!("--set=store.primary_url={NOWHERE}");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--set=store.kind=replica", &url];
    let ended = Run::new(&primary.folder(), &arguments).end().expect(1);
    assert!(ended.stderr.contains("sessions.snapshot: damaged at byte"), "{ended:?}");
}

#[test]
fn the_configuration_of_a_replica_is_printed_and_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("--set=store.primary_url={NOWHERE}");
    let printed = Run::new(folder.path(), &["config", "--set=store.kind=replica", &url]).end().expect(0).stdout;
    assert!(printed.contains("kind = \"replica\"") && printed.contains(NOWHERE), "{printed}");
    fs::write(folder.path().join("config.toml"), &printed).unwrap();
    Run::new(folder.path(), &["check"]).end().expect(0);
    let refused = Run::new(folder.path(), &["check", "--set=store.kind=memory"]).end().expect(78);
    assert!(refused.stderr.contains("store.primary_url: is used only with"), "{refused:?}");
}
