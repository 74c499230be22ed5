//! A provider that others wrote: oauth2-mock-server, from npm.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{before, table};
use crate::support::Upstream;

#[test]
#[cfg_attr(not(have_provider_clients), ignore = "oauth2-mock-server is not prepared: make clients")]
fn tokens_of_oauth2_mock_server_are_honoured_also_while_it_is_down() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let packages = fs::read_to_string(root.join("target/clients/provider.ok")).unwrap();
    let mut command = Command::new("node");
    command.arg(root.join("tests/clients/provider/flow.js")).env("PROVIDER_PACKAGES", packages.trim());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut provider = Killing(command.spawn().unwrap());
    let mut said = BufReader::new(provider.0.stdout.take().unwrap());
    let mut issuer = String::new();
    said.read_line(&mut issuer).unwrap();

    let (upstream, issuer) = (Upstream::start(), issuer.trim());
    let table = table(issuer, &format!("jwks_url = '{issuer}/jwks'"), "cooldown = '200ms'");
    let gate = before(&upstream, &table).start();
    gate.wait_for_log("the keys of an issuer are known");
    writeln!(provider.0.stdin.take().unwrap(), "http://{}", gate.address).unwrap();
    let (mut told, mut wrong) = (String::new(), String::new());
    said.read_to_string(&mut told).unwrap();
    provider.0.stderr.take().unwrap().read_to_string(&mut wrong).unwrap();
    assert!(provider.0.wait().unwrap().success(), "{told}\n{wrong}\n{:#?}", gate.log());
    assert_eq!(told.matches("ok: ").count(), 6, "{told}");
    let subjects: Vec<_> =
        upstream.seen().iter().map(|seen| seen.header("x-auth-subject").unwrap().to_owned()).collect();
    assert_eq!(subjects, ["alice", "bob", "carol", "dave"].map(|name| format!("{issuer}|{name}")));
}

/// No test leaves a process behind.
struct Killing(Child);

impl Drop for Killing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
