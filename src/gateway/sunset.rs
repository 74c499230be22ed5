//! Passwords on API routes, and their end.
//!
//! Guarantees: whoever still uses one is told since when that is deprecated (RFC 9745) and when it ends (RFC 8594) with every
//! answer; after that day nobody gets in by one; who still does is counted, and the count is bounded.
//! Does not know: passwords, routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use http::header::HeaderValue;
use http::{HeaderMap, HeaderName};
use tracing::info;

use crate::token::Timestamp;

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");
/// Users that are told apart; those who come later are counted together.
const MOST_USERS: usize = 1000;

/// Whether a password opens API routes.
#[derive(Clone, Debug)]
pub enum BasicUse {
    Allow,
    Warn { since: Timestamp, until: Option<Timestamp> },
    Deny,
}

/// The rule in force, and who still makes use of it. Shared by all workers.
#[derive(Debug)]
pub struct Sunset {
    rule: BasicUse,
    /// Where to get a token instead.
    way_out: Arc<str>,
    headers: HeaderMap,
    uses: Arc<Uses>,
}

#[derive(Debug, Default)]
struct Uses {
    by_user: DashMap<Arc<str>, u64>,
    further: AtomicU64,
}

impl Sunset {
    pub fn new(rule: BasicUse, way_out: &str) -> Self {
        let mut headers = HeaderMap::new();
        if let BasicUse::Warn { since, until } = &rule {
            let mut set = |name, text: Option<String>| {
                if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
                    headers.insert(name, value);
                }
            };
            set(DEPRECATION, Some(format!("@{}", since.as_secs())));
            set(SUNSET, until.and_then(http_date));
        }
        Self { rule, way_out: way_out.into(), headers, uses: Arc::default() }
    }

    /// The same, with what `former` has counted.
    #[must_use]
    pub fn remembering(self, former: &Self) -> Self {
        Self { uses: Arc::clone(&former.uses), ..self }
    }

    /// Whether a password opens anything at `now`.
    ///
    /// # Errors
    /// The way out, if it does not.
    pub(super) fn admit(&self, now: Timestamp) -> Result<(), Arc<str>> {
        match self.rule {
            BasicUse::Allow => Ok(()),
            BasicUse::Warn { until, .. } if until.is_none_or(|until| now < until) => Ok(()),
            BasicUse::Warn { .. } | BasicUse::Deny => Err(Arc::clone(&self.way_out)),
        }
    }

    /// Notes that `user` has made use of it.
    pub(super) fn note(&self, user: &Arc<str>) {
        if !matches!(self.rule, BasicUse::Warn { .. }) {
            return;
        }
        if let Some(mut uses) = self.uses.by_user.get_mut(user) {
            *uses += 1;
        } else if self.uses.by_user.len() < MOST_USERS {
            info!(event = "basic_deprecated", user = &**user, "still uses a password in place of a token");
            self.uses.by_user.insert(Arc::clone(user), 1);
        } else {
            self.uses.further.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says so with an answer.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
    }

    /// How often each user has made use of it since the start, and under no name those who are not told apart.
    pub fn uses(&self) -> Vec<(Arc<str>, u64)> {
        let further = self.uses.further.load(Ordering::Relaxed);
        let further = (further > 0).then(|| (Arc::from(""), further));
        self.uses.by_user.iter().map(|entry| (Arc::clone(entry.key()), *entry.value())).chain(further).collect()
    }
}

/// IMF-fixdate (RFC 9110 section 5.6.7).
fn http_date(at: Timestamp) -> Option<String> {
    let at = jiff::Timestamp::from_second(i64::try_from(at.as_secs()).ok()?).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_warning_has_both_dates_and_ends_with_the_second() {
        let until = DAY + std::time::Duration::from_secs(60);
        let sunset = Sunset::new(BasicUse::Warn { since: DAY, until: Some(until) }, "POST /t");
        let mut headers = HeaderMap::new();
        sunset.mark(&mut headers);
        assert_eq!(headers[DEPRECATION], "@1800000000");
        assert_eq!(headers[SUNSET], "Fri, 15 Jan 2027 08:01:00 GMT");
        assert!(sunset.admit(DAY).is_ok());
        assert_eq!(sunset.admit(until).unwrap_err(), Arc::<str>::from("POST /t"));
        assert!(Sunset::new(BasicUse::Deny, "").admit(DAY).is_err());
    }

    #[test]
    fn users_are_counted_within_a_bound() {
        let sunset = Sunset::new(BasicUse::Warn { since: DAY, until: None }, "");
        for user in 0..MOST_USERS + 7 {
            sunset.note(&user.to_string().into());
        }
        sunset.note(&"0".into());
        let uses = sunset.uses();
        assert_eq!(uses.len(), MOST_USERS + 1);
        assert!(uses.contains(&("0".into(), 2)) && uses.contains(&("".into(), 7)));
    }
}
