//! How sessions and ends are spelled, as JSON and for people.
//!
//! Guarantees: names of fields are those that `store export --help` promises, in both forms; text of clients cannot
//! forge lines or colour a terminal.
//! Does not know: where the sessions come from.

use std::fmt;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::token::{Device, Restoration, Scopes, Session, SessionId, Timestamp};

#[derive(Serialize)]
pub(super) struct SessionView<'a> {
    kind: &'static str,
    id: String,
    parent: Option<String>,
    subject: &'a str,
    profile: &'static str,
    client: Option<&'a str>,
    certificate: Option<&'a str>,
    scopes: &'a Scopes,
    granted: &'a Scopes,
    access_ttl: u64,
    device: Option<&'a Device>,
    address: Option<String>,
    user_agent: Option<&'a str>,
    created_address: Option<String>,
    created_user_agent: Option<&'a str>,
    created_at: String,
    rotated_at: String,
    idle_expires_at: String,
    expires_at: String,
    expired: bool,
    generation: u32,
    access_floor: u32,
    kid: &'a str,
    credential: String,
    in_doubt: bool,
    outlived: Option<String>,
}

#[derive(Serialize)]
pub(super) struct TombstoneView {
    kind: &'static str,
    id: String,
    until: String,
}

#[derive(Serialize)]
pub(super) struct RestorationView {
    kind: &'static str,
    backup: String,
    restored: String,
    adopt: bool,
    revoked_after: Option<String>,
}

impl RestorationView {
    pub(super) fn new(restoration: &Restoration) -> Self {
        Self {
            kind: "restoration",
            backup: rfc3339(restoration.backup),
            restored: rfc3339(restoration.restored),
            adopt: restoration.adopt,
            revoked_after: restoration.revoked_after.map(rfc3339),
        }
    }
}

impl<'a> SessionView<'a> {
    pub(super) fn new(session: &'a Session, now: Timestamp) -> Self {
        Self {
            kind: "session",
            id: session.id.to_string(),
            parent: session.parent.map(|parent| parent.to_string()),
            subject: session.subject.as_str(),
            profile: session.profile.name(),
            client: session.client.as_deref(),
            certificate: session.certificate.as_deref(),
            scopes: &session.scopes,
            granted: &session.granted,
            access_ttl: session.access_ttl.as_secs(),
            device: session.device.as_deref(),
            address: session.used_from.address.map(|address| address.to_string()),
            user_agent: session.used_from.agent.as_deref(),
            created_address: session.begun_from.address.map(|address| address.to_string()),
            created_user_agent: session.begun_from.agent.as_deref(),
            created_at: rfc3339(session.created_at),
            rotated_at: rfc3339(session.rotated_at),
            idle_expires_at: rfc3339(session.idle_expires_at),
            expires_at: rfc3339(session.expires_at),
            expired: session.expired(now),
            generation: session.generation,
            access_floor: session.access_floor,
            kid: &session.kid,
            credential: session.credential.0.iter().map(|byte| format!("{byte:02x}")).collect(),
            in_doubt: session.in_doubt,
            outlived: session.outlived.map(rfc3339),
        }
    }
}

impl TombstoneView {
    pub(super) fn new(id: SessionId, until: Timestamp) -> Self {
        Self { kind: "tombstone", id: id.to_string(), until: rfc3339(until) }
    }
}

