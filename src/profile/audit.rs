//! The audit trail: what becomes of sessions, one line for each event.
//!
//! Guarantees: each event is counted, and each line says who, from where and by which request, as far as the operator wants that recorded; none holds
//! a token. What it is called here is what operators search for: names do not change.
//! Does not know: where lines go, in what form.

use tracing::field::display;
use tracing::{info, warn};

use crate::metrics::{Event, Events};
use crate::observe::AUDIT;
use crate::token::{Profile, Sender, Session, SessionId, Subject, Timestamp, TokenId};

use super::{Sessions, Visit};

/// Tells what one visit does.
pub(super) struct Audit<'a> {
    sender: Sender,
    request_id: &'a str,
    events: &'a Events,
}

impl Sessions {
    pub(super) fn audit<'a>(&'a self, visit: &Visit<'a>) -> Audit<'a> {
        let sender = self.record_addresses.of(visit);
        Audit { sender, request_id: visit.request_id, events: &self.metrics.events }
    }
}

macro_rules! tell {
    ($level:ident, $audit:expr, $text:literal, $($fields:tt)*) => {{
        let Audit { sender, request_id, .. } = $audit;
        let (address, agent) = (sender.address.map(display), sender.agent.as_deref());
        $level!(target: AUDIT, $($fields)*, address, user_agent = agent, request_id, $text)
    }};
}

impl Audit<'_> {
    pub(super) fn sign_in(&self, session: &Session) {
        self.events.count(Event::SignIn);
        let (client, parent) = (session.client.as_deref(), session.parent.map(display));
        tell!(info, self, "session begun", event = "sign_in", session = %session.id, subject = %session.subject,
            profile = session.profile.name(), client, parent, certificate = session.certificate.as_deref(),
            scopes = %session.granted);
    }

    pub(super) fn refresh(&self, session: &Session) {
        self.events.count(Event::Refresh);
        tell!(info, self, "session renewed", event = "refresh", session = %session.id, subject = %session.subject,
            profile = session.profile.name(), client = session.client.as_deref(), generation = session.generation);
    }

    pub(super) fn reuse(&self, profile: Profile, token: TokenId, subject: &Subject) {
        self.events.count(Event::Reuse);
        tell!(warn, self, "a refresh token was used twice: its session has ended", event = "reuse",
            session = %token.session, subject = %subject, profile = profile.name(), generation = token.generation);
    }

    pub(super) fn disowned(&self, profile: Profile, token: TokenId, subject: &Subject) {
        self.events.count(Event::Disowned);
        tell!(info, self, "the user is gone or has another password: the session has ended", event = "disowned",
            session = %token.session, subject = %subject, profile = profile.name());
    }

    /// `shown` is whom the certificate names that came with it.
    pub(super) fn other_certificate(
        &self,
        profile: Profile,
        token: TokenId,
        subject: Option<&Subject>,
        shown: Option<&str>,
    ) {
        self.events.count(Event::OtherCertificate);
        tell!(warn, self, "a refresh token came without a certificate of the one who holds it",
            event = "other_certificate", session = %token.session, subject = subject.map(display),
            profile = profile.name(), generation = token.generation, certificate = shown);
    }

    pub(super) fn lost_token(&self, profile: Profile, token: TokenId, issued_at: Timestamp) {
        self.events.count(Event::LostToken);
        tell!(warn, self, "an authentic refresh token of which the store has no record: a backup was restored, or worse",
            event = "lost_token", session = %token.session, profile = profile.name(), generation = token.generation,
            issued_at = issued_at.as_secs());
    }

    /// `by` is who has ended it: the one it belongs to, or somebody who may end those of others.
    pub(super) fn revoke(&self, session: SessionId, subject: &Subject, by: &Subject) {
        self.events.count(Event::Revoke);
        tell!(info, self, "session ended", event = "revoke", session = %session, subject = %subject, by = %by);
    }

    pub(super) fn rename(&self, session: &Session) {
        let name = session.device.as_ref().and_then(|device| device.name.as_deref());
        tell!(info, self, "device named", event = "rename", session = %session.id, subject = %session.subject, name);
    }
}
