//! `[routes]`: what is demanded where nothing more particular is said.
//!
//! Guarantees: prefixes are canonical, and the one towards the upstream is always filled in.
//! Does not know: the preset's table, and how a request is matched.

use super::effective::quote;
use super::kind::Choice;
use super::mistake::quoted;
use super::path;
use super::profiles::realm;
use super::reader::Reader;
use super::route::RouteRule;
use super::shape;
use crate::token::Timestamp;

#[derive(Clone, Debug, PartialEq)]
pub struct Routes {
    pub preset: Preset,
    /// What stands in front of the API's paths for clients: empty, or `/3rdparty/v1` without a slash at its end.
    pub prefix: String,
    /// The same towards the upstream, below its base.
    pub upstream_prefix: String,
    pub unmatched: Unmatched,
    pub basic_auth: BasicAuth,
    /// Since when `warn` says that it is deprecated.
    pub basic_auth_since: Option<Timestamp>,
    pub basic_auth_until: Option<Timestamp>,
    pub device_registration: DeviceRegistration,
    pub errors: Errors,
    /// What a 401 is about, except at the endpoints of a profile with a realm of its own.
    pub realm: String,
    /// The `[[route]]` tables in the order of the file.
    pub rules: Vec<RouteRule>,
}

/// A table of route rules that comes with the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    Smsgate,
    None,
}

/// What a path demands that no rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatched {
    Deny,
    /// Any valid token.
    Authenticated,
}

/// Whether a user name and password are taken in place of a token on API routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasicAuth {
    Allow,
    /// Until the day in `basic_auth_until`; every answer says so.
    Warn,
    Deny,
}

/// Whether new devices may register through the gate (`POST /mobile/v1/device` of the preset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRegistration {
    Allow,
    Deny,
}

/// How a refusal on a route reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errors {
    Json,
    /// One line of text, in the words of the two-token guide where it has some.
    Text,
}

impl Routes {
    /// Everything but the rules.
    pub(super) fn read(r: &mut Reader) -> Self {
        let preset = r.choice("routes.preset", Preset::Smsgate);
        let prefix = r.parsed("routes.prefix", "/3rdparty/v1".into(), written_prefix);
        let upstream_prefix = r.parsed("routes.upstream_prefix", String::new(), |text| match text {
            "" => Ok(String::new()),
            text => written_prefix(text),
        });
        let upstream_prefix = if upstream_prefix.is_empty() { &prefix } else { &upstream_prefix };
        let basic_auth = r.choice("routes.basic_auth", BasicAuth::Allow);
        let day = |r: &mut Reader, key| {
            r.optional(key, |day: &Day| quote(&day.text), |value, _| day_of(&shape::text(value)?))
        };
        let (since, until) = (day(r, "routes.basic_auth_since"), day(r, "routes.basic_auth_until"));
        let (of_since, of_until, of_mode) = ("routes.basic_auth_since", "routes.basic_auth_until", "routes.basic_auth");
        let warn = basic_auth == BasicAuth::Warn;
        for (day, key) in [(&since, of_since), (&until, of_until)] {
            r.contradiction_if(
                !warn && day.is_some(),
                &[key, of_mode],
                "is used only with routes.basic_auth = \"warn\"",
            );
        }
        r.contradiction_if(warn && since.is_none(), &[of_mode, of_since], "\"warn\" needs routes.basic_auth_since");
        let (since, until) = (since.map(|day| day.begins), until.map(|day| day.begins));
        let wrong = since.zip(until).is_some_and(|(since, until)| until < since);
        r.contradiction_if(wrong, &[of_until, of_since], "is before routes.basic_auth_since");
        Self {
            preset,
            upstream_prefix: trusted_prefix(upstream_prefix),
            prefix: trusted_prefix(&prefix),
            unmatched: r.choice("routes.unmatched", Unmatched::Deny),
            basic_auth,
            basic_auth_since: since,
            basic_auth_until: until,
            device_registration: r.choice("routes.device_registration", DeviceRegistration::Allow),
            errors: r.choice("routes.errors", Errors::Json),
            realm: r.parsed("routes.realm", "portcullis".into(), realm),
            rules: Vec::new(),
        }
    }
}

/// A day as it was written.
struct Day {
    text: String,
    begins: Timestamp,
}

/// When a day begins, in UTC.
fn day_of(text: &str) -> Result<Day, String> {
    let begins = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == "2027-01-31".len());
    let begins = begins.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let begins = begins.and_then(|begins| u64::try_from(begins.timestamp().as_second()).ok());
    let begins = begins.ok_or_else(|| format!("{} is not a day such as `2027-01-31`", quoted(text)))?;
    Ok(Day { text: text.into(), begins: Timestamp::from_secs(begins) })
}

/// As it was written, so that it is shown that way; [`trusted_prefix`] comes afterwards.
fn written_prefix(text: &str) -> Result<String, String> {
    path::prefix(text).map(|_| text.into())
}

fn trusted_prefix(written: &str) -> String {
    if written == "/" { String::new() } else { written.into() }
}

impl Choice for Preset {
    const NAMES: &'static [(&'static str, Self)] = &[("smsgate", Self::Smsgate), ("none", Self::None)];
}

impl Choice for Unmatched {
    const NAMES: &'static [(&'static str, Self)] = &[("deny", Self::Deny), ("authenticated", Self::Authenticated)];
}

impl Choice for BasicAuth {
    const NAMES: &'static [(&'static str, Self)] =
        &[("allow", Self::Allow), ("warn", Self::Warn), ("deny", Self::Deny)];
}

impl Choice for DeviceRegistration {
    const NAMES: &'static [(&'static str, Self)] = &[("allow", Self::Allow), ("deny", Self::Deny)];
}

impl Choice for Errors {
    const NAMES: &'static [(&'static str, Self)] = &[("json", Self::Json), ("text", Self::Text)];
}
