//! The calls of the sample upstream: the SMSGate API, with a phone that is not there.
//!
//! Guarantees: nothing but health, the API catalog and the device calls is answered without a subject named by the
//! gateway; paths match as the vendor's router matches them, without regard to case and to a trailing slash.
//! Does not know: sockets and connections, the gateway's tokens.

use http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::messages::{Filter, Messages, NotTaken};
use super::mobile;
use super::phone::Phone;
use super::reply::{Ask, Refusal, Reply};
use super::seen::{Arrivals, subject};
use crate::command::demo::random_text;

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// All that the upstream remembers, behind its calls.
pub(super) struct SmsApi {
    prefix: String,
    /// Where devices call: beside the API on a server, and here also if there is no such place.
    mobile: String,
    pub(super) arrivals: Arrivals,
    messages: Messages,
    phone: Phone,
}

impl SmsApi {
    /// An API under `prefix`, such as `/3rdparty/v1`; `/` and the empty prefix mean the root.
    pub(super) fn new(prefix: &str) -> Self {
        let words = prefix.trim_matches('/').to_ascii_lowercase();
        let prefix = if words.is_empty() { words } else { format!("/{words}") };
        let mobile = format!("{}/mobile/v1/", prefix.strip_suffix("/3rdparty/v1").unwrap_or_default());
        Self { prefix, mobile, arrivals: Arrivals::default(), messages: Messages::default(), phone: Phone::new() }
    }

    /// Answers one request. `now` is in whole seconds, because some clients read no fractions.
    pub(super) fn answer(&mut self, ask: &Ask<'_>, now: Timestamp) -> Reply {
        self.route(ask, now).unwrap_or_else(Reply::from)
    }

    fn route(&mut self, ask: &Ask<'_>, now: Timestamp) -> Result<Reply, Refusal> {
        let path = ask.path.strip_suffix('/').unwrap_or(ask.path);
        let folded = path.to_ascii_lowercase();
        // The connection leaves out the body of an answer to HEAD.
        let method = if ask.method == Method::HEAD { "GET" } else { ask.method.as_str() };
        let api = folded.strip_prefix(&self.prefix).filter(|rest| rest.starts_with('/'));
        match (method, api.unwrap_or(&folded)) {
            ("GET", "/health" | "/health/live" | "/health/ready" | "/health/startup") => {
                Ok(Reply::ok(json!({"status": "pass", "version": "sample", "releaseId": 1})))
            }
            ("GET", "/.well-known/api-catalog") => {
                let catalog = json!({"linkset": [{"anchor": format!("{}/", self.prefix)}]});
                Ok(Reply::ok(catalog).with(CONTENT_TYPE, "application/linkset+json"))
            }
            _ => match (folded.strip_prefix(&self.mobile), api) {
                (Some(call), _) => mobile::call(method, call, ask, &mut self.phone, &self.messages, now),
                // Ids keep their case: they come from the path as it was sent.
                (None, Some(api)) => self.call(method, api, path.rsplit('/').next().unwrap_or_default(), ask, now),
                (None, None) => Err(Refusal::unknown()),
            },
        }
    }

