//! The page of docs/examples in a real browser, from the gate's own origin and from another one, in both modes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use super::*;

const PAGE: &str = include_str!("../../../docs/examples/browser.html");
const ROUTES: &str = "[[route]]\npath = \"/app\"\naccess = \"public\"\n\
                      [[route]]\npath = \"/profile/me\"\naccess = \"authenticated\"\n\
                      [[route]]\npath = \"/admin\"\nrole = \"admin\"\n";

/// Where the page comes from.
#[derive(Clone, Copy, PartialEq)]
enum From {
    /// Through the gate.
    Gate,
    /// From the upstream's own port, which is another origin of the same site.
    Elsewhere,
}

#[track_caller]
fn drive(cookies: bool, from: From) {
    let server: Arc<OnceLock<String>> = Arc::default();
    let shown = Arc::clone(&server);
    let upstream = Upstream::answering(move |seen| match &*seen.target {
        "/app" => html(shown.get().unwrap(), cookies),
        _ => crate::support::ok(b"{\"ok\":true}"),
    });
    let page_origin = format!("http://{}", upstream.address);
    let mut start = Start::before(upstream.address).config_file(ROUTES).set("profiles.form.enabled", "true");
    for (key, value) in [
        ("profiles.form.cookies", cookies.to_string().as_str()),
        ("profiles.form.access_ttl", "3s"),
        ("token.leeway", "0s"),
        ("token.retry_window", "30s"),
        ("routes.errors", "text"),
    ] {
        start = start.set(key, value);
    }
    if from == From::Elsewhere {
        start = start.set("cors.allowed_origins", &page_origin).set("cors.credentials", &cookies.to_string());
    }
    let gate = start.start();
    let gate_origin = format!("http://{}", gate.address);
    let (url, shown) = match from {
        From::Gate => (&gate_origin, ""),
        From::Elsewhere => (&page_origin, &*gate_origin),
    };
    server.set(shown.to_owned()).unwrap();

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = std::fs::read_to_string(root.join("target/clients/browser.ok")).unwrap();
    let mut command = Command::new("node");
    command.arg(root.join("tests/clients/browser/flow.js")).env("NODE_MODULES", modules.trim());
    command.env("PAGE_URL", format!("{url}/app")).env("GATE_ORIGIN", &gate_origin).env("COOKIES", cookies.to_string());
    command.env("GATE_USER", "alice").env("GATE_PASSWORD", "wonderland").env("CHROMIUM", chromium());
    let output = command.output().unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("ok"), "{said}\n{wrong}\n{:#?}", gate.log());
    assert!(upstream.seen().iter().all(|seen| seen.header("cookie").is_none()), "a cookie reached the upstream");
}

fn chromium() -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&folders).map(|folder| folder.join("chromium")).find(|path| path.is_file()).unwrap()
}

/// The page as an operator would set it up.
fn html(server: &str, cookies: bool) -> Vec<u8> {
    let page = PAGE.replace("const SERVER_URL = '';", &format!("const SERVER_URL = '{server}';"));
    let page = page.replace("const COOKIES = true;", &format!("const COOKIES = {cookies};"));
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", page.len());
    (head + &page).into_bytes()
}

#[test]
#[cfg_attr(
    not(all(have_browser_clients, have_chromium)),
    ignore = "no chromium, or its driver: make test-deps clients"
)]
fn a_page_of_the_gates_own_origin_works_with_tokens() {
    drive(false, From::Gate);
}

#[test]
#[cfg_attr(
    not(all(have_browser_clients, have_chromium)),
    ignore = "no chromium, or its driver: make test-deps clients"
)]
fn a_page_of_the_gates_own_origin_works_with_cookies() {
    drive(true, From::Gate);
}

#[test]
#[cfg_attr(
    not(all(have_browser_clients, have_chromium)),
    ignore = "no chromium, or its driver: make test-deps clients"
)]
fn a_page_of_another_origin_works_with_tokens() {
    drive(false, From::Elsewhere);
}

#[test]
#[cfg_attr(
    not(all(have_browser_clients, have_chromium)),
    ignore = "no chromium, or its driver: make test-deps clients"
)]
fn a_page_of_another_origin_on_the_same_site_works_with_cookies() {
    drive(true, From::Elsewhere);
}
