//! Calls of a gRPC library that others wrote, on both sides of the gate.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::before;
use crate::support::Gate;
use crate::upstream::tls::{Shield, authority, start};

const SCRIPT: &str = "tests/clients/python/grpc_flow.py";

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn python(url: &str) -> Command {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = std::fs::read_to_string(root.join("target/clients/python.ok")).unwrap();
    let mut command = Command::new(python.trim());
    command.env("GATE_URL", url).env("GATE_USER", "alice").env("GATE_PASSWORD", "wonderland");
    command.arg(root.join(SCRIPT));
    command
}

/// A gate before a server of the library.
#[track_caller]
fn stage(tls: bool) -> (Server, Gate) {
    let mut server = Server(python("http://none").arg("serve").stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap();
    let other = format!("{}\n[[route]]\npath = \"/other/*\"\nscope = \"other\"\n", super::ROUTES);
    let address = ([127, 0, 0, 1], port).into();
    if !tls {
        return (server, before(address).config_file(&other).start());
    }
    let authority = authority();
    let shield = Shield::speaking(&["h2"], [address; 2], "localhost", &authority, None);
    (server, start(&shield, "localhost", &authority).config_file(&other).set("routes.preset", "none").start())
}

#[track_caller]
fn call(story: &str) {
    let (_server, gate) = stage(false);
    tell(story, &gate);
}

#[track_caller]
fn tell(story: &str, gate: &Gate) {
    let tokens = gate.alice(&["chat"]);
    let output = python(&format!("http://{}", gate.address))
        .args([story, &gate.address.to_string(), &tokens.field("access_token")])
        .arg(gate.alice(&["other"]).field("access_token"))
        .arg(tokens.field("id"))
        .output()
        .unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("ok"), "{said}\n{wrong}\n{:#?}", gate.log());
}

#[test]
#[cfg_attr(not(have_python_clients), ignore = "the Python clients are not prepared: make clients")]
fn calls_of_all_four_kinds_pass_with_their_metadata() {
    call("kinds");
}

#[test]
#[cfg_attr(not(have_python_clients), ignore = "the Python clients are not prepared: make clients")]
fn so_they_do_where_the_upstream_is_spoken_to_through_tls() {
    let (_server, gate) = stage(true);
    tell("kinds", &gate);
}

#[test]
#[cfg_attr(not(have_python_clients), ignore = "the Python clients are not prepared: make clients")]
fn refusals_are_told_as_the_library_knows_them() {
    call("refusals");
}

#[test]
#[cfg_attr(not(have_python_clients), ignore = "the Python clients are not prepared: make clients")]
fn a_client_that_cancels_is_heard_upstream() {
    call("cancel");
}

#[test]
#[cfg_attr(not(have_python_clients), ignore = "the Python clients are not prepared: make clients")]
fn a_revocation_ends_a_call_within_a_second() {
    call("revocation");
}
