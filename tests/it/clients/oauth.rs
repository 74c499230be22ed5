//! OAuth clients that others wrote, each through the whole of what the gate offers: metadata, own tokens, sessions,
//! refreshing, revocation, introspection, public keys, errors, and secrets that are hard to encode.

use std::net::SocketAddr;

use serde_json::json;
use socket2::{Domain, Socket, Type};

use super::*;
use crate::support::Upstream;

const AUDIENCE: &str = "https://api.example";

/// The clients by id, with their secrets. `odd` has what forms and Basic have a use for; `umlaut` has what RFC 6749
/// has no room for in a secret (appendix A.2).
const SECRETS: [(&str, &str); 5] = [
    ("reports", "secret-of-reports"),
    ("web", "secret-of-web"),
    ("brief", "secret-of-brief"),
    ("odd", "p+l/u%s:e=q%2B &~%41"),
    ("umlaut", "p\u{e4}+%:\u{df}"),
];

fn clients() -> String {
    let text = |(id, secret): &(&str, &str)| {
        let hash = bcrypt::hash(secret, 4).unwrap();
        let may = match *id {
            "web" => "grants = ['password', 'refresh_token']",
            // Long enough to be used while it is fresh.
            "brief" => "grants = ['password', 'refresh_token']\naccess_ttl = '3s'",
            _ => "grants = ['client_credentials']",
        };
        format!("[[client]]\nid = '{id}'\nsecret_hash = '{hash}'\nscopes = ['messages:list', 'messages:read']\n{may}\n")
    };
    SECRETS.iter().map(text).collect()
}

/// A port that nobody else is given while the socket lives, though another one that reuses addresses may listen there:
/// where the gate listens stands in its own metadata, so it must be known before the start.
fn reserved() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// Runs one client through a fresh gate that signs with `algorithm`.
#[track_caller]
fn through(algorithm: &str, program: &str, script: Option<&str>) {
    let (_reserved, address) = reserved();
    let url = format!("http://{address}");
    let settings = [
        ("server.listen", &*address.to_string()),
        ("profiles.oauth.enabled", "true"),
        ("profiles.oauth.password_grant", "true"),
        ("profiles.oauth.issuer_url", &url),
        ("token.issuer", &url),
        ("token.audience", AUDIENCE),
        ("token.algorithm", algorithm),
        ("token.leeway", "0s"),
    ];
    let start = Start::before(Upstream::start().address).user(USER, PASSWORD, &["all:any"]).config_file(&clients());
    let gate = settings.iter().fold(start, |start, (key, value)| start.set(key, value)).start();
    let secrets = json!(std::collections::BTreeMap::from(SECRETS)).to_string();
    let told = [("GATE_SECRETS", &*secrets), ("GATE_ALGORITHM", algorithm), ("GATE_AUDIENCE", AUDIENCE)];
    drive(&gate, &url, program, script, &told);
    for (id, secret) in SECRETS {
        assert!(!gate.log().iter().any(|line| line.contains(secret)), "the secret of {id} in the log");
    }
}

#[track_caller]
fn through_each_algorithm(program: &str, script: &str) {
    for algorithm in ["ES256", "RS256"] {
        through(algorithm, program, Some(script));
    }
}

#[test]
#[cfg_attr(not(have_python_clients), ignore = "the Python clients are not prepared: make clients")]
fn authlib_discovers_signs_in_refreshes_introspects_and_revokes() {
    through_each_algorithm(&prepared("python"), "python/authlib_flow.py");
}

#[test]
#[cfg_attr(not(have_python_clients), ignore = "the Python clients are not prepared: make clients")]
fn requests_oauthlib_refreshes_by_itself_what_has_expired() {
    through("ES256", &prepared("python"), Some("python/requests_oauthlib_flow.py"));
}

#[test]
#[cfg_attr(not(have_node_clients), ignore = "the Node clients are not prepared: make clients")]
fn openid_client_discovers_signs_in_refreshes_introspects_and_revokes() {
    through_each_algorithm("node", "node/openid_client_flow.js");
}

#[test]
#[cfg_attr(not(have_node_clients), ignore = "the Node clients are not prepared: make clients")]
fn oauth4webapi_discovers_signs_in_refreshes_introspects_and_revokes() {
    through_each_algorithm("node", "node/oauth4webapi_flow.js");
}

#[test]
#[cfg_attr(not(have_rust_clients), ignore = "the Rust clients are not prepared: make clients")]
fn the_crate_oauth2_signs_in_refreshes_introspects_and_revokes() {
    let vendors = prepared("rust");
    let own = Path::new(&vendors).with_file_name("oauth-client");
    through("ES256", own.to_str().unwrap(), None);
}
