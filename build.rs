//! Looks for what some tests need and says which are there, so that a missing tool shows as a test that was ignored,
//! with the reason. With `PORTCULLIS_TEST_REQUIRE=all` a missing one fails the build instead.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=PORTCULLIS_TEST_REQUIRE");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let required = env::var("PORTCULLIS_TEST_REQUIRE").is_ok_and(|what| what == "all");

    for (cfg, tool) in [
        ("have_curl", "curl"),
        ("have_node", "node"),
        ("have_python3", "python3"),
        ("have_chromium", "chromium"),
        ("have_promtool", "promtool"),
        ("have_openssl", "openssl"),
        ("have_nghttp", "nghttp"),
        ("have_slowhttptest", "slowhttptest"),
        ("have_redis", "redis-server"),
        ("have_redis_sentinel", "redis-sentinel"),
    ] {
        let found = on_path(tool);
        if let Some(path) = &found {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        tell(cfg, found.is_some(), required, &format!("{tool} is not on the PATH"));
    }
    for (cfg, part) in [
        ("have_python_clients", "python"),
        ("have_node_clients", "node"),
        ("have_rust_clients", "rust"),
        ("have_browser_clients", "browser"),
        ("have_provider_clients", "provider"),
        ("have_kubernetes_clients", "kubernetes"),
        ("have_crds_clients", "crds"),
    ] {
        let stamp = root.join("target/clients").join(part).with_extension("ok");
        println!("cargo::rerun-if-changed={}", stamp.display());
        tell(cfg, stamp.exists(), required, &format!("the {part} clients are not prepared: make clients"));
    }
    // Whoever wants it has to build it from its source.
    tell("have_h2spec", on_path("h2spec").is_some(), false, "");
    // A part of systemd, which is too much to install for one test.
    tell("have_systemd_analyze", on_path("systemd-analyze").is_some(), false, "");
    // No tool that could be installed, but rights that a machine may well deny: never required.
    tell("can_mount", can_mount(), false, "");
    tell("can_strace", can_strace(), false, "");
}

/// Whether file systems can be mounted: in a view of its own, which goes with the command.
fn can_mount() -> bool {
    let Some(folder) = env::var_os("OUT_DIR") else { return false };
    succeeds(Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "-o", "size=64k", "none"]).arg(folder))
        && succeeds(Command::new("sh").args(["-c", "test $(id -u) = 0"]))
}

/// Whether strace may look at a process that it has not started.
fn can_strace() -> bool {
    succeeds(Command::new("sh").args(["-c", "sleep 0.2 & strace -qq -o /dev/null -p $!"]))
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn tell(cfg: &str, found: bool, required: bool, missing: &str) {
    println!("cargo::rustc-check-cfg=cfg({cfg})");
    if found {
        println!("cargo::rustc-cfg={cfg}");
    } else if required {
        println!("cargo::error={missing}, and PORTCULLIS_TEST_REQUIRE=all");
    }
}

fn on_path(tool: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder: PathBuf| folder.join(tool)).find(|file: &PathBuf| Path::is_file(file))
}