    /// A call of the API: `path` is what follows the prefix, folded to lower case, `id` its last segment as sent.
    fn call(&mut self, method: &str, path: &str, id: &str, ask: &Ask<'_>, now: Timestamp) -> Result<Reply, Refusal> {
        let owner = subject(ask.headers).ok_or_else(Refusal::unauthorized)?;
        let words: Vec<&str> = path.split('/').skip(1).collect();
        Ok(match (method, words.as_slice()) {
            ("POST", ["messages" | "message", "inbox", "export"] | ["inbox", "export" | "refresh"]) => {
                Reply::json(StatusCode::ACCEPTED, json!({}))
            }
            ("GET", ["inbox"]) => Reply::ok(json!([])).with(TOTAL, "0"),
            ("POST", ["messages" | "message"]) => self.send(owner, ask, now)?,
            ("GET", ["messages" | "message"]) => {
                let (page, total) = self.messages.list(owner, &filter(ask.query)?);
                Reply::ok(page).with(TOTAL, &total.to_string())
            }
            ("GET", ["messages" | "message", _]) => {
                Reply::ok(self.messages.look(owner, id, now).ok_or_else(Refusal::unknown)?)
            }
            ("DELETE", ["messages" | "message", _]) => {
                let shape = self.messages.cancel(owner, id, now).ok_or_else(Refusal::unknown)?;
                Reply::json(StatusCode::ACCEPTED, shape)
            }
            ("GET", ["devices" | "device"]) => {
                self.phone.first_device(random_text(16)?, now);
                Reply::ok(self.phone.devices(now))
            }
            ("DELETE", ["devices" | "device", _]) => {
                self.phone.forget_device(id);
                Reply::nothing()
            }
            ("GET", ["webhooks"]) => Reply::ok(self.phone.webhooks(owner)),
            ("POST", ["webhooks"]) => {
                let hook = serde_json::from_slice(ask.body).map_err(Refusal::bad)?;
                let set = self.phone.hook(owner, hook, random_text(16)?);
                Reply::json(StatusCode::CREATED, set.ok_or_else(|| Refusal::bad("not a web address, or too long"))?)
            }
            ("DELETE", ["webhooks", _]) => {
                self.phone.unhook(owner, id);
                Reply::nothing()
            }
            ("GET", ["settings"]) => Reply::ok(self.phone.settings()),
            ("PUT" | "PATCH", ["settings"]) => {
                let sections = serde_json::from_slice(ask.body).map_err(Refusal::bad)?;
                let set = self.phone.set(sections, method == "PATCH");
                Reply::ok(set.ok_or_else(|| Refusal::bad("a section is not an object, or the settings are too large"))?)
            }
            ("GET", ["logs"]) => Reply::ok(self.arrivals.log(owner)),
            _ => return Err(Refusal::unknown()),
        })
    }

    fn send(&mut self, owner: &str, ask: &Ask<'_>, now: Timestamp) -> Result<Reply, Refusal> {
        let draft = serde_json::from_slice(ask.body).map_err(Refusal::bad)?;
        let device = self.phone.first_device(random_text(16)?, now).to_owned();
        let taken = self.messages.take(owner, draft, random_text(16)?, &device, now);
        let (id, shape) = taken.map_err(|refused| match refused {
            NotTaken::Invalid(_) => Refusal::bad(refused),
            NotTaken::Duplicate => Refusal::new(StatusCode::CONFLICT, refused),
        })?;
        let place = format!("{}/messages/{id}", self.prefix);
        Ok(Reply::json(StatusCode::ACCEPTED, shape).with(LOCATION, &place))
    }
}

