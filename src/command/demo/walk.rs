//! The walk: the whole life of a session against a running gateway, one line a call.
//!
//! Guarantees: every answer is checked, against what the gateway promises and against what really reached the upstream;
//! the first surprise ends the walk.
//! Does not know: how gateway and upstream came to run.

use std::time::Duration;

use http::{HeaderName, Method};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::PREFIX;
use super::client::{Answer, Call};
use super::stage::USER;
use super::steps::{Step, Steps, WalkError};
use super::upstream::{SampleUpstream, Seen};

/// How long the thief waits. A request that was already on its way when the token was rotated counts as the loser of a
/// race, not as theft.
const THIEF_WAITS: Duration = Duration::from_millis(100);

pub(super) struct Walk<'a, 'b, 'out> {
    pub(super) steps: Steps<'b, 'out>,
    pub(super) upstream: &'a SampleUpstream,
    pub(super) password: &'a str,
}

/// What a sign-in or a refresh brings.
struct Pair {
    id: String,
    access: String,
    refresh: String,
}

impl Walk<'_, '_, '_> {
    /// Walks from a call without a token to a revoked session.
    pub(super) async fn go(&mut self) -> Result<(), WalkError> {
        let before = self.arrivals();
        let step = self.steps.make(send(None), 401).await?;
        let challenge = step.answer.headers.contains_key("www-authenticate");
        self.steps.demand(&step, challenge, "a WWW-Authenticate header")?;
        self.steps.demand(&step, self.arrivals() == before, "nothing to reach the upstream")?;
        self.steps.tell(&step, "no token: refused at the gate, the upstream saw nothing")?;

        let first = self.sign_in().await?;

        let step = self.steps.make(send(Some(&first.access)), 202).await?;
        self.upstream_saw(&step, USER)?;
        self.steps.tell(&step, &format!("sent; the upstream was told X-Auth-Subject: {USER}"))?;
        let message = step.answer.text("/id").unwrap_or_default();

        let step = self.steps.make(call(Method::GET, "/messages").bearer(&first.access), 403).await?;
        let refusal = "scope required: messages:list";
        let named = step.answer.text("/message").as_deref() == Some(refusal);
        self.steps.demand(&step, named, &format!("the message `{refusal}`"))?;
        self.steps.tell(&step, &format!("{refusal}; this token may only send and read"))?;

        let forged = read(&message, &first).header(HeaderName::from_static("x-auth-subject"), "admin");
        let step = self.steps.make(forged, 200).await?;
        self.upstream_saw(&step, USER)?;
        self.steps.tell(&step, &format!("a forged X-Auth-Subject: admin arrived as {USER}"))?;

        let step = self.steps.make(refresh(&first), 200).await?;
        let refreshed = Instant::now();
        let second = self.pair(&step)?;
        let new = second.refresh != first.refresh && second.access != first.access;
        self.steps.demand(&step, new, "two new tokens")?;
        self.steps.tell(&step, "refreshed: a new pair, and the old refresh token is used up")?;
        self.steps.take(send(Some(&second.access)), 202, "the new access token sends").await?;
        self.steps.take(read(&message, &second), 200, "and reads").await?;

        sleep_until(refreshed + THIEF_WAITS).await;
        self.steps.take(refresh(&first), 401, "the old refresh token again: theft! The session ends").await?;
        self.steps.take(refresh(&second), 401, "so the new refresh token is refused as well").await?;
        self.steps.take(read(&message, &second), 401, "and so is the new access token, at once").await?;

        let third = self.sign_in().await?;
        let step = self.steps.make(self.as_user(Method::GET, "/auth/sessions"), 200).await?;
        let alone = step.answer.json().as_array().map(Vec::len) == Some(1);
        self.steps.demand(&step, alone, "a list of one session")?;
        self.steps.tell(&step, "the own sessions: this one; the stolen one is gone")?;

        let revoke = self.as_user(Method::DELETE, &format!("/auth/token/{}", third.id));
        self.steps.take(revoke, 204, "revoked by the token's id, which ends the session").await?;
        self.steps.take(read(&message, &third), 401, "the access token is refused long before it expires").await
    }

    async fn sign_in(&mut self) -> Result<Pair, WalkError> {
        let wanted = json!({"scopes": ["messages:send", "messages:read"], "device": {"name": "demo walk"}});
        let step = self.steps.make(self.as_user(Method::POST, "/auth/token").json(&wanted), 201).await?;
        let pair = self.pair(&step)?;
        self.steps.tell(&step, "signed in: a short-lived access token, a single-use refresh token")?;
        Ok(pair)
    }

    fn as_user(&self, method: Method, path: &str) -> Call {
        call(method, path).basic(USER, self.password)
    }

    /// The pair that a step must have brought.
    fn pair(&mut self, step: &Step) -> Result<Pair, WalkError> {
        let pair = pair(&step.answer);
        self.steps.demand(step, pair.is_some(), "a pair with id, access_token and refresh_token")?;
        // Never `None` behind the demand.
        pair.ok_or(WalkError::Surprise(self.steps.lines.steps()))
    }

    /// How many requests the upstream has had.
    fn arrivals(&self) -> u64 {
        self.upstream.seen().last().map_or(0, |seen| seen.number)
    }

    /// Demands that the last request at the upstream was made in the name of `subject`.
    fn upstream_saw(&mut self, step: &Step, subject: &str) -> Result<(), WalkError> {
        let seen = self.upstream.seen();
        let saw = seen.last().and_then(Seen::subject);
        let expected = format!("the upstream to see {subject}, not {}", saw.unwrap_or("nobody"));
        self.steps.demand(step, saw == Some(subject), &expected)
    }
}

fn call(method: Method, path: &str) -> Call {
    Call::new(method, format!("{PREFIX}{path}"))
}

fn send(token: Option<&str>) -> Call {
    let sms: Value = json!({"phoneNumbers": ["+15550100"], "textMessage": {"text": "Hello"}});
    let call = call(Method::POST, "/messages").json(&sms);
    match token {
        Some(token) => call.bearer(token),
        None => call,
    }
}

fn read(message: &str, with: &Pair) -> Call {
    call(Method::GET, &format!("/messages/{message}")).bearer(&with.access)
}

fn refresh(with: &Pair) -> Call {
    call(Method::POST, "/auth/token/refresh").bearer(&with.refresh)
}

fn pair(answer: &Answer) -> Option<Pair> {
    let [id, access, refresh] = ["/id", "/access_token", "/refresh_token"].map(|pointer| answer.text(pointer));
    Some(Pair { id: id?, access: access?, refresh: refresh? })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::client::Target;
    use super::super::lines::Lines;
    use super::*;

    #[test]
    fn a_missing_gate_is_a_surprise() {
        let upstream = SampleUpstream::start(SocketAddr::from(([127, 0, 0, 1], 0)), PREFIX).unwrap();
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, false);
        let steps = Steps { gateway: Target::plain(upstream.address()), lines: &mut lines };
        let mut walk = Walk { steps, upstream: &upstream, password: "" };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let walked = runtime.block_on(walk.go());
        assert!(matches!(walked, Err(WalkError::Surprise(1))));
        let shown = String::from_utf8(out).unwrap();
        assert!(shown.contains("SURPRISE: expected nothing to reach the upstream; came 401"), "{shown}");
    }
}
