//! The columns: where a token can be presented, and what follows where it is taken.

use serde_json::json;

use super::kinds::Holder;
use crate::support::dialect::{COOKIE, client};
use crate::support::{Answer, Call, Dialect, Gate};

/// One column of the table.
pub(super) struct Place {
    pub name: &'static str,
    /// Whether the gate has its form tokens in cookies.
    pub cookies: bool,
    pub effect: Effect,
    pub call: fn(&Gate, &Holder) -> Call,
    words: Words,
}

/// What follows where a token is taken.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Effect {
    Nothing,
    /// Another session begins.
    Begins,
    /// The session gets its next generation.
    Renews(Dialect),
    /// The session of the token ends.
    EndsOwn,
    /// A session of the same user ends.
    EndsBystander,
}

/// How refusals are worded.
#[derive(Clone, Copy, PartialEq)]
enum Words {
    Json,
    Form,
    Oauth,
    /// Nothing is refused: what is not active is told so.
    Activity,
}

const TOKEN: &str = "/3rdparty/v1/auth/token";
const SESSIONS: &str = "/3rdparty/v1/auth/sessions";

const fn api(name: &'static str, effect: Effect, call: fn(&Gate, &Holder) -> Call) -> Place {
    Place { name, cookies: false, effect, call, words: Words::Json }
}

const fn form(name: &'static str, cookies: bool, effect: Effect, call: fn(&Gate, &Holder) -> Call) -> Place {
    Place { name, cookies, effect, call, words: Words::Form }
}

const fn oauth(name: &'static str, effect: Effect, call: fn(&Gate, &Holder) -> Call) -> Place {
    Place { name, cookies: false, effect, call, words: Words::Oauth }
}

const fn activity(name: &'static str, call: fn(&Gate, &Holder) -> Call) -> Place {
    Place { name, cookies: false, effect: Effect::Nothing, call, words: Words::Activity }
}

/// All of them, in the order of the table.
pub(super) const PLACES: &[Place] = &[
    api("any", Effect::Nothing, |gate, it| gate.get("/any").bearer(&it.token)),
    api("scope", Effect::Nothing, |gate, it| gate.get("/3rdparty/v1/messages").bearer(&it.token)),
    api("role", Effect::Nothing, |gate, it| gate.get("/admin").bearer(&it.token)),
    api("issue", Effect::Begins, |gate, it| {
        gate.post(TOKEN).bearer(&it.token).json(&json!({"scopes": ["messages:list"]}))
    }),
    api("renew", Effect::Renews(Dialect::Smsgate), |gate, it| Dialect::Smsgate.refreshing(gate, &it.token)),
    api("revoke", Effect::EndsBystander, |gate, it| {
        let id = crate::support::forge::parts(&it.bystander.refresh).1["jti"].as_str().unwrap().to_owned();
        gate.call("DELETE", &format!("{TOKEN}/{id}")).bearer(&it.token)
    }),
    api("list", Effect::Nothing, |gate, it| gate.get(SESSIONS).bearer(&it.token)),
    api("end", Effect::EndsBystander, |gate, it| {
        gate.call("DELETE", &format!("{SESSIONS}/{}", it.bystander.session())).bearer(&it.token)
    }),
    api("own", Effect::EndsOwn, |gate, it| {
        gate.call("DELETE", &format!("{SESSIONS}/{}", it.session())).bearer(&it.token)
    }),
    form("login", false, Effect::Nothing, |gate, it| {
        gate.post("/login").bearer(&it.token).form(&[("refreshToken", &it.token)])
    }),
    form("refresh", false, Effect::Renews(Dialect::Form), |gate, it| Dialect::Form.refreshing(gate, &it.token)),
    form("logout", false, Effect::EndsOwn, |gate, it| gate.post("/logout").form(&[("refreshToken", &it.token)])),
    form("c:login", true, Effect::Nothing, |gate, it| of_page(gate, it, "/login").form(&[("deviceId", "d")])),
    form("c:refresh", true, Effect::Renews(Dialect::Form), |gate, it| of_page(gate, it, "/refresh")),
    form("c:logout", true, Effect::EndsOwn, |gate, it| of_page(gate, it, "/logout")),
    oauth("token:web", Effect::Renews(Dialect::Web), |gate, it| Dialect::Web.refreshing(gate, &it.token)),
    oauth("token:phone", Effect::Renews(Dialect::Phone), |gate, it| Dialect::Phone.refreshing(gate, &it.token)),
    oauth("revoke:web", Effect::EndsOwn, |gate, it| client(gate, "web", "/oauth/revoke", &[("token", &it.token)])),
    oauth("revoke:phone", Effect::EndsOwn, |gate, it| client(gate, "phone", "/oauth/revoke", &[("token", &it.token)])),
    activity("active:web", |gate, it| client(gate, "web", "/oauth/introspect", &[("token", &it.token)])),
    activity("active:guard", |gate, it| client(gate, "guard", "/oauth/introspect", &[("token", &it.token)])),
];

fn of_page(gate: &Gate, it: &Holder, path: &str) -> Call {
    let origin = format!("http://{}", gate.address);
    gate.post(path).header("Origin", &origin).header("Cookie", &format!("{COOKIE}={}", it.token))
}

impl Place {
    /// What an answer says, in the words of the table.
    pub fn told(&self, answer: &Answer) -> Result<&'static str, String> {
        let told = match (answer.status, self.words) {
            (200, Words::Activity) => match answer.json() {
                told if told["active"] == true => "on",
                told if told == json!({"active": false}) => "off",
                told => return Err(format!("more than that it is inactive: {told}")),
            },
            (200 | 201 | 204, _) => return Ok("ok"),
            (401, Words::Json) if code(answer) == "invalid_token" => "401",
            (403, Words::Json) if code(answer) == "insufficient_scope" => "403",
            (401, Words::Form) if answer.text() == "Invalid or expired refresh token" => "401",
            (400, Words::Form) if self.name.ends_with("login") && answer.text() == "Missing username" => "400",
            (400, Words::Oauth) if code(answer) == "invalid_grant" => "400",
            (status, _) => return Err(format!("{status} {}", answer.text())),
        };
        let refused = answer.status != 200;
        if refused && answer.header("x-portcullis") != Some("denied") {
            return Err("a refusal that does not say whose it is".into());
        }
        if answer.status == 401 && answer.header("www-authenticate").is_none() {
            return Err("401 without a challenge".into());
        }
        Ok(told)
    }
}

fn code(answer: &Answer) -> String {
    answer.field("error")
}
