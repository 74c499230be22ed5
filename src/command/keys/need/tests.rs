//! What depends on a key, by tables.
//!
//! Guarantees: no clock, no file.
//! Does not know: how it is told.

use super::*;
use crate::keys::Algorithm;
use crate::token::tests::{T0, policy, session};

const BOUNDS: Bounds = Bounds { access_ttl: Duration::from_hours(1), leeway: Duration::from_secs(30) };
/// From a retirement until the last access token is refused.
const HOUR: Duration = Duration::from_secs(3600 + 30 + 5);
const REFRESH_TTL: Duration = Duration::from_hours(720);

fn key(state: State) -> KeyEntry {
    let since = jiff::Timestamp::from_microsecond(T0.as_micros().cast_signed()).unwrap();
    KeyEntry { kid: "old".into(), algorithm: Algorithm::HS256, state, created: Some(since), since: Some(since) }
}

/// Begun an hour before the key was retired, and changed.
fn one(change: impl Fn(&mut Session)) -> Session {
    let mut session = session(1, "alice", T0.before(Duration::from_hours(1)), &policy());
    session.kid = "old".into();
    change(&mut session);
    session
}

/// For a key that was retired at [`T0`].
#[track_caller]
fn check(sessions: &[Session], now: Timestamp, number: usize, refresh: Option<Timestamp>, access: Option<Timestamp>) {
    let need = Need::of(&key(State::Retiring), sessions, now, BOUNDS);
    assert_eq!(need, Need { sessions: number, refresh_until: refresh, access_until: access });
    assert_eq!(need.until(), refresh.into_iter().chain(access).max());
}

#[test]
fn a_retiring_key_is_needed_while_a_token_of_it_can_be_valid() {
    let second = Duration::from_secs(1);
    // Its access tokens may be of sessions that have moved on.
    check(&[], T0, 0, None, Some(T0 + HOUR));
    check(&[], (T0 + HOUR).before(second), 0, None, Some(T0 + HOUR));
    check(&[], T0 + HOUR, 0, None, None);
    let later = T0 + Duration::from_hours(24);
    let idle = T0.before(Duration::from_hours(1)) + REFRESH_TTL;
    check(&[one(|_| ())], later, 1, Some(idle), None);
    check(&[one(|_| ()), one(|session| session.idle_expires_at = idle + second)], later, 2, Some(idle + second), None);
    // What ends first counts, and what has ended does not.
    check(&[one(|session| session.expires_at = idle.before(second))], later, 1, Some(idle.before(second)), None);
    check(&[one(|_| ())], idle.before(second), 1, Some(idle), None);
    check(&[one(|_| ())], idle, 0, None, None);
    // Of another key.
    check(&[one(|session| session.kid = "new".into())], later, 0, None, None);
}

#[test]
fn an_access_token_lives_as_long_as_its_session_was_promised_or_the_settings_allow() {
    let day = Duration::from_hours(24);
    let at = T0 + Duration::from_hours(2);
    let long = one(|session| {
        session.access_ttl = day;
        session.kid = "new".into();
    });
    check(&[long], at, 0, None, Some(T0 + day + Duration::from_secs(35)));
}

#[test]
fn a_gate_that_did_not_notice_the_retirement_is_noticed() {
    let signed = T0 + Duration::from_hours(5);
    let late = one(|session| {
        session.rotated_at = signed;
        session.idle_expires_at = signed + REFRESH_TTL;
    });
    let access = signed + BOUNDS.access_ttl + BOUNDS.leeway;
    check(&[late], signed, 1, Some(signed + REFRESH_TTL), Some(access));
}

#[test]
fn a_refresh_in_doubt_may_have_left_its_client_with_the_token_before() {
    let later = T0 + Duration::from_hours(24);
    let doubtful = one(|session| {
        session.kid = "new".into();
        session.in_doubt = true;
    });
    check(std::slice::from_ref(&doubtful), later, 0, Some(doubtful.idle_expires_at), None);
    // Begun when the key had long been retired.
    let young = Session { created_at: T0 + Duration::from_secs(6), ..doubtful };
    check(&[young], later, 0, None, None);
}

#[test]
fn of_other_keys_only_the_sessions_are_told() {
    for state in [State::Next, State::Current] {
        let need = Need::of(&key(state), &[one(|_| ())], T0, BOUNDS);
        assert_eq!(need, Need { sessions: 1, refresh_until: None, access_until: None });
        assert_eq!(need.until(), None);
    }
}
