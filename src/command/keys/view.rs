//! How a key is shown, as JSON and for people.
//!
//! Guarantees: nothing secret is shown; names of fields are those that `keys list --help` promises.
//! Does not know: where any of it comes from.

use std::fmt;

use serde::Serialize;

use crate::keys::{Algorithm, KeyEntry, State};
use crate::token::Timestamp;

use super::need::Need;

/// The columns of the text.
pub(super) const HEADING: &str = "kid               algorithm  state     created               sessions";

#[derive(Serialize)]
pub(super) struct KeyView<'a> {
    kind: &'static str,
    kid: &'a str,
    algorithm: Algorithm,
    state: State,
    created: Option<String>,
    since: Option<String>,
    sessions: usize,
    refresh_until: Option<String>,
    access_until: Option<String>,
    safe_to_retire: bool,
    safe_at: Option<String>,
}

/// A key that sessions speak of and that is not there any more.
#[derive(Serialize)]
pub(super) struct GoneView<'a> {
    pub(super) kind: &'static str,
    pub(super) kid: &'a str,
    pub(super) sessions: usize,
}

impl<'a> KeyView<'a> {
    pub(super) fn new(key: &'a KeyEntry, need: &Need) -> Self {
        let until = need.until();
        Self {
            kind: "key",
            kid: &key.kid,
            algorithm: key.algorithm,
            state: key.state,
            created: key.created.map(second),
            since: key.since.map(second),
            sessions: need.sessions,
            refresh_until: need.refresh_until.map(until_second),
            access_until: need.access_until.map(until_second),
            safe_to_retire: key.state != State::Current && until.is_none(),
            safe_at: until.map(until_second),
        }
    }
}

impl fmt::Display for KeyView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kid, algorithm, state, created, sessions, .. } = self;
        let created = created.as_deref().unwrap_or("-");
        write!(f, "{kid:16}  {algorithm:9}  {state:8}  {created:20}  {sessions}")?;
        if self.state != State::Retiring {
            return Ok(());
        }
        write!(f, "\n  retiring since {}", self.since.as_deref().unwrap_or("an unknown time"))?;
        if let Some(until) = &self.refresh_until {
            write!(f, "; its refresh tokens can be valid until {until}")?;
        }
        if let Some(until) = &self.access_until {
            write!(f, "; its access tokens can be valid until {until}")?;
        }
        match &self.safe_at {
            Some(at) => write!(f, "; safe to drop at {at}"),
            None => f.write_str("; safe to drop now"),
        }
    }
}

impl fmt::Display for GoneView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kid, sessions, .. } = self;
        write!(f, "{kid:16}  {0:9}  gone      {0:20}  {sessions}", "-")
    }
}

/// The second that it falls into.
fn second(at: jiff::Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// The next whole second: what ends at `at` has ended by what is shown.
pub(super) fn until_second(at: Timestamp) -> String {
    let secs = i64::try_from(at.as_micros().div_ceil(1_000_000)).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(secs).unwrap_or(jiff::Timestamp::MAX).to_string()
}
