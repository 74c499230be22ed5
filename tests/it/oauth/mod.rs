//! The dialect of RFC 6749 and its kin: tokens, revocation, introspection, metadata, keys, as programs use them.

mod authentication;
mod discovery;
mod introspection;
mod renewal;
mod revocation;
mod tokens;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Answer, Call, Gate, Start, Upstream};

const LIST: &str = "/3rdparty/v1/messages";

/// A secret with everything in it that forms and Basic have a use for.
const ODD: &str = "p:ä & 100%+=";

/// The clients of every gate here, by id: what they are for is in their grants.
fn clients() -> String {
    let client = |id: &str, secret: &str, grants: &str, scopes: &str| {
        let hash = bcrypt::hash(secret, 4).unwrap();
        format!("[[client]]\nid = '{id}'\nsecret_hash = '{hash}'\ngrants = [{grants}]\nscopes = [{scopes}]\n")
    };
    [
        client("reports", ODD, "'client_credentials'", "'messages:list', 'messages:read'"),
        client("web", "web-secret", "'password', 'refresh_token'", "'messages:list', 'messages:send', 'tokens:manage'"),
        client("kiosk", "kiosk-secret", "'password'", "'messages:list'"),
        // A client with the name of a user.
        client("alice", "not-wonderland", "'client_credentials'", "'messages:list', 'tokens:manage'"),
        client("guard", "guard-secret", "", ""),
        "[[client]]\nid = 'phone'\npublic = true\ngrants = ['password', 'refresh_token']\nscopes = ['messages:list']\n"
            .into(),
    ]
    .concat()
}

fn start(settings: &[(&str, &str)]) -> Start {
    let start = Start::before(Upstream::start().address).config_file(&clients());
    let own = [("profiles.oauth.enabled", "true"), ("profiles.oauth.password_grant", "true")];
    own.iter().chain(settings).fold(start, |start, (key, value)| start.set(key, value))
}

#[track_caller]
fn gate(settings: &[(&str, &str)]) -> Gate {
    start(settings).start()
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn post(gate: &Gate, path: &str, fields: &[(&str, &str)]) -> Call {
    gate.post(path).header("Content-Type", "application/x-www-form-urlencoded").body(form(fields))
}

/// Basic as RFC 6749 section 2.3.1 has it: both parts encoded as in a form.
fn basic(id: &str, secret: &str) -> String {
    let part = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", part(id), part(secret))))
}

/// A request of `client`, with its secret as [`clients`] has it.
fn as_client(gate: &Gate, client: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let secret = match client {
        "reports" => ODD,
        "web" => "web-secret",
        "kiosk" => "kiosk-secret",
        "alice" => "not-wonderland",
        "guard" => "guard-secret",
        _ => return post(gate, path, &[fields, &[("client_id", client)]].concat()).send(),
    };
    post(gate, path, fields).header("Authorization", &basic(client, secret)).send()
}

fn token(gate: &Gate, client: &str, fields: &[(&str, &str)]) -> Answer {
    as_client(gate, client, "/oauth/token", fields)
}

/// A token for the client itself.
#[track_caller]
fn own(gate: &Gate, client: &str) -> Answer {
    token(gate, client, &[("grant_type", "client_credentials")]).expect(200)
}

/// A pair for alice by way of a client.
#[track_caller]
fn alice(gate: &Gate, client: &str) -> Answer {
    let fields = [("grant_type", "password"), ("username", "alice"), ("password", "wonderland")];
    token(gate, client, &fields).expect(200)
}

fn refresh(gate: &Gate, client: &str, pair: &Answer) -> Answer {
    let token_ = pair.field("refresh_token");
    token(gate, client, &[("grant_type", "refresh_token"), ("refresh_token", &token_)])
}

fn revoke(gate: &Gate, client: &str, token: &str) -> Answer {
    as_client(gate, client, "/oauth/revoke", &[("token", token)])
}

#[track_caller]
fn introspect(gate: &Gate, client: &str, token: &str) -> serde_json::Value {
    as_client(gate, client, "/oauth/introspect", &[("token", token)]).expect(200).json()
}

#[track_caller]
fn inactive(gate: &Gate, client: &str, token: &str) {
    assert_eq!(introspect(gate, client, token), serde_json::json!({"active": false}));
}

fn list(gate: &Gate, pair: &Answer) -> Answer {
    gate.get(LIST).bearer(&pair.field("access_token")).send()
}

fn names(answer: &Answer) -> Vec<String> {
    let mut names: Vec<_> = answer.json().as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

/// An error of RFC 6749 section 5.2, to the letter.
#[track_caller]
fn refused(answer: Answer, status: u16, error: &str) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(names(&answer), ["error", "error_description"]);
    assert_eq!(answer.field("error"), error, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-portcullis"), Some("denied"));
    let challenge = (status == 401).then_some("Basic realm=\"portcullis\", charset=\"UTF-8\"");
    assert_eq!(answer.header("www-authenticate"), challenge);
    answer
}