impl fmt::Display for SessionView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = |text: fn(&Device) -> &Option<String>| self.device.and_then(|device| text(device).as_deref());
        writeln!(f, "session          {}{}", self.id, if self.expired { " (expired)" } else { "" })?;
        writeln!(f, "  parent           {}", self.parent.as_deref().unwrap_or("none"))?;
        writeln!(f, "  subject          {:?}", self.subject)?;
        writeln!(f, "  profile          {}", self.profile)?;
        writeln!(f, "  client           {}", quoted(self.client))?;
        writeln!(f, "  certificate      {}", quoted(self.certificate))?;
        writeln!(f, "  scopes           {:?}", self.scopes.to_string())?;
        writeln!(f, "  granted          {:?}", self.granted.to_string())?;
        writeln!(f, "  access_ttl       {} s", self.access_ttl)?;
        writeln!(f, "  device id        {}", quoted(device(|device| &device.id)))?;
        writeln!(f, "  device name      {}", quoted(device(|device| &device.name)))?;
        for (name, address, agent) in [
            ("begun from", &self.created_address, self.created_user_agent),
            ("used from ", &self.address, self.user_agent),
        ] {
            let address = address.as_deref().unwrap_or("none");
            writeln!(f, "  {name}       {address} {}", agent.map(|agent| format!("{agent:?}")).unwrap_or_default())?;
        }
        writeln!(f, "  created_at       {}", self.created_at)?;
        writeln!(f, "  rotated_at       {}", self.rotated_at)?;
        writeln!(f, "  idle_expires_at  {}", self.idle_expires_at)?;
        writeln!(f, "  expires_at       {}", self.expires_at)?;
        writeln!(f, "  generation       {}", self.generation)?;
        writeln!(f, "  access_floor     {}", self.access_floor)?;
        writeln!(f, "  kid              {:?}", self.kid)?;
        writeln!(f, "  credential       {}", self.credential)?;
        writeln!(f, "  in_doubt         {}", self.in_doubt)?;
        write!(f, "  outlived         {}", self.outlived.as_deref().unwrap_or("none"))
    }
}

impl fmt::Display for RestorationView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = if self.adopt { "adopted" } else { "refused" };
        write!(f, "restored       lost {} to {}, {lost}", self.backup, self.restored)?;
        match &self.revoked_after {
            Some(after) => write!(f, ", revoked after {after}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TombstoneView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tombstone        {}  until {}", self.id, self.until)
    }
}

/// In the form of Rust's own literals, which has no control characters and none that turn the direction of writing.
fn quoted(text: Option<&str>) -> String {
    text.map_or_else(|| "none".into(), |text| format!("{text:?}"))
}

/// UTC with microseconds, such as `2026-11-22T12:46:37.840676Z`. What is beyond all calendars is their last instant.
pub(super) fn rfc3339(at: Timestamp) -> String {
    let micros = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX);
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::command::store::help::EXPORT;
    use crate::token::Subject;
    use crate::token::tests::{T0, policy, session};

    #[test]
    fn times_have_one_length_and_no_end() {
        assert_eq!(rfc3339(Timestamp::from_micros(1_795_351_597_840_676)), "2026-11-22T12:46:37.840676Z");
        assert_eq!(rfc3339(Timestamp::from_secs(1_795_351_597)), "2026-11-22T12:46:37.000000Z");
        assert_eq!(rfc3339(Timestamp::MAX).len(), 27);
    }

    #[test]
    fn every_field_is_promised_by_the_help_and_every_promise_is_kept() {
        let session = session(1, "alice", T0, &policy());
        let restoration = Restoration { backup: T0, restored: T0, adopt: true, revoked_after: None, sessions_end: T0 };
        let views = [
            serde_json::to_value(SessionView::new(&session, T0)).unwrap(),
            serde_json::to_value(TombstoneView::new(session.id, T0)).unwrap(),
            serde_json::to_value(RestorationView::new(&restoration)).unwrap(),
        ];
        let written: BTreeSet<_> = views.iter().flat_map(|view| view.as_object().unwrap().keys()).collect();
        let lines = EXPORT.lines().filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
        let names = lines.filter(|line| !line.starts_with("portcullis")).filter_map(|line| line.split("  ").next());
        let promised: BTreeSet<_> = names.flat_map(|names| names.split(", ")).collect();
        assert_eq!(written.iter().map(|name| name.as_str()).collect::<BTreeSet<_>>(), promised);
    }

    #[test]
    fn text_of_clients_forges_no_lines() {
        let mut session = session(1, "", T0, &policy());
        let text = "a\n  generation       7\u{1b}[31m\u{9b}\u{202e}\u{2028}\"b";
        session.subject = Subject::new(text);
        session.device = Some(Box::new(Device { id: Some(text.into()), name: Some(text.into()) }));
        session.used_from.agent = Some(text.into());
        let spelled = SessionView::new(&session, T0).to_string();
        assert_eq!(spelled.lines().count(), 23, "{spelled}");
        assert!(!spelled.contains(|c: char| (c.is_control() && c != '\n') || ('\u{2028}'..='\u{202e}').contains(&c)));
    }
}
