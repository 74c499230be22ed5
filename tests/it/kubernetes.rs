//! The manifests in `k8s/`, as far as they can be held to what they claim without a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Run;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_configuration_in_them_is_accepted() {
    let files = configurations(&Path::new(ROOT).join("k8s"));
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(&file, folder.path().join("config.toml")).unwrap();
        // What is mounted in a pod is not here.
        let ended = Run::new(folder.path(), &["check", "--data-dir=data", "--set=users.file=users.toml"]).end();
        assert_eq!(ended.code, Some(0), "{}: {ended:#?}", file.display());
    }
}

fn configurations(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let here = files.into_iter().filter(|path| path.file_name().is_some_and(|name| name == "config.toml"));
    here.chain(folders.iter().flat_map(|folder| configurations(folder))).collect()
}

#[test]
#[cfg_attr(not(all(have_kubernetes_clients, have_crds_clients, have_node)), ignore = "not prepared: make clients")]
fn they_render_and_fit_schemas_and_each_other() {
    let clients = Path::new(ROOT).join("target/clients");
    let python = fs::read_to_string(clients.join("kubernetes.ok")).unwrap();
    let python = Path::new(python.trim());
    let ended = Command::new(python)
        .arg("-B")
        .arg(Path::new(ROOT).join("tests/k8s/manifests.py"))
        .args(["--binary", env!("CARGO_BIN_EXE_portcullis"), "--kubectl"])
        .arg(python.with_file_name("kubectl"))
        .arg("--crds")
        .arg(clients.join("crds"))
        .output()
        .unwrap();
    let told = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(ended.status.success(), "{}\n{}", told[0], told[1]);
}
