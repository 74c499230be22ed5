//! The calls of devices: the phones that send the messages, under `/mobile/v1` beside the API.
//!
//! Guarantees: but for registering, nothing is answered without a token that was given to a device here. Such tokens are
//! opaque, as SMSGate's are: the gateway can only pass them on.
//! Does not know: users, and whether a message was really sent.

use http::StatusCode;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::messages::Messages;
use super::phone::Phone;
use super::reply::{Ask, Refusal, Reply};
use crate::command::demo::random_text;

/// Answers one call; `path` is what follows `.../mobile/v1/`.
pub(super) fn call(
    method: &str,
    path: &str,
    ask: &Ask<'_>,
    phone: &mut Phone,
    messages: &Messages,
    now: Timestamp,
) -> Result<Reply, Refusal> {
    if (method, path) == ("POST", "device") {
        let (id, token) = (random_text(16)?, random_text(32)?);
        let wanted: Value = serde_json::from_slice(ask.body).unwrap_or_default();
        phone.register(id.clone(), wanted["name"].as_str().unwrap_or("phone"), &token, now);
        return Ok(Reply::json(StatusCode::CREATED, json!({"id": id, "token": token})));
    }
    let device = bearer(ask).and_then(|token| phone.device_of(token, now));
    let (id, shape) = device.ok_or_else(Refusal::unauthorized)?;
    Ok(match (method, path) {
        ("GET", "device") => Reply::ok(json!({"device": shape})),
        ("GET", "message" | "messages") => Reply::ok(messages.waiting(&id)),
        ("GET", "webhooks") => Reply::ok(json!([])),
        ("GET", "settings") => Reply::ok(phone.settings()),
        ("GET", "events") => Reply::events(),
        ("PATCH", "device" | "message" | "messages") => Reply::nothing(),
        _ => return Err(Refusal::unknown()),
    })
}

fn bearer<'a>(ask: &Ask<'a>) -> Option<&'a str> {
    let (scheme, token) = ask.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};

    use super::super::reply::Payload;
    use super::*;

    fn answer(phone: &mut Phone, call_of: (&str, &str), token: Option<&str>, body: &str) -> Result<Reply, Refusal> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
        }
        let ask = Ask { method: &Method::GET, path: "", query: "", headers: &headers, body: body.as_bytes() };
        call(call_of.0, call_of.1, &ask, phone, &Messages::default(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_device_calls_with_the_token_it_was_given() {
        let mut phone = Phone::new();
        let registered = answer(&mut phone, ("POST", "device"), None, r#"{"name":"Pixel"}"#).unwrap();
        assert_eq!(registered.status, StatusCode::CREATED);
        let Payload::Json(device) = registered.payload else { panic!("no JSON") };
        for path in ["message", "events", "device"] {
            let with =
                |phone: &mut Phone, token| answer(phone, ("GET", path), token, "").map_err(|refusal| refusal.status);
            assert_eq!(with(&mut phone, device["token"].as_str()).unwrap().status, StatusCode::OK, "{path}");
            assert_eq!(with(&mut phone, Some("stranger")).unwrap_err(), StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(with(&mut phone, None).unwrap_err(), StatusCode::UNAUTHORIZED, "{path}");
        }
    }

    #[test]
    fn a_registration_needs_no_body() {
        let registered = answer(&mut Phone::new(), ("POST", "device"), None, "");
        assert_eq!(registered.unwrap().status, StatusCode::CREATED);
    }
}
