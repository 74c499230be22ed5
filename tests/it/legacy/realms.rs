//! Realms: equal names of different people.

use std::fs;

use super::{LIST, TOKEN};
use crate::support::{Gate, Start, Upstream, user};

/// alice is somebody in the default realm, somebody else on the host `shop.example`, and another one under `/old`.
fn gate() -> (Gate, Upstream) {
    let upstream = Upstream::start();
    let start = Start::before(upstream.address);
    let file = |name: &str| start.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("shop.toml"), user("alice", "shopping", &["all:any"], "")).unwrap();
    fs::write(file("old.toml"), user("alice", "aged", &["all:any"], "")).unwrap();
    let text = format!(
        "[profiles.form]\nenabled = true\n[[realm]]\nname = 'shop'\nhost = 'shop.example'\nusers_file = '{}'\n\
         [[realm]]\nname = 'old'\nprefix = '/old'\nusers_file = '{}'\n\
         [[route]]\npath = '/old/*'\naccess = 'authenticated'\n",
        file("shop.toml"),
        file("old.toml"),
    );
    (start.config_file(&text).start(), upstream)
}

/// A request to a host, as a test cannot name its own.
fn at(gate: &Gate, host: &str, raw: Vec<u8>) -> crate::support::Answer {
    let raw = String::from_utf8(raw).unwrap().replace(&format!("Host: {}", gate.address), &format!("Host: {host}"));
    crate::support::exchange(gate.address, raw.as_bytes())
}

#[test]
fn each_realm_has_its_own_alice_and_tokens_do_not_cross() {
    let (gate, upstream) = gate();
    let asked = serde_json::json!({"scopes": ["all:any"]});
    let call = |password: &str| gate.post(TOKEN).basic("alice", password).json(&asked).raw();
    let own = at(&gate, "gate.example", call("wonderland")).expect(201);
    let shop = at(&gate, "shop.example:80", call("shopping")).expect(201);
    at(&gate, "shop.example", call("wonderland")).expect_refusal(401);
    at(&gate, "gate.example", call("shopping")).expect_refusal(401);
    assert_eq!(own.claims("access_token")["sub"], "alice");
    assert_eq!(shop.claims("access_token")["sub"], "shop:alice");

    let list = |pair: &crate::support::Answer| gate.get(LIST).bearer(&pair.field("access_token")).raw();
    at(&gate, "gate.example", list(&own)).expect(200);
    at(&gate, "SHOP.example", list(&shop)).expect(200);
    assert_eq!(at(&gate, "gate.example", list(&shop)).expect_refusal(401).field("message"), "Invalid token");
    at(&gate, "shop.example", list(&own)).expect_refusal(401);
    gate.wait_for_log("token_other_realm");
    assert_eq!(upstream.seen().last().unwrap().header("x-auth-subject"), Some("shop:alice"));
}

#[test]
fn a_realm_under_a_path_has_the_endpoints_there() {
    let (gate, _upstream) = gate();
    let asked = serde_json::json!({"scopes": ["all:any"]});
    let pair = gate.post(&format!("/old{TOKEN}")).basic("alice", "aged").json(&asked).send().expect(201);
    assert_eq!(pair.claims("access_token")["sub"], "old:alice");
    gate.get("/old/anything").bearer(&pair.field("access_token")).send().expect(200);
    gate.get(LIST).bearer(&pair.field("access_token")).send().expect_refusal(401);
    gate.get("/old/anything").basic("alice", "aged").send().expect(200);
    gate.get("/old/anything").basic("alice", "wonderland").send().expect_refusal(401);
    let own = gate.alice(&["all:any"]);
    gate.get("/OLD/anything").bearer(&own.field("access_token")).send().expect_refusal(401);
}

#[test]
fn a_form_cannot_name_another_realm() {
    let (gate, _upstream) = gate();
    let login = |name: &str, password: &str| {
        gate.post("/login").form(&[("username", name), ("password", password)]).send().status
    };
    assert_eq!(login("alice", "wonderland"), 200);
    for name in ["shop:alice", ":alice", "old:alice", "client:alice"] {
        assert_eq!(login(name, "shopping"), 401, "{name}");
    }
}
