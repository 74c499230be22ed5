//! Looks for what some tests need and says which are there, so that a missing tool shows as a test that was ignored,
//! with the reason. With `PORTCULLIS_TEST_REQUIRE=all` a missing one fails the build instead.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=PORTCULLIS_TEST_REQUIRE");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let required = env::var("PORTCULLIS_TEST_REQUIRE").is_ok_and(|what| what == "all");

    for (cfg, tool) in [("have_curl", "curl"), ("have_node", "node"), ("have_python3", "python3")] {
        let found = on_path(tool);
        if let Some(path) = &found {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        tell(cfg, found.is_some(), required, &format!("{tool} is not on the PATH"));
    }
    for (cfg, part) in [("have_python_clients", "python"), ("have_node_clients", "node"), ("have_rust_clients", "rust")]
    {
        let stamp = root.join("target/clients").join(part).with_extension("ok");
        println!("cargo::rerun-if-changed={}", stamp.display());
        tell(cfg, stamp.exists(), required, &format!("the {part} clients are not prepared: make clients"));
    }
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
