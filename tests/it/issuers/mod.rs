//! Tokens of other identity providers: what they open, what they do not, and what fetching their keys costs.

mod accepted;
mod fetching;
mod files;
mod https;
mod mock_server;
pub mod provider;
mod refused;
mod streams;

use serde_json::Value;

use self::provider::{Key, Provider, Reply, claims};
use crate::support::{Answer, Gate, Start, Upstream, until};

const CONFIG: &str = "\
[[route]]
path = '/read'
scope = 'items:read'
[[route]]
path = '/boss'
role = 'boss'
[[route]]
path = '/any'
access = 'authenticated'
";

/// The table of an issuer, with more keys below.
fn table(issuer: &str, source: &str, more: &str) -> String {
    format!(
        "[[issuer]]\nissuer = '{issuer}'\n{source}\naudience = ['api']\n\
         algorithms = ['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA']\n{more}\n"
    )
}

/// The table of a provider, asked again after a cooldown of two tenths of a second.
fn table_of(provider: &Provider, more: &str) -> String {
    let issuer = provider.issuer();
    table(&issuer, &format!("jwks_url = '{issuer}/jwks?a=b'"), &format!("cooldown = '200ms'\n{more}"))
}

fn before(upstream: &Upstream, tables: &str) -> Start {
    Start::before(upstream.address).with_known_secret().config_file(&format!("{CONFIG}{tables}"))
}

/// A gate that knows the provider's keys.
fn gate(upstream: &Upstream, provider: &Provider, more: &str) -> Gate {
    let gate = before(upstream, &table_of(provider, more)).start();
    gate.wait_for_log("the keys of an issuer are known");
    gate
}

fn read(gate: &Gate, token: &str) -> Answer {
    gate.get("/read").bearer(token).send()
}

/// Calls until the answer is this one.
#[track_caller]
fn read_until(gate: &Gate, token: &str, status: u16) {
    until(&format!("a {status}"), || (read(gate, token).status == status).then_some(()));
}

/// A provider with one key.
fn one(algorithm: &'static str) -> (Provider, Key) {
    let key = Key::new("first", algorithm);
    (Provider::start(Reply::keys(&[&key])), key)
}

/// Claims that open `/read`.
fn good(provider: &Provider) -> Value {
    claims(&provider.issuer(), "alice", "items:read")
}

/// Why the last request with this mark was refused.
#[track_caller]
fn reason(gate: &Gate, answer: &Answer) -> String {
    let line = gate.wait_for_log(answer.header("x-request-id").unwrap());
    serde_json::from_str::<Value>(&line).unwrap()["reason"].as_str().unwrap().to_owned()
}
