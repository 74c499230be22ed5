//! What an issuer's claims mean here.
//!
//! Guarantees: `iss`, `sub`, `aud` and `exp` are required and typed, and `nbf` and `iat` typed if they are there; whatever
//! looks like an ID token is none of ours to accept; the subject carries its issuer; no foreign scope becomes one that
//! only this gate gives, or one that opens everything, unless the operator says so.
//! Does not know: signatures, keys.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::Error;
use serde_json::{Map, Value};

use crate::token::{
    ALL_ANY, Bound, Policy, Scopes, Subject, TOKENS_MANAGE, TOKENS_REFRESH, Thumbprint, Timestamp, TokenError,
    one_or_many,
};

use super::Trust;

/// What stands between the issuer's name and its own name for somebody; no issuer has it in its name.
pub const DIVIDER: char = '|';

/// What an authentic, current access token of another issuer says.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// `{issuer}|{sub}`. An issuer begins with its scheme and a colon, which no name of our own has.
    pub subject: Subject,
    pub scopes: Scopes,
    pub roles: Vec<String>,
    /// The certificate that it is bound to.
    pub certificate: Option<Thumbprint>,
    /// What signed it.
    pub(super) signer: Signer,
    not_before: Timestamp,
    expires_at: Timestamp,
}

/// A key, as a token that was verified remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer {
    pub(super) kid: Box<str>,
    /// Tells keys of one name apart.
    pub(super) material: Arc<[u8]>,
}

/// The issuer's scopes, each with those that it stands for here.
pub type ScopeMap = HashMap<String, Scopes>;

#[derive(Deserialize)]
struct Read {
    iss: String,
    sub: String,
    #[serde(deserialize_with = "one_or_many")]
    aud: Vec<String>,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    #[serde(default)]
    cnf: Bound,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Seconds, which may have a fraction (RFC 7519 section 2).
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum NumericDate {
    Whole(u64),
    Fraction(f64),
}

impl Foreign {
    /// The part of the judgement that time can change: asked again on every use of a remembered token.
    pub fn check_time(&self, now: Timestamp, policy: &Policy) -> Result<(), TokenError> {
        if now >= self.expires_at + policy.leeway {
            return Err(TokenError::Expired);
        }
        if now + policy.leeway < self.not_before {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

/// Judges the claims of a token whose signature is the issuer's.
pub(super) fn read(
    payload: &str,
    signer: Signer,
    trust: &Trust,
    policy: &Policy,
    now: Timestamp,
) -> Result<Foreign, TokenError> {
    let claims: Read = serde_json::from_str(payload).map_err(TokenError::Claims)?;
    if claims.iss != trust.issuer {
        return Err(TokenError::Issuer);
    }
    if !claims.aud.iter().any(|audience| trust.audience.contains(audience)) {
        return Err(TokenError::Audience);
    }
    // OpenID Connect Core section 2: only ID tokens have them.
    if ["nonce", "at_hash"].iter().any(|name| claims.others.contains_key(*name)) {
        return Err(TokenError::Type);
    }
    let issued_at = claims.iat.map_or(Ok(Timestamp::default()), timestamp)?;
    // The upstream reads it from a header: one that is empty there, or cannot stand there, would be nobody.
    if claims.sub.is_empty() || claims.sub.contains(char::is_control) {
        return Err(TokenError::Kind);
    }
    let foreign = Foreign {
        subject: Subject::new(format!("{}{DIVIDER}{}", trust.issuer, claims.sub)),
        scopes: trust.granted(&words(&claims.others, &trust.scopes_claim, true)?),
        roles: match &trust.roles_claim {
            Some(claim) => words(&claims.others, claim, false)?,
            None => Vec::new(),
        },
        certificate: claims.cnf.certificate()?,
        signer,
        not_before: claims.nbf.map_or(Ok(Timestamp::default()), timestamp)?,
        expires_at: timestamp(claims.exp)?,
    };
    foreign.check_time(now, policy)?;
    if issued_at > now + policy.leeway {
        return Err(TokenError::IssuedInFuture);
    }
    Ok(foreign)
}

impl Trust {
    fn granted(&self, theirs: &[String]) -> Scopes {
        // RFC 6749 section 3.3. What is no scope demands nothing, and the upstream could not read it from a header.
        let is_scope = |word: &str| word.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b));
        match &self.scopes {
            Some(map) => Scopes::new(theirs.iter().filter_map(|scope| map.get(scope)).flat_map(Scopes::iter)),
            None => {
                let ours = [ALL_ANY, TOKENS_MANAGE, TOKENS_REFRESH];
                Scopes::new(theirs.iter().filter(|scope| is_scope(scope) && !ours.contains(&scope.as_str())))
            }
        }
    }
}

/// The words of a claim: a list of texts, or one text, which is split at spaces if it may hold several, as each text of a
/// list is then. None if the claim is not there. A name with dots that is no claim leads into objects.
fn words(claims: &Map<String, Value>, name: &str, split: bool) -> Result<Vec<String>, TokenError> {
    let inner = || {
        let mut steps = name.split('.');
        steps.next().and_then(|first| steps.try_fold(claims.get(first)?, |value, step| value.get(step)))
    };
    let texts: Vec<&str> = match claims.get(name).or_else(inner) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => {
            list.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(|| not_words(name))?
        }
        Some(_) => return Err(not_words(name)),
    };
    Ok(match split {
        true => texts.iter().flat_map(|text| text.split_whitespace()).map(Into::into).collect(),
        false => texts.into_iter().map(Into::into).collect(),
    })
}

fn not_words(name: &str) -> TokenError {
    TokenError::Claims(serde_json::Error::custom(format_args!("{name} is neither a text nor a list of texts")))
}

fn timestamp(date: NumericDate) -> Result<Timestamp, TokenError> {
    match date {
        NumericDate::Whole(seconds) => Ok(Timestamp::from_secs(seconds)),
        // Rounded down and bounded by the conversion; no time is before 1970.
        NumericDate::Fraction(seconds) if seconds >= 0.0 => Ok(Timestamp::from_secs(seconds as u64)),
        NumericDate::Fraction(_) => {
            Err(TokenError::Claims(serde_json::Error::custom("a time is not a number of seconds since 1970")))
        }
    }
}

#[cfg(test)]
mod tests;