/// What a list's query asks for; parameters that make no difference here are passed over.
fn filter(query: &str) -> Result<Filter<'_>, Refusal> {
    let mut filter = Filter::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let number = || value.parse().map_err(|_| Refusal::bad(format!("{name}: not a number")));
        match name {
            "state" => filter.state = Some(value),
            "limit" => filter.limit = Some(number()?),
            "offset" => filter.offset = number()?,
            _ => {}
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use serde_json::Value;

    use super::super::reply::Payload;
    use super::*;

    const P: &str = "/3rdparty/v1";

    fn api() -> SmsApi {
        SmsApi::new(P)
    }

    fn ask(api: &mut SmsApi, call: &str, headers: &HeaderMap, body: &str) -> Reply {
        let (method, target) = call.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = method.parse().unwrap();
        api.answer(&Ask { method: &method, path, query, headers, body: body.as_bytes() }, Timestamp::UNIX_EPOCH)
    }

    fn header(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    fn by_ada(api: &mut SmsApi, call: &str, body: &str) -> Reply {
        ask(api, call, &header(HeaderName::from_static("x-auth-subject"), "ada"), body)
    }

    fn value(reply: &Reply) -> &Value {
        match &reply.payload {
            Payload::Json(value) => value,
            other => panic!("no JSON but {other:?}"),
        }
    }

    #[test]
    fn every_call_has_its_status() {
        #[track_caller]
        fn check(call: &str, body: &str, status: u16) {
            let reply = by_ada(&mut api(), call, body);
            assert_eq!(reply.status, status, "{call}: {:?}", reply.payload);
        }
        check("POST /3rdparty/v1/messages", r#"{"phoneNumbers":["+1"]}"#, 202);
        check("POST /3rdparty/v1/message", r#"{"phoneNumbers":["+1"]}"#, 202);
        check("POST /3RDparty/v1/Messages/", r#"{"phoneNumbers":["+1"]}"#, 202);
        check("POST /3rdparty/v1/messages", "{}", 400);
        check("POST /3rdparty/v1/messages", "no json", 400);
        check("GET /3rdparty/v1/messages/none", "", 404);
        check("DELETE /3rdparty/v1/messages/none", "", 404);
        check("GET /3rdparty/v1/messages?limit=-1", "", 400);
        check("HEAD /3rdparty/v1/messages", "", 200);
        check("POST /3rdparty/v1/messages/inbox/export", "{}", 202);
        check("DELETE /3rdparty/v1/devices/any", "", 204);
        check("POST /3rdparty/v1/webhooks", r#"{"url":"https://a.example","event":"sms:sent"}"#, 201);
        check("POST /3rdparty/v1/webhooks", r#"{"url":"https://a.example"}"#, 400);
        check("PUT /3rdparty/v1/settings", "{}", 200);
        check("PATCH /3rdparty/v1/settings", "[]", 400);
        check("GET /3rdparty/v1/logs", "", 200);
        check("GET /3rdparty/v1/health", "", 200);
        check("GET /health/ready", "", 200);
        check("POST /3rdparty/v1/auth/token", "{}", 404);
        check("GET /3rdparty/v1x/messages", "", 404);
        check("GET /messages", "", 404);
        check("GET /", "", 404);
    }

    #[test]
    fn a_call_without_a_subject_is_refused() {
        let reply = ask(&mut api(), "GET /3rdparty/v1/messages", &HeaderMap::new(), "");
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert_eq!(value(&reply), &json!({"message": "Unauthorized"}));
        assert!(reply.headers.contains_key("www-authenticate"));
    }

    #[test]
    fn a_sent_message_can_be_read_where_the_answer_says() {
        let mut api = api();
        let sent = by_ada(&mut api, "POST /3rdparty/v1/messages", r#"{"phoneNumbers":["+1"],"id":"MyId"}"#);
        assert_eq!(value(&sent)["state"], "Pending");
        let place = sent.headers[LOCATION].to_str().unwrap();
        assert_eq!(place, "/3rdparty/v1/messages/MyId");
        assert_eq!(value(&by_ada(&mut api, &format!("GET {place}"), ""))["state"], "Sent");
        assert_eq!(by_ada(&mut api, "GET /3rdparty/v1/messages", "").headers[TOTAL], "1");
    }

    #[test]
    fn devices_call_beside_the_api() {
        #[track_caller]
        fn check(prefix: &str, send: &str, register: &str) {
            let mut api = SmsApi::new(prefix);
            assert_eq!(by_ada(&mut api, send, r#"{"phoneNumbers":["+1"]}"#).status, StatusCode::ACCEPTED);
            assert_eq!(by_ada(&mut api, register, "").status, StatusCode::CREATED);
        }
        check("/3rdparty/v1", "POST /3rdparty/v1/messages", "POST /mobile/v1/device");
        check("/api/3rdparty/v1/", "POST /api/3rdparty/v1/messages", "POST /api/mobile/v1/device");
        check("/", "POST /messages", "POST /mobile/v1/device");
    }

    #[test]
    fn the_catalog_is_a_linkset_and_every_answer_points_to_it() {
        let catalog = ask(&mut api(), "GET /.well-known/api-catalog", &HeaderMap::new(), "");
        assert_eq!(catalog.headers[CONTENT_TYPE], "application/linkset+json");
        assert!(catalog.headers["link"].to_str().unwrap().contains("api-catalog"));
    }
}
