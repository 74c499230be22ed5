//! Tokens of other issuers, judged as requests bring them.
//!
//! Guarantees: what a token says of its issuer only chooses whose keys and algorithms it has to meet, and is believed
//! only after its signature; an algorithm that the issuer was not given is refused before any key is looked at; nothing
//! here waits: an unknown key leaves a word for whoever fetches. Header fields that point to keys (`jku`, `jwk`, `x5u`,
//! `x5c`) mean nothing.
//! Does not know: how keys are fetched, revocation, routes.

use serde::Deserialize;
use serde_json::Value;

use crate::keys::Algorithm;
use crate::token::{Envelope, Policy, Timestamp, TokenError};

use super::claims::{self, DIVIDER, Foreign};
use super::{Issuer, Issuers};

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    /// Extensions that must be understood, and none is (RFC 7515 section 4.1.11).
    crit: Option<Value>,
    /// RFC 7797.
    b64: Option<Value>,
}

impl Issuers {
    /// Judges a token text presented as an access token; `None` if it does not claim to be of one of these issuers.
    pub fn verify(&self, token: &str, policy: &Policy, now: Timestamp) -> Option<Result<Foreign, TokenError>> {
        if self.list.is_empty() {
            return None;
        }
        // What cannot be read is for the judge of our own tokens to refuse.
        let envelope = Envelope::open(token, policy.max_token_bytes).ok()?;
        let header: Header = serde_json::from_slice(&envelope.header_text().ok()?).ok()?;
        let claimed = envelope.claimed_issuer()?;
        let issuer = self.list.iter().find(|issuer| issuer.trust.issuer == claimed)?;
        Some(issuer.verify(&envelope, &header, policy, now))
    }
}

impl Issuers {
    /// Whether the key that signed a token is still in force.
    pub fn still_verifies(&self, foreign: &Foreign) -> bool {
        let issued_by = |issuer: &&Issuer| {
            let rest = foreign.subject.as_str().strip_prefix(issuer.trust.issuer.as_str());
            rest.is_some_and(|rest| rest.starts_with(DIVIDER))
        };
        self.list.iter().find(issued_by).is_some_and(|issuer| issuer.keys.load().has(&foreign.signer))
    }
}

impl Issuer {
    fn verify(
        &self,
        envelope: &Envelope<'_>,
        header: &Header,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Foreign, TokenError> {
        if header.crit.is_some() || header.b64.is_some() {
            return Err(TokenError::Header);
        }
        let typ = header.typ.as_deref().unwrap_or("JWT");
        if !["at+jwt", "application/at+jwt", "JWT"].iter().any(|known| known.eq_ignore_ascii_case(typ)) {
            return Err(TokenError::Type);
        }
        let algorithm: Algorithm = header.alg.parse().map_err(|_| TokenError::Algorithm)?;
        if !self.trust.algorithms.contains(&algorithm) {
            return Err(TokenError::Algorithm);
        }
        let kid = header.kid.as_deref().ok_or(TokenError::Header)?;
        let keys = self.keys.load();
        let Some(key) = keys.find(kid, algorithm) else {
            self.unknown_key.notify_one();
            return Err(TokenError::UnknownKey);
        };
        let key = key.ok_or(TokenError::Algorithm)?;
        let payload = envelope.payload(|message, signature| key.verify(message, signature))?;
        claims::read(&payload, key.signer(kid), &self.trust, policy, now)
    }
}

#[cfg(test)]
mod tests;
