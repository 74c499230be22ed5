//! The dialect of the two-token guide: `/login`, `/refresh`, `/logout`, as a browser or a simple client uses them.
//!
//! `seed Z3` names the promise in the list that was drawn from the guide.

mod browser;
mod cookies;
mod cors;
mod endpoints;
mod rotation;

use crate::support::{Answer, Call, Gate, Start, Upstream};

const LIST: &str = "/3rdparty/v1/messages";

#[track_caller]
fn gate(settings: &[(&str, &str)]) -> Gate {
    let start = Start::before(Upstream::start().address).set("profiles.form.enabled", "true");
    settings.iter().fold(start, |start, (key, value)| start.set(key, value)).start()
}

/// A form, posted as browsers do.
fn post(gate: &Gate, path: &str, fields: &[(&str, &str)]) -> Call {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    gate.post(path).header("Content-Type", "application/x-www-form-urlencoded").body(body)
}

fn login(gate: &Gate, name: &str, password: &str) -> Answer {
    post(gate, "/login", &[("username", name), ("password", password)]).send()
}

/// Signs `alice` in.
#[track_caller]
fn alice(gate: &Gate) -> Answer {
    login(gate, "alice", "wonderland").expect(200)
}

fn refresh(gate: &Gate, pair: &Answer) -> Answer {
    post(gate, "/refresh", &[("refreshToken", &pair.field("refreshToken"))]).send()
}

fn logout(gate: &Gate, pair: &Answer) -> Answer {
    post(gate, "/logout", &[("refreshToken", &pair.field("refreshToken"))]).send()
}

fn list(gate: &Gate, pair: &Answer) -> Answer {
    gate.get(LIST).bearer(&pair.field("accessToken")).send()
}

/// A refusal in the guide's words.
#[track_caller]
fn refused(answer: Answer, status: u16, text: &str) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(answer.text(), text);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-portcullis"), Some("denied"));
    let challenge = (status == 401).then_some("Bearer realm=\"User Login\"");
    assert_eq!(answer.header("www-authenticate"), challenge);
    answer
}
