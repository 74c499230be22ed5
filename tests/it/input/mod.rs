//! Bad input at the gate's own endpoints: the documented refusal, no harm done, and nothing in the log that could be
//! presented.

mod bodies;
mod credentials;
mod endpoints;
mod guessing;
mod log;
mod requests;

use std::cell::RefCell;

use serde_json::Value;

use crate::support::{Answer, Call, Gate, Start, Upstream};

const TOKEN: &str = "/3rdparty/v1/auth/token";
const REFRESH: &str = "/3rdparty/v1/auth/token/refresh";
const SESSIONS: &str = "/3rdparty/v1/auth/sessions";

/// A gate, and everything that was presented to it or handed out by it.
struct Desk {
    upstream: Upstream,
    gate: Gate,
    secrets: RefCell<Vec<String>>,
}

impl Desk {
    fn new() -> Self {
        Self::with(|start| start)
    }

    #[track_caller]
    fn with(settings: impl FnOnce(Start) -> Start) -> Self {
        let upstream = Upstream::start();
        // Guessing has its own tests; here passwords may be wrong as often as a table needs.
        let start = Start::before(upstream.address)
            .set("limits.signin.user_burst", "1000")
            .set("limits.signin.address_burst", "1000");
        let secrets = ["wonderland", "builder", "YWxpY2U6d29uZGVybGFuZA==", "Ym9iOmJ1aWxkZXI="].map(String::from);
        Self { upstream, gate: settings(start).start(), secrets: RefCell::new(secrets.to_vec()) }
    }

    fn post(&self, target: &str) -> Call {
        self.gate.post(target)
    }

    /// A sign-in of alice, without a body yet.
    fn sign_in(&self) -> Call {
        self.post(TOKEN).basic("alice", "wonderland")
    }

    /// Sends a call and notes the secrets in it and in its answer.
    #[track_caller]
    fn send(&self, call: &Call) -> Answer {
        let mut secrets = self.secrets.borrow_mut();
        let raw = String::from_utf8_lossy(&call.raw()).into_owned();
        let authorization = raw.lines().filter_map(|line| line.strip_prefix("Authorization: "));
        secrets.extend(authorization.filter_map(|value| value.split(' ').next_back()).map(String::from));
        let answer = call.send();
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let tokens = ["access_token", "refresh_token"].iter().filter_map(|name| body[name].as_str());
        secrets.extend(tokens.map(String::from));
        answer
    }

    #[track_caller]
    fn refused(&self, name: &str, call: &Call, status: u16) -> Answer {
        let answer = self.send(call);
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        answer.expect_refusal(status)
    }

    /// The gate serves on, has not panicked, has forwarded nothing, and its log holds no secret.
    #[track_caller]
    fn unharmed(self) {
        let pair = self.send(&self.sign_in().body(r#"{"scopes":["messages:list"]}"#)).expect(201);
        self.gate.wait_for_log(pair.header("x-request-id").unwrap());
        assert!(self.upstream.seen().is_empty(), "{:?}", self.upstream.seen());
        for line in self.gate.log() {
            assert!(!line.contains("panicked"), "{line}");
            // What every JSON Web Token of the gate begins with.
            assert!(!line.contains("eyJhbGciOi"), "{line}");
            for secret in self.secrets.borrow().iter().filter(|secret| secret.len() > 5) {
                assert!(!line.contains(secret), "{secret} in {line}");
            }
        }
    }
}
