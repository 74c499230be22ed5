//! Tokens that are not what the gate issued, or no longer good: none of them reaches the upstream.

mod algorithms;
mod header;
mod lifetime;
mod matrix;
mod payload;
mod presenting;
mod signature;

use serde_json::Value;

use crate::support::{Answer, Gate, Start, Upstream, forge};

const ROUTE: &str = "/3rdparty/v1/messages";

/// A gate whose secret the forger knows, and what he learnt from a real token of it.
struct Forger {
    upstream: Upstream,
    gate: Gate,
    pair: Answer,
    header: Value,
    claims: Value,
}

impl Forger {
    fn new() -> Self {
        Self::with(|start| start)
    }

    #[track_caller]
    fn with(settings: impl FnOnce(Start) -> Start) -> Self {
        let upstream = Upstream::start();
        let gate = settings(Start::before(upstream.address).with_known_secret()).start();
        let pair = gate.alice(&["messages:list"]);
        let (header, claims) = forge::parts(&pair.field("access_token"));
        Self { upstream, gate, pair, header, claims }
    }

    /// The real claims under another header.
    fn headed(&self, header: &Value) -> String {
        forge::forge(header.to_string(), self.claims.to_string())
    }

    /// Other claims under the real header.
    fn claiming(&self, claims: &Value) -> String {
        forge::forge(self.header.to_string(), claims.to_string())
    }

    /// When the real token was issued, in Unix seconds.
    fn now(&self) -> u64 {
        self.claims["iat"].as_u64().unwrap()
    }

    /// What is refused later is refused for what was altered: unaltered, the forger's own signature is good.
    #[track_caller]
    fn control(&self) {
        self.passes("the control, unaltered and signed anew", &self.claiming(&self.claims));
    }

    #[track_caller]
    fn passes(&self, name: &str, token: &str) {
        let before = self.upstream.seen().len();
        let answer = self.gate.get(ROUTE).bearer(token).send();
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(self.upstream.seen().len(), before + 1, "{name}");
    }

    /// It is refused as an access token and as a refresh token, and nobody behind the gate sees it.
    #[track_caller]
    fn refused(&self, name: &str, token: &str) {
        let before = self.upstream.seen().len();
        for (place, answer) in [
            ("API", self.gate.get(ROUTE).bearer(token).send()),
            ("refresh endpoint", self.gate.refresh(token)),
            ("sessions", self.gate.get("/3rdparty/v1/auth/sessions").bearer(token).send()),
        ] {
            assert_eq!(answer.status, 401, "{name}, at the {place}: {}", answer.text());
            answer.expect_refusal(401);
        }
        assert_eq!(self.upstream.seen().len(), before, "{name} reached the upstream");
    }
}
